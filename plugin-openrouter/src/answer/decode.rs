//! Turns the bytes of an answer into events: cuts them into frames, understands each, and knows when the answer has ended.
//!
//! In: pieces of the body as the network delivers them. Out: events in order, then the end, good or bad. Pure: no I/O, no
//! clock. The same pieces give the same events however they were split.

use std::collections::VecDeque;

use plugin_api::{ChatEvent, Done, Error, ErrorKind, Notice, View};
use serde::de::IgnoredAny;

use crate::answer::foreign::ForeignReader;
use crate::answer::heard::{FrameError, Heard};
use crate::answer::raw::{MAX_RAW_BYTES, Raw};
use crate::answer::reply::ReplyReader;
use crate::answer::sse::{self, Frame};

/// Frames that are not JSON which one answer may have; with more of them it is no answer.
const MAX_BAD_FRAMES: u32 = 16;

/// Bytes of a comment that are handed on.
const MAX_COMMENT_BYTES: usize = 256;

/// Understands the frames of an answer.
pub enum Reader {
    Chat(Box<ReplyReader>),
    Foreign(Box<ForeignReader>),
}

impl Reader {
    /// What the answer has said of itself.
    pub fn heard(&self) -> &Heard {
        match self {
            Self::Chat(reader) => &reader.heard,
            Self::Foreign(reader) => &reader.heard,
        }
    }

    pub fn has_begun(&self) -> bool {
        self.heard().has_begun
    }

    /// What is known of the answer, whole or not.
    fn take_done(&mut self) -> Done {
        match self {
            Self::Chat(reader) => reader.heard.take_done(),
            Self::Foreign(reader) => reader.heard.take_done(),
        }
    }

    /// Whether the answer has said by itself that nothing follows.
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
            Self::Foreign(reader) => reader.document(body).map_err(FrameError::from),
        }
    }

    fn finish(&mut self, events: &mut VecDeque<ChatEvent>) -> Result<Done, Error> {
        match self {
            Self::Chat(reader) => reader.finish(events),
            Self::Foreign(reader) => reader.finish(),
        }
    }
}

/// Reads one streamed answer.
pub struct Decoder {
    frames: sse::Reader,
    pub reader: Reader,
    /// The raw form of the answer, where it is wanted.
    raw: Option<Raw>,
    /// Whether anything is made of the answer beside its raw form.
    has_types: bool,
    /// Whether the answer ended with an error that a frame of it reported.
    pub is_reported: bool,
    /// The frame that reported it, where nothing else of the raw form has been handed on.
    pub reported: Option<Vec<u8>>,
    /// What was read and not yet taken.
    pub ready: VecDeque<ChatEvent>,
    /// How the answer ended; nothing is read beyond it.
    pub end: Option<Result<Done, Error>>,
    /// Whether the answer ended without a word in it, and nothing says that this was meant.
    pub is_empty: bool,
    /// Whether it is a document that ends in its middle, which the connection did not tell.
    pub is_cut: bool,
    bad_frames: u32,
    /// Frames with data since the last call of [`Self::take_n_data`].
    n_data: u32,
}

impl Decoder {
    pub fn new(reader: Reader, view: View) -> Self {
        Self {
            frames: sse::Reader::new(sse::Limits::DEFAULT),
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
            n_data: 0,
        }
    }

    /// Takes a piece of the body. What it holds is read by [`Self::read`].
    pub fn push(&mut self, piece: &[u8]) {
        self.frames.push(piece);
        if let Some(raw) = &mut self.raw {
            raw.bytes.extend_from_slice(piece);
            if raw.bytes.len() > MAX_RAW_BYTES {
                let message = format!("expected an event of at most {} MiB, found more", MAX_RAW_BYTES >> 20);
                self.fail(Error::new(ErrorKind::TOO_LARGE, message));
            }
        }
    }

