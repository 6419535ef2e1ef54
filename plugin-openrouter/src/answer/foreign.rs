//! Reads answers of the APIs other than chat completions, which the plugin passes through.
//!
//! In: the frames of a stream, or a whole body. Out: whether the answer is complete, its error, its model and its cost.
//! There are no typed events, because callers of these APIs read the raw form. Pure.

use std::borrow::Cow;

use plugin_api::{Done, Error};
use serde::de::MapAccess;

use crate::answer::heard::{FrameError, Heard};
use crate::answer::json::{self, Object, Raw, each_element, leaf, skip};
use crate::answer::odd::Odd;
use crate::answer::usage;
use crate::failure;
use crate::request::Dialect;

/// The members of an answer, or of one of its events, that are used here, as they were written.
#[derive(Default)]
struct Members<'a> {
    kind: Raw<'a>,
    id: Raw<'a>,
    model: Raw<'a>,
    provider: Raw<'a>,
    usage: Raw<'a>,
    error: Raw<'a>,
    /// Of the responses API.
    status: Raw<'a>,
    /// Of the messages API.
    stop_reason: Raw<'a>,
    /// Of the completions API.
    choices: Raw<'a>,
    /// Of events: the answer so far.
    response: Raw<'a>,
    message: Raw<'a>,
    delta: Raw<'a>,
}

impl<'a> Object<'a> for Members<'a> {
    fn member<A: MapAccess<'a>>(&mut self, name: Cow<'a, str>, value: &mut A) -> Result<(), A::Error> {
        match &*name {
            "type" => self.kind = leaf(value)?,
            "id" => self.id = leaf(value)?,
            "model" => self.model = leaf(value)?,
            "provider" => self.provider = leaf(value)?,
            "usage" => self.usage = leaf(value)?,
            "error" => self.error = leaf(value)?,
            "status" => self.status = leaf(value)?,
            "stop_reason" => self.stop_reason = leaf(value)?,
            "choices" => self.choices = leaf(value)?,
            "response" => self.response = leaf(value)?,
            "message" => self.message = leaf(value)?,
            "delta" => self.delta = leaf(value)?,
            _ => skip(value)?,
        }
        Ok(())
    }
}

impl<'a> Members<'a> {
    /// The first text under a name in any of the choices.
    fn of_choices(&self, name: &str) -> Option<Cow<'a, str>> {
        let mut found = None;
        each_element(self.choices, |choice| {
            let [member] = json::members(choice, &[name]).unwrap_or_default();
            found = found
                .take()
                .or_else(|| json::word(member).filter(|word| !word.is_empty()));
        });
        found
    }
}

/// Reads one answer.
pub struct ForeignReader {
    dialect: Dialect,
    pub heard: Heard,
    /// Whether the closing event of the messages API has arrived.
    /// Its clients accept no other end, and fail on a `[DONE]` after it.
    is_complete: bool,
}

impl ForeignReader {
    pub fn new(dialect: Dialect, heard: Heard) -> Self {
        Self {
            dialect,
            heard,
            is_complete: false,
        }
    }

    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Whether clients know an event by its name and its `type`.
    pub fn has_named_events(&self) -> bool {
        matches!(self.dialect, Dialect::Responses | Dialect::Messages)
    }

