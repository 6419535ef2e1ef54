//! Joins the frames of an answer with the waits, comments and failures that its script sets.
//!
//! Pure: frames in, a list of [`Step`]s out; [`crate::server`] does the waiting. Each form makes its own frames. A
//! frame ends with a blank line.

use std::{iter, time::Duration};

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::script::Script;

/// The keep-alive comment.
pub(crate) const COMMENT: &str = ": OPENROUTER PROCESSING\n\n";
/// The usual end of a stream.
pub(crate) const DONE: &str = "data: [DONE]\n\n";
/// Shortest wait between endless comments.
const LEAST_COMMENT_GAP: Duration = Duration::from_millis(10);

/// What to do next with a stream.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    /// Write this frame, which holds JSON.
    Data(Bytes),
    /// Write this text, which holds none.
    Text(Bytes),
    Wait(Duration),
    /// Go silent, with the connection open.
    Stall,
    /// Break the connection.
    Abort,
    /// Write a comment after each such wait, forever.
    CommentForever(Duration),
}

/// One frame between the opening and the closing ones.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Part {
    /// A piece of the answer; scripts count these and wait between them.
    Piece(Bytes),
    /// Opens or closes an item or a block.
    Around(Bytes),
}

/// The frames of a whole stream.
pub(crate) struct Frames<B> {
    pub(crate) opening: Vec<Bytes>,
    pub(crate) body: B,
    pub(crate) closing: Vec<Bytes>,
    /// What replaces the rest after [`Script::fail_after_chunks`] pieces.
    pub(crate) failing: Vec<Bytes>,
    /// The end of the stream, which holds no JSON.
    pub(crate) done: Option<&'static str>,
}

/// The steps that stream `frames` as `script` sets.
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

/// How the script ends the stream after `n_pieces`, if it does.
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

/// A frame with `value` and the members of `extra`, and with an event name if there is one.
pub(crate) fn event_frame(event: Option<&str>, mut value: Value, extra: &Map<String, Value>) -> Bytes {
    add_extra(&mut value, extra);
    let mut frame = String::with_capacity(256);
    if let Some(event) = event {
        frame.push_str(&format!("event: {event}\n"));
    }
    frame.push_str(&format!("data: {value}\n\n"));
    Bytes::from(frame)
}

/// Adds the members of `extra` that `value` lacks.
pub(crate) fn add_extra(value: &mut Value, extra: &Map<String, Value>) {
    let Value::Object(members) = value else {
        return;
    };
    for (name, added) in extra {
        members.entry(name.clone()).or_insert_with(|| added.clone());
    }
}

/// The JSON of a data frame, or of a body.
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
    fn only_pieces_count_for_a_cut() {
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
    fn json_is_read_back_from_every_kind_of_frame() {
        let extra = Map::from_iter([("a".to_owned(), json!(2)), ("b".to_owned(), json!(3))]);
        for event in [None, Some("x")] {
            let frame = event_frame(event, json!({"a": 1}), &extra);
            assert_eq!(json_from(&frame), json!({"a": 1, "b": 3}));
        }
        assert_eq!(json_from(b"{}"), json!({}));
        assert_eq!(json_from(b"event: x"), Value::Null);
    }
}
