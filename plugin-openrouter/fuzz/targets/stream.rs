//! Fuzzes the stream reader: a stream gives the same events whole and in pieces, without panics or excessive memory.
//!
//! Every input is a stream, so the golden streams serve as a corpus unchanged.
//! Its last bytes also set the lengths of the pieces; after a `[DONE]` they have no other meaning.

#![no_main]

use libfuzzer_sys::fuzz_target;
use plugin_api::ChatEvent;
use plugin_openrouter::golden::{Pace, Played, play};

/// Number of bytes at the end of an input that set the lengths of its pieces.
const CUTS: usize = 8;

/// Bytes that an answer may hold beyond the stream's text: ids, notices and so on.
const SLACK_BYTES: usize = 1024;

fuzz_target!(|stream: &[u8]| {
    let whole = play([stream], Pace::AtOnce);
    let pace = if stream.len() % 2 == 0 {
        Pace::AtOnce
    } else {
        Pace::Late
    };
    assert!(play(pieces(stream), pace) == whole, "the events depend on the pieces");
    check(&whole, stream.len());
});

/// The stream, cut into pieces; some are empty, but never two in a row.
fn pieces(stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = stream;
    let mut lengths = stream[stream.len().saturating_sub(CUTS)..].iter().cycle();
    let mut was_empty = false;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let length = usize::from(lengths.next()? % 64).max(usize::from(was_empty));
        let (piece, after) = rest.split_at(length.min(rest.len()));
        was_empty = piece.is_empty();
        rest = after;
        Some(piece)
    })
}

/// Checks the properties of every answer.
fn check(played: &Played, stream_bytes: usize) {
    let ends = played
        .events
        .iter()
        .filter(|event| matches!(event, ChatEvent::Done(_)))
        .count();
    let is_last = matches!(played.events.last(), Some(ChatEvent::Done(_)));
    let is_whole = played.error.is_none();
    assert!(
        is_whole == is_last && ends == usize::from(is_whole),
        "an answer ends with one `Done` or with an error"
    );
    if let Some(error) = &played.error {
        let partial_text = error.details.partial_text.as_deref().unwrap_or_default();
        assert!(partial_text == played.text(), "an error keeps the text");
    }
    let held_bytes: usize = played.events.iter().map(held_bytes).sum();
    // An invalid byte becomes U+FFFD, which takes three.
    assert!(
        held_bytes <= 3 * stream_bytes + SLACK_BYTES,
        "events hold more than was sent"
    );
    assert!(played.events.len() <= stream_bytes + 2, "more events than bytes");
}

fn held_bytes(event: &ChatEvent) -> usize {
    match event {
        ChatEvent::Text(text) | ChatEvent::Reasoning(text) | ChatEvent::KeepAlive(text) => text.len(),
        ChatEvent::ToolCall(call) => call.id.len() + call.name.len() + call.arguments.len(),
        _ => 0,
    }
}
