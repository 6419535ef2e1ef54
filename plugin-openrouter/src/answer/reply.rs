//! Turns OpenRouter's data frames into [`ChatEvent`]s, and whole replies into [`ChatReply`]s.
//!
//! In: the JSON of frames from [`crate::answer::sse`], or of a whole body. Out: events for the host. Pure: no I/O, no clock.
//! Tool calls arrive in pieces and leave whole. An answer without a finish reason is an error here, so that nobody
//! further on has to remember to check.

use std::borrow::Cow;
use std::collections::VecDeque;

use plugin_api::{ChatEvent, Done, Error, ErrorKind, Notice, View};
use serde_json::value::RawValue;

use crate::answer::chunk::{Choice, Chunk, Delta};
use crate::answer::extras::Extras;
use crate::answer::heard::{FrameError, Heard};
use crate::answer::template::Template;
use crate::answer::text::{self, Half, Str, joined};
use crate::answer::tool_calls::{Assembler, ToolPiece, ToolPieces};
use crate::answer::untyped::{loose, texts_of_details};
use crate::answer::usage::{self, RawUsage};
use crate::failure;

/// Reads one answer, frame by frame.
#[derive(Default)]
pub struct ReplyReader {
    pub heard: Heard,
    tools: Assembler,
    extras: Extras,
    /// What is made of the answer; what nobody wants is not made.
    view: View,
    /// Whether the text is the model's refusal.
    pub(super) is_refusal: bool,
    pub(super) template: Template,
    /// Halves of characters that wait for their other half, of the text and of the reasoning.
    halves: [Half; 2],
    /// Whether the present frame may hold stand-ins for halves.
    pub(super) has_halves: bool,
}

impl ReplyReader {
    /// A reader for an answer of which nothing is known yet but `heard`.
    pub fn new(heard: Heard, view: View) -> Self {
        Self {
            heard,
            view,
            ..Self::default()
        }
    }

    /// Whether the answer has ended without a word in it, and nothing says that this was meant.
    pub fn is_empty(&self) -> bool {
        let n_tokens = self.heard.done.usage.as_ref().map(|usage| usage.completion_tokens);
        match self.heard.done.finish_reason.as_str() {
            // Tokens that were counted were billed, wherever they went.
            "" => !self.heard.has_begun && n_tokens.unwrap_or(0) == 0,
            "stop" => !self.heard.has_begun && n_tokens == Some(0),
            _ => false,
        }
    }

