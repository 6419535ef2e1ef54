//! Turns OpenRouter's data frames and whole replies into [`ChatEvent`]s.
//!
//! In: the JSON of frames from [`crate::answer::sse`], or of a whole body. Out: events for the host. Pure.
//! Each member is read by itself: where the meaning of an odd form is clear it is read all the same, and otherwise a
//! notice says so. Tool calls arrive in pieces and leave whole. An answer without a finish reason is an error here, so
//! that no later step has to check for it.

use std::borrow::Cow;
use std::collections::VecDeque;

use plugin_api::{ChatEvent, Done, Error, Notice, View};
use serde_json::value::RawValue;

use crate::answer::chunk::{Choice, Chunk, Delta, Has};
use crate::answer::ending;
use crate::answer::extras::Extras;
use crate::answer::heard::{FrameError, Heard};
use crate::answer::json::{self, Kind, Place, Raw, Text};
use crate::answer::odd::Odd;
use crate::answer::parts::{self, Found};
use crate::answer::template::{Part, Template};
use crate::answer::text::{Surrogate, joined};
use crate::answer::tool_calls::Assembler;
use crate::answer::usage;
use crate::failure;

/// Longest reasoning that is kept in order to go back with the next turn, in bytes.
const MAX_REASONING_BYTES: usize = 8 << 20;

/// Reads one answer, frame by frame.
#[derive(Default)]
pub struct ReplyReader {
    pub heard: Heard,
    tools: Assembler,
    extras: Extras,
    odd: Odd,
    /// The forms that the caller wants; others are not built.
    view: View,
    /// The index of the choice that is the answer, once it is known.
    choice: Option<i128>,
    /// Which members have arrived, so that a message that repeats them is not read twice.
    has: Has,
    /// The name under which the reasoning arrived as text, and that text.
    reasoning: (&'static str, String),
    template: Template,
    /// The high surrogates that await their other half, of the text and of the reasoning.
    pending: [Surrogate; 2],
}

/// What a chunk contains besides the members that every chunk repeats.
#[derive(Default)]
struct Seen<'a> {
    n_members: u32,
    /// A text, as it was written.
    text: Option<(Part, Raw<'a>)>,
}

impl<'a> Seen<'a> {
    /// The text, if there is nothing else.
    fn only_text(&self) -> Option<(Part, Raw<'a>)> {
        self.text.filter(|_| self.n_members == 1)
    }
}

impl ReplyReader {
    /// Starts an answer of which only `heard` is known.
    ///
    /// - In: the most bytes of images, sound and other parts.
    pub fn new(heard: Heard, view: View, limit_bytes: usize) -> Self {
        Self {
            heard,
            view,
            extras: Extras::new(limit_bytes),
            ..Self::default()
        }
    }

    /// Whether the answer ended without content, and not on purpose.
    pub fn is_empty(&self) -> bool {
        let n_tokens = self
            .heard
            .done
            .usage
            .as_ref()
            .map_or(0, |usage| usage.completion_tokens);
        // Counted tokens were billed, so the answer was not empty for the service.
        matches!(self.heard.done.finish_reason.as_str(), "" | "stop") && !self.heard.has_begun && n_tokens == 0
    }

    /// Reads the data of one frame and appends its events to `events`.
    ///
    /// - Errors: the error that the frame reports, with the text so far; `NotJson`.
    pub fn frame(&mut self, data: &[u8], events: &mut VecDeque<ChatEvent>) -> Result<(), FrameError> {
        if let Some((part, text)) = self.template.text_in(data) {
            return match part {
                Part::Arguments(at) => {
                    let taken = self.tools.append(at, text);
                    taken.map_err(|error| FrameError::Ended(self.heard.attach_partial(error)))
                }
                part => {
                    self.piece(part, text, events);
                    Ok(())
                }
            };
        }
        let read = match std::str::from_utf8(data) {
            Ok(json) => self.document(json, events),
            Err(_) => self.document(&String::from_utf8_lossy(data), events),
        };
        if self.view.has_types() {
            self.odd.report(events);
        }
        read
    }

    fn document(&mut self, json: &str, events: &mut VecDeque<ChatEvent>) -> Result<(), FrameError> {
        let Some(chunk) = json::read::<Chunk<'_>>(json) else {
            return self.documents(json, events);
        };
        let only_text = self.chunk(json, &chunk, events)?;
        self.template.learn(json, only_text);
        Ok(())
    }

