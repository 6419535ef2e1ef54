//! Cuts OpenRouter's event stream (server-sent events) into [`Frame`]s.
//!
//! In: pieces of the response body, in whatever sizes the network delivers them. Out: one frame
//! per event and per comment, as bytes; decoding and JSON are the next step's matter, so that one
//! bad byte costs one event and not the stream. Pure: no I/O, no clock.
//! Every byte is searched for a line end once, however small the pieces are, and a line or an
//! event that never ends is refused instead of collected.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::ops::Range;

use memchr::memchr2;

/// Capacity that a buffer may keep after a giant event, in bytes.
const KEPT_BYTES: usize = 64 * 1024;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// The sizes beyond which a stream is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest line without its line end, in bytes; default 1 MiB.
    pub line_bytes: usize,
    /// Longest data of one event, all its lines together, in bytes; default 4 MiB.
    pub event_bytes: usize,
}

impl Limits {
    /// What holds unless a caller says otherwise: lines to 1 MiB, events to 4 MiB.
    pub const DEFAULT: Self = Self {
        line_bytes: 1024 * 1024,
        event_bytes: 4 * 1024 * 1024,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// One thing that a stream says. Borrows from the [`Reader`] until its next call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// An event that its blank line completed.
    Event {
        /// The value of the last `event:` line; empty if there was none.
        name: &'a [u8],
        /// The values of all `data:` lines, joined by a line feed. Not necessarily UTF-8.
        data: &'a [u8],
    },
    /// A comment line without its colon: a sign of life such as `OPENROUTER PROCESSING`.
    Comment(&'a [u8]),
}

// Events carry prompts and answers, so debug output has sizes only.
impl fmt::Debug for Frame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event { data, .. } => write!(f, "Event({} bytes)", data.len()),
            Self::Comment(text) => write!(f, "Comment({} bytes)", text.len()),
        }
    }
}

/// What a stream left behind that ended in the middle of an event.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Unterminated<'a> {
    /// The value of the last `event:` line; empty if there was none.
    pub name: &'a [u8],
    /// The data up to the end; `None` if what was left over holds no data.
    pub data: Option<&'a [u8]>,
    /// Whether the last line was complete, so that only the blank line is missing.
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

/// A stream went past one of its [`Limits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overflow {
    /// A line is longer than [`Limits::line_bytes`].
    Line {
        /// The limit, in bytes.
        limit_bytes: usize,
    },
    /// The data of one event is longer than [`Limits::event_bytes`].
    Event {
        /// The limit, in bytes.
        limit_bytes: usize,
    },
}

impl fmt::Display for Overflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line { limit_bytes } => {
                write!(f, "a line of the event stream is longer than {limit_bytes} bytes")
            }
            Self::Event { limit_bytes } => {
                write!(f, "an event of the stream holds more than {limit_bytes} bytes of data")
            }
        }
    }
}

impl Error for Overflow {}

/// Reads an event stream piece by piece.
///
/// Call [`push`](Self::push) for each piece, then [`next_frame`](Self::next_frame) until it gives
/// `None`, and [`finish`](Self::finish) when the body has ended.
///
/// - In: bytes split anywhere; lines ended by LF, CR or CRLF; a byte order mark at the start.
/// - Out: the same frames for every way of splitting. `id:`, `retry:` and unknown fields are skipped.
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
    /// What was pushed and is still needed.
    buffer: Vec<u8>,
    /// Where the line that is being read begins.
    line_start: usize,
    /// Up to here the line holds no line end: `line_start <= scanned <= buffer.len()`.
    scanned: usize,
    name: Vec<u8>,
    data: Data,
    /// Data that came in several lines, or that other lines followed.
    joined: Vec<u8>,
    /// The event has been handed out and is forgotten at the next call.
    dispatched: bool,
    at_start: bool,
    /// The last line ended in CR, so a LF that follows belongs to it.
    skip_line_feed: bool,
    finished: bool,
    #[cfg(test)]
    touched_bytes: usize,
}

