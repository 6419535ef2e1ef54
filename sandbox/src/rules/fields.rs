//! Reads the members of one JSON object and notes what is wrong with them.
//!
//! Null counts as absent here; [`crate::rules`] knows the members where it must not.

use serde_json::{Map, Value};

/// One object of a request, its path, and the list of problems.
pub(crate) struct Fields<'a> {
    object: &'a Map<String, Value>,
    path: String,
    pub(crate) problems: &'a mut Vec<String>,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(object: &'a Map<String, Value>, path: &str, problems: &'a mut Vec<String>) -> Self {
        Self {
            object,
            path: path.to_owned(),
            problems,
        }
    }

    /// Notes a problem of the member `name`, or of the whole object if `name` is empty.
    pub(crate) fn say(&mut self, name: &str, problem: &str) {
        let path = self.path_of(name);
        self.problems.push(format!("{path}: {problem}"));
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.object.keys().cloned().collect()
    }

    pub(crate) fn value(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name)
    }

    pub(crate) fn is_null(&self, name: &str) -> bool {
        self.value(name).is_some_and(Value::is_null)
    }

    pub(crate) fn text(&mut self, name: &str) -> Option<&'a str> {
        self.read(name, "text", Value::as_str)
    }

    pub(crate) fn text_up_to(&mut self, name: &str, most_chars: usize) -> Option<&'a str> {
        let text = self.text(name)?;
        if text.chars().count() > most_chars {
            self.say(name, &format!("expected at most {most_chars} characters"));
        }
        Some(text)
    }

    pub(crate) fn required_text(&mut self, name: &str) -> Option<&'a str> {
        self.require(name, "text")?;
        self.text(name)
    }

    pub(crate) fn flag(&mut self, name: &str) -> Option<bool> {
        self.read(name, "true or false", Value::as_bool)
    }

    pub(crate) fn number(&mut self, name: &str, least: f64, most: f64) -> Option<f64> {
        let number = self.read(name, "a number", Value::as_f64)?;
        if !(least..=most).contains(&number) {
            self.say(
                name,
                &format!("expected a number from {least} to {most}, found {number}"),
            );
        }
        Some(number)
    }

    pub(crate) fn whole(&mut self, name: &str, least: i64, most: i64) -> Option<i64> {
        let number = self.read(name, "a whole number", Value::as_i64)?;
        if !(least..=most).contains(&number) {
            let range = if most == i64::MAX {
                format!("{least} or more")
            } else {
                format!("{least} to {most}")
            };
            self.say(name, &format!("expected a whole number, {range}, found {number}"));
        }
        Some(number)
    }

    pub(crate) fn one_of(&mut self, name: &str, words: &[&str]) -> Option<&'a str> {
        let word = self.text(name)?;
        if words.contains(&word) {
            return Some(word);
        }
        self.say(
            name,
            &format!("expected one of {}, found `{}`", listed(words), shortened(word)),
        );
        None
    }

    pub(crate) fn texts(&mut self, name: &str) -> Option<Vec<String>> {
        let items = self.read(name, "an array of texts", Value::as_array)?;
        let texts: Option<Vec<String>> = items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
        if texts.is_none() {
            self.say(name, "expected an array of texts, found other items");
        }
        texts
    }

    pub(crate) fn object(&mut self, name: &str) -> Option<Fields<'_>> {
        let object = self.read(name, "an object", Value::as_object)?;
        Some(Fields {
            path: self.path_of(name),
            object,
            problems: self.problems,
        })
    }

    pub(crate) fn required_object(&mut self, name: &str) -> Option<Fields<'_>> {
        self.require(name, "an object")?;
        self.object(name)
    }

    /// Visits the objects of an array; any other item is a problem.
    pub(crate) fn objects(&mut self, name: &str) -> Objects<'_> {
        let items = self
            .read(name, "an array of objects", Value::as_array)
            .map_or(&[][..], Vec::as_slice);
        Objects {
            items,
            path: self.path_of(name),
            at: 0,
            problems: self.problems,
        }
    }

    fn require(&mut self, name: &str, expected: &str) -> Option<()> {
        if self.value(name).is_none_or(Value::is_null) {
            self.say(name, &format!("expected {expected}, found nothing"));
            return None;
        }
        Some(())
    }

    fn read<T>(&mut self, name: &str, expected: &str, read: impl FnOnce(&'a Value) -> Option<T>) -> Option<T> {
        let value = self.object.get(name).filter(|value| !value.is_null())?;
        let found = read(value);
        if found.is_none() {
            self.say(name, &format!("expected {expected}, found {}", kind_of(value)));
        }
        found
    }

    fn path_of(&self, name: &str) -> String {
        match (self.path.as_str(), name) {
            ("", name) => name.to_owned(),
            (path, "") => path.to_owned(),
            (path, name) => format!("{path}.{name}"),
        }
    }
}

/// See [`Fields::objects`]. It lends its items, so it is not an `Iterator`; walk it with `while let`.
pub(crate) struct Objects<'a> {
    items: &'a [Value],
    path: String,
    at: usize,
    problems: &'a mut Vec<String>,
}

impl Objects<'_> {
    pub(crate) fn next(&mut self) -> Option<Fields<'_>> {
        while let Some(item) = self.items.get(self.at) {
            let path = format!("{}[{}]", self.path, self.at);
            self.at += 1;
            match item {
                Value::Object(object) => {
                    return Some(Fields {
                        object,
                        path,
                        problems: self.problems,
                    });
                }
                other => self
                    .problems
                    .push(format!("{path}: expected an object, found {}", kind_of(other))),
            }
        }
        None
    }
}

/// A word for what a JSON value is; never the value itself.
pub(crate) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

pub(crate) fn listed(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    quoted.join(", ")
}

fn shortened(word: &str) -> String {
    word.chars().take(40).collect()
}
