//! Reads a JSON object at its top level only, so that one member can change while all others keep their bytes.
//!
//! In: a body, a part of one, or a header that holds JSON.
//! Out: names in order, each with the text of its value; or the object as JSON again.
//! Values are checked to be JSON but never built in memory. Pure, and linear in the length of the input.

use std::fmt;

use indexmap::IndexMap;
use plugin_api::{Error, ErrorKind};
use serde::{Deserialize, Serialize};
use serde_json::error::Category;
use serde_json::value::{RawValue, to_raw_value};

/// The members of a JSON object in order, each value as the text it was written in.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Members(IndexMap<String, Box<RawValue>>);

impl Members {
    /// Reads a body.
    ///
    /// - In: strict JSON in UTF-8. Values may be nested to any depth, because nothing descends into them.
    ///   If a name repeats, its last value counts, at the position of the first.
    /// - Errors: `invalid_request` for anything but a JSON object, with line and column, never quoting the input.
    pub fn parse(json: &[u8]) -> Result<Self, Error> {
        Self::parse_expecting("the body to be a JSON object", json)
    }

    /// Reads an object that is not a body; `expected` names it in errors.
    pub fn parse_expecting(expected: &str, json: &[u8]) -> Result<Self, Error> {
        serde_json::from_slice(json).map_err(|error| {
            let found = match error.classify() {
                // For a value of another type, serde's own message would quote it.
                Category::Data => {
                    let (line, column) = (error.line(), error.column());
                    format!("{} at line {line} column {column}", Kind::of(json))
                }
                _ => format!("invalid JSON: {error}"),
            };
            Error::new(
                ErrorKind::INVALID_REQUEST,
                format!("expected {expected}, found {found}"),
            )
        })
    }

    /// The value of a name, which may be `null`.
    pub fn get(&self, name: &str) -> Option<&RawValue> {
        self.0.get(name).map(|value| &**value)
    }

    /// Whether a name has a value other than `null`.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.get() != "null")
    }

    /// The value of a name if it is a string.
    pub fn text(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.get(name)?.get()).ok()
    }

    /// Removes a name; the others keep their order.
    pub fn take(&mut self, name: &str) -> Option<Box<RawValue>> {
        self.0.shift_remove(name)
    }

    /// Sets the value of a name, in its place if it has one, else at the end.
    pub fn set(&mut self, name: &str, value: Box<RawValue>) {
        self.0.insert(name.to_owned(), value);
    }

    /// Sets a value that is not JSON yet. Ignores one that JSON cannot hold, such as a map whose keys are lists.
    pub fn set_value(&mut self, name: &str, value: &impl Serialize) {
        if let Ok(value) = to_raw_value(value) {
            self.set(name, value);
        }
    }

    /// Renames a member in its place. If the new name already has a value other than `null`, that value wins.
    ///
    /// - Out: whether the old name was there.
    pub fn rename(&mut self, from: &str, to: &str) -> bool {
        if self.has(to) {
            return self.take(from).is_some();
        }
        if !self.0.contains_key(from) {
            return false;
        }
        self.take(to);
        if let Some(at) = self.0.get_index_of(from) {
            // Fails only if the new name is taken, and it was just removed.
            let _ = self.0.replace_index(at, to.to_owned());
        }
        true
    }

    /// Appends the members of `lower` whose names are missing here. A `null` here counts as present.
    pub fn lay_over(&mut self, lower: Self) {
        for (name, value) in lower {
            self.0.entry(name).or_insert(value);
        }
    }

    /// Whether there are no members.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Names and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &RawValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), &**value))
    }

    /// The object as JSON: the same order, every value byte for byte as it was written.
    pub fn to_json(&self) -> Vec<u8> {
        // Quotes, colon and comma are four bytes; a name with escapes is longer and costs one more allocation.
        let n_bytes = self
            .iter()
            .map(|(name, value)| name.len() + value.get().len() + 4)
            .sum::<usize>();
        let mut json = Vec::with_capacity(n_bytes + 2);
        // Strings and raw JSON always serialise, and writing into a Vec cannot fail.
        let _ = serde_json::to_writer(&mut json, self);
        json
    }
}

impl IntoIterator for Members {
    type Item = (String, Box<RawValue>);
    type IntoIter = indexmap::map::IntoIter<String, Box<RawValue>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl fmt::Debug for Members {
    /// Shows only how many there are: the values may be somebody's conversation.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Members({})", self.0.len())
    }
}

/// The JSON type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Object,
    List,
    Text,
    Number,
    Bool,
    Null,
}

impl Kind {
    /// The type of a piece of valid JSON, by its first byte.
    pub fn of(json: &[u8]) -> Self {
        match json.trim_ascii_start().first() {
            Some(b'{') => Self::Object,
            Some(b'[') => Self::List,
            Some(b'"') => Self::Text,
            Some(b't' | b'f') => Self::Bool,
            Some(b'n') => Self::Null,
            _ => Self::Number,
        }
    }

    /// The type of a value.
    pub fn of_value(value: &RawValue) -> Self {
        Self::of(value.get().as_bytes())
    }
}

impl fmt::Display for Kind {
    /// As it reads after "found" in an error.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Object => "an object",
            Self::List => "a list",
            Self::Text => "a string",
            Self::Number => "a number",
            Self::Bool => "true or false",
            Self::Null => "null",
        })
    }
}

#[cfg(test)]
mod tests;