    /// Reads a frame that is not one JSON object: several, or one with control characters in its strings.
    /// Those before the first unreadable one are kept.
    fn documents(&mut self, json: &str, events: &mut VecDeque<ChatEvent>) -> Result<(), FrameError> {
        self.template = Template::default();
        let escaped = json::escape_control_characters(json);
        let mut is_object = false;
        for document in serde_json::Deserializer::from_str(&escaped).into_iter::<&RawValue>() {
            let Ok(document) = document.map(RawValue::get) else {
                is_object = false;
                break;
            };
            let chunk = json::read::<Chunk<'_>>(document);
            is_object = chunk.is_some();
            match chunk {
                Some(chunk) => drop(self.chunk(document, &chunk, events)?),
                None => break,
            }
        }
        if is_object {
            Ok(())
        } else {
            Err(FrameError::NotJson { n_bytes: json.len() })
        }
    }

    /// Ends the answer, appends its tool calls to `events` and returns what is known of it.
    ///
    /// - Errors: `interrupted` without a finish reason, or if a tool call is incomplete; `tool_call` if one is unusable.
    pub fn finish(&mut self, events: &mut VecDeque<ChatEvent>) -> Result<Done, Error> {
        self.end_pending(events);
        if !self.heard.has_finish_reason() {
            return Err(self.heard.interrupted("without a finish reason"));
        }
        // Readers of the raw form assemble tool calls themselves.
        if self.view.has_types() {
            let must_call = matches!(self.heard.done.finish_reason.as_str(), "tool_calls" | "function_call");
            let calls = std::mem::take(&mut self.tools)
                .finish(must_call)
                .map_err(|error| self.heard.attach_partial(error))?;
            for (call, mended) in calls {
                events.extend(mended.map(|message| ChatEvent::Notice(Notice::new("mended", message))));
                events.push_back(ChatEvent::ToolCall(call));
            }
        }
        let (name, reasoning) = std::mem::take(&mut self.reasoning);
        if !reasoning.is_empty() && !self.has.extras.contains("reasoning_details") {
            self.extras
                .take(name, &serde_json::Value::String(reasoning).to_string());
        }
        let extras = std::mem::take(&mut self.extras).finish();
        events.extend(extras.notice.map(ChatEvent::Notice));
        self.heard.done.extras = extras.members;
        if self.has.refusal {
            let notice = Notice::new("refusal", "the model refused to answer; the text says why");
            events.push_back(ChatEvent::Notice(notice));
        }
        Ok(self.heard.take_done())
    }