    /// Reads what was pushed, to the end of the answer at most.
    pub fn read(&mut self) {
        let n_ready = self.ready.len();
        while self.end.is_none() && self.read_frame() {}
        self.hand_on_raw(n_ready);
        if let Some(Err(error)) = &mut self.end
            && self.raw.is_some()
        {
            error.details.is_told = self.is_reported;
        }
    }

    /// Hands on the raw form of what was read, before what it says in types.
    fn hand_on_raw(&mut self, at: usize) {
        let Some(raw) = &mut self.raw else { return };
        let piece = raw.take_to(self.frames.whole_bytes());
        if !piece.is_empty() {
            self.ready.insert(at, ChatEvent::Raw(piece.into()));
        }
    }

    /// Reads what was pushed, to the frame with which the answer begins. What follows it is left for [`Self::read`].
    ///
    /// - Out: whether the answer has begun.
    pub fn read_until_begun(&mut self) -> bool {
        while self.end.is_none() && !self.reader.has_begun() {
            let (n_ready, whole_bytes) = (self.ready.len(), self.frames.whole_bytes());
            if !self.read_frame() {
                break;
            }
            // Before an answer begins, signs of life go ahead of it by themselves.
            if let (Some(raw), Some(ChatEvent::KeepAlive(_))) = (&mut self.raw, self.ready.get(n_ready)) {
                raw.cut(whole_bytes, self.frames.whole_bytes());
            }
        }
        if self.reader.has_begun() || self.end.is_some() {
            self.hand_on_raw(0);
        }
        self.reader.has_begun()
    }

