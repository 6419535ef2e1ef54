//! Turns the bytes of an answer into events: cuts them into frames, understands each, and knows when the answer has ended.
//!
//! In: pieces of the body as the network delivers them. Out: events in order, then the end, good or bad. Pure: no I/O, no
//! clock. The same pieces give the same events however they were split.

use std::collections::VecDeque;

use plugin_api::{ChatEvent, Done, Error, ErrorKind, Notice};
use serde::de::IgnoredAny;

use crate::reply::{FrameError, ReplyReader};
use crate::sse::{self, Frame};

/// Frames that are not JSON which one answer may have; with more of them it is no answer.
const MAX_BAD_FRAMES: u32 = 16;

/// Bytes of a comment that are handed on.
const MAX_COMMENT_BYTES: usize = 256;

/// Reads one streamed answer.
pub struct Decoder {
    frames: sse::Reader,
    pub reader: ReplyReader,
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
    pub fn new(reader: ReplyReader) -> Self {
        Self {
            frames: sse::Reader::new(sse::Limits::DEFAULT),
            reader,
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
    }

    /// Reads what was pushed, to the end of the answer at most.
    pub fn read(&mut self) {
        while self.end.is_none() && self.read_frame() {}
    }

    /// Reads what was pushed, to the frame with which the answer begins. What follows it is left for [`Self::read`].
    ///
    /// - Out: whether the answer has begun.
    pub fn read_until_begun(&mut self) -> bool {
        while self.end.is_none() && !self.reader.has_begun() && self.read_frame() {}
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
        if let Some(data) = left_over
            && data != b"[DONE]"
        {
            match self.reader.frame(&data, &mut self.ready) {
                Err(FrameError::Reported(error)) => return self.fail(error),
                // Half a frame is no frame; what counts is whether a finish reason was seen before it.
                Ok(()) | Err(FrameError::NotJson { .. }) => {}
            }
        }
        self.finish();
    }

    /// Reads a body that is one JSON document, as some providers send where a stream was asked for.
    pub fn read_document(&mut self, body: &[u8]) {
        match self.reader.frame(body, &mut self.ready) {
            Ok(()) => self.finish(),
            Err(FrameError::NotJson { .. }) if ends_in_its_middle(body) => {
                self.is_cut = true;
                let message = "the answer broke off: it ends in its middle";
                self.fail(Error::new(ErrorKind::INTERRUPTED, message).with_hint("try again"));
            }
            Err(error) => self.fail(error.into_error()),
        }
    }

    /// Ends the answer with an error from outside, such as a broken connection; what had arrived goes with it.
    pub fn fail(&mut self, error: Error) {
        if self.end.is_none() {
            self.end = Some(Err(self.reader.attach_partial(error)));
        }
    }

    /// The body broke off, or nothing more came in time. An answer whose finish reason was seen is whole all the same.
    pub fn broken(&mut self, error: Error) {
        if self.end.is_none() && self.reader.has_finish_reason() {
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
        match self.frames.next_frame() {
            None => return false,
            Some(Ok(Frame::Comment(text))) => {
                self.ready.push_back(sign_of_life(text));
            }
            Some(Ok(Frame::Event { data: b"[DONE]", .. })) => self.finish(),
            Some(Ok(Frame::Event { data: b"", .. })) => {}
            // Some proxies make events of comments.
            Some(Ok(Frame::Event {
                data: [b':', text @ ..],
                ..
            })) => {
                self.ready.push_back(sign_of_life(text));
            }
            Some(Ok(Frame::Event { data, .. })) => {
                self.n_data += 1;
                match self.reader.frame(data, &mut self.ready) {
                    Ok(()) => {}
                    // One frame that was spoilt on the way is no reason to lose an answer; it is told of at the end.
                    Err(FrameError::NotJson { .. }) if self.bad_frames < MAX_BAD_FRAMES => self.bad_frames += 1,
                    Err(error) => self.fail(error.into_error()),
                }
            }
            Some(Err(overflow)) => self.fail(Error::new(ErrorKind::TOO_LARGE, overflow.to_string())),
        }
        true
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

fn ends_in_its_middle(document: &[u8]) -> bool {
    let read = serde_json::from_slice::<IgnoredAny>(document);
    read.is_err_and(|cause| cause.is_eof()) && !document.trim_ascii().is_empty()
}
