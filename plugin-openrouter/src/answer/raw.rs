//! Buffers the raw form of a stream, byte for byte, until it is emitted without the key.

use crate::answer::unfinished::Unfinished;
use crate::values::secret;

/// How many bytes further a place is looked for at which a document can be completed. An escape sequence is shorter.
const MAX_STEPS: usize = 16;

/// Bytes that were pushed and not yet emitted.
#[derive(Default)]
pub struct Raw {
    pub bytes: Vec<u8>,
    /// Stream position of the first byte, adjusted for what [`Self::cut`] removed.
    start: u64,
    /// Where the last cut ended: a blank line that follows belongs to it.
    cut_at: Option<u64>,
    /// How much of an event was emitted before it was whole, in bytes.
    pub ahead_bytes: usize,
    /// The document of that event, up to `n_followed` bytes of what was not emitted yet.
    document: Unfinished,
    n_followed: usize,
}

impl Raw {
    fn index(&self, position: u64) -> usize {
        let index = usize::try_from(position.saturating_sub(self.start)).unwrap_or(usize::MAX);
        index.min(self.bytes.len())
    }

    /// Whether part of an event was emitted that does not end before this stream position.
    pub fn is_ahead_of(&self, whole_bytes: u64) -> bool {
        self.ahead_bytes > 0 && whole_bytes <= self.start
    }

    /// Takes everything up to a stream position, without the key.
    pub fn take_to(&mut self, end: u64, secret: &str) -> String {
        self.close_cut();
        if end > self.start {
            self.ahead_bytes = 0;
            self.document = Unfinished::default();
            self.n_followed = 0;
        }
        let rest = self.bytes.split_off(self.index(end));
        self.start = self.start.max(end);
        secret::without_secret(text_of(std::mem::replace(&mut self.bytes, rest)), secret)
    }

    /// Overwrites the key, so that no later part of the event holds the other half of it.
    pub fn hide(&mut self, secret: &str) {
        let places: Vec<_> = secret::places_in_answer(&self.bytes, secret).collect();
        for place in places {
            self.bytes[place].fill(b'*');
        }
    }

    /// Takes what has arrived of an unfinished event, except for its end, which may hold half of the key. Takes nothing
    /// at a place where [`Self::close`] could not complete it.
    pub fn take_ahead(&mut self, secret: &str) -> String {
        self.hide(secret);
        let held_back = secret::max_bytes_in_json(secret) + 1 + MAX_STEPS;
        let mut n_bytes = self.bytes.len().saturating_sub(held_back);
        while n_bytes > 0 && self.bytes[n_bytes] & 0xC0 == 0x80 {
            n_bytes -= 1;
        }
        n_bytes = n_bytes.max(self.n_followed);
        self.document.push(&self.bytes[self.n_followed..n_bytes]);
        for byte in self.bytes[n_bytes..].iter().take(MAX_STEPS) {
            if self.document.can_end() {
                break;
            }
            self.document.push(&[*byte]);
            n_bytes += 1;
        }
        self.n_followed = n_bytes;
        if !self.document.can_end() {
            return String::new();
        }
        let (document, ahead_bytes) = (std::mem::take(&mut self.document), self.ahead_bytes + n_bytes);
        let piece = self.take_to(self.start + n_bytes as u64, secret);
        (self.document, self.ahead_bytes) = (document, ahead_bytes);
        piece
    }

    /// Completes the event of which part was emitted, and drops the rest of it.
    ///
    /// - In: further members of its data, each behind a comma, and further lines, each behind a line feed.
    pub fn close(&mut self, members: &str, lines: &str) -> String {
        let raw = std::mem::take(self);
        raw.document.rest(members) + lines + "\n\n"
    }

    /// Removes what lies between two stream positions, and a blank line after it.
    pub fn cut(&mut self, from: u64, to: u64) {
        if from >= to {
            return;
        }
        if self.cut_at != Some(from) {
            self.close_cut();
        }
        self.bytes.drain(self.index(from)..self.index(to));
        self.start += to - from;
        self.cut_at = Some(to);
    }

    /// Removes the blank line after the last cut, which has been read by now.
    fn close_cut(&mut self) {
        let Some(at) = self.cut_at.take() else { return };
        let at = self.index(at);
        let is_end = |byte: &&u8| matches!(byte, b'\r' | b'\n');
        let n_ends = self.bytes[at..].iter().take_while(is_end).count();
        self.bytes.drain(at..at + n_ends);
        self.start += n_ends as u64;
    }
}

/// Replaces invalid UTF-8 with U+FFFD, because events cross the boundary as JSON.
fn text_of(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}
