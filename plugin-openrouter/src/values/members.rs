//! Reads a JSON object at its top level only, so that a member can be changed and all others stay as they were written.
//!
//! In: a body, a part of one, or a header that holds JSON. Out: names in order, each with the text of its value, and the same
//! as JSON again. What stands inside a value is checked to be JSON and is never built in memory. Pure, and linear in the
//! length of the input, however many names it has.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::mem;

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
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn members(json: &str) -> Members {
        Members::parse(json.as_bytes()).expect("an object")
    }

    fn json_of(members: &Members) -> String {
        String::from_utf8(members.to_json()).expect("JSON is UTF-8")
    }

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).expect("JSON")
    }

    #[test]
    fn what_is_read_is_written_byte_for_byte() {
        for json in [
            "{}",
            r#"{"b":1.50,"a":-0.0e+05,"n":123456789012345678901234567890,"big":1e400}"#,
            r#"{"text":"\u00e9\/\ud83d\ude00\n","list":[1 , 2,{"x" : null}],"é":"é"}"#,
            r#"{"":"","quote\"\\":true,"control\u0001":false}"#,
        ] {
            assert_eq!(json_of(&members(json)), json);
        }
        assert_eq!(
            json_of(&members(" {\n \"a\" : [ 1 ] ,\t\"b\":2 } ")),
            r#"{"a":[ 1 ],"b":2}"#
        );
    }

    #[test]
    fn of_a_name_that_stands_twice_the_last_value_counts_in_the_first_place() {
        for (json, once) in [
            (r#"{"a":1,"b":2,"a":3}"#, r#"{"a":3,"b":2}"#),
            (r#"{"a":1,"a":2,"a":3,"b":4,"b":5}"#, r#"{"a":3,"b":5}"#),
            (r#"{"b":0,"a":1,"\u0061":null}"#, r#"{"b":0,"a":null}"#),
        ] {
            assert_eq!(json_of(&members(json)), once);
        }
    }

    #[test]
    fn anything_but_an_object_is_refused_with_its_place_and_without_its_text() {
        for (json, message) in [
            ("", "what is not JSON: EOF while parsing a value at line 1 column 0"),
            (r#"[{"secret":1}]"#, "a list at line 1 column 0"),
            (r#" "secret" "#, "a text at line 1 column 9"),
            ("123456", "a number at line 1 column 6"),
            ("true", "true or false at line 1 column 4"),
            ("null", "null at line 1 column 4"),
            (
                "{\n \"secret\": secret}",
                "what is not JSON: expected value at line 2 column 12",
            ),
            (
                r#"{"secret":1}secret"#,
                "what is not JSON: trailing characters at line 1 column 13",
            ),
            (
                r#"{"secret":1,}"#,
                "what is not JSON: trailing comma at line 1 column 13",
            ),
            (
                r#"{"secret":[1}"#,
                "what is not JSON: expected `,` or `]` at line 1 column 13",
            ),
            (
                r#"{"secret":"#,
                "what is not JSON: EOF while parsing a value at line 1 column 10",
            ),
            (
                r#"{secret:1}"#,
                "what is not JSON: key must be a string at line 1 column 2",
            ),
            (
                r#"{"secret":01}"#,
                "what is not JSON: invalid number at line 1 column 12",
            ),
            (
                r#"{"secret":NaN}"#,
                "what is not JSON: expected value at line 1 column 11",
            ),
            (
                r#"{"secret\ud800":1}"#,
                "what is not JSON: unexpected end of hex escape at line 1 column 15",
            ),
        ] {
            let error = Members::parse(json.as_bytes()).expect_err("a refusal");
            assert_eq!(error.kind, ErrorKind::INVALID_REQUEST);
            assert_eq!(
                error.message,
                format!("expected the body to be a JSON object, found {message}")
            );
        }
        for json in [
            b"{\"a\":\"\0\"}".as_slice(),
            b"{\"a\":\"\xff\"}",
            b"{\"\xff\":1}",
            b"{\"a\":\"\xed\xa0\x80\"}",
            b"{\"a\":1}\0",
            b"\xef\xbb\xbf{}",
            b"{\"a\":\"\n\"}",
            b"{'a':1}",
            b"{\"a\":1}//",
        ] {
            let error = Members::parse(json).expect_err("a refusal");
            assert!(error.message.contains("found what is not JSON: "), "{}", error.message);
        }
    }

    #[test]
    fn null_is_a_value_and_nothing_that_a_member_has() {
        let members = members(r#"{"a":null,"b":0,"c":"\u0063"}"#);
        let of = |name| {
            (
                members.get(name).map(RawValue::get),
                members.has(name),
                members.text(name),
            )
        };
        assert_eq!(of("a"), (Some("null"), false, None));
        assert_eq!(of("b"), (Some("0"), true, None));
        assert_eq!(of("c"), (Some(r#""\u0063""#), true, Some("c".to_owned())));
        assert_eq!(of("d"), (None, false, None));
    }

    #[test]
    fn a_change_leaves_all_others_where_and_as_they_are() {
        let changed = |change: fn(&mut Members)| {
            let mut members = members(r#"{"a":1.0,"b":null,"c":"x"}"#);
            change(&mut members);
            json_of(&members)
        };
        type Change = (fn(&mut Members), &'static str);
        let rows: [Change; 9] = [
            (|all| all.set("a", raw("[2.0]")), r#"{"a":[2.0],"b":null,"c":"x"}"#),
            (
                |all| all.set_value("d", &"\"é"),
                r#"{"a":1.0,"b":null,"c":"x","d":"\"é"}"#,
            ),
            (
                |all| all.set_value("a", &HashMap::from([(vec![1], 2)])),
                r#"{"a":1.0,"b":null,"c":"x"}"#,
            ),
            (|all| assert!(all.take("b").is_some()), r#"{"a":1.0,"c":"x"}"#),
            (|all| assert!(all.take("d").is_none()), r#"{"a":1.0,"b":null,"c":"x"}"#),
            (|all| assert!(all.rename("a", "d")), r#"{"d":1.0,"b":null,"c":"x"}"#),
            (|all| assert!(all.rename("c", "b")), r#"{"a":1.0,"b":"x"}"#),
            (|all| assert!(all.rename("c", "a")), r#"{"a":1.0,"b":null}"#),
            (|all| assert!(!all.rename("d", "b")), r#"{"a":1.0,"b":null,"c":"x"}"#),
        ];
        for (change, json) in rows {
            assert_eq!(changed(change), json);
        }
        let mut upper = members(r#"{"a":1,"b":null}"#);
        upper.lay_over(members(r#"{"c":2,"b":3,"a":4,"d":5}"#));
        assert_eq!(json_of(&upper), r#"{"a":1,"b":null,"c":2,"d":5}"#);
        let names: Vec<_> = upper.into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["a", "b", "c", "d"]);
    }

    #[test]
    fn a_value_is_as_deep_as_it_likes() {
        let depth = 1_000_000;
        let json = format!(r#"{{"a":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
        assert_eq!(json_of(&members(&json)), json);
    }

    #[test]
    fn many_names_cost_as_many_steps() {
        let object = |n: usize, modulus: usize| {
            let names: Vec<_> = (0..n).map(|at| format!(r#""{}":{at}"#, at % modulus)).collect();
            members(&format!("{{{}}}", names.join(",")))
        };
        let begun = Instant::now();
        let (distinct, repeated) = (object(300_000, 300_000), object(300_000, 1000));
        assert_eq!((distinct.0.len(), repeated.0.len()), (300_000, 1000));
        assert_eq!(repeated.get("999").map(RawValue::get), Some("299999"));
        let mut both = distinct.clone();
        both.lay_over(distinct);
        assert_eq!(both.0.len(), 300_000);
        // Comparing each name with each other would take minutes.
        assert!(begun.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn debug_output_says_how_many_and_nothing_else() {
        assert_eq!(format!("{:?}", members(r#"{"secret":"secret"}"#)), "Members(1)");
    }
}
