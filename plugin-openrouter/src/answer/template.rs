//! Reads a chunk without parsing it, where only its text differs from the one before.

use crate::answer::chunk::Chunk;

/// What stands around the text in the chunks of an answer. From one chunk to the next nothing changes but the text, so a chunk
/// that is the same before and behind it is known without being parsed.
#[derive(Default)]
pub struct Template {
    before: String,
    /// Empty: no frame is known.
    after: String,
}

impl Template {
    /// The text in a chunk that has this frame; `None` for any other chunk, and for a text with an escape in it.
    pub fn text_in<'a>(&self, chunk: &'a [u8]) -> Option<&'a str> {
        if self.after.is_empty() {
            return None;
        }
        let text = chunk
            .strip_prefix(self.before.as_bytes())?
            .strip_suffix(self.after.as_bytes())?;
        // A quote would end the text, and what follows it could be anything.
        let is_plain = |byte: &u8| *byte >= b' ' && *byte != b'"' && *byte != b'\\';
        let is_text = !text.is_empty() && text.iter().all(is_plain);
        is_text.then_some(text).and_then(|text| std::str::from_utf8(text).ok())
    }

    /// Takes the frame of a chunk that was parsed; none if it says anything beside a text, which would be left out the next
    /// time.
    pub fn learn(&mut self, json: &str, chunk: &Chunk<'_>) {
        self.before.clear();
        self.after.clear();
        if let Some(text) = chunk.only_text() {
            // It borrows from the chunk, so its place in it is known.
            let start = text.as_ptr().addr() - json.as_ptr().addr();
            self.before.push_str(&json[..start]);
            self.after.push_str(&json[start + text.len()..]);
        }
    }
}
