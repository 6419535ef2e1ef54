//! Reads a chunk without parsing it if only its text differs from the previous chunk.
//!
//! In: the bytes of a chunk. Out: its text, or `None` if the chunk must be parsed. Pure.

/// What the text of a chunk is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Content,
    /// Reasoning, under the name by which it goes back to the service.
    Reasoning(&'static str),
}

/// The bytes around the text of a chunk. Usually only the text changes from one chunk to the next,
/// so a chunk with the same bytes around its text need not be parsed.
#[derive(Default)]
pub struct Template {
    before: String,
    after: String,
    /// `None`: there is no template yet.
    part: Option<Part>,
}

impl Template {
    /// The text of a chunk that matches; `None` for any other chunk, and for a text with an escape.
    pub fn text_in<'a>(&self, chunk: &'a [u8]) -> Option<(Part, &'a str)> {
        let part = self.part?;
        let text = chunk
            .strip_prefix(self.before.as_bytes())?
            .strip_suffix(self.after.as_bytes())?;
        // A quote would end the text, and anything could follow it.
        let is_plain = |byte: &u8| *byte >= b' ' && *byte != b'"' && *byte != b'\\';
        let is_text = !text.is_empty() && text.iter().all(is_plain);
        let text = is_text.then_some(text).and_then(|text| std::str::from_utf8(text).ok());
        text.map(|text| (part, text))
    }

    /// Learns from a chunk that was parsed.
    ///
    /// - In: the text, if it is borrowed from the chunk and the chunk has nothing else to read. A chunk with more is no
    ///   template, because the rest would be lost the next time.
    pub fn learn(&mut self, json: &str, only: Option<(Part, &str)>) {
        self.part = only.map(|(part, text)| {
            // The addresses give the position of the text.
            let start = text.as_ptr().addr() - json.as_ptr().addr();
            self.before.clear();
            self.before.push_str(&json[..start]);
            self.after.clear();
            self.after.push_str(&json[start + text.len()..]);
            part
        });
    }
}
