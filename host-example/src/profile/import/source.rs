//! The values of a file with their lines: JSON with comments, YAML, or variables.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use serde_saphyr::Spanned;

use super::super::document::Document;
use super::super::pointer::join;
use super::super::problem::Report;
use super::super::secret;

/// A file's values, and the line of each by its pointer.
pub struct Source {
    /// How reports call the file.
    pub file: String,
    pub value: Value,
    /// Whether it is a file of variables.
    pub(super) has_variables: bool,
    pub(super) lines: BTreeMap<String, usize>,
}

impl Source {
    /// Reads JSON or YAML.
    ///
    /// - Errors: the text is neither; one message with the first bad place. It quotes no value.
    pub fn parse(file: &str, text: &str) -> Result<Self, String> {
        let broken = match Document::parse(file, text.to_owned()) {
            Ok(document) if document.value.is_object() => return Ok(Self::of_json(file, &document)),
            Ok(_) => "its JSON is no object".to_owned(),
            Err(report) => first_problem(&report),
        };
        if text.trim_start().starts_with(['{', '[']) {
            return Err(broken);
        }
        let options = serde_saphyr::options! {
            with_snippet: false,
            // No JSON number, so the check refuses it where it stands.
            non_finite_float_policy: serde_saphyr::options::NonFiniteFloatPolicy::AsString,
        };
        let node: Spanned<Node> = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
            // A parser may quote what it found, such as a line that holds a key.
            let message = secret::masked_text(&error.without_snippet().to_string(), &[], &[]);
            // Behind a semicolon it says what a programmer could do, and where.
            let (message, rest) = message.split_once(';').unwrap_or((&message, ""));
            let place = rest.find(" at line ").map_or("", |at| &rest[at..]);
            format!("its YAML cannot be read: {message}{place}")
        })?;
        let mut source = Self::named(file);
        source.value = source.value_of(node.value, "");
        Ok(source)
    }

    /// Of a file of variables: names, values and lines.
    pub fn of_variables(file: &str, variables: impl Iterator<Item = (String, String, usize)>) -> Self {
        let mut source = Self::named(file);
        let mut values = Map::new();
        for (name, value, line) in variables {
            source.lines.insert(join("", &name), line);
            values.insert(name, Value::String(value));
        }
        source.value = Value::Object(values);
        source.has_variables = true;
        source
    }

    fn of_json(file: &str, document: &Document) -> Self {
        let mut source = Self::named(file);
        for pointer in document.found.places.keys() {
            let range = document.key_range(pointer).or_else(|| document.value_range(pointer));
            let (line, _) = document.line_column(range.unwrap_or(0..0).start);
            source.lines.insert(pointer.clone(), line);
        }
        source.value = document.value.clone();
        source
    }

    fn named(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            value: Value::Null,
            has_variables: false,
            lines: BTreeMap::new(),
        }
    }

    fn value_of(&mut self, node: Node, pointer: &str) -> Value {
        match node {
            Node::Scalar(value) => value,
            Node::List(elements) => {
                let elements = elements.into_iter().enumerate();
                let values = elements.map(|(index, element)| {
                    let below = join(pointer, &index.to_string());
                    self.lines.insert(below.clone(), line_of(element.referenced));
                    self.value_of(element.value, &below)
                });
                Value::Array(values.collect())
            }
            Node::Object(members) => {
                let values = members.into_iter().map(|(key, member)| {
                    let below = join(pointer, &key.value);
                    self.lines.insert(below.clone(), line_of(key.referenced));
                    (key.value, self.value_of(member, &below))
                });
                Value::Object(values.collect())
            }
        }
    }
}

fn line_of(location: serde_saphyr::Location) -> usize {
    usize::try_from(location.line()).unwrap_or_default()
}

fn first_problem(report: &Report) -> String {
    let problem = report.problems.first();
    problem.map_or_else(String::new, |problem| {
        format!("its JSON cannot be read: line {}: {}", problem.line, problem.message)
    })
}

/// A value of YAML, its parts with their places.
enum Node {
    Scalar(Value),
    List(Vec<Spanned<Node>>),
    Object(Vec<(Spanned<String>, Node)>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyNode)
    }
}

struct AnyNode;

impl<'de> Visitor<'de> for AnyNode {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = access.next_element()? {
            elements.push(element);
        }
        Ok(Node::List(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = access.next_entry()? {
            members.push(member);
        }
        Ok(Node::Object(members))
    }
}