    /// The body has ended. An answer whose finish reason was seen is whole, with or without `[DONE]`.
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
            if let (Some(raw), Ok(()) | Err(FrameError::Reported(_))) = (&mut self.raw, &read) {
                // With the blank line that its event lacks.
                let piece = raw.take_to(u64::MAX) + "\n\n";
                self.ready.push_back(ChatEvent::Raw(piece.into()));
            }
            match read {
                Err(FrameError::Reported(mut error)) => {
                    error.details.is_told = self.raw.is_some();
                    return self.fail(error);
                }
                // Half a frame is no frame; what counts is whether a finish reason was seen before it.
                Ok(()) | Err(FrameError::NotJson { .. }) => {}
            }
        } else if let Some(raw) = self.raw.as_mut().filter(|_| is_done) {
            let piece = raw.take_to(u64::MAX) + "\n\n";
            self.finish();
            if let Some(Ok(_)) = self.end {
                self.ready.push_back(ChatEvent::Raw(piece.into()));
            }
            return;
        }
        self.finish();
    }

    /// Reads a body that is one JSON document, as some providers send where a stream was asked for.
    pub fn read_document(&mut self, body: &[u8]) {
        let read = self.reader.document(body, &mut self.ready);
        if self.raw.is_some() && read.is_ok() {
            match std::str::from_utf8(body) {
                Ok(text) => self.ready.push_front(ChatEvent::Raw(text.into())),
                Err(_) => return self.fail(not_text(body.len())),
            }
        }
        match read {
            Ok(()) => self.finish(),
            Err(FrameError::NotJson { .. }) if ends_in_its_middle(body) => {
                self.is_cut = true;
                let message = "the answer broke off: it ends in its middle";
                self.fail(Error::new(ErrorKind::INTERRUPTED, message).with_hint("try again"));
            }
            Err(error) => {
                self.is_reported = matches!(error, FrameError::Reported(_));
                self.fail(error.into_error());
            }
        }
    }

    /// Makes an answer of one that reports an error, with a notice in the error's place: whoever reads its raw form reads the error there.
    pub fn forgive(&mut self) {
        if let Some(Err(error)) = &self.end {
            let notice = Notice::new("error_in_answer", error.message.clone());
            self.ready.push_back(ChatEvent::Notice(notice));
            self.end = Some(Ok(self.reader.take_done()));
        }
    }

    /// Ends the answer with an error from outside, such as a broken connection; what had arrived goes with it.
    pub fn fail(&mut self, error: Error) {
        if self.end.is_none() {
            self.end = Some(Err(self.reader.heard().attach_partial(error)));
        }
    }

    /// The body broke off, or nothing more came in time. An answer whose finish reason was seen is whole all the same.
    pub fn broken(&mut self, error: Error) {
        if self.end.is_none() && self.reader.heard().has_finish_reason() {
            self.finish();
        } else {
            self.fail(error);
        }
    }

    /// How many frames with data were read since this was last asked.
    pub fn take_n_data(&mut self) -> u32 {
        std::mem::take(&mut self.n_data)
    }

    /// Reads one frame; `false` if there is none.
    fn read_frame(&mut self) -> bool {
        let whole_bytes = self.frames.whole_bytes();
        match self.frames.next_frame() {
            None => return false,
            Some(Ok(Frame::Comment(text))) => {
                let sign = sign_of_life(text);
                self.alive(sign);
            }
            Some(Ok(Frame::Event { data: b"[DONE]", .. })) => {
                self.finish();
                // Nobody reads on behind it, and there is an error to tell.
                if let (Some(raw), Some(Err(_))) = (&mut self.raw, &self.end) {
                    raw.cut(whole_bytes, self.frames.whole_bytes());
                }
            }
            Some(Ok(Frame::Event { data: b"", .. })) => {}
            // Some proxies make events of comments.
            Some(Ok(Frame::Event {
                data: [b':', text @ ..],
                ..
            })) => {
                let sign = sign_of_life(text);
                self.alive(sign);
            }
            Some(Ok(Frame::Event { data, .. })) => {
                self.n_data += 1;
                match self.reader.frame(data, &mut self.ready) {
                    Ok(()) if self.reader.is_complete() => self.finish(),
                    Ok(()) => {}
                    // One frame that was spoilt on the way is no reason to lose an answer; it is told of at the end.
                    Err(FrameError::NotJson { .. }) if self.bad_frames < MAX_BAD_FRAMES => self.bad_frames += 1,
                    Err(error) => {
                        self.is_reported = matches!(error, FrameError::Reported(_));
                        if self.is_reported && self.raw.is_some() && !self.reader.has_begun() {
                            self.reported = Some(data.to_vec());
                        }
                        self.fail(error.into_error());
                    }
                }
            }
            Some(Err(overflow)) => self.fail(Error::new(ErrorKind::TOO_LARGE, overflow.to_string())),
        }
        true
    }

    /// Hands a sign of life on. Once an answer has begun, its raw form holds them.
    fn alive(&mut self, sign: ChatEvent) {
        if self.has_types || !self.reader.has_begun() {
            self.ready.push_back(sign);
        }
    }

    fn finish(&mut self) {
        self.is_empty = self.reader.is_empty();
        let end = self.reader.finish(&mut self.ready);
        if self.bad_frames > 0 && end.is_ok() {
            let count = self.bad_frames;
            let what = if count == 1 {
                "frame of the stream could not be read and was"
            } else {
                "frames of the stream could not be read and were"
            };
            self.ready.push_back(ChatEvent::Notice(Notice::new(
                "bad_frames",
                format!("{count} {what} left out; a part of the answer may be missing"),
            )));
        }
        self.end = Some(end);
    }
}

/// What a comment says, as far as anybody could want to read it.
fn sign_of_life(comment: &[u8]) -> ChatEvent {
    let comment = &comment[..comment.len().min(MAX_COMMENT_BYTES)];
    ChatEvent::KeepAlive(sse::text(comment).trim().into())
}

fn not_text(n_bytes: usize) -> Error {
    let message = format!("expected text, found {n_bytes} bytes that are none");
    Error::new(ErrorKind::PROTOCOL, message).with_hint("ask for it whole, not as a stream")
}

fn ends_in_its_middle(document: &[u8]) -> bool {
    let read = serde_json::from_slice::<IgnoredAny>(document);
    read.is_err_and(|cause| cause.is_eof()) && !document.trim_ascii().is_empty()
}