    /// Reads a chunk.
    ///
    /// - Out: its text, if it has nothing else.
    fn chunk<'a>(
        &mut self,
        json: &'a str,
        chunk: &Chunk<'a>,
        events: &mut VecDeque<ChatEvent>,
    ) -> Result<Option<(Part, Raw<'a>)>, FrameError> {
        let mut seen = Seen::default();
        for (name, member, note) in [
            ("id", chunk.id, Heard::note_id as fn(&mut Heard, &str)),
            ("model", chunk.model, Heard::note_model),
            ("provider", chunk.provider, Heard::note_provider),
        ] {
            match json::word(member) {
                Some(word) => note(&mut self.heard, &word),
                None => self.odd.note(name, member),
            }
        }
        // The whole chunk may be the error object.
        let mut failure = if chunk.object == r#""error""# {
            json
        } else {
            chunk.error
        };
        self.odd.note("choices[]", chunk.choices.odd());
        for choice in chunk.choices.objects() {
            // Of several choices, one is the answer; mixing the pieces of two would yield neither.
            if self.is_the_answer(choice, &chunk.choices) {
                failure = if is_error(failure) { failure } else { choice.error };
                self.choice(choice, &mut seen, events)?;
            }
        }
        if !chunk.usage.is_empty() {
            seen.n_members += 1;
            if let Some(usage) = usage::read(chunk.usage, &mut self.odd) {
                self.heard.note_usage(usage);
            }
        }
        if !chunk.openrouter_metadata.is_empty() {
            seen.n_members += 1;
            self.metadata(chunk.openrouter_metadata);
        }
        if is_error(failure) {
            let error = failure::from_error_object(&json::value(failure), self.heard.secret());
            return Err(FrameError::Reported(self.heard.attach_partial(error)));
        }
        self.check_ending()?;
        Ok(seen.only_text())
    }

    /// Whether a choice is the answer: the one with the lowest index in the first chunk that has any.
    fn is_the_answer(&mut self, choice: &Choice<'_>, choices: &Place<Choice<'_>>) -> bool {
        let index = |choice: &Choice<'_>| json::number(choice.index).unwrap_or(0);
        let the_answer = self.choice.or_else(|| choices.objects().map(index).min());
        self.choice = the_answer;
        let is_the_answer = the_answer == Some(index(choice));
        if !is_the_answer {
            let message = "the answer has several choices; only the first is read";
            self.odd.tell("choices", message.to_owned());
        }
        is_the_answer
    }

    fn choice<'a>(
        &mut self,
        choice: &Choice<'a>,
        seen: &mut Seen<'a>,
        events: &mut VecDeque<ChatEvent>,
    ) -> Result<(), FrameError> {
        match &choice.delta {
            Place::One(delta) => self.delta(delta, seen, events)?,
            Place::Nothing if !choice.message.is_empty() => {
                // Not a part of a template: whether a message is read depends on what came before.
                seen.n_members += 1;
                match json::read::<Delta<'a>>(choice.message) {
                    Some(mut message) => {
                        message.drop_repeated(&self.has);
                        self.delta(&message, seen, events)?;
                    }
                    None => self.odd.note("choices[].message", choice.message),
                }
            }
            Place::Nothing if !choice.text.is_empty() => {
                self.content("choices[].text", choice.text, Part::Content, seen, events);
            }
            odd => self.odd.note("choices[].delta", odd.odd()),
        }
        for (name, word) in [
            ("choices[].finish_reason", choice.finish_reason),
            ("choices[].native_finish_reason", choice.native_finish_reason),
        ] {
            if word.is_empty() {
                continue;
            }
            match json::text(word).map(Text::whole) {
                Some(word) if word.is_empty() => {}
                Some(word) if name.contains("native") => {
                    self.heard.done.native_finish_reason = Some(self.heard.scrubbed(&word));
                    seen.n_members += 1;
                }
                Some(word) => {
                    self.heard.note_finish_reason(&word);
                    seen.n_members += 1;
                }
                None => self.odd.note(name, word),
            }
        }
        Ok(())
    }

    /// - Errors: the failure, if the words with which the answer ended report one.
    fn check_ending(&self) -> Result<(), FrameError> {
        let done = &self.heard.done;
        if done.finish_reason.is_empty() && done.native_finish_reason.is_none() {
            return Ok(());
        }
        let native = done.native_finish_reason.as_deref().unwrap_or_default();
        match ending::failure(&done.finish_reason, native) {
            Some(error) => Err(FrameError::Ended(self.heard.attach_partial(error))),
            None => Ok(()),
        }
    }

    fn delta<'a>(
        &mut self,
        delta: &Delta<'a>,
        seen: &mut Seen<'a>,
        events: &mut VecDeque<ChatEvent>,
    ) -> Result<(), FrameError> {
        let is_blank = |member: Raw<'_>| matches!(member, "" | "\"\"" | "[]" | "{}");
        let has_details = !is_blank(delta.reasoning_details);
        if !is_blank(delta.reasoning) {
            self.content("reasoning", delta.reasoning, Part::Reasoning("reasoning"), seen, events);
        } else if !is_blank(delta.reasoning_content) {
            let part = Part::Reasoning("reasoning_content");
            self.content("reasoning_content", delta.reasoning_content, part, seen, events);
        } else if has_details {
            // Encrypted parts have no text.
            let mut found = Vec::new();
            parts::of_details(delta.reasoning_details, &mut found);
            self.found(found, events);
        }
        if !is_blank(delta.content) {
            self.content("content", delta.content, Part::Content, seen, events);
        }
        if !is_blank(delta.refusal) {
            self.has.refusal = true;
            self.content("refusal", delta.refusal, Part::Content, seen, events);
        }
        for (name, extra) in delta.extras() {
            if !extra.is_empty() {
                seen.n_members += 1;
                self.extra(name, extra);
            }
        }
        if !is_blank(delta.tool_calls) || !is_blank(delta.function_call) {
            seen.n_members += 1;
            self.heard.has_begun = true;
            self.has.calls = true;
            if self.view.has_types() {
                let taken = self.tools.take(delta.tool_calls, &mut self.odd);
                let taken = taken.and_then(|continued| {
                    self.tools.take_function(delta.function_call, &mut self.odd)?;
                    Ok(continued)
                });
                let continued = taken.map_err(|error| FrameError::Ended(self.heard.attach_partial(error)))?;
                seen.text = continued.map(|(at, arguments)| (Part::Arguments(at), arguments));
            }
        }
        Ok(())
    }

    /// Reads a text, or an array of parts, some of which may be something else than text.
    fn content<'a>(
        &mut self,
        name: &str,
        content: Raw<'a>,
        part: Part,
        seen: &mut Seen<'a>,
        events: &mut VecDeque<ChatEvent>,
    ) {
        seen.n_members += 1;
        if let Some(text) = json::text(content) {
            if !self.has.refusal {
                seen.text = Some((part, content));
            }
            return self.piece(part, text, events);
        }
        let mut found = Vec::new();
        parts::of_content(name, content, part, &mut found, &mut self.odd);
        // Never a template.
        seen.n_members += 1;
        self.found(found, events);
    }

    fn found(&mut self, found: Vec<Found<'_>>, events: &mut VecDeque<ChatEvent>) {
        for found in found {
            match found {
                Found::Text(part, text) => self.piece(part, text, events),
                Found::Refusal(text) => {
                    self.has.refusal = true;
                    self.piece(Part::Content, text, events);
                }
                Found::Extra(name, json) => self.extra(name, &json),
            }
        }
    }

    fn extra(&mut self, name: &'static str, json: &str) {
        if !matches!(Kind::of(json), Kind::List | Kind::Object) {
            return self.odd.note(name, json);
        }
        // An answer may consist of an image alone, or of encrypted reasoning.
        if json != "[]" {
            self.heard.has_begun = true;
            self.has.extras.insert(name);
        }
        if self.view.has_types() {
            self.extras
                .take(name, &crate::answer::text::replace_lone_surrogates(json, false));
        }
    }

    fn piece(&mut self, part: Part, text: Text<'_>, events: &mut VecDeque<ChatEvent>) {
        if text.text.is_empty() {
            return;
        }
        self.heard.has_begun = true;
        let pending = match part {
            Part::Content | Part::Arguments(_) => {
                self.has.text = true;
                &mut self.pending[0]
            }
            Part::Reasoning(_) => {
                self.has.reasoning = true;
                &mut self.pending[1]
            }
        };
        if !self.view.has_types() {
            return;
        }
        let piece = joined(text.text, pending, text.has_placeholders);
        if piece.is_empty() {
            return;
        }
        match part {
            Part::Content | Part::Arguments(_) => {
                self.heard.keep_text(&piece);
                events.push_back(ChatEvent::Text(owned(piece)));
            }
            Part::Reasoning(name) => {
                let (kept_name, kept) = &mut self.reasoning;
                if !name.is_empty()
                    && !self.has.extras.contains("reasoning_details")
                    && kept.len() + piece.len() <= MAX_REASONING_BYTES
                {
                    *kept_name = name;
                    kept.push_str(&piece);
                }
                events.push_back(ChatEvent::Reasoning(owned(piece)));
            }
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

    /// Reads which attempts were made. Most answers list only the one that served, which is not kept.
    fn metadata(&mut self, metadata: Raw<'_>) {
        if memchr::memmem::find(metadata.as_bytes(), b"\"attempts\"").is_none() {
            return;
        }
        let attempts = failure::router_attempts(&json::value(metadata), self.heard.secret());
        if attempts.len() > 1 {
            self.heard.done.attempts = attempts;
        }
    }
}

/// Whether the member `error` reports one; some services send an empty one with every chunk.
fn is_error(member: Raw<'_>) -> bool {
    !matches!(member, "" | "{}" | "[]" | "\"\"" | "false" | "0")
}

fn owned(text: Cow<'_, str>) -> plugin_api::Text {
    match text {
        Cow::Borrowed(text) => text.into(),
        Cow::Owned(text) => text.into(),
    }
}

#[cfg(test)]
mod tests;
