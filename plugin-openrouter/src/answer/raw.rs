//! The raw form of a stream: what was pushed and not yet handed on, to the byte.

/// Bytes of the raw form that may wait for an event to be whole, or for the answer to begin.
pub const MAX_RAW_BYTES: usize = 10 << 20;

/// What was pushed and has not been handed on in its raw form.
#[derive(Default)]
pub struct Raw {
    pub bytes: Vec<u8>,
    /// Where in the stream the bytes would begin if nothing had been taken out behind their beginning.
    start: u64,
    /// Where something was cut out: a blank line that follows belongs to it.
    cut_at: Option<u64>,
}

impl Raw {
    pub fn index(&self, position: u64) -> usize {
        let index = usize::try_from(position.saturating_sub(self.start)).unwrap_or(usize::MAX);
        index.min(self.bytes.len())
    }

    /// Takes everything up to a place in the stream.
    pub fn take_to(&mut self, end: u64) -> String {
        self.close_cut();
        let rest = self.bytes.split_off(self.index(end));
        self.start = self.start.max(end);
        text_of(std::mem::replace(&mut self.bytes, rest))
    }

    /// Takes out what lies between two places in the stream, and a blank line behind it.
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

    /// Takes out the blank line behind the last cut; by now it has been read.
    pub fn close_cut(&mut self) {
        let Some(at) = self.cut_at.take() else { return };
        let at = self.index(at);
        let is_end = |byte: &&u8| matches!(byte, b'\r' | b'\n');
        let n_ends = self.bytes[at..].iter().take_while(is_end).count();
        self.bytes.drain(at..at + n_ends);
        self.start += n_ends as u64;
    }
}

/// What is no UTF-8 becomes U+FFFD: JSON has no other text.
fn text_of(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}
