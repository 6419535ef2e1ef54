//! Decides from the words with which an answer ended how it ended.
//!
//! In: the finish reason, and the provider's own word for it. Out: the finish reason that fits both, and whether the
//! answer failed, must call tools, or may lack its end. Pure.
//! Services report some failures by such a word alone, and some providers' failures as an ordinary `stop`.

use plugin_api::{Error, ErrorKind};

/// Longest word that is quoted, in characters.
const MAX_WORD_LENGTH: usize = 64;

/// How an answer ended.
#[derive(Debug, PartialEq)]
pub enum Ending {
    /// It is complete.
    Whole,
    /// It ended in order to call tools.
    Calls,
    /// Its end may be missing, for a limit, a filter, or a reason that is not known.
    Short,
    Failed(Box<Error>),
}

/// Parts of words for a tool call that the provider could not read: the same request would often fail again.
/// - Source: Gemini's `FinishReason`, such as `MALFORMED_FUNCTION_CALL` and `UNEXPECTED_TOOL_CALL`.
const BAD_CALLS: [&str; 5] = [
    "malformed_function",
    "malformed_tool",
    "unexpected_tool",
    "too_many_tool",
    "invalid_tool",
];

/// Parts of words for a request that would fail again. Source: the same.
const REFUSALS: [&str; 1] = ["missing_thought_signature"];

/// Parts of words for an answer that failed on its way.
const FAILURES: [&str; 17] = [
    "error",
    "fail",
    "abort",
    "cancel",
    "timeout",
    "timed_out",
    "overload",
    "interrupt",
    "unavailable",
    "malformed",
    "insufficient",
    "preempt",
    "crash",
    "busy",
    "rate_limit",
    "exhausted",
    "disconnect",
];

/// Parts of words of providers for a limit, and for a filter.
const LIMITS: [&str; 5] = ["length", "max_tokens", "max_output", "context_window", "token_limit"];
const FILTERS: [&str; 9] = [
    "filter",
    "safety",
    "recitation",
    "prohibited",
    "blocklist",
    "spii",
    "guardrail",
    "sensitive",
    "refusal",
];

/// Reads how an answer ended.
///
/// - In: words without the key; an unknown one is empty.
/// - Out: the finish reason, corrected where a `stop` hides what the provider says.
pub fn read(reason: &str, native: &str) -> (String, Ending) {
    let (reason_word, native_word) = (reason.to_ascii_lowercase(), native.to_ascii_lowercase());
    let has = |word: &str, parts: &[&str]| parts.iter().any(|part| word.contains(part));
    // The provider's word is the more exact one.
    let said = |parts: &[&str]| {
        let words = [(native, &native_word), (reason, &reason_word)];
        words
            .into_iter()
            .find(|(_, word)| has(word, parts))
            .map(|(said, _)| said)
    };
    if let Some(word) = said(&BAD_CALLS) {
        let word = cut(word);
        let message = format!("the provider could not read the model's tool call and ended the answer with `{word}`");
        let hint = "try again, simplify the tool's schema, or choose a model that is better at tools";
        return (
            reason.to_owned(),
            failed(ErrorKind::TOOL_CALL, message, hint, Some(false)),
        );
    }
    if let Some(word) = said(&REFUSALS) {
        let message = format!("the provider refused the conversation with `{}`", cut(word));
        let hint = "send the members of earlier turns back as they came";
        return (
            reason.to_owned(),
            failed(ErrorKind::INVALID_REQUEST, message, hint, Some(false)),
        );
    }
    if let Some(word) = said(&FAILURES) {
        let is_plain = word == reason && !native.is_empty() && native != reason;
        let own = if is_plain {
            format!(" (`{}`)", cut(native))
        } else {
            String::new()
        };
        let message = format!("the provider ended the answer with `{}`{own}", cut(word));
        let hint = "try again, or choose another model";
        return (reason.to_owned(), failed(ErrorKind::UNAVAILABLE, message, hint, None));
    }
    let is_stop = reason_word == "stop";
    let reason = match reason {
        _ if is_stop && has(&native_word, &LIMITS) => "length",
        _ if is_stop && has(&native_word, &FILTERS) => "content_filter",
        _ => reason,
    };
    let calls = |word: &str| matches!(word, "tool_calls" | "tool_call" | "tool_use" | "function_call");
    let is_whole = |word: &str| {
        matches!(
            word,
            "stop" | "end_turn" | "eos" | "complete" | "stop_sequence" | "finished"
        )
    };
    let ending = if calls(&reason_word) || is_stop && calls(&native_word) {
        Ending::Calls
    } else if is_whole(&reason.to_ascii_lowercase()) {
        Ending::Whole
    } else {
        Ending::Short
    };
    (reason.to_owned(), ending)
}