/// Where the data of the event that is being read lies.
enum Data {
    Absent,
    /// In the buffer: only until a line follows that is not blank, so nothing pins the buffer.
    InBuffer(Range<usize>),
    Joined,
}

enum Step {
    Nothing,
    Comment(Range<usize>),
    Event,
}

impl Default for Reader {
    fn default() -> Self {
        Self::new(Limits::DEFAULT)
    }
}

impl Reader {
    /// Makes a reader for one stream.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            buffer: Vec::new(),
            line_start: 0,
            scanned: 0,
            name: Vec::new(),
            data: Data::Absent,
            joined: Vec::new(),
            dispatched: false,
            at_start: true,
            skip_line_feed: false,
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
        self.buffer.extend_from_slice(bytes);
    }

    /// Takes the next frame, or `None` if it needs more bytes.
    ///
    /// - Errors: [`Overflow`]; from then on `None`.
    pub fn next_frame(&mut self) -> Option<Result<Frame<'_>, Overflow>> {
        if self.finished {
            return None;
        }
        self.forget_dispatched();
        loop {
            let step = match self.next_line() {
                Ok(Some(line)) => self.read_line(line),
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

    /// Ends the stream and says what it left unfinished; `None` if it ended between two events.
    ///
    /// The standard throws an unterminated event away. OpenRouter's streams can be cut right after
    /// a complete `data: {…}` line, so the caller decides what it is worth. Frames that were not
    /// taken before are lost.
    ///
    /// - Errors: [`Overflow`] if what was left over is too long.
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
    fn next_line(&mut self) -> Result<Option<Range<usize>>, Overflow> {
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

        // Looking no further than the limit keeps the cost of an endless line to the limit.
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
        self.step_to(line.end + 1);
        Ok(Some(line))
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

    /// Moves data out of the buffer, because a line follows that is not the event's end.
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

    /// Drops what was read from the front of the buffer.
    fn compact(&mut self) {
        let keep_from = match &self.data {
            Data::InBuffer(value) => value.start,
            Data::Absent | Data::Joined => self.line_start,
        };
        let kept_bytes = self.buffer.len() - keep_from;
        // Never moving more bytes than were read since the last move keeps all moves linear.
        if keep_from == 0 || kept_bytes > keep_from {
            return;
        }
        #[cfg(test)]
        {
            self.touched_bytes += kept_bytes;
        }
        self.buffer.copy_within(keep_from.., 0);
        self.buffer.truncate(kept_bytes);
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

/// Decodes the bytes of a frame: unchanged if they are UTF-8, else with U+FFFD for what is not.
pub fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// Where the value of `field` begins in `line`, or `None` if the line is another field's.
fn value_after(line: &[u8], field: &[u8]) -> Option<usize> {
    match line.strip_prefix(field)? {
        [] => Some(line.len()),
        [b':', b' ', ..] => Some(field.len() + 2),
        [b':', ..] => Some(field.len() + 1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, PartialEq, Eq)]
    enum Seen {
        Event(Vec<u8>, Vec<u8>),
        Comment(Vec<u8>),
        Left {
            name: Vec<u8>,
            data: Option<Vec<u8>>,
            line_ended: bool,
        },
        Overflow(Overflow),
    }

    fn event(data: impl AsRef<[u8]>) -> Seen {
        Seen::Event(Vec::new(), data.as_ref().to_vec())
    }

    fn named(name: &str, data: &str) -> Seen {
        Seen::Event(name.into(), data.into())
    }

    fn comment(text: &str) -> Seen {
        Seen::Comment(text.into())
    }

    fn left(data: Option<&str>, line_ended: bool) -> Seen {
        Seen::Left {
            name: Vec::new(),
            data: data.map(Into::into),
            line_ended,
        }
    }

    fn take(reader: &mut Reader, seen: &mut Vec<Seen>) {
        while let Some(frame) = reader.next_frame() {
            seen.push(match frame {
                Ok(Frame::Event { name, data }) => Seen::Event(name.to_vec(), data.to_vec()),
                Ok(Frame::Comment(text)) => Seen::Comment(text.to_vec()),
                Err(overflow) => Seen::Overflow(overflow),
            });
        }
    }

    fn read_with<'a>(limits: Limits, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Seen> {
        let mut reader = Reader::new(limits);
        let mut seen = Vec::new();
        for piece in pieces {
            reader.push(piece);
            take(&mut reader, &mut seen);
        }
        match reader.finish() {
            None => {}
            Some(Ok(Unterminated { name, data, line_ended })) => seen.push(Seen::Left {
                name: name.to_vec(),
                data: data.map(<[u8]>::to_vec),
                line_ended,
            }),
            Some(Err(overflow)) => seen.push(Seen::Overflow(overflow)),
        }
        seen
    }

    fn read(stream: impl AsRef<[u8]>) -> Vec<Seen> {
        read_with(Limits::DEFAULT, [stream.as_ref()])
    }

    /// Streams beside what is in them.
    fn golden() -> Vec<(&'static [u8], Vec<Seen>)> {
        vec![
            (b"", vec![]),
            (
                b"data: {\"a\":1}\n\ndata: [DONE]\n\n",
                vec![event("{\"a\":1}"), event("[DONE]")],
            ),
            (b"data: a\r\rdata: b\r\r", vec![event("a"), event("b")]),
            (b"data: a\r\n\r\ndata: b\r\n\r\n", vec![event("a"), event("b")]),
            (
                b"data: a\r\n\ndata: b\r\r\ndata: c\n\r",
                vec![event("a"), event("b"), event("c")],
            ),
            (b"\xEF\xBB\xBFdata: a\n\n\xEF\xBB\xBFdata: b\n\n", vec![event("a")]),
            (b"\xEF\xBBdata: a\n\ndata: b\n\n", vec![event("b")]),
            (
                b": OPENROUTER PROCESSING\n\n:\n:  x\ndata: a\n: in the middle\n\n",
                vec![
                    comment("OPENROUTER PROCESSING"),
                    comment(""),
                    comment(" x"),
                    comment("in the middle"),
                    event("a"),
                ],
            ),
            (
                b"data: one\ndata:two\ndata:  three\ndata\n\n",
                vec![event("one\ntwo\n three\n")],
            ),
            (
                b"event: error\nid: 7\nretry: 10\ndata: a\nunknown: b\n\ndata: c\n\n",
                vec![named("error", "a"), event("c")],
            ),
            (b"event: lost\n\ndata: a\n\n", vec![event("a")]),
            // The example of the standard: an empty event, one line feed, an unterminated event.
            (
                b"data\n\ndata\ndata\n\ndata:",
                vec![event(""), event("\n"), left(Some(""), false)],
            ),
            (
                "data: grüße 🦀\n\ndata: \u{FEFF}x\n\n".as_bytes(),
                vec![event("grüße 🦀"), event("\u{FEFF}x")],
            ),
            (b"data: a\xFF\xC3\n\ndata: b\n\n", vec![event(b"a\xFF\xC3"), event("b")]),
            (b"data: a\n\ndata: b\n", vec![event("a"), left(Some("b"), true)]),
            (b"data: a\r\n\r\ndata: b\r", vec![event("a"), left(Some("b"), true)]),
            (b"data: a\ndata: {\"b", vec![left(Some("a\n{\"b"), false)]),
            (b"data: a\n\n: cut", vec![event("a"), left(None, false)]),
            (b"\xEF\xBB", vec![left(None, false)]),
            (b"dat: a\ndatax: b\n data: c\nData: d\n\n\n\n", vec![]),
            (b"data:{\"a\":\"x: y\\n\"}\n\n", vec![event("{\"a\":\"x: y\\n\"}")]),
        ]
    }

    #[test]
    fn every_way_of_splitting_a_stream_gives_the_same_frames() {
        for (stream, expected) in golden() {
            let name = text(stream);
            assert_eq!(read(stream), expected, "{name:?} whole");
            for at in 0..=stream.len() {
                let (head, tail) = stream.split_at(at);
                let seen = read_with(Limits::DEFAULT, [head, tail]);
                assert_eq!(seen, expected, "{name:?} split at {at}");
            }
            let seen = read_with(Limits::DEFAULT, stream.chunks(1));
            assert_eq!(seen, expected, "{name:?} byte by byte");
            let with_empty = stream.chunks(1).flat_map(|byte| [byte, b"".as_slice()]);
            let seen = read_with(Limits::DEFAULT, with_empty);
            assert_eq!(seen, expected, "{name:?} with empty pieces");
        }
    }

    #[test]
    fn a_stream_cut_at_any_byte_keeps_the_events_before_the_cut() {
        for (stream, expected) in golden() {
            for at in 0..stream.len() {
                let mut seen = read(&stream[..at]);
                if matches!(seen.last(), Some(Seen::Left { .. })) {
                    seen.pop();
                }
                assert!(expected.starts_with(&seen), "{:?} cut at {at}", text(stream));
            }
        }
    }

    /// The standard's algorithm, written the slow and obvious way over the whole input.
    fn reference(stream: &[u8]) -> Vec<Seen> {
        let stream = stream.strip_prefix(BYTE_ORDER_MARK).unwrap_or(stream);
        let (mut lines, mut line, mut position) = (Vec::new(), Vec::new(), 0);
        while position < stream.len() {
            match stream[position] {
                b'\r' | b'\n' => {
                    if stream[position..].starts_with(b"\r\n") {
                        position += 1;
                    }
                    lines.push(std::mem::take(&mut line));
                }
                byte => line.push(byte),
            }
            position += 1;
        }
        let (mut seen, mut name, mut data) = (Vec::new(), Vec::new(), Vec::new());
        for line in lines {
            if line.is_empty() {
                let name = std::mem::take(&mut name);
                if data.pop().is_some() {
                    seen.push(Seen::Event(name, std::mem::take(&mut data)));
                }
                continue;
            }
            let colon = line.iter().position(|byte| *byte == b':');
            let (field, value) = match colon {
                Some(at) => (&line[..at], &line[at + 1..]),
                None => (&line[..], &b""[..]),
            };
            let value = value.strip_prefix(b" ").unwrap_or(value);
            match field {
                b"" => seen.push(Seen::Comment(value.to_vec())),
                b"data" => data.extend(value.iter().chain(b"\n")),
                b"event" => name = value.to_vec(),
                _ => {}
            }
        }
        seen
    }

    #[test]
    fn the_reader_agrees_with_the_standard_on_made_up_streams() {
        const PARTS: [&[u8]; 16] = [
            b"\n",
            b"\n",
            b"\n",
            b"\r",
            b"\r\n",
            b"data",
            b"data:",
            b"data: ",
            b"event: ",
            b":",
            b" ",
            b"x",
            b"id: 1",
            b"\xEF\xBB\xBF",
            b"\xC3",
            b"{\"a\":1}",
        ];
        let mut state: u64 = 0x9E37_79B9_7F4A_7C15;
        let mut random = move |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % below as u64) as usize
        };
        for _ in 0..20_000 {
            let stream: Vec<u8> = (0..random(24))
                .flat_map(|_| PARTS[random(PARTS.len())])
                .copied()
                .collect();
            let pieces = stream.chunks(1 + random(7));
            let mut seen = read_with(Limits::DEFAULT, pieces);
            if matches!(seen.last(), Some(Seen::Left { .. })) {
                seen.pop();
            }
            assert_eq!(seen, reference(&stream), "{:?}", text(&stream));
        }
    }

    const SMALL: Limits = Limits {
        line_bytes: 10,
        event_bytes: 12,
    };

    #[test]
    fn a_line_up_to_the_limit_passes_and_one_byte_more_is_refused() {
        let expected = vec![event("1234"), Seen::Overflow(Overflow::Line { limit_bytes: 10 })];
        let stream = b"data: 1234\n\ndata: 12345\n\ndata: 1\n\n";
        assert_eq!(read_with(SMALL, [stream.as_slice()]), expected);
        assert_eq!(read_with(SMALL, stream.chunks(1)), expected);
        assert_eq!(
            read_with(SMALL, [b"data: 12345".as_slice()]),
            [Seen::Overflow(Overflow::Line { limit_bytes: 10 })],
        );
    }

    #[test]
    fn the_lines_of_one_event_together_are_limited() {
        let overflow = Seen::Overflow(Overflow::Event { limit_bytes: 12 });
        let fits = b"data:12345\ndata:12345\ndata:\n\n".as_slice();
        assert_eq!(read_with(SMALL, fits.chunks(1)), [event("12345\n12345\n")]);
        let too_long = b"data:12345\ndata:12345\ndata:1\n\ndata:1\n\n".as_slice();
        assert_eq!(read_with(SMALL, [too_long]), std::slice::from_ref(&overflow));
        assert_eq!(read_with(SMALL, too_long.chunks(1)), std::slice::from_ref(&overflow));
        let unterminated = b"data:12345\ndata:12345\ndata:1".as_slice();
        assert_eq!(read_with(SMALL, [unterminated]), std::slice::from_ref(&overflow));
    }

    #[test]
    fn nothing_comes_after_an_overflow_and_nothing_is_kept() {
        let mut reader = Reader::new(SMALL);
        reader.push(b"data: 12345678");
        assert_eq!(reader.next_frame(), Some(Err(Overflow::Line { limit_bytes: 10 })));
        reader.push(b"\n\ndata: 1\n\n");
        assert_eq!(reader.next_frame(), None);
        assert_eq!(reader.finish(), None);
        assert_eq!(reader.buffer.capacity(), 0);
    }

    #[test]
    fn overflows_say_which_limit_was_passed() {
        assert_eq!(
            Overflow::Line { limit_bytes: 1_048_576 }.to_string(),
            "a line of the event stream is longer than 1048576 bytes",
        );
        assert_eq!(
            Overflow::Event { limit_bytes: 4_194_304 }.to_string(),
            "an event of the stream holds more than 4194304 bytes of data",
        );
    }

    #[test]
    fn eight_megabytes_without_a_line_end_cost_no_more_than_the_limit() {
        let endless = vec![b'x'; 8 * 1024 * 1024];
        for piece_bytes in [1024, endless.len()] {
            let mut reader = Reader::default();
            let mut seen = Vec::new();
            for piece in endless.chunks(piece_bytes) {
                reader.push(piece);
                take(&mut reader, &mut seen);
            }
            let limit_bytes = Limits::DEFAULT.line_bytes;
            assert_eq!(seen, [Seen::Overflow(Overflow::Line { limit_bytes })]);
            assert!(reader.touched_bytes <= limit_bytes + 1, "{}", reader.touched_bytes);
        }
    }

    #[test]
    fn a_giant_line_in_small_pieces_is_searched_once() {
        let limits = Limits {
            line_bytes: 8 << 20,
            event_bytes: 8 << 20,
        };
        let mut stream = b"data: ".to_vec();
        stream.resize(2 << 20, 0xFF);
        stream.extend_from_slice(b"\n\ndata: next\n\n");
        for piece_bytes in [7, 1024] {
            let mut reader = Reader::new(limits);
            let mut seen = Vec::new();
            for piece in stream.chunks(piece_bytes) {
                reader.push(piece);
                take(&mut reader, &mut seen);
            }
            assert_eq!(seen.len(), 2);
            assert_eq!(seen[1], event("next"));
            assert!(reader.touched_bytes <= 2 * stream.len(), "{}", reader.touched_bytes);
        }
    }

    #[test]
    fn many_small_events_in_one_piece_are_moved_at_most_once() {
        let stream = b"data: {\"a\":1}\n\n".repeat(100_000);
        for piece_bytes in [1000, 16 * 1024, stream.len()] {
            let mut reader = Reader::default();
            let mut seen = Vec::new();
            for piece in stream.chunks(piece_bytes) {
                reader.push(piece);
                take(&mut reader, &mut seen);
            }
            assert_eq!(seen.len(), 100_000);
            assert!(reader.touched_bytes <= 2 * stream.len(), "{}", reader.touched_bytes);
        }
    }

    #[test]
    fn the_buffers_shrink_after_a_giant_event() {
        let mut reader = Reader::default();
        let mut seen = Vec::new();
        let giant = [b"data: ".as_slice(), &vec![b'x'; 900_000], b"\ndata: y\n\n"].concat();
        reader.push(&giant);
        take(&mut reader, &mut seen);
        reader.push(b"data: z\n\n");
        take(&mut reader, &mut seen);
        assert_eq!(seen.len(), 2);
        assert!(reader.buffer.capacity() <= KEPT_BYTES);
        assert!(reader.joined.capacity() <= KEPT_BYTES);
    }

    #[test]
    fn skipped_lines_within_an_event_do_not_fill_the_buffer() {
        let mut reader = Reader::default();
        reader.push(b"data: a\n");
        for _ in 0..100_000 {
            reader.push(b"id: 12345678901234567890\n");
            assert_eq!(reader.next_frame(), None);
        }
        assert!(reader.buffer.capacity() <= KEPT_BYTES, "{}", reader.buffer.capacity());
        reader.push(b"\n");
        assert_eq!(reader.next_frame(), Some(Ok(Frame::Event { name: b"", data: b"a" })));
    }

    #[test]
    fn an_invalid_byte_spoils_its_own_event_only() {
        let seen = read(b"data: ok\n\ndata: {\"t\":\"\xFF\"}\n\ndata: also ok\n\n");
        assert_eq!(seen, [event("ok"), event(b"{\"t\":\"\xFF\"}"), event("also ok")]);
        assert_eq!(text(b"{\"t\":\"\xFF\"}"), "{\"t\":\"\u{FFFD}\"}");
        assert!(matches!(text("grüße".as_bytes()), Cow::Borrowed("grüße")));
    }

    #[test]
    fn a_cr_ends_its_line_at_once() {
        let mut reader = Reader::default();
        reader.push(b"data: a\r\r");
        assert_eq!(reader.next_frame(), Some(Ok(Frame::Event { name: b"", data: b"a" })));
        reader.push(b"\ndata: b\r\n\r");
        assert_eq!(reader.next_frame(), Some(Ok(Frame::Event { name: b"", data: b"b" })));
        assert_eq!(reader.finish(), None);
    }

    #[test]
    fn finish_is_final() {
        let mut reader = Reader::default();
        reader.push(b"data: {}\n");
        let end = reader.finish().expect("a line is left").expect("it is short");
        assert_eq!(
            end,
            Unterminated {
                name: b"",
                data: Some(b"{}"),
                line_ended: true
            }
        );
        reader.push(b"\n");
        assert_eq!(reader.next_frame(), None);
        assert_eq!(reader.finish(), None);
    }

    #[test]
    fn debug_output_holds_no_content() {
        let mut reader = Reader::default();
        reader.push(b"event: secret\ndata: secret\n\n: secret\ndata: secret");
        let shown = format!(
            "{:?} {:?} {:?} {:?}",
            format!("{:?}", reader.next_frame()),
            format!("{:?}", reader.next_frame()),
            format!("{:?}", reader.finish()),
            reader,
        );
        assert!(!shown.contains("secret"), "{shown}");
        assert!(shown.contains("Event(6 bytes)"), "{shown}");
    }
}
