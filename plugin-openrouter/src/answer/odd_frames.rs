//! Reads chunks of undocumented shapes.
//!
//! In: a frame that [`Chunk`] cannot read. Out: the events of every member that is in its usual place. Pure.

use std::collections::VecDeque;

use plugin_api::{ChatEvent, Error};
use serde_json::Value;

use crate::answer::chunk::Chunk;
use crate::answer::heard::FrameError;
use crate::answer::reply::ReplyReader;
use crate::answer::template::Template;
use crate::answer::text::{self, replace_lone_surrogates};
use crate::answer::untyped::{MAX_LOOSE_BYTES, loose_text, texts_of_details};
use crate::answer::usage::{self, RawUsage};
use crate::failure;

/// Largest frame that is repaired, in bytes. Repairing takes up to three times as much memory.
const MAX_REPAIRED_BYTES: usize = 4 << 20;

impl ReplyReader {
    /// Reads a frame that [`Chunk`] cannot read, and keeps what it can find.
    pub(super) fn odd_frame(&mut self, data: &[u8], events: &mut VecDeque<ChatEvent>) -> Result<(), FrameError> {
        self.template = Template::default();
        if data.len() > MAX_REPAIRED_BYTES {
            return Err(FrameError::NotJson { n_bytes: data.len() });
        }
        let text = String::from_utf8_lossy(data);
        // Text that already holds code points in the placeholder range gets none, and loses its lone surrogates.
        let with_placeholders = !text::may_hold_placeholders(&text);
        let text = replace_lone_surrogates(&text, with_placeholders);
        self.has_placeholders = with_placeholders;
        let read = self.repaired_frame(&text, data.len(), events);
        self.has_placeholders = false;
        read
    }

    fn repaired_frame(
        &mut self,
        text: &str,
        n_bytes: usize,
        events: &mut VecDeque<ChatEvent>,
    ) -> Result<(), FrameError> {
        // A repaired frame may be readable as a chunk.
        if let Ok(mut chunk) = serde_json::from_str::<Chunk<'_>>(text)
            && !chunk.is_bare_error()
        {
            return Ok(self.chunk(&mut chunk, events)?);
        }
        if text.len() > MAX_LOOSE_BYTES {
            return Err(FrameError::NotJson { n_bytes });
        }
        // A frame may hold several chunks; those before the first unreadable one are kept.
        let mut is_object = false;
        for value in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
            is_object = value.as_ref().is_ok_and(Value::is_object);
            match value {
                Ok(value) if is_object => self.loose_chunk(&value, events)?,
                Ok(_) | Err(_) => break,
            }
        }
        if is_object {
            Ok(())
        } else {
            Err(FrameError::NotJson { n_bytes })
        }
    }

    /// Reads a chunk of any shape, and keeps the members that are in their usual place.
    fn loose_chunk(&mut self, value: &Value, events: &mut VecDeque<ChatEvent>) -> Result<(), Error> {
        let member = |name: &str| value[name].as_str().unwrap_or_default();
        self.heard.note_id(member("id"));
        self.heard.note_model(member("model"));
        self.heard.note_provider(member("provider"));
        let mut failure = failure::error_object(value);
        for choice in value["choices"].as_array().into_iter().flatten() {
            failure = failure.or_else(|| failure::error_object(choice));
            if choice["index"].as_u64().is_some_and(|index| index != 0) {
                continue;
            }
            let whole = if self.heard.has_begun {
                &Value::Null
            } else {
                &choice["message"]
            };
            let delta = choice.get("delta").unwrap_or(whole);
            let reasoning = ["reasoning", "reasoning_content"].map(|name| loose_text(&delta[name]));
            let reasoning = reasoning.into_iter().find(|texts| !texts.is_empty());
            for piece in reasoning.unwrap_or_else(|| texts_of_details(&delta["reasoning_details"])) {
                self.reasoning_piece(piece.into(), events);
            }
            for piece in loose_text(&delta["content"]) {
                self.text_piece(piece.into(), events);
            }
            for piece in loose_text(&delta["refusal"]) {
                self.is_refusal = true;
                self.text_piece(piece.into(), events);
            }
            for name in ["reasoning_details", "annotations", "images", "audio"] {
                if let Some(extra) = delta.get(name) {
                    self.extra(name, &extra.to_string());
                }
            }
            for piece in delta["tool_calls"].as_array().into_iter().flatten() {
                if let Ok(piece) = serde_json::from_str(&piece.to_string()) {
                    self.tool_pieces(vec![piece])?;
                }
            }
            self.heard
                .note_finish_reason(choice["finish_reason"].as_str().unwrap_or_default());
            if let Some(reason) = choice["native_finish_reason"].as_str() {
                self.heard.done.native_finish_reason = Some(self.heard.scrubbed(reason));
            }
        }
        if let Ok(raw) = serde_json::from_str::<RawUsage<'_>>(&value["usage"].to_string())
            && let Some(usage) = usage::from_raw(raw)
        {
            self.heard.done.usage = Some(usage);
        }
        if let Some(metadata) = value.get("openrouter_metadata") {
            let attempts = failure::router_attempts(metadata, self.heard.secret());
            if attempts.len() > 1 {
                self.heard.done.attempts = attempts;
            }
        }
        match failure {
            Some(object) => Err(self
                .heard
                .attach_partial(failure::from_error_object(object, self.heard.secret()))),
            None => self.check_finish_reason(),
        }
    }
}
