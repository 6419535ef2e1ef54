//! Puts the frames of an answer in a row, with the silences and failures of its script between them.
//!
//! Pure: out comes a list of [`Step`]s, and [`crate::server`] is where one waits. Which frames there are is decided
//! by the form: [`crate::forms::chat`] for chat, and its neighbours. A frame ends with a blank line.

use std::{iter, time::Duration};

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::script::Script;

/// The comment that keeps a connection alive.
pub(crate) const COMMENT: &str = ": OPENROUTER PROCESSING\n\n";
/// The usual end of a stream.
pub(crate) const DONE: &str = "data: [DONE]\n\n";
/// Shortest wait between two comments of an endless row.
const LEAST_COMMENT_GAP: Duration = Duration::from_millis(10);

/// What to do next with a stream.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    /// Write this frame; it holds JSON.
    Data(Bytes),
    /// Write this, which holds none.
    Text(Bytes),
    Wait(Duration),
    /// Nothing more, with the connection open.
    Stall,
    /// Break the connection.
    Abort,
    /// Write a comment after each wait, for ever.
    CommentForever(Duration),
}

/// One frame between the opening and the closing ones.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Part {
    /// A piece of the answer: scripts count them, and wait between them.
    Piece(Bytes),
    /// What opens or closes that to which pieces belong.
    Around(Bytes),
}

/// The frames of a whole stream.
pub(crate) struct Frames<B> {
    pub(crate) opening: Vec<Bytes>,
    pub(crate) body: B,
    pub(crate) closing: Vec<Bytes>,
    /// Sent after so many pieces, in place of the rest; of use only with [`Script::fail_after_chunks`].
    pub(crate) failing: Vec<Bytes>,
    /// The last words, which hold no JSON.
    pub(crate) done: Option<&'static str>,
}

/// The steps that stream these frames as `script` wants.
pub(crate) fn steps_from<B: IntoIterator<Item = Part>>(script: &Script, frames: Frames<B>) -> Vec<Step> {
    let mut steps = vec![comment(); script.comments as usize];
    if script.start_delay_ms > 0 {
        steps.push(Step::Wait(Duration::from_millis(script.start_delay_ms)));
    }
    if script.comments_forever && script.stall_after_chunks.is_none() {
        steps.push(comment_forever(script));
        return steps;
    }
    steps.extend(frames.opening.into_iter().map(Step::Data));
    if let Some(end) = end_after(script, 0, &frames.failing) {
        steps.extend(end);
        return steps;
    }

    let mut n_pieces = 0;
    for part in frames.body {
        let piece = match part {
            Part::Around(frame) => {
                steps.push(Step::Data(frame));
                continue;
            }
            Part::Piece(frame) => frame,
        };
        if n_pieces > 0 {
            if script.chunk_delay_ms > 0 {
                steps.push(Step::Wait(Duration::from_millis(script.chunk_delay_ms)));
            }
            steps.extend(iter::repeat_n(comment(), script.comments_between as usize));
        }
        n_pieces += 1;
        steps.push(Step::Data(piece));
        if let Some(end) = end_after(script, n_pieces, &frames.failing) {
            steps.extend(end);
            return steps;
        }
    }

    steps.extend(frames.closing.into_iter().map(Step::Data));
    let done = frames.done.filter(|_| !script.omit_done);
    steps.extend(done.map(|text| Step::Text(Bytes::from_static(text.as_bytes()))));
    steps
}

/// How the script ends a stream after `n_pieces`, if it does.
fn end_after(script: &Script, n_pieces: usize, failing: &[Bytes]) -> Option<Vec<Step>> {
    if script.stall_after_chunks == Some(n_pieces) {
        return Some(vec![if script.comments_forever {
            comment_forever(script)
        } else {
            Step::Stall
        }]);
    }
    if script.cut_after_chunks == Some(n_pieces) {
        return Some(script.cut_abruptly.then_some(Step::Abort).into_iter().collect());
    }
    if script.fail_after_chunks == Some(n_pieces) {
        return Some(failing.iter().cloned().map(Step::Data).collect());
    }
    None
}

fn comment() -> Step {
    Step::Text(Bytes::from_static(COMMENT.as_bytes()))
}

fn comment_forever(script: &Script) -> Step {
    Step::CommentForever(Duration::from_millis(script.chunk_delay_ms).max(LEAST_COMMENT_GAP))
}

