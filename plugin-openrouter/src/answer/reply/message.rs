//! Reads the members of a message, or of a part of one.

use std::borrow::Cow;
use std::collections::VecDeque;

use plugin_api::ChatEvent;

use super::{MAX_REASONING_BYTES, ReplyReader};
use crate::answer::chunk::Delta;
use crate::answer::heard::FrameError;
use crate::answer::json::{self, Kind, Raw, Text, is_blank};
use crate::answer::parts::{self, Found};
use crate::answer::template::{Part, Seen};
use crate::answer::text::{joined, replace_lone_surrogates};

impl ReplyReader {
    pub(super) fn delta<'a>(
        &mut self,
        delta: &Delta<'a>,
        seen: &mut Seen<'a>,
        events: &mut VecDeque<ChatEvent>,
    ) -> Result<(), FrameError> {
        let (other_name, other) = delta.other_reasoning;
        let has_details = !is_blank(delta.reasoning_details);
        if !is_blank(delta.reasoning) {
            self.content("reasoning", delta.reasoning, Part::Reasoning("reasoning"), seen, events);
        } else if !is_blank(delta.reasoning_content) {
            let part = Part::Reasoning("reasoning_content");
            self.content("reasoning_content", delta.reasoning_content, part, seen, events);
        } else if !is_blank(other) {
            self.content(other_name, other, Part::Reasoning(other_name), seen, events);
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
            if !is_blank(extra) {
                seen.n_members += 1;
                self.extra(name, extra);
            }
        }
        if is_blank(delta.tool_calls) && is_blank(delta.function_call) {
            return Ok(());
        }
        self.tool_calls(delta.tool_calls, delta.function_call, seen)
    }

    pub(super) fn tool_calls<'a>(
        &mut self,
        calls: Raw<'a>,
        function: Raw<'a>,
        seen: &mut Seen<'a>,
    ) -> Result<(), FrameError> {
        seen.n_members += 1;
        self.heard.has_begun = true;
        self.has.calls = true;
        if !self.view.has_types() {
            return Ok(());
        }
        let taken = self.tools.take(calls, function, &mut self.odd);
        let continued = taken.map_err(|error| FrameError::Ended(self.heard.attach_partial(error)))?;
        seen.text = continued.map(|(at, arguments)| (Part::Arguments(at), arguments));
        Ok(())
    }

    /// Reads a text, or an array of parts, some of which may be something else than text.
    pub(super) fn content<'a>(
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
        self.heard.has_begun = true;
        self.has.extras.insert(name);
        if self.view.has_types() {
            if name == "content" {
                self.extras.take_text(self.heard.text());
            }
            self.extras.take(name, &replace_lone_surrogates(json, false));
        }
    }

    pub(super) fn piece(&mut self, part: Part, text: Text<'_>, events: &mut VecDeque<ChatEvent>) {
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
    pub(super) fn end_pending(&mut self, events: &mut VecDeque<ChatEvent>) {
        if self.pending[1].take().is_some() {
            events.push_back(ChatEvent::Reasoning("\u{fffd}".into()));
        }
        if self.pending[0].take().is_some() {
            self.heard.keep_text("\u{fffd}");
            events.push_back(ChatEvent::text("\u{fffd}"));
        }
    }
}

fn owned(text: Cow<'_, str>) -> plugin_api::Text {
    match text {
        Cow::Borrowed(text) => text.into(),
        Cow::Owned(text) => text.into(),
    }
}
