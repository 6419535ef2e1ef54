//! Reads a chunk without parsing it if only its text differs from the previous chunk.
//!
//! In: the bytes of a chunk. Out: its text, or `None` if the chunk must be parsed. Pure.

use crate::answer::chunk::Chunk;

/// The bytes around the text of a chunk. Usually only the text changes from one chunk to the next,
/// so a chunk with the same bytes around its text need not be parsed.
#[derive(Default)]
pub struct Template {
    before: String,
    /// Empty: there is no template yet.
    after: String,
}

impl Template {
    /// The text of a chunk that matches; `None` for any other chunk, and for a text with an escape.
    pub fn text_in<'a>(&self, chunk: &'a [u8]) -> Option<&'a str> {
        if self.after.is_empty() {
            return None;
        }
        let text = chunk
            .strip_prefix(self.before.as_bytes())?
            .strip_suffix(self.after.as_bytes())?;
        // A quote would end the text, and anything could follow it.
        let is_plain = |byte: &u8| *byte >= b' ' && *byte != b'"' && *byte != b'\\';
        let is_text = !text.is_empty() && text.iter().all(is_plain);
        is_text.then_some(text).and_then(|text| std::str::from_utf8(text).ok())
    }

    /// Learns from a chunk that was parsed. A chunk with more than a text is no template,
    /// because the rest would be lost the next time.
    pub fn learn(&mut self, json: &str, chunk: &Chunk<'_>) {
        self.before.clear();
        self.after.clear();
        if let Some(text) = chunk.only_text() {
            // The text borrows from the chunk, so the addresses give its position.
            let start = text.as_ptr().addr() - json.as_ptr().addr();
            self.before.push_str(&json[..start]);
            self.after.push_str(&json[start + text.len()..]);
        }
    }
}
