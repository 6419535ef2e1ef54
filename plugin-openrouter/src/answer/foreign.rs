//! Reads answers of the APIs other than chat completions, which the plugin passes through.
//!
//! In: the frames of a stream, or a whole body. Out: whether the answer is complete, its error, its model and its cost.
//! There are no typed events, because callers of these APIs read the raw form. Pure.

use plugin_api::{Done, Error};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::answer::heard::{FrameError, Heard};
use crate::answer::text::Str;
use crate::answer::usage::{self, RawUsage};
use crate::failure;
use crate::request::Dialect;

/// The members of an answer, or of one of its events, that are used here.
#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Option<Str<'a>>,
    #[serde(borrow, default)]
    id: Option<Str<'a>>,
    #[serde(borrow, default)]
    model: Option<Str<'a>>,
    #[serde(borrow, default)]
    provider: Option<Str<'a>>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    /// Of the responses API.
    #[serde(borrow, default)]
    status: Option<&'a RawValue>,
    /// Of the messages API.
    #[serde(borrow, default)]
    stop_reason: Option<Str<'a>>,
    /// Of the completions API.
    #[serde(borrow, default)]
    choices: Option<Vec<Choice<'a>>>,
    /// Of events: the answer so far.
    #[serde(borrow, default)]
    response: Option<&'a RawValue>,
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
    #[serde(borrow, default)]
    delta: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow, default)]
    text: Option<Str<'a>>,
    #[serde(borrow, default)]
    finish_reason: Option<Str<'a>>,
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

    /// Reads the data of one event of a stream.
    ///
    /// - Errors: the error that the event reports; `NotJson`, unless the dialect allows other data.
    pub fn frame(&mut self, data: &[u8]) -> Result<(), FrameError> {
        let Some(members) = read(data) else {
            self.heard.has_begun = true;
            return match self.dialect {
                Dialect::Other => Ok(()),
                _ => Err(FrameError::NotJson { n_bytes: data.len() }),
            };
        };
        let kind = members.kind.as_ref().map_or("", |Str(kind)| kind);
        match kind {
            "error" | "response.failed" => return Err(self.reported(&members).into()),
            "response.completed" => self.heard.note_finish_reason("stop"),
            "response.incomplete" => self.heard.note_finish_reason("length"),
            "message_stop" => self.is_complete = true,
            _ => {}
        }
        let part = |part: Option<&RawValue>| part.map(|part| part.get().to_owned());
        for inner in [part(members.response), part(members.message), part(members.delta)]
            .into_iter()
            .flatten()
        {
            if let Some(inner) = read(inner.as_bytes()) {
                self.note(&inner);
            }
        }
        if members.error.is_some_and(|error| error.get() != "null") {
            return Err(self.reported(&members).into());
        }
        // In the other dialects, the id of an event is not that of the answer.
        if matches!(self.dialect, Dialect::Completions | Dialect::Other) {
            self.note(&members);
        } else {
            self.note_usage(members.usage);
        }
        // The opening event is passed on at once:
        // clients rely on it, and on the pings after it, to detect a dead stream.
        let has_text = |choice: &Choice<'_>| choice.text.as_ref().is_some_and(|Str(text)| !text.is_empty());
        self.heard.has_begun |= members
            .choices
            .as_ref()
            .is_none_or(|choices| choices.iter().any(has_text));
        Ok(())
    }

    /// Reads a whole body with status 200. Bodies that are not JSON are accepted as they are.
    ///
    /// - Errors: the error that the body reports.
    pub fn document(&mut self, body: &[u8]) -> Result<(), Error> {
        let Some(members) = read(body) else {
            self.heard.has_begun = true;
            return Ok(());
        };
        let failed = members.status.is_some_and(|status| status.get() == "\"failed\"");
        let has_error = members.error.is_some_and(|error| error.get() != "null");
        let is_error = members.kind.as_ref().is_some_and(|Str(kind)| kind == "error");
        // In other bodies, such as lists and files, members of these names may mean something else.
        if self.dialect != Dialect::Other && (failed || has_error || is_error) {
            // The error replaces the answer, so the answer has not begun.
            return Err(self.reported(&members));
        }
        self.heard.has_begun = true;
        // A list, a file or a key may have an id, but is not the answer of a model.
        let is_of_a_model = self.dialect != Dialect::Other || members.model.is_some() || members.usage.is_some();
        if !is_of_a_model {
            return Ok(());
        }
        self.note(&members);
        match members.status.map(RawValue::get) {
            Some("\"incomplete\"") => self.heard.note_finish_reason("length"),
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
        let text = |text: &Option<Str<'_>>| text.as_ref().map_or("", |Str(text)| text).to_owned();
        self.heard.note_id(&text(&members.id));
        self.heard.note_model(&text(&members.model));
        self.heard.note_provider(&text(&members.provider));
        let mut choices = members
            .choices
            .iter()
            .flatten()
            .map(|choice| text(&choice.finish_reason));
        let finish = choices.find(|reason| !reason.is_empty());
        self.heard
            .note_finish_reason(&finish.unwrap_or_else(|| text(&members.stop_reason)));
        self.note_usage(members.usage);
    }

    fn note_usage(&mut self, usage: Option<&RawValue>) {
        let usage = usage.and_then(|usage| serde_json::from_str::<Option<RawUsage<'_>>>(usage.get()).ok().flatten());
        if let Some(mut usage) = usage.and_then(usage::from_raw) {
            // The messages API reports prompt tokens in its first event, and completion tokens in its last.
            if let Some(earlier) = &self.heard.done.usage {
                usage.prompt_tokens = usage.prompt_tokens.max(earlier.prompt_tokens);
                usage.total_tokens = usage.total_tokens.max(usage.prompt_tokens + usage.completion_tokens);
                usage.cost_usd = usage.cost_usd.or_else(|| earlier.cost_usd.clone());
                usage.cached_tokens = usage.cached_tokens.or(earlier.cached_tokens);
            }
            self.heard.done.usage = Some(usage);
        }
    }

    fn reported(&self, members: &Members<'_>) -> Error {
        let value = |json: &RawValue| serde_json::from_str::<Value>(json.get()).unwrap_or_default();
        let within = members.response.map(value).map(|mut response| response["error"].take());
        let object = members.error.map(value).or(within).filter(|object| !object.is_null());
        let object = object.unwrap_or_else(|| {
            let message = members.message.map(value).unwrap_or_default();
            serde_json::json!({ "message": message })
        });
        self.heard
            .attach_partial(failure::from_error_object(&object, self.heard.secret()))
    }
}

fn read(json: &[u8]) -> Option<Members<'_>> {
    serde_json::from_slice(json).ok()
}

#[cfg(test)]
mod tests {
    use plugin_api::ErrorKind;
    use serde_json::json;

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
