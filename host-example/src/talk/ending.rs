//! Decides how a whole answer ended: complete, cut off, filtered, empty, or for an unknown reason.
//!
//! In: the answer. Out: what to say about its end, and how the program ends if it is unusable. Pure.

use plugin_api::{ChatReply, Done};

use super::media;
use crate::terminal::{Exit, Failure, joined};

/// How an answer ended that is not simply complete.
#[derive(Debug, PartialEq)]
pub struct Ending {
    message: String,
    hint: &'static str,
    exit: Exit,
}

/// What a finish reason says.
#[derive(Clone, Copy, PartialEq)]
enum Reason {
    Complete,
    Calls,
    Length,
    Filtered,
    Unknown,
}

/// The words for each reason, in lower case: those of the protocol, and those of providers.
const WORDS: [(Reason, &[&str]); 4] = [
    (
        Reason::Complete,
        &["", "stop", "end_turn", "stop_sequence", "eos", "eos_token", "completed"],
    ),
    (Reason::Calls, &["tool_calls", "function_call", "tool_use"]),
    (
        Reason::Length,
        &[
            "length",
            "max_tokens",
            "max_output_tokens",
            "model_length",
            "model_context_window_exceeded",
        ],
    ),
    (
        Reason::Filtered,
        &[
            "content_filter",
            "content_filtered",
            "refusal",
            "safety",
            "image_safety",
            "recitation",
            "blocklist",
            "prohibited_content",
            "spii",
            "guardrail_intervened",
        ],
    ),
];

impl Reason {
    fn of(word: &str) -> Self {
        let word = word.trim().to_ascii_lowercase().replace('-', "_");
        let known = WORDS.iter().find(|(_, words)| words.contains(&word.as_str()));
        known.map_or(Self::Unknown, |(reason, _)| *reason)
    }

    /// The provider's own word is the more exact one, but only some of those words are known.
    fn of_answer(done: &Done) -> Self {
        let reason = Self::of(&done.finish_reason);
        let native = Self::of(done.native_finish_reason.as_deref().unwrap_or_default());
        match (reason, native) {
            (Self::Complete | Self::Unknown, Self::Length | Self::Filtered) => native,
            _ => reason,
        }
    }
}

/// Whether the answer has a text, a tool call, a picture or a sound.
pub fn is_usable(reply: &ChatReply) -> bool {
    !reply.text.trim().is_empty() || !reply.tool_calls.is_empty() || media::has_any(&reply.done)
}

/// What to say about the end of an answer; `None` if it is complete.
pub fn ending(reply: &ChatReply) -> Option<Ending> {
    let done = &reply.done;
    let reason = Reason::of_answer(done);
    let is_usable = is_usable(reply);
    let (what, hint, exit) = match reason {
        Reason::Length => (
            "reached its token limit",
            "allow more with `--max-tokens N`, or less reasoning with `--effort low`",
            Exit::Refused,
        ),
        Reason::Filtered => (
            "was stopped by a content filter",
            "change the prompt, or choose another model",
            Exit::Refused,
        ),
        Reason::Unknown => (
            "ended for an unknown reason",
            "check that it is complete; if not, try again, or choose another model",
            Exit::Transient,
        ),
        Reason::Calls if reply.tool_calls.is_empty() => (
            "ended to call a tool, but has no tool call",
            "try again, or choose a model that is better at tools",
            Exit::Transient,
        ),
        Reason::Complete if !is_usable => ("is empty", "try again, or choose another model", Exit::Transient),
        Reason::Complete | Reason::Calls => return None,
    };
    let nothing = match (is_usable, reason) {
        (false, Reason::Length | Reason::Filtered | Reason::Unknown) => " before it had any text",
        _ => "",
    };
    Some(Ending {
        message: format!("the answer {what}{nothing}{}{}", words(done), spent_on(done)),
        hint,
        exit,
    })
}

/// What to say about tool calls that are not run; `None` if the answer has none.
pub fn calls(reply: &ChatReply) -> Option<Ending> {
    let mut names: Vec<String> = reply.tool_calls.iter().map(|call| format!("`{}`", call.name)).collect();
    names.dedup();
    (!names.is_empty()).then(|| Ending {
        message: format!("the answer calls {}, but `chat` runs no tools", joined(names, "and")),
        hint: "use `agent-host agent` for its built-in tools, or `agent-host chat --json` to get the calls",
        exit: Exit::Usage,
    })
}

