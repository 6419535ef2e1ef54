//! Turns the bytes of an answer into events: cuts them into frames, reads each, and detects the end of the answer.
//!
//! In: pieces of the body as the network delivers them. Out: events in order, then a `Done` or an error.
//! The same bytes give the same events however they were split. Pure: no I/O, no clock.

use std::collections::VecDeque;

use plugin_api::{ChatEvent, Done, Error, ErrorKind, Notice, View};
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use crate::answer::foreign::ForeignReader;
use crate::answer::heard::{FrameError, Heard};
use crate::answer::raw::Raw;
use crate::answer::reply::ReplyReader;
use crate::answer::sse::{self, Frame};
use crate::failure;
use crate::values::secret;

/// Most frames in one answer that may be invalid JSON; with more, the answer fails.
const MAX_BAD_FRAMES: u32 = 16;

/// A larger event, in bytes, is passed on while it arrives, but only to callers of the raw form.
const LARGE_BYTES: usize = 256 << 10;

/// Longest part of a comment that is emitted, in bytes.
const MAX_COMMENT_BYTES: usize = 256;

/// Reads the frames of an answer.
pub enum Reader {
    Chat(Box<ReplyReader>),
    Foreign(Box<ForeignReader>),
}

impl Reader {
    /// What the answer has reported so far.
    pub fn heard(&self) -> &Heard {
        match self {
            Self::Chat(reader) => &reader.heard,
            Self::Foreign(reader) => &reader.heard,
        }
    }

    pub fn has_begun(&self) -> bool {
        self.heard().has_begun
    }

    fn heard_mut(&mut self) -> &mut Heard {
        match self {
            Self::Chat(reader) => &mut reader.heard,
            Self::Foreign(reader) => &mut reader.heard,
        }
    }

    /// Whether the answer has reported that nothing follows.
    fn is_complete(&self) -> bool {
        matches!(self, Self::Foreign(reader) if reader.is_complete())
    }

    fn is_empty(&self) -> bool {
        matches!(self, Self::Chat(reader) if reader.is_empty())
    }

    fn frame(&mut self, data: &[u8], events: &mut VecDeque<ChatEvent>) -> Result<(), FrameError> {
        match self {
            Self::Chat(reader) => reader.frame(data, events),
            Self::Foreign(reader) => reader.frame(data),
        }
    }

    fn document(&mut self, body: &[u8], events: &mut VecDeque<ChatEvent>) -> Result<(), FrameError> {
        match self {
            Self::Chat(reader) => reader.frame(body, events),
            Self::Foreign(reader) => reader.document(body).map_err(FrameError::Reported),
        }
    }

