//! Decides from the words with which an answer ended whether it failed.
//!
//! In: the finish reason, and the provider's own word for it. Out: the error, if it is one. Pure.
//! Services report some failures by such a word alone, and some providers' failures as an ordinary `stop`.

use plugin_api::{Error, ErrorKind};

/// Longest word that is quoted, in characters.
const MAX_WORD_LENGTH: usize = 64;

/// Parts of words for an answer that failed on its way.
const FAILURES: [&str; 9] = [
    "error",
    "fail",
    "abort",
    "cancel",
    "timeout",
    "timed_out",
    "overload",
    "interrupt",
    "unavailable",
];

/// Parts of words for a tool call that the provider could not read: the same request would often fail again.
/// - Source: Gemini's `MALFORMED_FUNCTION_CALL`, `UNEXPECTED_TOOL_CALL` and `TOO_MANY_TOOL_CALLS`.
const BAD_CALLS: [&str; 4] = ["malformed", "unexpected_tool", "too_many_tool", "invalid_tool"];

/// The error for an answer that ended with these words; `None` if they report no failure.
///
/// - In: words without the key; an unknown one is empty.
pub fn failure(reason: &str, native: &str) -> Option<Error> {
    let has = |parts: &[&str]| {
        let is_one = |word: &str| {
            let word = word.to_ascii_lowercase();
            parts.iter().any(|part| word.contains(part))
        };
        // The provider's word is the more exact one.
        [native, reason].into_iter().find(|word| is_one(word))
    };
    if let Some(word) = has(&BAD_CALLS) {
        let message = format!(
            "the provider could not read the model's tool call and ended the answer with `{}`",
            cut(word)
        );
        let mut error = Error::new(ErrorKind::TOOL_CALL, message)
            .with_hint("try again, simplify the tool's schema, or choose a model that is better at tools");
        error.details.retryable = Some(false);
        return Some(error);
    }
    let word = has(&FAILURES)?;
    let own = if word == reason && !native.is_empty() && native != reason {
        format!(" (`{}`)", cut(native))
    } else {
        String::new()
    };
    let message = format!("the provider ended the answer with `{}`{own}", cut(word));
    Some(Error::new(ErrorKind::UNAVAILABLE, message).with_hint("try again, or choose another model"))
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
    fn words_of_failure_are_errors_whoever_says_them() {
        let ordinary = [
            ("stop", ""),
            ("stop", "STOP"),
            ("length", "MAX_TOKENS"),
            ("tool_calls", "tool_use"),
            ("content_filter", "SAFETY"),
            ("", ""),
            ("eos", "end_turn"),
        ];
        for (reason, native) in ordinary {
            assert_eq!(failure(reason, native), None, "{reason} {native}");
        }
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
                "error",
                "MALFORMED_FUNCTION_CALL",
                ErrorKind::TOOL_CALL,
                "the provider could not read the model's tool call and ended the answer with `MALFORMED_FUNCTION_CALL`",
            ),
        ];
        for (reason, native, kind, message) in rows {
            let error = failure(reason, native).expect("a failure");
            assert_eq!((error.kind, &*error.message), (kind, message));
        }
    }
}
