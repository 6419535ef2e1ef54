//! Buffers the raw form of a stream, byte for byte, until it is emitted.

/// Bytes that were pushed and not yet emitted.
#[derive(Default)]
pub struct Raw {
    pub bytes: Vec<u8>,
    /// Stream position of the first byte, adjusted for what [`Self::cut`] removed.
    start: u64,
    /// Where the last cut ended: a blank line that follows belongs to it.
    cut_at: Option<u64>,
}

impl Raw {
    fn index(&self, position: u64) -> usize {
        let index = usize::try_from(position.saturating_sub(self.start)).unwrap_or(usize::MAX);
        index.min(self.bytes.len())
    }

    /// Takes everything up to a stream position.
    pub fn take_to(&mut self, end: u64) -> String {
        self.close_cut();
        let rest = self.bytes.split_off(self.index(end));
        self.start = self.start.max(end);
        text_of(std::mem::replace(&mut self.bytes, rest))
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
