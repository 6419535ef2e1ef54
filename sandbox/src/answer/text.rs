//! The text of an answer: the one in the script, or one that says what the sandbox is.

use serde_json::json;

use super::sample;
use crate::{
    catalogue::Model,
    rules::request::{Chat, Format},
    script::Script,
};

/// Most characters of the question that the usual answer repeats.
const REPEATED_CHARS: usize = 160;

/// The whole text, before stop sequences and limits.
pub(super) fn text(script: &Script, chat: &Chat, model: &Model) -> String {
    let mut parts: Vec<String> = Vec::new();
    parts.extend(script.text.clone());
    parts.extend(script.words.map(words));
    if script.echo {
        parts.push(format!("The sandbox heard: {}", chat.last_user_text));
    }
    if !parts.is_empty() {
        return parts.join(" ");
    }

    match &chat.format {
        Format::Schema(schema) => return sample::value_from(schema).to_string(),
        Format::Json => return json!({"sandbox": true, "note": "a local service, no model wrote this"}).to_string(),
        Format::Text => {}
    }
    if !chat.tool_results.is_empty() {
        let results: Vec<String> = chat.tool_results.iter().map(|result| quoted(result)).collect();
        return format!(
            "The sandbox, a local service, got back from your tool: {}.",
            results.join(", ")
        );
    }
    if !script.tool_calls.is_empty() {
        return "The sandbox would call a tool now, but the request offers none.".to_owned();
    }
    let question = quoted(&chat.last_user_text);
    format!(
        "This is the sandbox, a local service, not OpenRouter; {} did not write this. You said: {question}.",
        model.id
    )
}

fn quoted(text: &str) -> String {
    let short: String = text.chars().take(REPEATED_CHARS).collect();
    let mark = if short.len() < text.len() { "…" } else { "" };
    format!("“{short}{mark}”")
}

/// Exactly `n_words` words; the first ones say where they come from.
fn words(n_words: usize) -> String {
    const START: &str = "This answer comes from the sandbox, a local service, not OpenRouter; no model wrote it.";
    const FILLER: &str = "Word after word goes by, so that a stream has something to carry, and every run carries \
                          the same words in the same order.";
    let all = START.split(' ').chain(FILLER.split(' ').cycle());
    all.take(n_words).collect::<Vec<_>>().join(" ")
}

/// Cuts `text` at the first stop sequence and at the token limit. Out: that sequence, and whether the limit was hit.
pub(super) fn shorten(mut text: String, chat: &Chat) -> (String, Option<String>, bool) {
    let stops = chat.stop.iter().filter(|stop| !stop.is_empty());
    let first = stops.filter_map(|stop| Some((text.find(stop.as_str())?, stop))).min();
    let stopped_by = first.map(|(end, stop)| {
        text.truncate(end);
        stop.clone()
    });
    let most_chars = chat.max_tokens.map_or(usize::MAX, |tokens| {
        usize::try_from(tokens).unwrap_or(usize::MAX).saturating_mul(4)
    });
    match text.char_indices().nth(most_chars) {
        Some((end, _)) => {
            text.truncate(end);
            (text, None, true)
        }
        None => (text, stopped_by, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_exactly_as_many_words_as_its_script_says() {
        for n_words in [0, 1, 30, 500] {
            assert_eq!(words(n_words).split_whitespace().count(), n_words);
        }
    }

    #[test]
    fn stop_sequences_and_the_token_limit_end_the_text() {
        let chat = |stop: &[&str], max_tokens| Chat {
            stop: stop.iter().map(|stop| (*stop).to_owned()).collect(),
            max_tokens,
            ..Chat::default()
        };
        let shortened = |text: &str, chat: &Chat| shorten(text.to_owned(), chat);
        let b = Some("b".to_owned());
        assert_eq!(shortened("abc", &chat(&["c", "b"], None)), ("a".to_owned(), b, false));
        let expected = ("12345678".to_owned(), None, true);
        assert_eq!(shortened("123456789", &chat(&[], Some(2))), expected);
    }
}
