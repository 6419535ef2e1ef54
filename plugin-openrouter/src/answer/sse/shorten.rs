//! Shortens the strings of a JSON text that arrives in pieces, so that a large event can be read without being kept.
//!
//! In: the text, split anywhere. Out: the same text, with at most the beginning of each string. Pure.

use memchr::{memchr, memchr2};

/// The longest part of a string that is kept, in bytes. Names, counts, reasons and messages are shorter.
const KEPT_BYTES: usize = 4 << 10;

/// Reads one text.
#[derive(Default)]
pub struct Shortener {
    /// Within a string: how long it is so far, in bytes.
    string: Option<usize>,
    /// Within an escape sequence: the most bytes of it that may follow.
    escape: u8,
    /// Whether the escape sequence is kept. It is kept as a whole or not at all.
    keeps_escape: bool,
    /// Bytes that were dropped.
    pub dropped: usize,
}

/// An escape sequence after its backslash: `u` and four digits.
const LONGEST_ESCAPE: u8 = 5;

impl Shortener {
    /// Reads a piece of the text, and adds what is kept of it to `out`.
    pub fn push(&mut self, mut piece: &[u8], out: &mut Vec<u8>) {
        while let [first, ..] = *piece {
            let (n_bytes, n_kept) = match self.string {
                None => self.outside(piece),
                Some(length) if self.escape == 0 => self.inside(first, piece, length),
                Some(length) => {
                    self.string = Some(length + 1);
                    self.escape = match (self.escape, first) {
                        (LONGEST_ESCAPE, b'u') => 4,
                        (LONGEST_ESCAPE, _) => 0,
                        (n, _) => n - 1,
                    };
                    (1, usize::from(self.keeps_escape))
                }
            };
            out.extend_from_slice(&piece[..n_kept]);
            self.dropped += n_bytes - n_kept;
            piece = &piece[n_bytes..];
        }
    }

    /// - Out, here and below: how many bytes are read, and how many of them are kept.
    fn outside(&mut self, piece: &[u8]) -> (usize, usize) {
        let quote = memchr(b'"', piece);
        self.string = quote.map(|_| 0);
        let n_bytes = quote.map_or(piece.len(), |at| at + 1);
        (n_bytes, n_bytes)
    }

    fn inside(&mut self, first: u8, piece: &[u8], length: usize) -> (usize, usize) {
        let room = KEPT_BYTES.saturating_sub(length);
        match first {
            b'"' => {
                self.string = None;
                (1, 1)
            }
            b'\\' => {
                self.escape = LONGEST_ESCAPE;
                self.keeps_escape = room > 0;
                self.string = Some(length + 1);
                (1, usize::from(self.keeps_escape))
            }
            _ => {
                let n_bytes = memchr2(b'"', b'\\', piece).unwrap_or(piece.len());
                self.string = Some(length + n_bytes);
                (n_bytes, n_bytes.min(room))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_shortened_and_the_text_stays_json_however_it_is_split() {
        let long = "é\\\"\\u00e9x".repeat(KEPT_BYTES);
        let text = format!("{{\"a\":\"{long}\",\"n\":[1,\"\\\\\",\"\"],\"b\":\"\\\\{long}\\u00e9\",\"c\":\"end\"}}");
        let mut whole = Vec::new();
        let mut shortener = Shortener::default();
        shortener.push(text.as_bytes(), &mut whole);
        assert_eq!(whole.len() + shortener.dropped, text.len());
        let shown = String::from_utf8_lossy(&whole);
        let value: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
        assert_eq!(
            (&value["n"], &value["c"]),
            (&serde_json::json!([1, "\\", ""]), &"end".into())
        );
        assert!(whole.len() < 2 * KEPT_BYTES + 100, "{} bytes are kept", whole.len());
        for n_at_a_time in [1, 2, 3, 5, 4095, 4096, 4097] {
            let mut split = Vec::new();
            let mut shortener = Shortener::default();
            for piece in text.as_bytes().chunks(n_at_a_time) {
                shortener.push(piece, &mut split);
            }
            assert!(split == whole, "{n_at_a_time} bytes at a time");
        }
    }
}
