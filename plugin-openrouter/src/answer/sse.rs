//! Cuts OpenRouter's event stream (server-sent events) into [`Frame`]s.
//!
//! In: pieces of the response body, in whatever sizes the network delivers them.
//! Out: one frame per event and per comment, as bytes.
//! UTF-8 and JSON are decoded in the next step, so one bad byte costs one event and not the stream.
//! Every byte is searched for a line end once, however small the pieces are, and a line
//! or an event that never ends is refused instead of collected. Pure: no I/O, no clock.

mod limits;
mod shorten;

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use memchr::memchr2;

pub use self::limits::{Limits, Overflow};
use self::shorten::Shortener;

/// Capacity that a buffer may keep after a large event, in bytes.
const KEPT_BYTES: usize = 64 * 1024;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// One event or comment of a stream. Borrows from the [`Reader`] until its next call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// An event, completed by its blank line.
    Event {
        /// The value of the last `event:` line; empty if there was none.
        name: &'a [u8],
        /// The values of all `data:` lines, joined by a line feed. Not necessarily UTF-8.
        data: &'a [u8],
    },
    /// A comment line without its colon: a keep-alive such as `OPENROUTER PROCESSING`.
    Comment(&'a [u8]),
}

// Events carry prompts and answers, so debug output shows only sizes.
impl fmt::Debug for Frame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event { data, .. } => write!(f, "Event({} bytes)", data.len()),
            Self::Comment(text) => write!(f, "Comment({} bytes)", text.len()),
        }
    }
}

/// What remains of a stream that ended in the middle of an event.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Unterminated<'a> {
    /// The value of the last `event:` line; empty if there was none.
    pub name: &'a [u8],
    /// The data up to the end; `None` if the remainder holds no data.
    pub data: Option<&'a [u8]>,
    /// Whether the last line was complete, so only the blank line is missing.
    pub line_ended: bool,
}

impl fmt::Debug for Unterminated<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unterminated")
            .field("data_bytes", &self.data.map(<[u8]>::len))
            .field("line_ended", &self.line_ended)
            .finish()
    }
}

/// Reads an event stream piece by piece.
///
/// Call [`push`](Self::push) for each piece, then [`next_frame`](Self::next_frame) until it returns `None`,
/// and [`finish`](Self::finish) when the body has ended.
///
/// - In: bytes split anywhere; lines ended by LF, CR or CRLF; a byte order mark at the start.
/// - Out: the same frames for every split. `id:`, `retry:` and unknown fields are skipped.
/// - Errors: [`Overflow`] once, in time linear in the limit; nothing comes after it.
/// - Source: WHATWG HTML, section 9.2.6, "Interpreting an event stream".
///
/// ```text
/// reader.push(&piece);
/// while let Some(frame) = reader.next_frame() {
///     if let Frame::Event { data, .. } = frame? { /* … */ }
/// }
/// ```
pub struct Reader {
    limits: Limits,
    /// Pushed bytes that are still needed.
    buffer: Vec<u8>,
    /// Stream position at which the buffer begins.
    base: u64,
    /// Stream position at which the current event begins.
    event_start: u64,
    /// Where the current line begins.
    line_start: usize,
    /// The line holds no line end up to here: `line_start <= scanned <= buffer.len()`.
    scanned: usize,
    name: Vec<u8>,
    data: Data,
    /// Data of several lines, or data followed by other lines.
    joined: Vec<u8>,
    /// The event was returned, and is dropped at the next call.
    dispatched: bool,
    at_start: bool,
    /// The last line ended in CR, so an LF that follows belongs to it.
    skip_line_feed: bool,
    /// Shortens the current line.
    shortener: Option<Shortener>,
    /// What was dropped of a line that has ended and was not read yet.
    dropped_bytes: u64,
    finished: bool,
    #[cfg(test)]
    touched_bytes: usize,
}

/// Where the data of the current event is.
enum Data {
    Absent,
    /// In the buffer, until a line follows that is not blank; so data never pins the buffer.
    InBuffer(Range<usize>),
    Joined,
}

enum Step {
    Nothing,
    Comment(Range<usize>),
    Event,
}