    /// An error as members of a document in the form of the answer, each behind a comma, and as lines of an event.
    fn error_members(&self, error: &Error) -> (String, &'static str) {
        let code = error.details.status.unwrap_or(502);
        let object = json!({"code": code, "message": error.message, "type": error.kind.code()});
        // Of members with the same name, the last counts.
        match self {
            Self::Foreign(reader) if reader.has_named_events() => {
                (format!(r#","type":"error","error":{object}"#), "\nevent: error")
            }
            Self::Chat(_) | Self::Foreign(_) => (format!(r#","error":{object}"#), ""),
        }
    }

    fn finish(&mut self, events: &mut VecDeque<ChatEvent>) -> Result<Done, Error> {
        match self {
            Self::Chat(reader) => reader.finish(events),
            Self::Foreign(reader) => reader.finish(),
        }
    }
}

/// The last frames, as long as they are the beginning of one document: some providers cut a chunk in two events.
#[derive(Default)]
struct Pieces {
    bytes: Vec<u8>,
    /// How many frames came before the last one.
    n_earlier: u32,
}

impl Pieces {
    /// Adds a frame that is not JSON by itself.
    ///
    /// - Out: whether they may be a whole document now.
    fn add(&mut self, data: &[u8]) -> bool {
        self.n_earlier += u32::from(!self.bytes.is_empty());
        if self.bytes.len() + data.len() <= LARGE_BYTES {
            self.bytes.extend_from_slice(data);
        }
        self.n_earlier > 0 && !is_truncated(&self.bytes)
    }
}

/// Reads one streamed answer.
pub struct Decoder {
    frames: sse::Reader,
    pub reader: Reader,
    /// The raw form of the answer, if the caller wants it.
    raw: Option<Raw>,
    /// Whether the caller wants typed events.
    has_types: bool,
    /// Whether the answer ended with an error that one of its frames reported.
    pub is_reported: bool,
    /// The frame that reported it, if no raw bytes were emitted before.
    pub reported: Option<Vec<u8>>,
    /// Events that were read and not yet taken.
    pub ready: VecDeque<ChatEvent>,
    /// How the answer ended; nothing is read after it.
    pub end: Option<Result<Done, Error>>,
    /// Whether the answer ended without content, and not on purpose.
    pub is_empty: bool,
    /// Whether the answer is a truncated document, although the connection closed properly.
    pub is_cut: bool,
    bad_frames: u32,
    pieces: Pieces,
    /// Frames with data since the last call of [`Self::take_n_data`].
    n_data: u32,
    limit_bytes: usize,
}

impl Decoder {
    /// - In: the largest event, in bytes.
    pub fn new(reader: Reader, view: View, limit_bytes: usize) -> Self {
        Self {
            frames: sse::Reader::new(sse::Limits::both(limit_bytes)),
            reader,
            raw: view.has_raw().then(Raw::default),
            has_types: view.has_types(),
            is_reported: false,
            reported: None,
            ready: VecDeque::new(),
            end: None,
            is_empty: false,
            is_cut: false,
            bad_frames: 0,
            pieces: Pieces::default(),
            n_data: 0,
            limit_bytes,
        }
    }

    /// Adds a piece of the body; [`Self::read`] reads it.
    pub fn push(&mut self, piece: &[u8]) {
        self.frames.push(piece);
        if let Some(raw) = &mut self.raw {
            raw.bytes.extend_from_slice(piece);
            if raw.bytes.len() + raw.ahead_bytes > self.limit_bytes {
                self.fail(failure::too_large("an event", self.limit_bytes));
            }
        }
    }

    /// Reads what was pushed, up to the end of the answer.
    pub fn read(&mut self) {
        let n_ready = self.ready.len();
        while self.end.is_none() && self.read_frame() {}
        self.emit_raw(n_ready);
        self.emit_ahead();
        if let Some(Err(error)) = &mut self.end
            && self.raw.is_some()
        {
            error.details.is_told = self.is_reported;
        }
    }

    /// Emits the raw form of what was read, ahead of its typed events.
    fn emit_raw(&mut self, at: usize) {
        let Some(raw) = &mut self.raw else { return };
        let secret = self.reader.heard().secret();
        if raw.ahead_bytes > 0 {
            // The end of a large event looks like its beginning.
            raw.hide(secret);
        }
        let mut piece = raw.take_to(self.frames.whole_bytes(), secret);
        if self.is_reported {
            // Errors of the service may quote other keys as well.
            piece = secret::without_keys(&piece, secret);
        }
        if !piece.is_empty() {
            self.ready.insert(at, ChatEvent::Raw(piece.into()));
        }
    }

    /// Emits what has arrived of a large event. Only the beginning of each of its strings is kept for reading.
    fn emit_ahead(&mut self) {
        let may_be_split = !self.has_types && self.end.is_none() && self.reader.has_begun();
        let Some(raw) = self.raw.as_mut().filter(|_| may_be_split) else {
            return;
        };
        if raw.ahead_bytes > 0 || raw.bytes.len() > LARGE_BYTES {
            self.frames.shorten_line();
            let piece = raw.take_ahead(self.reader.heard().secret());
            self.ready
                .extend((!piece.is_empty()).then(|| ChatEvent::Raw(piece.into())));
        }
    }

    /// Reads what was pushed, up to the frame with which the answer begins. The rest is left for [`Self::read`].
    ///
    /// - Out: whether the answer has begun.
    pub fn read_until_begun(&mut self) -> bool {
        while self.end.is_none() && !self.reader.has_begun() {
            let (n_ready, whole_bytes) = (self.ready.len(), self.frames.whole_bytes());
            if !self.read_frame() {
                break;
            }
            // Before an answer begins, keep-alive comments are emitted on their own.
            if let (Some(raw), Some(ChatEvent::KeepAlive(_))) = (&mut self.raw, self.ready.get(n_ready)) {
                raw.cut(whole_bytes, self.frames.whole_bytes());
            }
        }
        if self.reader.has_begun() || self.end.is_some() {
            self.emit_raw(0);
        }
        self.reader.has_begun()
    }

    /// Ends the body. An answer with a finish reason is complete, with or without `[DONE]`.
    pub fn read_end(&mut self) {
        self.read();
        if self.end.is_some() {
            return;
        }
        let left_over = match self.frames.finish() {
            Some(Ok(rest)) => rest.data.map(<[u8]>::to_vec),
            Some(Err(_)) | None => None,
        };
        let is_done = left_over.as_deref() == Some(b"[DONE]");
        if let Some(data) = left_over
            && !is_done
        {
            let read = self.reader.frame(&data, &mut self.ready);
            if let (Some(raw), Ok(()) | Err(FrameError::Reported(_) | FrameError::Ended(_))) = (&mut self.raw, &read) {
                // Adds the blank line that the event lacks.
                let secret = self.reader.heard().secret();
                let mut piece = raw.take_to(u64::MAX, secret) + "\n\n";
                if read.is_err() {
                    piece = secret::without_keys(&piece, secret);
                }
                self.ready.push_back(ChatEvent::Raw(piece.into()));
            }
            match read {
                Err(FrameError::Reported(mut error)) => {
                    error.details.is_told = self.raw.is_some();
                    return self.fail(error);
                }
                Err(FrameError::Ended(error)) => return self.fail(error),
                // An incomplete frame is ignored; only a finish reason before it counts.
                Ok(()) | Err(FrameError::NotJson { .. }) => {}
            }
        } else if let Some(raw) = self.raw.as_mut().filter(|_| is_done) {
            let piece = raw.take_to(u64::MAX, self.reader.heard().secret()) + "\n\n";
            self.finish();
            if let Some(Ok(_)) = self.end {
                self.ready.push_back(ChatEvent::Raw(piece.into()));
            }
            return;
        }
        self.finish();
    }

    /// Reads a body that is one JSON document; some providers send one although a stream was requested.
    pub fn read_document(&mut self, body: &[u8]) {
        let mut read = self.reader.document(body, &mut self.ready);
        if matches!(read, Err(FrameError::NotJson { .. })) && self.reader.heard().has_finish_reason() {
            // Lines without the form of a stream, the last of which is not part of the answer.
            self.bad_frames += 1;
            read = Ok(());
        }
        if self.raw.is_some() && read.is_ok() {
            match std::str::from_utf8(body) {
                Ok(text) => {
                    let text = secret::without_secret(text.to_owned(), self.reader.heard().secret());
                    self.ready.push_front(ChatEvent::Raw(text.into()));
                }
                Err(_) => return self.fail(not_utf8(body.len())),
            }
        }
        match read {
            Ok(()) => self.finish(),
            Err(FrameError::NotJson { .. }) if is_truncated(body) => {
                self.is_cut = true;
                let message = "the answer broke off: its JSON is incomplete";
                self.fail(Error::new(ErrorKind::INTERRUPTED, message).with_hint("try again"));
            }
            Err(error) => {
                self.is_reported = matches!(error, FrameError::Reported(_));
                self.fail(error.into_error());
            }
        }
    }

    /// Turns a reported error into a notice and completes the answer: readers of the raw form see the error there.
    pub fn forgive(&mut self) {
        if let Some(Err(error)) = &self.end {
            let notice = Notice::new("error_in_answer", error.message.clone());
            self.ready.push_back(ChatEvent::Notice(notice));
            self.end = Some(Ok(self.reader.heard_mut().take_done()));
        }
    }

    /// Ends the answer with an error from outside, such as a broken connection. The error carries the text so far.
    pub fn fail(&mut self, error: Error) {
        if self.end.is_none() {
            self.end = Some(Err(self.reader.heard().attach_partial(error)));
            self.close_event();
        }
    }

    /// Completes an event that was emitted in part and will never be whole. It carries the error, so that a client
    /// raises it before it takes the part for the whole.
    fn close_event(&mut self) {
        let whole_bytes = self.frames.whole_bytes();
        let Some(raw) = self.raw.as_mut().filter(|raw| raw.is_ahead_of(whole_bytes)) else {
            return;
        };
        let error = self.end.as_ref().and_then(|end| end.as_ref().err());
        let (members, lines) = error.map(|error| self.reader.error_members(error)).unwrap_or_default();
        self.ready.push_back(ChatEvent::Raw(raw.close(&members, lines).into()));
    }

    /// Ends an answer whose body broke off or timed out. An answer with a finish reason is complete anyway.
    pub fn broken(&mut self, error: Error) {
        if self.end.is_none() && self.reader.heard().has_finish_reason() {
            self.finish();
        } else {
            self.fail(error);
        }
    }

    /// Number of frames with data that were read since the last call.
    pub fn take_n_data(&mut self) -> u32 {
        std::mem::take(&mut self.n_data)
    }

    /// Reads one frame; `false` if there is none.
    fn read_frame(&mut self) -> bool {
        let whole_bytes = self.frames.whole_bytes();
        match self.frames.next_frame().map(|frame| frame.map(unwrapped)) {
            None => return false,
            Some(Ok(Frame::Comment(text))) => {
                let event = keep_alive(text, self.reader.heard().secret());
                self.emit_keep_alive(event);
            }
            Some(Ok(Frame::Event { data: b"[DONE]", .. })) => {
                self.finish();
                // The raw form must not end with `[DONE]` when the answer ends with an error.
                if let (Some(raw), Some(Err(_))) = (&mut self.raw, &self.end) {
                    raw.cut(whole_bytes, self.frames.whole_bytes());
                }
            }
            Some(Ok(Frame::Event { data: b"", .. })) => {}
            // Some proxies turn comments into events.
            Some(Ok(Frame::Event {
                data: [b':', text @ ..],
                ..
            })) => {
                let event = keep_alive(text, self.reader.heard().secret());
                self.emit_keep_alive(event);
            }
            Some(Ok(Frame::Event { name, data })) => {
                self.n_data += 1;
                let mut is_cut = false;
                let mut read = self.reader.frame(data, &mut self.ready);
                if matches!(read, Err(FrameError::NotJson { .. })) && self.pieces.add(data) {
                    read = self.reader.frame(&self.pieces.bytes, &mut self.ready);
                }
                if read.is_ok() {
                    self.bad_frames -= self.pieces.n_earlier.min(self.bad_frames);
                }
                if !matches!(read, Err(FrameError::NotJson { .. })) || !is_truncated(&self.pieces.bytes) {
                    self.pieces = Pieces::default();
                }
                let read = match read {
                    // Its data may have any form, even plain words. Clients read the error in their own form only, so
                    // it is left to whoever ends the raw form.
                    Ok(()) | Err(FrameError::NotJson { .. }) if name == b"error" => {
                        let words = serde_json::from_slice(data);
                        let words = words.unwrap_or_else(|_| Value::from(sse::text(data)));
                        let error = failure::from_error_object(&words, self.reader.heard().secret());
                        is_cut = true;
                        Err(FrameError::Ended(self.reader.heard().attach_partial(error)))
                    }
                    read => read,
                };
                match read {
                    Ok(()) if self.reader.is_complete() => self.finish(),
                    Ok(()) => {}
                    // A few corrupted frames do not cost the answer; a notice at the end reports them.
                    Err(FrameError::NotJson { .. }) if self.bad_frames < MAX_BAD_FRAMES => {
                        self.bad_frames += 1;
                        self.reader.heard_mut().n_unread += 1;
                    }
                    Err(error) => {
                        self.is_reported = matches!(error, FrameError::Reported(_));
                        if self.is_reported && self.raw.is_some() && !self.reader.has_begun() {
                            self.reported = Some(data.to_vec());
                        }
                        self.fail(error.into_error());
                    }
                }
                if let Some(raw) = self.raw.as_mut().filter(|_| is_cut) {
                    raw.cut(whole_bytes, self.frames.whole_bytes());
                }
            }
            Some(Err(_)) => self.fail(failure::too_large("an event", self.limit_bytes)),
        }
        true
    }

    /// Emits a keep-alive comment, unless only the raw form is wanted and the answer has begun: it holds the comment.
    fn emit_keep_alive(&mut self, event: ChatEvent) {
        if self.has_types || !self.reader.has_begun() {
            self.ready.push_back(event);
        }
    }

    fn finish(&mut self) {
        self.is_empty = self.reader.is_empty();
        let end = self.reader.finish(&mut self.ready);
        if self.bad_frames > 0 && end.is_ok() {
            let count = self.bad_frames;
            let frames = if count == 1 { "frame was" } else { "frames were" };
            let message = format!("{count} unreadable {frames} dropped; part of the answer may be missing");
            self.ready
                .push_back(ChatEvent::Notice(Notice::new("bad_frames", message)));
        }
        self.end = Some(end);
        self.close_event();
    }
}

/// An event without the `data:` that some proxies write twice.
fn unwrapped(frame: Frame<'_>) -> Frame<'_> {
    match frame {
        Frame::Event { name, mut data } => {
            while let Some(inner) = data.strip_prefix(b"data:") {
                data = inner.trim_ascii_start();
            }
            Frame::Event { name, data }
        }
        comment @ Frame::Comment(_) => comment,
    }
}

fn keep_alive(comment: &[u8], secret: &str) -> ChatEvent {
    // The key is removed first, because a cut may leave half of it.
    let comment = secret::without_keys(&sse::text(comment), secret).into_bytes();
    let comment = &comment[..comment.len().min(MAX_COMMENT_BYTES)];
    ChatEvent::KeepAlive(sse::text(comment).trim().into())
}

fn not_utf8(n_bytes: usize) -> Error {
    let message = format!("expected UTF-8, found {n_bytes} bytes that are not");
    Error::new(ErrorKind::PROTOCOL, message).with_hint("request this answer whole, not as a stream")
}

fn is_truncated(document: &[u8]) -> bool {
    let read = serde_json::from_slice::<IgnoredAny>(document);
    read.is_err_and(|cause| cause.is_eof()) && !document.trim_ascii().is_empty()
}