    /// Reads the data of one event of a stream.
    ///
    /// - Errors: the error that the event reports; `NotJson`, unless the dialect allows other data.
    pub fn frame(&mut self, data: &[u8]) -> Result<(), FrameError> {
        let text = String::from_utf8_lossy(data);
        let Some(members) = json::read::<Members<'_>>(&text) else {
            if self.dialect != Dialect::Other {
                return Err(FrameError::NotJson { n_bytes: data.len() });
            }
            self.heard.has_begun = true;
            return Ok(());
        };
        match &*json::word(members.kind).unwrap_or_default() {
            "error" | "response.failed" => return Err(FrameError::Reported(self.reported(&members, &text))),
            "response.completed" => self.heard.note_finish_reason("stop"),
            "response.incomplete" => self.heard.note_finish_reason("length"),
            "message_stop" => self.is_complete = true,
            _ => {}
        }
        for inner in [members.response, members.message, members.delta] {
            if let Some(inner) = json::read::<Members<'_>>(inner) {
                self.note(&inner);
            }
        }
        if !members.error.is_empty() {
            return Err(FrameError::Reported(self.reported(&members, &text)));
        }
        // In the other dialects, the id of an event is not that of the answer.
        if matches!(self.dialect, Dialect::Completions | Dialect::Other) {
            self.note(&members);
        } else {
            self.note_usage(members.usage);
        }
        // The opening event is passed on at once:
        // clients rely on it, and on the pings after it, to detect a dead stream.
        self.heard.has_begun |= members.choices.is_empty() || members.of_choices("text").is_some();
        Ok(())
    }

    /// Reads a whole body with status 200. Bodies that are not JSON are accepted as they are.
    ///
    /// - Errors: the error that the body reports.
    pub fn document(&mut self, body: &[u8]) -> Result<(), Error> {
        let text = String::from_utf8_lossy(body);
        let Some(members) = json::read::<Members<'_>>(&text) else {
            self.heard.has_begun = true;
            return Ok(());
        };
        let failed = members.status == "\"failed\"";
        let has_error = !members.error.is_empty();
        let is_error = members.kind == "\"error\"";
        // In other bodies, such as lists and files, members of these names may mean something else.
        if self.dialect != Dialect::Other && (failed || has_error || is_error) {
            // The error replaces the answer, so the answer has not begun.
            return Err(self.reported(&members, &text));
        }
        self.heard.has_begun = true;
        // A list, a file or a key may have an id, but is not the answer of a model.
        let is_of_a_model = self.dialect != Dialect::Other || !members.model.is_empty() || !members.usage.is_empty();
        if !is_of_a_model {
            return Ok(());
        }
        self.note(&members);
        match members.status {
            "\"incomplete\"" => self.heard.note_finish_reason("length"),
            _ if !self.heard.has_finish_reason() => self.heard.note_finish_reason("stop"),
            _ => {}
        }
        Ok(())
    }

    /// Ends the answer.
    ///
    /// - Errors: `interrupted` for a stream that did not report its completion.
    pub fn finish(&mut self) -> Result<Done, Error> {
        let may_just_end = matches!(self.dialect, Dialect::Other | Dialect::Embeddings);
        if !self.heard.has_finish_reason() && !may_just_end {
            return Err(self.heard.interrupted("without saying that it is complete"));
        }
        Ok(self.heard.take_done())
    }

    fn note(&mut self, members: &Members<'_>) {
        let word = |member| json::word(member).unwrap_or_default();
        self.heard.note_id(&word(members.id));
        self.heard.note_model(&word(members.model));
        self.heard.note_provider(&word(members.provider));
        let finish = members.of_choices("finish_reason");
        self.heard
            .note_finish_reason(&finish.unwrap_or_else(|| word(members.stop_reason)));
        self.note_usage(members.usage);
    }

    fn note_usage(&mut self, usage: Raw<'_>) {
        // Readers of the raw form see an odd member there.
        let usage = (!usage.is_empty())
            .then(|| usage::read(usage, &mut Odd::default()))
            .flatten();
        if let Some(mut usage) = usage {
            // The messages API reports prompt tokens in its first event, and completion tokens in its last.
            if let Some(earlier) = &self.heard.done.usage {
                usage.prompt_tokens = usage.prompt_tokens.max(earlier.prompt_tokens);
                usage.total_tokens = usage
                    .total_tokens
                    .max(usage.prompt_tokens.saturating_add(usage.completion_tokens));
            }
            self.heard.note_usage(usage);
        }
    }

    fn reported(&self, members: &Members<'_>, json: &str) -> Error {
        let [within] = json::members(members.response, &["error"]).unwrap_or_default();
        let object = [members.error, within, json]
            .into_iter()
            .find(|object| !object.is_empty());
        let object = json::value(object.unwrap_or_default());
        self.heard
            .attach_partial(failure::from_error_object(&object, self.heard.secret()))
    }
}