/// ` (finish reason `length`, the provider's `MAX_TOKENS`)`
fn words(done: &Done) -> String {
    let native = done.native_finish_reason.as_deref().unwrap_or_default();
    match (done.finish_reason.as_str(), native) {
        ("", "") => String::new(),
        (reason, native) if native.is_empty() || native == reason => format!(" (finish reason `{reason}`)"),
        (reason, native) => format!(" (finish reason `{reason}`, the provider's `{native}`)"),
    }
}

/// `; 180 of its 200 tokens went into reasoning`
fn spent_on(done: &Done) -> String {
    let Some(usage) = &done.usage else {
        return String::new();
    };
    match usage.reasoning_tokens {
        Some(reasoning @ 1..) => {
            let all = usage.completion_tokens;
            format!("; {reasoning} of its {all} tokens went into reasoning")
        }
        _ => String::new(),
    }
}

impl Ending {
    /// The failure of an unusable answer.
    pub fn failure(&self) -> Failure {
        Failure::new(self.exit, self.message.as_str()).with_hint(self.hint)
    }

    /// The line below an answer that is usable anyway.
    pub fn warning(&self) -> String {
        format!("warning: {}; {}", self.message, self.hint)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn reply(reason: &str, native: Option<&str>, more: Value) -> ChatReply {
        let mut reply = json!({"done": {"finish_reason": reason, "native_finish_reason": native, "duration_ms": 1}});
        for (name, value) in more.as_object().into_iter().flatten() {
            match name.as_str() {
                "usage" | "extras" => reply["done"][name] = value.clone(),
                _ => reply[name] = value.clone(),
            }
        }
        serde_json::from_value(reply).expect("an answer")
    }

    #[test]
    fn an_answer_that_is_complete_and_has_something_is_not_remarked_on() {
        let call = json!({"tool_calls": [{"id": "1", "name": "clock", "arguments": "{}"}]});
        let picture = json!({"extras": {"images": [{"image_url": {"url": "https://example.com/a.png"}}]}});
        for (reason, native, more) in [
            ("stop", None, json!({"text": "Hi"})),
            ("stop", Some("STOP"), json!({"text": "Hi"})),
            ("stop", Some("some_new_word"), json!({"text": "Hi"})),
            ("", None, json!({"text": "Hi"})),
            ("end_turn", None, json!({"text": "Hi"})),
            ("tool_calls", Some("tool_use"), call.clone()),
            ("stop", None, call),
            ("stop", None, picture),
        ] {
            assert_eq!(ending(&reply(reason, native, more.clone())), None, "{reason} {more}");
        }
    }

    #[test]
    fn every_other_end_is_named_and_is_a_failure_only_without_anything_of_use() {
        let nothing = json!({});
        let text = json!({"text": "Hi"});
        let thoughts = json!({"usage": {"completion_tokens": 200, "reasoning_tokens": 180}});
        for (reason, native, more, message, exit) in [
            (
                "length",
                Some("MAX_TOKENS"),
                &thoughts,
                "the answer reached its token limit before it had any text (finish reason `length`, the provider's \
                 `MAX_TOKENS`); 180 of its 200 tokens went into reasoning",
                Exit::Refused,
            ),
            (
                "length",
                None,
                &text,
                "the answer reached its token limit (finish reason `length`)",
                Exit::Refused,
            ),
            (
                "stop",
                Some("SAFETY"),
                &text,
                "the answer was stopped by a content filter (finish reason `stop`, the provider's `SAFETY`)",
                Exit::Refused,
            ),
            (
                "content-filter",
                None,
                &nothing,
                "the answer was stopped by a content filter before it had any text (finish reason `content-filter`)",
                Exit::Refused,
            ),
            (
                "stop",
                Some("STOP"),
                &nothing,
                "the answer is empty (finish reason `stop`, the provider's `STOP`)",
                Exit::Transient,
            ),
            ("", None, &nothing, "the answer is empty", Exit::Transient),
            (
                "pondering",
                None,
                &text,
                "the answer ended for an unknown reason (finish reason `pondering`)",
                Exit::Transient,
            ),
            (
                "tool_calls",
                None,
                &text,
                "the answer ended to call a tool, but has no tool call (finish reason `tool_calls`)",
                Exit::Transient,
            ),
        ] {
            let reply = reply(reason, native, more.clone());
            let ending = ending(&reply).expect("it is remarked on");
            assert_eq!((ending.message.as_str(), ending.exit), (message, exit));
            assert_eq!(is_usable(&reply), more == &text);
        }
    }
}
