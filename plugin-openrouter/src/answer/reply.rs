//! Turns OpenRouter's data frames and whole replies into [`ChatEvent`]s.
//!
//! In: the JSON of frames from [`crate::answer::sse`], or of a whole body. Out: events for the host. Pure.
//! Tool calls arrive in pieces and leave whole. An answer without a finish reason is an error here,
//! so that no later step has to check for it.

use std::borrow::Cow;
use std::collections::VecDeque;

use plugin_api::{ChatEvent, Done, Error, ErrorKind, Notice, View};
use serde_json::value::RawValue;

use crate::answer::chunk::{Choice, Chunk, Delta};
use crate::answer::extras::Extras;
use crate::answer::heard::{FrameError, Heard};
use crate::answer::template::Template;
use crate::answer::text::{self, Str, Surrogate, joined};
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
    /// The forms that the caller wants; others are not built.
    view: View,
    /// Whether the text is the model's refusal.
    pub(super) is_refusal: bool,
    pub(super) template: Template,
    /// The high surrogates that await their other half, of the text and of the reasoning.
    pending: [Surrogate; 2],
    /// Whether the current frame may hold placeholders for lone surrogates.
    pub(super) has_placeholders: bool,
}

impl ReplyReader {
    /// Starts an answer of which only `heard` is known.
    pub fn new(heard: Heard, view: View) -> Self {
        Self {
            heard,
            view,
            ..Self::default()
        }
    }

    /// Whether the answer ended without content, and not on purpose.
    pub fn is_empty(&self) -> bool {
        let n_tokens = self.heard.done.usage.as_ref().map(|usage| usage.completion_tokens);
        match self.heard.done.finish_reason.as_str() {
            // Counted tokens were billed, so the answer was not empty for the service.
            "" => !self.heard.has_begun && n_tokens.unwrap_or(0) == 0,
            "stop" => !self.heard.has_begun && n_tokens == Some(0),
            _ => false,
        }
    }

    /// Reads the data of one frame and appends its events to `events`.
    ///
    /// - Errors: the error that the frame reports, with the text so far; `NotJson`.
    pub fn frame(&mut self, data: &[u8], events: &mut VecDeque<ChatEvent>) -> Result<(), FrameError> {
        if let Some(text) = self.template.text_in(data) {
            self.text_piece(Cow::Borrowed(text), events);
            return Ok(());
        }
        // Checking the whole frame for UTF-8 once costs less than checking each of its texts.
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

    /// Ends the answer, appends its tool calls to `events` and returns what is known of it.
    ///
    /// - Errors: `interrupted` without a finish reason, or if a tool call is incomplete.
    pub fn finish(&mut self, events: &mut VecDeque<ChatEvent>) -> Result<Done, Error> {
        self.end_pending(events);
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

    /// Reads a chunk. It is large, so it is passed by reference.
    pub(super) fn chunk(&mut self, chunk: &mut Chunk<'_>, events: &mut VecDeque<ChatEvent>) -> Result<(), Error> {
        let has_placeholders = self.has_placeholders;
        self.heard.note_id(&whole(chunk.id.take(), has_placeholders));
        self.heard.note_model(&whole(chunk.model.take(), has_placeholders));
        self.heard
            .note_provider(&whole(chunk.provider.take(), has_placeholders));
        let mut failure = chunk.error;
        for choice in chunk.choices.first.iter_mut().chain(&mut chunk.choices.others) {
            // Of several choices, the first is the answer; mixing the pieces of two would yield neither.
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
            // Some providers repeat the whole message with the last delta; it must not be read twice.
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
        let has_text = |text: &Str<'_>| !text.0.is_empty();
        let reasoning = delta.reasoning.take().filter(has_text);
        let reasoning = reasoning.or_else(|| delta.reasoning_content.take().filter(has_text));
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
        // An answer may consist of an image alone, or of encrypted reasoning.
        self.heard.has_begun |= !matches!(json, "null" | "[]");
        if self.view.has_types() {
            self.extras.take(name, &self.plain(Cow::Borrowed(json)));
        }
    }

    /// Converts a text that is complete by itself.
    fn plain(&self, text: Cow<'_, str>) -> String {
        text::plain(text, self.has_placeholders)
    }

    pub(super) fn text_piece(&mut self, piece: Cow<'_, str>, events: &mut VecDeque<ChatEvent>) {
        self.heard.has_begun = true;
        if !self.view.has_types() {
            return;
        }
        let piece = joined(piece, &mut self.pending[0], self.has_placeholders);
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
        let piece = joined(piece, &mut self.pending[1], self.has_placeholders);
        if !piece.is_empty() {
            events.push_back(ChatEvent::Reasoning(owned(piece)));
        }
    }

    /// Replaces surrogates whose other half never arrived.
    fn end_pending(&mut self, events: &mut VecDeque<ChatEvent>) {
        if self.pending[1].take().is_some() {
            events.push_back(ChatEvent::Reasoning("\u{fffd}".into()));
        }
        if self.pending[0].take().is_some() {
            self.heard.keep_text("\u{fffd}");
            events.push_back(ChatEvent::text("\u{fffd}"));
        }
    }

    pub(super) fn tool_pieces(&mut self, pieces: Vec<ToolPiece<'_>>) -> Result<(), Error> {
        self.heard.has_begun |= !pieces.is_empty();
        if !self.view.has_types() {
            // Readers of the raw form assemble the pieces themselves.
            return Ok(());
        }
        for piece in pieces {
            let taken = self.tools.take(piece, self.has_placeholders);
            taken.map_err(|error| self.heard.attach_partial(error))?;
        }
        Ok(())
    }

    /// Some errors are reported by the finish reason alone.
    pub(super) fn check_finish_reason(&self) -> Result<(), Error> {
        if self.heard.done.finish_reason != "error" {
            return Ok(());
        }
        let error = Error::new(ErrorKind::UNAVAILABLE, "the service ended the answer with an error");
        Err(self.heard.attach_partial(error))
    }

    fn usage(&mut self, usage: &RawValue) {
        // An unreadable usage is unknown, and must not fail a readable answer.
        if let Ok(Some(raw)) = serde_json::from_str::<Option<RawUsage<'_>>>(usage.get())
            && let Some(usage) = usage::from_raw(raw)
        {
            self.heard.done.usage = Some(usage);
        }
    }

    /// Reads which attempts were made. Most answers list only the one that served, which is not kept.
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

/// Converts a text that is complete by itself; empty if absent.
fn whole(text: Option<Str<'_>>, has_placeholders: bool) -> Cow<'_, str> {
    text.map_or(Cow::Borrowed(""), |Str(text)| text::repaired(text, has_placeholders))
}

fn owned(text: Cow<'_, str>) -> plugin_api::Text {
    match text {
        Cow::Borrowed(text) => text.into(),
        Cow::Owned(text) => text.into(),
    }
}

#[cfg(test)]
mod tests;
