//! Accepts snake_case where a schema says camelCase.
//!
//! In: an entry as written in the file, and its schema. Out: the same entry in the schema's spelling, and
//! the way back from its pointers to those of the file. Keys that an author chose, such as the names
//! of tiers, are left as they are, since the schema does not name them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::document::Document;
use super::pointer::{join, segments};

/// How far a schema is followed through references and unions at one level of the value.
const MAX_REFERENCES: usize = 16;

/// An entry in the spelling of its schema.
#[derive(Default)]
pub(super) struct Normalised {
    /// The entry, with camelCase keys.
    pub value: Value,
    /// From a pointer in `value` to the pointer in the entry of the file; only keys that differ.
    pub renames: BTreeMap<String, String>,
    /// Pointers, in the entry of the file, of keys that are given in both spellings.
    pub conflicts: Vec<String>,
}

/// Renames the keys of `entry` that `schema` knows in camelCase.
pub(super) fn normalised(entry: &Value, schema: &Value) -> Normalised {
    let mut out = Normalised::default();
    out.value = out.walk(entry, &parts_of(schema, schema), schema, "", "");
    out
}

impl Normalised {
    /// The pointer, in the entry of the file, of a pointer in the normalised value.
    pub fn in_file(&self, pointer: &str) -> String {
        let mut known = pointer;
        loop {
            if let Some(original) = self.renames.get(known) {
                return format!("{original}{}", &pointer[known.len()..]);
            }
            match known.rfind('/') {
                Some(slash) => known = &known[..slash],
                None => return pointer.to_owned(),
            }
        }
    }

    fn walk(&mut self, value: &Value, parts: &[&Value], root: &Value, here: &str, in_file: &str) -> Value {
        match value {
            Value::Array(elements) => {
                let walked = elements.iter().enumerate().map(|(index, element)| {
                    let parts = parts.iter().filter_map(|part| element_schema(part, index));
                    let parts = parts.flat_map(|part| parts_of(part, root)).collect::<Vec<_>>();
                    self.walk(
                        element,
                        &parts,
                        root,
                        &format!("{here}/{index}"),
                        &format!("{in_file}/{index}"),
                    )
                });
                Value::Array(walked.collect())
            }
            Value::Object(object) => {
                let mut out = Map::new();
                for (key, value) in object {
                    let name = member_name(parts, key);
                    let below_in_file = join(in_file, key);
                    if name != *key && object.contains_key(&name) {
                        self.conflicts.push(below_in_file);
                        continue;
                    }
                    let below = join(here, &name);
                    if name != *key || here != in_file {
                        self.renames.insert(below.clone(), below_in_file.clone());
                    }
                    let parts = parts.iter().filter_map(|part| member_schema(part, &name));
                    let parts = parts.flat_map(|part| parts_of(part, root)).collect::<Vec<_>>();
                    let value = self.walk(value, &parts, root, &below, &below_in_file);
                    out.insert(name, value);
                }
                Value::Object(out)
            }
            scalar => scalar.clone(),
        }
    }
}

/// The pointer in the document for a pointer below `base` in the plugin's spelling.
///
/// - Out: as deep as the document goes; what it does not have, such as a default, is left out.
pub(super) fn pointer_in(document: &Document, base: &str, pointer: &str) -> String {
    let mut out = base.to_owned();
    let mut value = document.value.pointer(base);
    for segment in segments(pointer) {
        let key = match value {
            Some(Value::Object(object)) if !object.contains_key(&segment) => {
                object.keys().find(|key| camel_case(key) == segment).cloned()
            }
            _ => Some(segment),
        };
        let Some((below, found)) = key.and_then(|key| {
            let below = join(&out, &key);
            document.value.pointer(&below).map(|found| (below, found))
        }) else {
            break;
        };
        (out, value) = (below, Some(found));
    }
    out
}

/// The schema and all schemas that apply to the same value: references, `allOf`, each branch.
pub(super) fn parts_of<'a>(schema: &'a Value, root: &'a Value) -> Vec<&'a Value> {
    let mut parts = Vec::new();
    collect_parts(schema, root, MAX_REFERENCES, &mut parts);
    parts
}

fn collect_parts<'a>(schema: &'a Value, root: &'a Value, left: usize, parts: &mut Vec<&'a Value>) {
    if left == 0 || parts.iter().any(|known| std::ptr::eq(*known, schema)) {
        return;
    }
    parts.push(schema);
    if let Some(target) = referenced(schema, root) {
        collect_parts(target, root, left - 1, parts);
    }
    for keyword in ["allOf", "anyOf", "oneOf"] {
        for branch in schema.get(keyword).and_then(Value::as_array).into_iter().flatten() {
            collect_parts(branch, root, left - 1, parts);
        }
    }
    for keyword in ["then", "else"] {
        if let Some(branch) = schema.get(keyword) {
            collect_parts(branch, root, left - 1, parts);
        }
    }
}

/// The schemas that apply to the value at a pointer.
pub(super) fn parts_at<'a>(schema: &'a Value, pointer: &str) -> Vec<&'a Value> {
    segments(pointer).fold(parts_of(schema, schema), |parts, name| {
        let inner = parts.iter().filter_map(|part| match name.parse() {
            Ok(index) => element_schema(part, index).or_else(|| member_schema(part, &name)),
            Err(_) => member_schema(part, &name),
        });
        inner
            .filter(|inner| !inner.is_boolean())
            .flat_map(|inner| parts_of(inner, schema))
            .collect()
    })
}

/// What the `$ref` of a schema names, if it has one.
pub(super) fn referenced<'a>(schema: &Value, root: &'a Value) -> Option<&'a Value> {
    root.pointer(schema.get("$ref")?.as_str()?.strip_prefix('#')?)
}

/// A key in the spelling of the schema.
pub(super) fn member_name(parts: &[&Value], key: &str) -> String {
    let knows = |name: &str| {
        parts
            .iter()
            .any(|part| part.pointer("/properties").is_some_and(|all| all.get(name).is_some()))
    };
    let camel = camel_case(key);
    if !knows(key) && knows(&camel) {
        camel
    } else {
        key.to_owned()
    }
}

fn member_schema<'a>(part: &'a Value, key: &str) -> Option<&'a Value> {
    let named = part.get("properties").and_then(|all| all.get(key));
    named.or_else(|| part.get("additionalProperties"))
}

fn element_schema(part: &Value, index: usize) -> Option<&Value> {
    let fixed = part.get("prefixItems").and_then(|all| all.get(index));
    fixed.or_else(|| part.get("items"))
}

/// `max_tokens` as `maxTokens`.
fn camel_case(key: &str) -> String {
    let mut out = String::with_capacity(key.len());
    let mut after_underscore = false;
    for character in key.chars() {
        if character == '_' && !out.is_empty() {
            after_underscore = true;
        } else if after_underscore {
            out.extend(character.to_uppercase());
            after_underscore = false;
        } else {
            out.push(character);
        }
    }
    out
}
