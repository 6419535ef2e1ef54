//! What a model of the sandbox does when it is asked: a [`Script`] for each model id.
//!
//! Data only; [`crate::answer`] plays it in every form of the API. An empty script gives a short answer at once. The
//! binary reads scripts from JSON, so unknown members are errors: a misspelt one would silently do nothing.

pub(crate) mod builtin;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::failure::Failure;

/// How one model answers; every member is optional.
///
/// A *piece* is one chunk of reasoning, text, a tool call or anything else in the answer. The opening chunk, which
/// only names the role, does not count. On `/responses` and `/messages`, events that open and close an item or a
/// block do not count either.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Script {
    /// The answer, verbatim. Default: a sentence that says what this server is.
    pub text: Option<String>,
    /// An answer of this many words, always the same ones, after `text`.
    pub words: Option<usize>,
    /// Repeats the last message of the user, after `text` and `words`.
    pub echo: bool,
    /// Reasoning, sent before the answer as `reasoning` and as `reasoning_details`.
    pub reasoning: Option<String>,
    /// `reasoning_details`, verbatim and in this order; they replace `reasoning`, which becomes their joined text. A
    /// stream cuts their texts and summaries into pieces and sends a signature after its text.
    pub reasoning_details: Vec<Value>,
    /// Tools to call in place of an answer, unless the last message is already a tool result.
    pub tool_calls: Vec<ScriptedCall>,
    /// Tools to call in several answers: the first list when the user has asked, the next one when its results are
    /// there, and so on; then the answer. It replaces `tool_calls`.
    pub tool_turns: Vec<Vec<ScriptedCall>>,
    /// Refuses tool results if the turn lacks the `reasoning_details` that were sent, as some models do.
    pub require_reasoning_details: bool,

    /// `images` of the answer, verbatim; a stream sends each as one piece.
    pub images: Vec<Value>,
    /// `audio` of the answer; a stream cuts its `transcript` and its `data` into pieces.
    pub audio: Option<Map<String, Value>>,
    /// `annotations` of the answer, in the form of chat; a stream sends them as one piece after the text.
    pub annotations: Vec<Value>,
    /// Members added at the top of every whole reply and every data frame; they replace none.
    pub extra: Map<String, Value>,

    /// `finish_reason`; default: the one that fits the answer (`stop`, `tool_calls`, `length`).
    pub finish_reason: Option<String>,
    /// `native_finish_reason`; default: the word that the author of the model uses.
    pub native_finish_reason: Option<String>,
    /// Members that replace those of `usage`.
    pub usage: Map<String, Value>,
    /// Display name of the serving provider; default: the one that routing chose, else `Sandbox`.
    pub provider: Option<String>,
    /// `model` of the reply; default: the requested id.
    pub model_served: Option<String>,
    /// Gives an answer without content, with status 200.
    pub empty: Option<Empty>,

    /// Milliseconds before the first piece of a stream, whose headers leave at once, or before a whole reply.
    pub start_delay_ms: u64,
    /// Milliseconds between two pieces.
    pub chunk_delay_ms: u64,
    /// Characters in each piece; default: one word.
    pub chunk_chars: Option<usize>,
    /// Writes frames together where no delay separates them; default: one frame per write.
    pub coalesce: bool,
    /// Comment lines before the first chunk.
    pub comments: u32,
    /// Comment lines before each later piece.
    pub comments_between: u32,
    /// After `stall_after_chunks` pieces (default none), sends only comment lines, one every `chunk_delay_ms` (at
    /// least 10).
    pub comments_forever: bool,
    /// Goes silent after this many pieces and keeps the connection open. A whole reply never comes.
    pub stall_after_chunks: Option<usize>,
    /// Ends the body after this many pieces, as if it were complete. A whole reply is cut in half.
    pub cut_after_chunks: Option<usize>,
    /// Makes the cut break the connection instead of ending the body.
    pub cut_abruptly: bool,
    /// Omits the finish reason: its chunk, `response.completed` or `message_delta`.
    pub omit_finish_reason: bool,
    /// Omits the end of the stream: `[DONE]` and `message_stop`.
    pub omit_done: bool,
    /// Names each event of `/responses` in an `event:` line too, as other services do.
    pub event_lines: bool,

    /// Fails before anything is sent.
    pub fail: Option<Failure>,
    /// Ends the stream after this many pieces with `fail` (default: 502), in a chunk, in `response.failed`, or in
    /// `error` of `/messages`.
    pub fail_after_chunks: Option<usize>,
    /// Sends an `error` event in place of `response.failed`.
    pub error_event: bool,
    /// Fails only the first so many requests. Default: all.
    pub fail_times: Option<u32>,
    /// Slugs of the providers that fail; default: all.
    pub fail_providers: Vec<String>,
    /// Sends `fail` with status 200.
    pub error_in_200_body: bool,
    /// Answers 402 to a request for more tokens than this, and names this number.
    pub affordable_tokens: Option<u64>,
}

/// One tool call of a script.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScriptedCall {
    /// Name of the function; default: the first tool of the request.
    pub name: Option<String>,
    /// Arguments; default: a value made from the schema of the tool. A text is sent verbatim, so it may be broken
    /// JSON.
    pub arguments: Option<Value>,
}

/// How an answer is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
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

    /// A model that makes these calls, one list in each answer, then answers about the last results.
    #[must_use]
    pub fn tool_turns(turns: impl IntoIterator<Item = Vec<(&'static str, Value)>>) -> Self {
        let call = |(name, arguments): (&str, Value)| ScriptedCall {
            name: Some(name.to_owned()),
            arguments: Some(arguments),
        };
        let turns = turns.into_iter().map(|turn| turn.into_iter().map(call).collect());
        Self {
            tool_turns: turns.collect(),
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