/// Cuts `text` into pieces which give it back when joined: of `chars` characters, or of one word each, with the
/// space before it.
pub(crate) fn pieces(text: &str, chars: Option<usize>) -> impl Iterator<Item = &str> {
    let mut rest = text;
    iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = match chars {
            Some(chars) => rest.char_indices().nth(chars.max(1)).map(|(at, _)| at),
            None => rest
                .trim_start()
                .find(char::is_whitespace)
                .map(|at| at + rest.len() - rest.trim_start().len()),
        };
        let (piece, tail) = rest.split_at(end.unwrap_or(rest.len()));
        rest = tail;
        Some(piece)
    })
}

/// Cuts `text` into at most `most` pieces of the same number of characters, a multiple of `step`.
pub(crate) fn few_pieces(text: &str, most: usize, step: usize) -> impl Iterator<Item = &str> {
    let chars = text.chars().count().div_ceil(most.max(1));
    pieces(text, Some(chars.next_multiple_of(step.max(1)).max(1)))
}

/// A frame with `value`, and with the name of its event if it has one.
///
/// - In: `extra` is added at the top of an object, where it replaces nothing.
pub(crate) fn event_frame(event: Option<&str>, mut value: Value, extra: &Map<String, Value>) -> Bytes {
    add_extra(&mut value, extra);
    let mut frame = String::with_capacity(256);
    if let Some(event) = event {
        frame.push_str(&format!("event: {event}\n"));
    }
    frame.push_str(&format!("data: {value}\n\n"));
    Bytes::from(frame)
}

/// Adds the members of `extra` that `value` has not.
pub(crate) fn add_extra(value: &mut Value, extra: &Map<String, Value>) {
    let Value::Object(members) = value else {
        return;
    };
    for (name, added) in extra {
        members.entry(name.clone()).or_insert_with(|| added.clone());
    }
}

/// The JSON in a data frame, or in a body that is nothing else.
pub(crate) fn json_from(frame: &[u8]) -> Value {
    let text = match frame.strip_prefix(b"event: ") {
        Some(named) => {
            let end = named.iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            &named[end..]
        }
        None => frame,
    };
    let text = text.strip_prefix(b"data: ").unwrap_or(text);
    serde_json::from_slice(text).unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pieces_give_the_text_back() {
        for text in ["", "a", " a  b\nc ", "äöü 日本語", "   "] {
            for chars in [None, Some(0), Some(1), Some(3)] {
                assert_eq!(pieces(text, chars).collect::<String>(), text, "{text:?} {chars:?}");
            }
            assert_eq!(few_pieces(text, 4, 4).collect::<String>(), text, "{text:?}");
        }
        assert_eq!(few_pieces("123456789", 2, 4).collect::<Vec<_>>(), ["12345678", "9"]);
    }

    #[test]
    fn what_stands_around_pieces_is_not_counted() {
        let script = Script {
            cut_after_chunks: Some(2),
            chunk_delay_ms: 5,
            ..Script::default()
        };
        let frames = Frames {
            opening: vec![Bytes::from_static(b"open")],
            body: [
                Part::Around(Bytes::from_static(b"begin")),
                Part::Piece(Bytes::from_static(b"one")),
                Part::Around(Bytes::from_static(b"end")),
                Part::Piece(Bytes::from_static(b"two")),
                Part::Piece(Bytes::from_static(b"three")),
            ],
            closing: vec![Bytes::from_static(b"close")],
            failing: Vec::new(),
            done: Some(DONE),
        };
        let data = |text: &'static str| Step::Data(Bytes::from_static(text.as_bytes()));
        let wait = Step::Wait(Duration::from_millis(5));
        let steps = [data("open"), data("begin"), data("one"), data("end"), wait, data("two")];
        assert_eq!(steps_from(&script, frames), steps);
    }

    #[test]
    fn the_json_is_found_in_every_kind_of_frame() {
        let extra = Map::from_iter([("a".to_owned(), json!(2)), ("b".to_owned(), json!(3))]);
        for event in [None, Some("x")] {
            let frame = event_frame(event, json!({"a": 1}), &extra);
            assert_eq!(json_from(&frame), json!({"a": 1, "b": 3}));
        }
        assert_eq!(json_from(b"{}"), json!({}));
        assert_eq!(json_from(b"event: x"), Value::Null);
    }
}