impl Reader {
    /// Creates a reader for one stream.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            buffer: Vec::new(),
            base: 0,
            event_start: 0,
            line_start: 0,
            scanned: 0,
            name: Vec::new(),
            data: Data::Absent,
            joined: Vec::new(),
            dispatched: false,
            at_start: true,
            skip_line_feed: false,
            shortener: None,
            dropped_bytes: 0,
            finished: false,
            #[cfg(test)]
            touched_bytes: 0,
        }
    }

    /// Adds the next piece of the body. A finished reader ignores it.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.finished {
            return;
        }
        self.forget_dispatched();
        self.compact();
        let mut bytes = bytes;
        if let Some(shortener) = &mut self.shortener {
            let end = memchr2(b'\n', b'\r', bytes);
            let (line, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
            shortener.push(line, &mut self.buffer);
            bytes = rest;
            if end.is_some() {
                self.dropped_bytes = shortener.dropped as u64;
                self.shortener = None;
            }
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// Keeps only the beginning of each JSON string in the current line, including the part that has not arrived yet.
    pub fn shorten_line(&mut self) {
        if self.shortener.is_some() || self.dispatched {
            return;
        }
        let mut shortener = Shortener::default();
        let line = self.buffer.split_off(self.line_start);
        shortener.push(&line, &mut self.buffer);
        self.scanned = self.buffer.len();
        self.shortener = Some(shortener);
    }

    /// Length of the stream up to the last complete event or line that was read.
    /// The rest is part of an event, or unread.
    pub fn whole_bytes(&self) -> u64 {
        if self.is_in_event() {
            self.event_start
        } else {
            self.position(self.line_start)
        }
    }

    fn is_in_event(&self) -> bool {
        !(self.dispatched || matches!(self.data, Data::Absent) && self.name.is_empty())
    }

    /// Stream position of a byte in the buffer.
    fn position(&self, at: usize) -> u64 {
        self.base + at as u64
    }

    /// Returns the next frame, or `None` if it needs more bytes.
    ///
    /// - Errors: [`Overflow`]; from then on `None`.
    pub fn next_frame(&mut self) -> Option<Result<Frame<'_>, Overflow>> {
        if self.finished {
            return None;
        }
        self.forget_dispatched();
        loop {
            let step = match self.next_line() {
                Ok(Some((start, line))) => {
                    if !self.is_in_event() {
                        self.event_start = start;
                    }
                    self.read_line(line)
                }
                Ok(None) => return None,
                Err(overflow) => Err(overflow),
            };
            match step {
                Ok(Step::Nothing) => {}
                Ok(Step::Comment(text)) => {
                    return Some(Ok(Frame::Comment(&self.buffer[text])));
                }
                Ok(Step::Event) => {
                    self.dispatched = true;
                    let data = self.data_bytes().unwrap_or_default();
                    return Some(Ok(Frame::Event { name: &self.name, data }));
                }
                Err(overflow) => {
                    self.close();
                    return Some(Err(overflow));
                }
            }
        }
    }

    /// Ends the stream and returns what it left unfinished; `None` if it ended between two events.
    ///
    /// The standard discards an unterminated event. OpenRouter's streams can be cut right after a complete
    /// `data: {…}` line, so the caller decides whether to use it. Frames that were not taken before are lost.
    ///
    /// - Errors: [`Overflow`] if the remainder is too long.
    pub fn finish(&mut self) -> Option<Result<Unterminated<'_>, Overflow>> {
        while let Some(frame) = self.next_frame() {
            if let Err(overflow) = frame {
                return Some(Err(overflow));
            }
        }
        if self.finished {
            return None;
        }
        self.finished = true;
        let line = self.line_start..self.buffer.len();
        let line_ended = line.is_empty();
        if line_ended && matches!(self.data, Data::Absent) && self.name.is_empty() {
            return None;
        }
        if !line_ended && let Err(overflow) = self.read_line(line) {
            self.close();
            return Some(Err(overflow));
        }
        Some(Ok(Unterminated {
            name: &self.name,
            data: self.data_bytes(),
            line_ended,
        }))
    }

    /// Finds the next complete line and steps over it.
    ///
    /// - Out: its stream position, and where it is in the buffer.
    fn next_line(&mut self) -> Result<Option<(u64, Range<usize>)>, Overflow> {
        if self.at_start {
            let seen_bytes = self.buffer.len().min(BYTE_ORDER_MARK.len());
            if self.buffer[..seen_bytes] == BYTE_ORDER_MARK[..seen_bytes] {
                if seen_bytes < BYTE_ORDER_MARK.len() {
                    return Ok(None);
                }
                self.step_to(seen_bytes);
            }
            self.at_start = false;
        }
        if self.skip_line_feed {
            match self.buffer.get(self.line_start) {
                None => return Ok(None),
                Some(b'\n') => self.step_to(self.line_start + 1),
                Some(_) => {}
            }
            self.skip_line_feed = false;
        }

        // An endless line is searched up to the limit and no further.
        let limit_bytes = self.limits.line_bytes;
        let limit_end = self.line_start.saturating_add(limit_bytes).saturating_add(1);
        let end = self.buffer.len().min(limit_end);
        let found = memchr2(b'\n', b'\r', &self.buffer[self.scanned..end]);
        #[cfg(test)]
        {
            self.touched_bytes += found.map_or(end - self.scanned, |at| at + 1);
        }
        let Some(found) = found else {
            self.scanned = end;
            if end - self.line_start > limit_bytes {
                return Err(Overflow::Line { limit_bytes });
            }
            return Ok(None);
        };
        let line = self.line_start..self.scanned + found;
        self.skip_line_feed = self.buffer[line.end] == b'\r';
        let start = self.position(line.start);
        self.base += std::mem::take(&mut self.dropped_bytes);
        self.step_to(line.end + 1);
        Ok(Some((start, line)))
    }

    fn read_line(&mut self, line: Range<usize>) -> Result<Step, Overflow> {
        if line.is_empty() {
            if matches!(self.data, Data::Absent) {
                self.name.clear();
                return Ok(Step::Nothing);
            }
            return Ok(Step::Event);
        }
        self.join_data();
        let text = &self.buffer[line.clone()];
        if let Some(value) = value_after(text, b"") {
            return Ok(Step::Comment(line.start + value..line.end));
        }
        if let Some(value) = value_after(text, b"data") {
            return self.add_data(line.start + value..line.end);
        }
        if let Some(value) = value_after(text, b"event") {
            self.name.clear();
            self.name.extend_from_slice(&self.buffer[line.start + value..line.end]);
        }
        Ok(Step::Nothing)
    }

    fn add_data(&mut self, value: Range<usize>) -> Result<Step, Overflow> {
        let limit_bytes = self.limits.event_bytes;
        let is_first = matches!(self.data, Data::Absent);
        let before_bytes = if is_first { 0 } else { self.joined.len() + 1 };
        if before_bytes + value.len() > limit_bytes {
            return Err(Overflow::Event { limit_bytes });
        }
        if is_first {
            self.data = Data::InBuffer(value);
        } else {
            self.joined.push(b'\n');
            self.joined.extend_from_slice(&self.buffer[value]);
        }
        Ok(Step::Nothing)
    }

    /// Moves data out of the buffer when a line follows that does not end the event.
    fn join_data(&mut self) {
        if let Data::InBuffer(value) = &self.data {
            self.joined.extend_from_slice(&self.buffer[value.clone()]);
            self.data = Data::Joined;
        }
    }

    fn data_bytes(&self) -> Option<&[u8]> {
        match &self.data {
            Data::Absent => None,
            Data::InBuffer(value) => Some(&self.buffer[value.clone()]),
            Data::Joined => Some(&self.joined),
        }
    }

    fn step_to(&mut self, position: usize) {
        self.line_start = position;
        self.scanned = position;
    }

    fn forget_dispatched(&mut self) {
        if !self.dispatched {
            return;
        }
        self.dispatched = false;
        self.data = Data::Absent;
        for part in [&mut self.name, &mut self.joined] {
            part.clear();
            part.shrink_to(KEPT_BYTES);
        }
    }

    /// Drops the bytes that were read from the front of the buffer.
    fn compact(&mut self) {
        let keep_from = match &self.data {
            Data::InBuffer(value) => value.start,
            Data::Absent | Data::Joined => self.line_start,
        };
        let kept_bytes = self.buffer.len() - keep_from;
        // Moving at most as many bytes as were read since the last move keeps the total cost linear.
        if keep_from == 0 || kept_bytes > keep_from {
            return;
        }
        #[cfg(test)]
        {
            self.touched_bytes += kept_bytes;
        }
        self.buffer.copy_within(keep_from.., 0);
        self.buffer.truncate(kept_bytes);
        self.base = self.position(keep_from);
        self.line_start -= keep_from;
        self.scanned -= keep_from;
        if let Data::InBuffer(value) = &mut self.data {
            *value = value.start - keep_from..value.end - keep_from;
        }
        if kept_bytes <= KEPT_BYTES / 2 {
            self.buffer.shrink_to(KEPT_BYTES);
        }
    }

    fn close(&mut self) {
        self.finished = true;
        self.base = self.position(self.line_start);
        self.data = Data::Absent;
        self.buffer = Vec::new();
        self.joined = Vec::new();
        self.name = Vec::new();
        self.step_to(0);
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("limits", &self.limits)
            .field("buffered_bytes", &(self.buffer.len() - self.line_start))
            .field("finished", &self.finished)
            .finish()
    }
}

/// Decodes the bytes of a frame, with U+FFFD for invalid UTF-8.
pub fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// Where the value of `field` begins in `line`, or `None` if the line holds another field.
fn value_after(line: &[u8], field: &[u8]) -> Option<usize> {
    match line.strip_prefix(field)? {
        [] => Some(line.len()),
        [b':', b' ', ..] => Some(field.len() + 2),
        [b':', ..] => Some(field.len() + 1),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