    /// Reads the data of one frame; what it says goes to `events`.
    ///
    /// - Errors: the service's, where the frame reports one, with the text so far; that it is not JSON.
    pub fn frame(&mut self, data: &[u8], events: &mut VecDeque<ChatEvent>) -> Result<(), FrameError> {
        if let Some(text) = self.template.text_in(data) {
            self.text_piece(Cow::Borrowed(text), events);
            return Ok(());
        }
        // The whole frame is checked to be UTF-8 at once, which costs less than checking each of its texts.
        let Ok(json) = std::str::from_utf8(data) else {
            return self.odd_frame(data, events);
        };
        match serde_json::from_str::<Chunk<'_>>(json) {
            Ok(mut chunk) if !chunk.is_bare_error() => {
                self.template.learn(json, &chunk);
                Ok(self.chunk(&mut chunk, events)?)
            }
            Ok(_) | Err(_) => self.odd_frame(data, events),
        }
    }

    /// Ends the answer: the tool calls go to `events`, then what is known about the whole.
    ///
    /// - Errors: `interrupted` if no finish reason was seen, or if a tool call is not whole.
    pub fn finish(&mut self, events: &mut VecDeque<ChatEvent>) -> Result<Done, Error> {
        self.end_halves(events);
        if !self.heard.has_finish_reason() {
            return Err(self.heard.interrupted("without a finish reason"));
        }
        let calls = std::mem::take(&mut self.tools)
            .finish()
            .map_err(|error| self.heard.attach_partial(error))?;
        events.extend(calls.into_iter().map(ChatEvent::ToolCall));
        let extras = std::mem::take(&mut self.extras).finish();
        events.extend(extras.notice.map(ChatEvent::Notice));
        self.heard.done.extras = extras.members;
        if self.is_refusal {
            let notice = Notice::new("refusal", "the model refused to answer; the text says why");
            events.push_back(ChatEvent::Notice(notice));
        }
        Ok(self.heard.take_done())
    }

    /// Takes what a chunk says. The chunk is large, so it stays where it was read.
    pub(super) fn chunk(&mut self, chunk: &mut Chunk<'_>, events: &mut VecDeque<ChatEvent>) -> Result<(), Error> {
        let has_halves = self.has_halves;

        self.heard.note_id(&whole(chunk.id.take(), has_halves));
        self.heard.note_model(&whole(chunk.model.take(), has_halves));
        self.heard.note_provider(&whole(chunk.provider.take(), has_halves));
        let mut failure = chunk.error;
        for choice in chunk.choices.first.iter_mut().chain(&mut chunk.choices.others) {
            // Where several answers were asked for, the first one is the answer; pieces of two would make neither.
            if choice.index.is_none_or(|index| index == 0) {
                failure = failure.or(choice.error);
                self.choice(choice, events)?;
            }
        }
        if let Some(usage) = chunk.usage {
            self.usage(usage);
        }
        if let Some(metadata) = chunk.openrouter_metadata {
            self.metadata(metadata);
        }
        match failure {
            Some(object) => Err(self.reported(object)),
            None => self.check_finish_reason(),
        }
    }

    fn choice(&mut self, choice: &mut Choice<'_>, events: &mut VecDeque<ChatEvent>) -> Result<(), Error> {
        if let Some(delta) = &mut choice.delta {
            self.delta(delta, events)?;
        } else if let Some(whole) = &mut choice.message
            && !self.heard.has_begun
        {
            // Some providers repeat the whole message beside the last delta; then it is not the answer.
            self.delta(whole, events)?;
        }
        if let Some(Str(reason)) = choice.finish_reason.take() {
            self.heard.note_finish_reason(&self.plain(reason));
        }
        if let Some(Str(reason)) = choice.native_finish_reason.take() {
            self.heard.done.native_finish_reason = Some(self.heard.scrubbed(&self.plain(reason)));
        }
        Ok(())
    }

    fn delta(&mut self, delta: &mut Delta<'_>, events: &mut VecDeque<ChatEvent>) -> Result<(), Error> {
        let is_told = |text: &Str<'_>| !text.0.is_empty();
        let reasoning = delta.reasoning.take().filter(is_told);
        let reasoning = reasoning.or_else(|| delta.reasoning_content.take().filter(is_told));
        match (reasoning, delta.reasoning_details.map(RawValue::get)) {
            (Some(Str(reasoning)), _) => self.reasoning_piece(reasoning, events),
            (None, Some(details)) if details != "[]" => {
                let details = loose(details);
                for piece in texts_of_details(&details) {
                    self.reasoning_piece(piece.into(), events);
                }
            }
            (None, _) => {}
        }
        if let Some(Str(content)) = delta.content.take()
            && !content.is_empty()
        {
            self.text_piece(content, events);
        }
        if let Some(Str(refusal)) = delta.refusal.take()
            && !refusal.is_empty()
        {
            self.is_refusal = true;
            self.text_piece(refusal, events);
        }
        for (name, extra) in delta.extras() {
            if let Some(extra) = extra {
                self.extra(name, extra.get());
            }
        }
        match delta.tool_calls.take() {
            Some(ToolPieces(pieces)) => self.tool_pieces(pieces),
            None => Ok(()),
        }
    }

    pub(super) fn extra(&mut self, name: &'static str, json: &str) {
        // An answer may be nothing but a picture, or thoughts that only their author can read.
        self.heard.has_begun |= !matches!(json, "null" | "[]");
        if self.view.has_types() {
            self.extras.take(name, &self.plain(Cow::Borrowed(json)));
        }
    }

    /// A text that is no piece of the answer.
    fn plain(&self, text: Cow<'_, str>) -> String {
        text::plain(text, self.has_halves)
    }

    pub(super) fn text_piece(&mut self, piece: Cow<'_, str>, events: &mut VecDeque<ChatEvent>) {
        self.heard.has_begun = true;
        if !self.view.has_types() {
            return;
        }
        let piece = joined(piece, &mut self.halves[0], self.has_halves);
        if !piece.is_empty() {
            self.heard.keep_text(&piece);
            events.push_back(ChatEvent::Text(owned(piece)));
        }
    }

    pub(super) fn reasoning_piece(&mut self, piece: Cow<'_, str>, events: &mut VecDeque<ChatEvent>) {
        self.heard.has_begun = true;
        if !self.view.has_types() {
            return;
        }
        let piece = joined(piece, &mut self.halves[1], self.has_halves);
        if !piece.is_empty() {
            events.push_back(ChatEvent::Reasoning(owned(piece)));
        }
    }

    /// Half characters whose other half never came.
    fn end_halves(&mut self, events: &mut VecDeque<ChatEvent>) {
        if self.halves[1].take().is_some() {
            events.push_back(ChatEvent::Reasoning("\u{fffd}".into()));
        }
        if self.halves[0].take().is_some() {
            self.heard.keep_text("\u{fffd}");
            events.push_back(ChatEvent::text("\u{fffd}"));
        }
    }

    pub(super) fn tool_pieces(&mut self, pieces: Vec<ToolPiece<'_>>) -> Result<(), Error> {
        self.heard.has_begun |= !pieces.is_empty();
        if !self.view.has_types() {
            // Whoever reads the raw form puts the pieces together.
            return Ok(());
        }
        for piece in pieces {
            let taken = self.tools.take(piece, self.has_halves);
            taken.map_err(|error| self.heard.attach_partial(error))?;
        }
        Ok(())
    }

    /// An error may be told by the finish reason alone.
    pub(super) fn check_finish_reason(&self) -> Result<(), Error> {
        if self.heard.done.finish_reason != "error" {
            return Ok(());
        }
        let error = Error::new(ErrorKind::UNAVAILABLE, "the service ended the answer with an error");
        Err(self.heard.attach_partial(error))
    }

    fn usage(&mut self, usage: &RawValue) {
        // A usage that is not readable is unknown; it must not spoil an answer that is.
        if let Ok(Some(raw)) = serde_json::from_str::<Option<RawUsage<'_>>>(usage.get())
            && let Some(usage) = usage::from_raw(raw)
        {
            self.heard.done.usage = Some(usage);
        }
    }

    /// How the answer came about. That the first attempt served is no news, and most answers say nothing else.
    fn metadata(&mut self, metadata: &RawValue) {
        if memchr::memmem::find(metadata.get().as_bytes(), b"\"attempts\"").is_none() {
            return;
        }
        let attempts = failure::router_attempts(&loose(metadata.get()), self.heard.secret());
        if attempts.len() > 1 {
            self.heard.done.attempts = attempts;
        }
    }

    fn reported(&self, object: &RawValue) -> Error {
        let object = loose(object.get());
        self.heard
            .attach_partial(failure::from_error_object(&object, self.heard.secret()))
    }
}

/// A text that is no piece of the answer; empty where there is none.
fn whole(said: Option<Str<'_>>, has_halves: bool) -> Cow<'_, str> {
    said.map_or(Cow::Borrowed(""), |Str(said)| text::mended(said, has_halves))
}

fn owned(text: Cow<'_, str>) -> plugin_api::Text {
    match text {
        Cow::Borrowed(text) => text.into(),
        Cow::Owned(text) => text.into(),
    }
}

#[cfg(test)]
mod tests;