#[cfg(test)]
mod tests {
    use plugin_api::ErrorKind;
    use serde_json::{Value, json};

    use super::*;

    fn reader(dialect: Dialect) -> ForeignReader {
        let heard = Heard::new(Some("acme/large".to_owned()), None, "sk-or-v1-secret");
        ForeignReader::new(dialect, heard)
    }

    fn streamed(dialect: Dialect, frames: &[Value]) -> Result<Done, Error> {
        let mut reader = reader(dialect);
        for frame in frames {
            let frame = frame.to_string();
            reader.frame(frame.as_bytes()).map_err(FrameError::into_error)?;
        }
        reader.finish()
    }

    #[test]
    fn a_response_is_complete_once_it_reports_completion() {
        let created = json!({"type": "response.created", "response": {"id": "resp-1", "model": "acme/large-2"}});
        let delta = json!({"type": "response.output_text.delta", "delta": "Hi"});
        let completed = json!({"type": "response.completed", "response": {"id": "resp-1", "model": "acme/large-2",
            "usage": {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5, "cost": 0.25}}});
        let whole = [created.clone(), delta.clone(), completed];
        let done = streamed(Dialect::Responses, &whole).expect("a complete answer");
        let found = (
            done.generation_id.as_deref(),
            done.model.as_deref(),
            &*done.finish_reason,
        );
        assert_eq!(found, (Some("resp-1"), Some("acme/large-2"), "stop"));
        let usage = done.usage.expect("usage");
        assert_eq!((usage.prompt_tokens, usage.cost_usd.as_deref()), (3, Some("0.25")));

        let cut = streamed(Dialect::Responses, &[created.clone(), delta]).expect_err("a truncated answer");
        assert_eq!(cut.kind, ErrorKind::INTERRUPTED);
        let mut begins = reader(Dialect::Responses);
        begins.frame(created.to_string().as_bytes()).expect("a readable event");
        assert!(begins.heard.has_begun, "the opening event is passed on at once");
    }

    #[test]
    fn an_error_event_fails_the_answer() {
        let failed =
            json!({"response": {"error": {"code": "server_error", "message": "no"}}, "type": "response.failed"});
        for (dialect, frame) in [
            (Dialect::Responses, failed),
            (
                Dialect::Responses,
                json!({"type": "error", "code": "server_error", "message": "no"}),
            ),
            (
                Dialect::Messages,
                json!({"type": "error", "error": {"type": "overloaded_error", "message": "no"}}),
            ),
            (
                Dialect::Completions,
                json!({"error": {"code": 502, "message": "no"}, "choices": []}),
            ),
        ] {
            let error = streamed(dialect, &[frame]).expect_err("an error");
            assert!(error.message.ends_with(": no"), "{error}");
        }
    }

    #[test]
    fn the_usage_of_messages_is_merged_from_both_ends() {
        let frames = [
            json!({"type": "message_start", "message": {"id": "m-1", "model": "acme/large", "usage": {"input_tokens": 9, "output_tokens": 1}}}),
            json!({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Hi"}}),
            json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 4}}),
            json!({"type": "message_stop"}),
        ];
        let done = streamed(Dialect::Messages, &frames).expect("a complete answer");
        let usage = done.usage.expect("usage");
        let tokens = (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens);
        assert_eq!((done.finish_reason.as_str(), tokens), ("end_turn", (9, 4, 13)));
    }

    #[test]
    fn a_whole_body_may_be_anything_but_an_error() {
        let mut speech = reader(Dialect::Other);
        speech.document(&[0xff, 0xfb]).expect("audio is not an error");
        assert!(speech.finish().is_ok());
        let failed = br#"{"status":"failed","error":{"code":"server_error","message":"no"}}"#;
        assert!(reader(Dialect::Responses).document(failed).is_err());
        let job = br#"{"status":"failed","error":"see the log"}"#;
        // A job may have failed without being an error.
        assert!(reader(Dialect::Other).document(job).is_ok());
    }
}