fn failed(kind: ErrorKind, message: String, hint: &str, retryable: Option<bool>) -> Ending {
    let mut error = Error::new(kind, message).with_hint(hint);
    // As if the service had refused the request before it answered.
    error.details.status = (kind == ErrorKind::INVALID_REQUEST).then_some(400);
    error.details.retryable = retryable;
    Ending::Failed(Box::new(error))
}

/// The first characters of a word, on one line.
fn cut(word: &str) -> String {
    let is_shown = |letter: &char| !letter.is_control();
    word.chars().filter(is_shown).take(MAX_WORD_LENGTH).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_providers_word_decides_where_the_services_hides_it() {
        let rows = [
            ("stop", "", "stop", Ending::Whole),
            ("stop", "STOP", "stop", Ending::Whole),
            ("STOP", "", "STOP", Ending::Whole),
            ("eos", "end_turn", "eos", Ending::Whole),
            ("length", "MAX_TOKENS", "length", Ending::Short),
            ("stop", "MAX_TOKENS", "length", Ending::Short),
            ("stop", "model_context_window_exceeded", "length", Ending::Short),
            ("stop", "RECITATION", "content_filter", Ending::Short),
            ("stop", "guardrail_intervened", "content_filter", Ending::Short),
            ("content_filter", "SAFETY", "content_filter", Ending::Short),
            ("tool_calls", "tool_use", "tool_calls", Ending::Calls),
            ("TOOL_CALL", "", "TOOL_CALL", Ending::Calls),
            ("stop", "tool_use", "stop", Ending::Calls),
            ("later", "", "later", Ending::Short),
        ];
        for (reason, native, corrected, ending) in rows {
            assert_eq!(
                read(reason, native),
                (corrected.to_owned(), ending),
                "{reason} {native}"
            );
        }
    }

    #[test]
    fn words_of_failure_are_errors_whoever_says_them() {
        let unavailable = ErrorKind::UNAVAILABLE;
        let rows = [
            (
                "stop",
                "network_error",
                unavailable,
                "the provider ended the answer with `network_error`",
            ),
            ("error", "", unavailable, "the provider ended the answer with `error`"),
            (
                "error",
                "OTHER",
                unavailable,
                "the provider ended the answer with `error` (`OTHER`)",
            ),
            (
                "abort",
                "abort",
                unavailable,
                "the provider ended the answer with `abort`",
            ),
            (
                "insufficient_system_resource",
                "",
                unavailable,
                "the provider ended the answer with `insufficient_system_resource`",
            ),
            (
                "error",
                "MISSING_THOUGHT_SIGNATURE",
                ErrorKind::INVALID_REQUEST,
                "the provider refused the conversation with `MISSING_THOUGHT_SIGNATURE`",
            ),
            (
                "error",
                "MALFORMED_FUNCTION_CALL",
                ErrorKind::TOOL_CALL,
                "the provider could not read the model's tool call and ended the answer with `MALFORMED_FUNCTION_CALL`",
            ),
        ];
        for (reason, native, kind, message) in rows {
            let (_, Ending::Failed(error)) = read(reason, native) else {
                panic!("{reason} {native} is no failure");
            };
            assert_eq!((error.kind, &*error.message), (kind, message));
        }
    }
}
