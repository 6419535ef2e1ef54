//! Completes the JSON of an event that breaks off after part of it was emitted.
//!
//! In: what was emitted, in pieces. Out: the rest of a valid document, with members that say what went wrong. Pure.
//! Clients parse each event by itself, and half of one stops them before they read the error that follows it.

use memchr::memchr2;

/// An escape sequence after its backslash: `u` and four digits.
const LONGEST_ESCAPE: u8 = 5;

/// Where a document is while it is written.
#[derive(Default)]
pub struct Unfinished {
    /// The brackets that close what is open, the outermost first.
    closers: Vec<u8>,
    /// Within a string: whether it is a value, and not the name of a member.
    string: Option<bool>,
    /// Within an escape sequence: the most bytes of it that may follow.
    escape: u8,
    awaits_name: bool,
}

impl Unfinished {
    /// Reads a piece of the event. What stands before its first `{` is not a part of the document.
    pub fn push(&mut self, mut piece: &[u8]) {
        while let [first, ..] = *piece {
            let n_bytes = match (self.string, first) {
                (None, _) => {
                    self.outside(first);
                    1
                }
                (Some(_), _) if self.escape > 0 => {
                    self.escape = match (self.escape, first) {
                        (LONGEST_ESCAPE, b'u') => 4,
                        (LONGEST_ESCAPE, _) => 0,
                        (n, _) => n - 1,
                    };
                    1
                }
                (Some(_), b'"') => {
                    self.string = None;
                    1
                }
                (Some(_), b'\\') => {
                    self.escape = LONGEST_ESCAPE;
                    1
                }
                (Some(_), _) => memchr2(b'"', b'\\', piece).unwrap_or(piece.len()),
            };
            piece = &piece[n_bytes..];
        }
    }

    fn outside(&mut self, byte: u8) {
        match byte {
            b'{' => self.closers.push(b'}'),
            _ if self.closers.is_empty() => return,
            b'[' => self.closers.push(b']'),
            b'}' | b']' => drop(self.closers.pop()),
            b'"' => self.string = Some(!self.awaits_name),
            b',' | b':' => {}
            _ => return,
        }
        self.awaits_name = matches!(byte, b'{' | b',') && self.closers.last() == Some(&b'}');
    }

    /// Whether the document can be completed here, which is so within each string that is a value.
    pub fn can_end(&self) -> bool {
        self.string == Some(true) && self.escape == 0
    }

    /// The rest of the document.
    ///
    /// - In: further members of its outermost object, each behind a comma.
    pub fn rest(&self, members: &str) -> String {
        let inner = self.closers.iter().skip(1).rev().map(|closer| char::from(*closer));
        let inner: String = inner.collect();
        format!("\"{inner}{members}}}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_document_can_be_completed_within_each_of_its_values_that_are_strings() {
        let text = r#"event: x
data: {"a":"one","b":[1,{"c":"t\"w\u00e9o","d":["","three"]},[],{}],"e":{"f":2,"g":"four"},"h":null,"i":"five"}"#;
        let mut n_ends = 0;
        for n_bytes in 0..=text.len() {
            let mut whole = Unfinished::default();
            whole.push(&text.as_bytes()[..n_bytes]);
            let mut split = Unfinished::default();
            text.as_bytes()[..n_bytes].chunks(1).for_each(|byte| split.push(byte));
            assert_eq!(whole.can_end(), split.can_end(), "{}", &text[..n_bytes]);
            if whole.can_end() {
                n_ends += 1;
                let ended = text[..n_bytes].to_owned() + &whole.rest(r#","z":1"#);
                let (_, json) = ended.split_once("data: ").expect("the data");
                let value: Value = serde_json::from_str(json).unwrap_or_else(|cause| panic!("{cause}: {json}"));
                assert_eq!(value["z"], 1, "{json}");
            }
        }
        // Behind the opening quote and each letter of the values.
        assert_eq!(n_ends, 4 + 6 + 1 + 6 + 5 + 5);
    }
}
