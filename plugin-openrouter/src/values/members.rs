//! Reads a JSON object at its top level only, so that a member can be changed and all others stay as they were written.
//!
//! In: a body, a part of one, or a header that holds JSON. Out: names in order, each with the text of its value, and the same
//! as JSON again. What stands inside a value is checked to be JSON and is never built in memory. Pure, and linear in the
//! length of the input, however many names it has.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::{fmt, mem};

use plugin_api::{Error, ErrorKind};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::error::Category;
use serde_json::value::{RawValue, to_raw_value};

/// A JSON object read at its top level only: names in order, each with its value as it was written. No name stands twice.
#[derive(Clone, Default)]
pub struct Members(Vec<(String, Box<RawValue>)>);

impl Members {
    /// Reads a body.
    ///
    /// - In: strict JSON in UTF-8. A value may be nested as deeply as it likes, because nothing descends into it. Of a name that
    ///   stands twice the last value counts, in the place of the first.
    /// - Errors: `invalid_request` for anything but a JSON object, with line and column, never quoting the input.
    pub fn parse(json: &[u8]) -> Result<Self, Error> {
        Self::parse_expecting("the body to be a JSON object", json)
    }

    /// The same for an object that is no body; `expected` says in an error what it is.
    pub fn parse_expecting(expected: &str, json: &[u8]) -> Result<Self, Error> {
        serde_json::from_slice(json).map_err(|error| {
            let found = match error.classify() {
                // serde's own words for another type would quote the value.
                Category::Data => {
                    let (line, column) = (error.line(), error.column());
                    format!("{} at line {line} column {column}", Kind::of(json))
                }
                _ => format!("what is not JSON: {error}"),
            };
            Error::new(
                ErrorKind::INVALID_REQUEST,
                format!("expected {expected}, found {found}"),
            )
        })
    }

    /// The value of a name, which may be `null`.
    pub fn get(&self, name: &str) -> Option<&RawValue> {
        self.place(name).map(|at| &*self.0[at].1)
    }

    /// Whether a name has a value other than `null`.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.get() != "null")
    }

    /// The value of a name if it is a text.
    pub fn text(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.get(name)?.get()).ok()
    }

    /// Removes a name; the others keep their order.
    pub fn take(&mut self, name: &str) -> Option<Box<RawValue>> {
        self.place(name).map(|at| self.0.remove(at).1)
    }

    /// Gives a name a value: in its place, or at the end.
    pub fn set(&mut self, name: &str, value: Box<RawValue>) {
        match self.place(name) {
            Some(at) => self.0[at].1 = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    /// The same for a value that is not JSON yet. One that JSON cannot hold, such as a map whose keys are lists, is not set.
    pub fn set_value(&mut self, name: &str, value: &impl Serialize) {
        if let Ok(value) = to_raw_value(value) {
            self.set(name, value);
        }
    }

    /// Gives a member another name, in its place. A value other than `null` that has the new name already wins.
    ///
    /// - Out: whether there was a member of the old name.
    pub fn rename(&mut self, from: &str, to: &str) -> bool {
        if self.has(to) || self.place(from).is_none() {
            return self.take(from).is_some();
        }
        self.take(to);
        if let Some(at) = self.place(from) {
            to.clone_into(&mut self.0[at].0);
        }
        true
    }

    /// Adds the members of `lower` whose names are not here, at the end. A `null` that is here counts as there.
    pub fn lay_over(&mut self, lower: Self) {
        let known: HashSet<&str> = self.0.iter().map(|(name, _)| name.as_str()).collect();
        let new: Vec<_> = lower
            .into_iter()
            .filter(|(name, _)| !known.contains(name.as_str()))
            .collect();
        self.0.extend(new);
    }

    /// Whether there is no member at all.
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
        // Texts and finished JSON always serialise, and writing into a Vec cannot fail.
        let _ = serde_json::to_writer(&mut json, self);
        json
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|(known, _)| known == name)
    }
}

impl IntoIterator for Members {
    type Item = (String, Box<RawValue>);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl fmt::Debug for Members {
    /// How many only: they are somebody's conversation.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Members({})", self.0.len())
    }
}

impl Serialize for Members {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            object.serialize_entry(name, value)?;
        }
        object.end()
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;

        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = object.next_entry()? {
                    members.push(member);
                }
                Ok(Members(without_repeats(members)))
            }
        }

        deserializer.deserialize_map(MembersVisitor)
    }
}

/// What a value is.
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
    /// The kind of a piece of JSON, by its first byte.
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

    /// The kind of a value.
    pub fn of_value(value: &RawValue) -> Self {
        Self::of(value.get().as_bytes())
    }
}

impl fmt::Display for Kind {
    /// As an error says what it found.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Object => "an object",
            Self::List => "a list",
            Self::Text => "a text",
            Self::Number => "a number",
            Self::Bool => "true or false",
            Self::Null => "null",
        })
    }
}

/// Each name once: with its last value, in its first place.
fn without_repeats(mut members: Vec<(String, Box<RawValue>)>) -> Vec<(String, Box<RawValue>)> {
    let mut first_places = HashMap::with_capacity(members.len());
    let mut repeats = Vec::new();
    for (at, (name, _)) in members.iter().enumerate() {
        match first_places.entry(name.as_str()) {
            Entry::Occupied(first) => repeats.push((*first.get(), at)),
            Entry::Vacant(place) => {
                place.insert(at);
            }
        }
    }
    for (first, at) in &repeats {
        let (before, rest) = members.split_at_mut(*at);
        mem::swap(&mut before[*first].1, &mut rest[0].1);
    }
    let mut gone = repeats.into_iter().map(|(_, at)| at).peekable();
    let mut at = 0;
    members.retain(|_| {
        let is_gone = gone.next_if_eq(&at).is_some();
        at += 1;
        !is_gone
    });
    members
}

#[cfg(test)]
mod tests;
