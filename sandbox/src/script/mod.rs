//! What a model of the sandbox does when it is asked: a [`Script`] for each model id.
//!
//! Data only; [`crate::answer`] plays it, in whichever form of the API was asked. A script with no member set gives a short answer at once. Scripts are
//! read from JSON by the binary, so an unknown member is an error: a misspelt one would silently do nothing.

pub(crate) mod builtin;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::failure::Failure;

/// How one model answers; every member is optional.
///
/// A *piece* is one chunk of reasoning, of text, of a tool call or of whatever else the answer holds. The opening
/// chunk, which only names the role, is not counted; nor are, on `/responses` and `/messages`, the events that open
/// and close what pieces belong to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Script {
    /// The answer, word for word. Default: a sentence that says what this server is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// An answer of this many words, always the same ones; `text` goes before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub words: Option<usize>,
    /// The answer repeats the last message of the user; `text` and `words` go before it.
    pub echo: bool,
    /// Reasoning, sent before the answer as `reasoning` and as `reasoning_details`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
    /// `reasoning_details`, word for word and in this order, in place of those made from `reasoning`, which is then
    /// what they say. A stream cuts their texts and summaries into pieces and sends a signature after its text.
    pub reasoning_details: Vec<Value>,
    /// Tools to call in place of an answer, unless the last message is already the result of one.
    pub tool_calls: Vec<ScriptedCall>,
    /// Refuses the results of tools whose turn lacks the `reasoning_details` that were sent, as some models do.
    pub require_reasoning_details: bool,

    /// `images` of the answer, word for word; a stream sends each as a piece of its own.
    pub images: Vec<Value>,
    /// `audio` of the answer; a stream cuts its `transcript` and its `data` into pieces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio: Option<Map<String, Value>>,
    /// `annotations` of the answer, in the form of chat; a stream sends them in one piece after the text.
    pub annotations: Vec<Value>,
    /// Members added at the top of every whole reply and of every data frame, where they replace none.
    pub extra: Map<String, Value>,

    /// `finish_reason`; default: what the answer is (`stop`, `tool_calls`, `length`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<String>,
    /// `native_finish_reason`; default: the word that the author of the model uses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub native_finish_reason: Option<String>,
    /// Members that replace those of `usage`.
    pub usage: Map<String, Value>,
    /// Display name of the provider that serves; default: routing's choice, else `Sandbox`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// `model` of the reply; default: the id that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_served: Option<String>,
    /// An answer without content, which the service passes on with status 200.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub empty: Option<Empty>,

    /// Milliseconds before the first piece of a stream (its headers leave at once), or before a whole reply.
    pub start_delay_ms: u64,
    /// Milliseconds between two pieces.
    pub chunk_delay_ms: u64,
    /// Characters in each piece; default: one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chunk_chars: Option<usize>,
    /// Many frames in one write, as far as no delay stands between them; default: one frame in a write.
    pub coalesce: bool,
    /// Comment lines before the first chunk.
    pub comments: u32,
    /// Comment lines before each later piece.
    pub comments_between: u32,
    /// After the pieces allowed by `stall_after_chunks` (default none), nothing but comment lines, one every
    /// `chunk_delay_ms` (at least 10).
    pub comments_forever: bool,
    /// After this many pieces: silence, with the connection open. A reply that is not streamed never comes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stall_after_chunks: Option<usize>,
    /// After this many pieces the body ends, as if it were whole. Half of a reply that is not streamed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut_after_chunks: Option<usize>,
    /// The cut breaks the connection in place of ending the body.
    pub cut_abruptly: bool,
    /// Leaves out what says why the answer ended: the chunk with the finish reason, `response.completed`,
    /// `message_delta`.
    pub omit_finish_reason: bool,
    /// Leaves out what says that the stream ended: `[DONE]`, and `message_stop`.
    pub omit_done: bool,
    /// Names each event of `/responses` in an `event:` line too, as other services do.
    pub event_lines: bool,

    /// Fails before anything is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fail: Option<Failure>,
    /// After this many pieces the stream ends with `fail` (default: 502) in a chunk, or in `response.failed`, or in
    /// `error` of `/messages`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fail_after_chunks: Option<usize>,
    /// In place of `response.failed` comes an `error` event.
    pub error_event: bool,
    /// Only the first requests fail, this many; the later ones succeed. Default: all fail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fail_times: Option<u32>,
    /// Slugs of the providers that fail; default: every one.
    pub fail_providers: Vec<String>,
    /// Sends `fail` with status 200.
    pub error_in_200_body: bool,
    /// Answers 402 to a request for more tokens than this, naming the number that can be afforded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affordable_tokens: Option<u64>,
}

/// One tool call of a script.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScriptedCall {
    /// Name of the function; default: the first tool of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Arguments; default: a value made from the schema of the tool. A text is sent as it is, so that it may be
    /// broken JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments: Option<Value>,
}

/// How an answer is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Empty {
    /// `choices` is an empty list.
    Choices,
    /// `content` is null.
    Content,
}

impl Script {
    /// A model that answers `text`.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            text: Some(text.into()),
            ..Self::default()
        }
    }

    /// A model that answers with `words` words.
    #[must_use]
    pub fn words(words: usize) -> Self {
        Self {
            words: Some(words),
            ..Self::default()
        }
    }

    /// A model that fails before anything is sent.
    #[must_use]
    pub fn fail(failure: Failure) -> Self {
        Self {
            fail: Some(failure),
            ..Self::default()
        }
    }

    /// A model that fails with `status` before anything is sent.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::fail(Failure::status(status))
    }

    /// A model that calls the tool `name` with `arguments`, then answers about its result.
    #[must_use]
    pub fn tool_call(name: impl Into<String>, arguments: Value) -> Self {
        let call = ScriptedCall {
            name: Some(name.into()),
            arguments: Some(arguments),
        };
        Self {
            tool_calls: vec![call],
            ..Self::default()
        }
    }

    /// The failure that comes before the first byte, if this script has one.
    pub(crate) fn early_failure(&self) -> Option<&Failure> {
        if self.fail_after_chunks.is_some() {
            return None;
        }
        self.fail.as_ref()
    }

    /// The failure that comes after some pieces.
    pub(crate) fn late_failure(&self) -> Failure {
        self.fail
            .clone()
            .unwrap_or_else(|| Failure::status(502).message("Provider disconnected"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_script_reads_from_json() {
        let text = r#"{"words": 3, "fail": {"status": 429, "retry_after_s": 1}, "fail_times": 2}"#;
        let script: Script = serde_json::from_str(text).expect("the script above is valid");
        let failure = Failure {
            retry_after_s: Some(1),
            ..Failure::status(429)
        };
        assert_eq!(
            script,
            Script {
                words: Some(3),
                fail: Some(failure),
                fail_times: Some(2),
                ..Script::default()
            }
        );
    }

    #[test]
    fn a_misspelt_member_is_refused() {
        let problem = serde_json::from_value::<Script>(json!({"wrods": 3})).expect_err("`wrods` is no member");
        assert!(problem.to_string().starts_with("unknown field `wrods`"), "{problem}");
    }

    #[test]
    fn a_failure_after_pieces_is_not_early() {
        let script = Script {
            fail_after_chunks: Some(2),
            ..Script::status(502)
        };
        assert_eq!(script.early_failure(), None);
    }
}
