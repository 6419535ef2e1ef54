//! Reads a chunk without parsing it if only its text differs from the previous chunk.
//!
//! In: the bytes of a chunk. Out: its text, or `None` if the chunk must be parsed. Pure.

use crate::answer::json::{self, Raw, Text};

/// What the text of a chunk is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Content,
    /// Reasoning, with the name under which it goes back to the service; empty if it does not.
    Reasoning(&'static str),
    /// The next piece of the arguments of the tool call at this place.
    Arguments(usize),
}

/// What a chunk contains besides the members that every chunk repeats.
#[derive(Default)]
pub struct Seen<'a> {
    pub n_members: u32,
    /// A text, as it was written.
    pub text: Option<(Part, Raw<'a>)>,
}

impl<'a> Seen<'a> {
    /// The text, if there is nothing else.
    pub fn only_text(&self) -> Option<(Part, Raw<'a>)> {
        self.text.filter(|_| self.n_members == 1)
    }
}

/// The bytes around the text of a chunk. Usually only the text changes from one chunk to the next,
/// so a chunk with the same bytes around its text need not be parsed.
#[derive(Default)]
pub struct Template {
    /// Up to the quote before the text.
    before: String,
    /// From the quote after it.
    after: String,
    /// `None`: there is no template yet.
    part: Option<Part>,
}

impl Template {
    /// The text of a chunk that matches; `None` for any other chunk.
    pub fn text_in<'a>(&self, chunk: &'a [u8]) -> Option<(Part, Text<'a>)> {
        let part = self.part?;
        let text = chunk
            .strip_prefix(self.before.as_bytes())?
            .strip_suffix(self.after.as_bytes())?;
        if text.is_empty() {
            return None;
        }
        let mut bytes = text.iter();
        let mut has_escapes = false;
        while let Some(byte) = bytes.next() {
            match byte {
                // A quote would end the text, and anything could follow it.
                b'"' | ..b' ' => return None,
                b'\\' => {
                    // The last one would escape the quote after the text.
                    bytes.next()?;
                    has_escapes = true;
                }
                _ => {}
            }
        }
        let text = std::str::from_utf8(text).ok()?;
        if !has_escapes {
            return Some((part, Text::plain(text)));
        }
        let quoted = self.before.len() - 1..chunk.len() - self.after.len() + 1;
        let text = json::text(std::str::from_utf8(&chunk[quoted]).ok()?)?;
        Some((part, text))
    }

    /// Learns from a chunk that was parsed.
    ///
    /// - In: the text as it was written, if the chunk has nothing else to read. A chunk with more is not a template,
    ///   because the rest would be lost the next time.
    pub fn learn(&mut self, json: &str, only: Option<(Part, Raw<'_>)>) {
        self.part = only.map(|(part, text)| {
            // The addresses give the position of the text.
            let start = text.as_ptr().addr() - json.as_ptr().addr();
            self.before.clear();
            self.before.push_str(&json[..=start]);
            self.after.clear();
            self.after.push_str(&json[start + text.len() - 1..]);
            part
        });
    }
}
