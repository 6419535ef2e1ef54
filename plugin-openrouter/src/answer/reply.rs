//! Turns OpenRouter's data frames and whole replies into [`ChatEvent`]s.
//!
//! In: the JSON of frames from [`crate::answer::sse`], or of a whole body. Out: events for the host. Pure.
//! Each member is read by itself: where the meaning of an odd form is clear it is read all the same, and otherwise a
//! notice says so. Tool calls arrive in pieces and leave whole. An answer without a finish reason is an error here, so
//! that no later step has to check for it.

mod message;

use std::collections::VecDeque;

use plugin_api::{ChatEvent, Done, Error, Notice, View};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::answer::chunk::{Choice, Chunk, Delta, Has};
use crate::answer::ending::{self, Ending};
use crate::answer::extras::Extras;
use crate::answer::heard::{FrameError, Heard};
use crate::answer::json::{self, Kind, Place, Raw, Text};
use crate::answer::odd::Odd;
use crate::answer::parts;
use crate::answer::reported::{Failure, failure_of};
use crate::answer::template::{Part, Seen, Template};
use crate::answer::text::Surrogate;
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
    /// The words that are the error if no answer follows them.
    perhaps_failed: Option<Value>,
    /// The index of the choice that is the answer, once it is known.
    choice: Option<i128>,
    /// Which members have arrived, so that a message that repeats them is not read twice.
    has: Has,
    /// The name under which the reasoning arrived as text, and that text.
    reasoning: (&'static str, String),
    /// The cited addresses, if they came beside the choices; a JSON array.
    citations: String,
    template: Template,
    /// The high surrogates that await their other half, of the text and of the reasoning.
    pending: [Surrogate; 2],
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
        let done = &self.heard.done;
        let (reason, _) = ending::read(
            &done.finish_reason,
            done.native_finish_reason.as_deref().unwrap_or_default(),
        );
        let is_on_purpose = matches!(reason.as_str(), "length" | "content_filter");
        !is_on_purpose && !self.heard.has_begun && n_tokens == 0
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

    /// Reads a frame that is not one JSON object: several, also in an array, or one with something that JSON does not
    /// allow. Those before the first unreadable one are kept.
    fn documents(&mut self, json: &str, events: &mut VecDeque<ChatEvent>) -> Result<(), FrameError> {
        self.template = Template::default();
        let escaped = json::escape_control_characters(json);
        let escaped = json::null_for_non_numbers(&escaped);
        let mut is_read = false;
        for document in serde_json::Deserializer::from_str(&escaped).into_iter::<&RawValue>() {
            is_read = match document.map(RawValue::get) {
                Ok(document) => self.objects(document, events)?,
                Err(_) => false,
            };
            if !is_read {
                break;
            }
        }
        if is_read {
            Ok(())
        } else {
            Err(FrameError::NotJson { n_bytes: json.len() })
        }
    }

    /// Reads an object, or an array of objects.
    ///
    /// - Out: whether there was nothing else.
    fn objects(&mut self, json: &str, events: &mut VecDeque<ChatEvent>) -> Result<bool, FrameError> {
        let mut all = vec![json];
        if Kind::of(json) == Kind::List {
            all.clear();
            json::each_element(json, |element| {
                all.extend((all.len() <= json::MAX_ELEMENTS).then_some(element))
            });
        }
        let n_read = all.len().min(json::MAX_ELEMENTS);
        for json in &all[..n_read] {
            let Some(chunk) = json::read::<Chunk<'_>>(json) else {
                return Ok(false);
            };
            self.chunk(json, &chunk, events)?;
        }
        Ok(n_read > 0 && n_read == all.len())
    }

    /// Ends the answer, appends its tool calls to `events` and returns what is known of it.
    ///
    /// - Errors: `interrupted` without a finish reason, or if a tool call is incomplete; `tool_call` if one is
    ///   unusable.
    pub fn finish(&mut self, events: &mut VecDeque<ChatEvent>) -> Result<Done, Error> {
        self.end_pending(events);
        if !self.heard.has_finish_reason() {
            if let Some(error) = &self.perhaps_failed {
                return Err(self.reported(error));
            }
            return Err(self.heard.interrupted("without a finish reason"));
        }
        let native = self.heard.done.native_finish_reason.as_deref().unwrap_or_default();
        let (reason, ending) = ending::read(&self.heard.done.finish_reason, native);
        match ending {
            Ending::Failed(error) => return Err(self.heard.attach_partial(*error)),
            // Readers of the raw form assemble tool calls themselves.
            _ if !self.view.has_types() => {}
            ending => {
                let calls = std::mem::take(&mut self.tools).finish(&ending);
                for (call, mended) in calls.map_err(|error| self.of_calls(error))? {
                    let mended = mended.map(|message| Notice::new("mended", self.heard.scrubbed(&message)));
                    events.extend(mended.map(ChatEvent::Notice));
                    events.push_back(ChatEvent::ToolCall(call));
                }
            }
        }
        self.heard.done.finish_reason = reason;
        let (name, reasoning) = std::mem::take(&mut self.reasoning);
        if !reasoning.is_empty() && !self.has.extras.contains("reasoning_details") {
            self.extras.take(name, &Value::String(reasoning).to_string());
        }
        if self.has.extras.contains("content") {
            self.extras.take_text(self.heard.text());
        }
        if !self.has.extras.contains("annotations") {
            self.extras.take("annotations", &parts::annotations_of(&self.citations));
        }
        let mut extras = std::mem::take(&mut self.extras).finish();
        events.extend(extras.notice.map(ChatEvent::Notice));
        self.heard.done.content = extras.members.remove("content");
        self.heard.done.extras = extras.members;
        if self.has.refusal {
            let notice = Notice::new("refusal", "the model refused to answer; the text says why");
            events.push_back(ChatEvent::Notice(notice));
        }
        Ok(self.heard.take_done())
    }

    /// Completes an error about tool calls. The names in it come from the model.
    fn of_calls(&self, mut error: Error) -> Error {
        error.message = self.heard.scrubbed(&error.message);
        self.heard.attach_partial(error)
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
        let mut errors = Vec::new();
        errors.extend(Some(chunk.error).filter(|error| !error.is_empty()));
        self.odd.note("choices[]", chunk.choices.odd());
        for choice in chunk.choices.objects() {
            // Of several choices, one is the answer; mixing the pieces of two would yield neither.
            if self.is_the_answer(choice, &chunk.choices) {
                let of_message = self.choice(choice, &mut seen, events)?;
                errors.extend([choice.error, of_message].into_iter().filter(|error| !error.is_empty()));
                self.usage(choice.usage, &mut seen);
            }
        }
        self.usage(chunk.usage, &mut seen);
        let [of_groq] = json::members(chunk.x_groq, &["usage"]).unwrap_or_default();
        self.usage(of_groq, &mut seen);
        if !chunk.citations.is_empty() && self.view.has_types() {
            self.citations.clear();
            self.citations.push_str(chunk.citations);
        }
        self.heard.n_unread += u32::from(!chunk.has_choices);
        if !chunk.openrouter_metadata.is_empty() {
            seen.n_members += 1;
            self.heard.note_metadata(chunk.openrouter_metadata);
        }
        match failure_of(json, chunk, &errors) {
            Failure::Reported(error) => return Err(FrameError::Reported(self.reported(&error))),
            Failure::Perhaps(error) => {
                let message =
                    "the answer has a message outside of its choices; it is ignored unless the answer ends with it";
                self.odd.tell("message", || message.to_owned());
                self.perhaps_failed = Some(error);
            }
            Failure::None => {}
        }
        Ok(seen.only_text())
    }

    fn reported(&self, error: &Value) -> Error {
        self.heard
            .attach_partial(failure::from_error_object(error, self.heard.secret()))
    }

    /// Whether a choice is the answer: the one with the lowest index in the first chunk that has any.
    fn is_the_answer(&mut self, choice: &Choice<'_>, choices: &Place<Choice<'_>>) -> bool {
        let index = |choice: &Choice<'_>| json::number(choice.index).unwrap_or(0);
        let the_answer = self.choice.or_else(|| choices.objects().map(index).min());
        self.choice = the_answer;
        let is_the_answer = the_answer == Some(index(choice));
        if !is_the_answer {
            let message = "the answer has several choices; only the first is read";
            self.odd.tell("choices", || message.to_owned());
        }
        is_the_answer
    }

    fn usage<'a>(&mut self, usage: Raw<'a>, seen: &mut Seen<'a>) {
        if !usage.is_empty() {
            seen.n_members += 1;
            if let Some(usage) = usage::read(usage, &mut self.odd) {
                self.heard.note_usage(usage);
            }
        }
    }

    /// Reads a choice.
    ///
    /// - Out: the error that its message contains.
    fn choice<'a>(
        &mut self,
        choice: &Choice<'a>,
        seen: &mut Seen<'a>,
        events: &mut VecDeque<ChatEvent>,
    ) -> Result<Raw<'a>, FrameError> {
        let mut failure = "";
        let mut has_content = false;
        for delta in choice.delta.objects() {
            has_content |= !json::is_blank(delta.content);
            failure = delta.error;
            self.delta(delta, seen, events)?;
        }
        self.odd.note("choices[].delta", choice.delta.odd());
        if !choice.message.is_empty() {
            // Not a part of a template: whether a message is read depends on what came before.
            seen.n_members += 1;
            match json::read::<Delta<'a>>(choice.message) {
                Some(mut message) => {
                    message.drop_repeated(&self.has);
                    if !message.error.is_empty() {
                        failure = message.error;
                    }
                    self.delta(&message, seen, events)?;
                }
                None => self.odd.note("choices[].message", choice.message),
            }
        } else if !has_content && !json::is_blank(choice.text) {
            self.content("choices[].text", choice.text, Part::Content, seen, events);
        }
        if !json::is_blank(choice.tool_calls) && !self.has.calls {
            self.tool_calls(choice.tool_calls, "", seen)?;
        }
        for (name, word) in [
            ("choices[].finish_reason", choice.finish_reason),
            ("choices[].native_finish_reason", choice.native_finish_reason),
        ] {
            if word.is_empty() {
                continue;
            }
            match json::text(word).map(Text::whole) {
                // Some services write out that there is none yet.
                Some(word) if matches!(&*word, "" | "null") => {}
                Some(word) if name.contains("native") => {
                    self.heard.done.native_finish_reason = Some(self.heard.scrubbed(&word));
                }
                Some(word) => self.heard.note_finish_reason(&word),
                None => self.odd.note(name, word),
            }
        }
        Ok(failure)
    }
}

#[cfg(test)]
mod tests;
