//! Cuts an answer into the frames of an event stream, with the silences and failures of its script.
//!
//! Pure: out comes a list of [`Step`]s, and [`crate::server`] is where one waits. A frame is `data: …` with the
//! blank line after it.

use std::{iter, time::Duration};

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{
    reply::{Answer, CREATED_S, Served, reasoning_details},
    script::{Empty, Script},
};

/// The comment that keeps a connection alive.
pub(crate) const COMMENT: &str = ": OPENROUTER PROCESSING\n\n";
/// Shortest wait between two comments of an endless row.
const LEAST_COMMENT_GAP: Duration = Duration::from_millis(10);
/// Most pieces that the arguments of a tool call are cut into.
const CALL_PIECES: usize = 4;

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

#[derive(Serialize)]
struct Chunk<'a> {
    id: &'a str,
    provider: &'a str,
    model: &'a str,
    object: &'static str,
    created: u64,
    choices: &'a [Choice],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<&'a Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    openrouter_metadata: Option<&'a Value>,
}

#[derive(Serialize)]
struct Choice {
    index: u32,
    delta: Delta,
    finish_reason: Option<String>,
    native_finish_reason: Option<String>,
    logprobs: Option<Value>,
}

#[derive(Default, Serialize)]
struct Delta {
    role: &'static str,
    content: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_details: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<Value>,
}

/// The steps that stream `answer`.
pub(crate) fn steps_from(script: &Script, answer: &Answer, usage: &Map<String, Value>, served: &Served) -> Vec<Step> {
    let mut steps = vec![Step::Text(Bytes::from_static(COMMENT.as_bytes())); script.comments as usize];
    if script.start_delay_ms > 0 {
        steps.push(Step::Wait(Duration::from_millis(script.start_delay_ms)));
    }
    if script.comments_forever && script.stall_after_chunks.is_none() {
        steps.push(comment_forever(script));
        return steps;
    }
    let chunk = |choices: &[Choice]| Step::Data(frame_from(served, choices, None, None));
    if script.empty != Some(Empty::Choices) {
        let content = if script.empty.is_some() {
            None
        } else {
            Some(String::new())
        };
        steps.push(chunk(&[choice(Delta {
            content,
            ..Delta::opening()
        })]));
    }

    for (n, delta) in iter::once(None).chain(deltas(script, answer).map(Some)).enumerate() {
        // Turn `n` comes after `n` pieces; the first has no piece before it.
        if let Some(delta) = delta {
            if n > 1 {
                if script.chunk_delay_ms > 0 {
                    steps.push(Step::Wait(Duration::from_millis(script.chunk_delay_ms)));
                }
                let comment = Step::Text(Bytes::from_static(COMMENT.as_bytes()));
                steps.extend(iter::repeat_n(comment, script.comments_between as usize));
            }
            steps.push(chunk(&[choice(delta)]));
        }
        if script.stall_after_chunks == Some(n) {
            steps.push(if script.comments_forever {
                comment_forever(script)
            } else {
                Step::Stall
            });
            return steps;
        }
        if script.cut_after_chunks == Some(n) {
            steps.extend(script.cut_abruptly.then_some(Step::Abort));
            return steps;
        }
        if script.fail_after_chunks == Some(n) {
            steps.push(Step::Data(failing_frame(script, served)));
            return steps;
        }
    }

    if !script.omit_finish_reason && script.empty != Some(Empty::Choices) {
        let last = Choice {
            finish_reason: Some(answer.finish_reason.clone()),
            native_finish_reason: Some(answer.native_finish_reason.clone()),
            ..choice(Delta {
                content: Some(String::new()),
                ..Delta::opening()
            })
        };
        steps.push(chunk(&[last]));
    }
    steps.push(Step::Data(frame_from(served, &[], Some(usage), None)));
    if !script.omit_done {
        steps.push(Step::Text(Bytes::from_static(b"data: [DONE]\n\n")));
    }
    steps
}

fn comment_forever(script: &Script) -> Step {
    Step::CommentForever(Duration::from_millis(script.chunk_delay_ms).max(LEAST_COMMENT_GAP))
}

fn failing_frame(script: &Script, served: &Served) -> Bytes {
    let choice = Choice {
        finish_reason: Some("error".to_owned()),
        native_finish_reason: Some("error".to_owned()),
        ..choice(Delta {
            content: Some(String::new()),
            ..Delta::opening()
        })
    };
    frame_from(served, &[choice], None, Some(script.late_failure().error_object()))
}

impl Delta {
    fn opening() -> Self {
        Self {
            role: "assistant",
            ..Self::default()
        }
    }
}

fn choice(delta: Delta) -> Choice {
    Choice {
        index: 0,
        delta,
        finish_reason: None,
        native_finish_reason: None,
        logprobs: None,
    }
}

/// The pieces of the answer: reasoning, then text or tool calls.
fn deltas(script: &Script, answer: &Answer) -> impl Iterator<Item = Delta> {
    let reasoning = answer.reasoning.as_deref().unwrap_or_default();
    let reasoning = pieces(reasoning, script.chunk_chars).map(|piece| Delta {
        content: Some(String::new()),
        reasoning_details: Some(reasoning_details(piece)),
        reasoning: Some(piece.to_owned()),
        ..Delta::opening()
    });
    let text = pieces(&answer.text, script.chunk_chars).map(|piece| Delta {
        content: Some(piece.to_owned()),
        ..Delta::opening()
    });
    let calls = answer.calls.iter().enumerate().flat_map(|(n, call)| {
        let head = json!([{
            "index": n, "id": call.id, "type": "function", "function": {"name": call.name, "arguments": ""},
        }]);
        let chars = call.arguments.chars().count().div_ceil(CALL_PIECES).max(1);
        let tail = pieces(&call.arguments, Some(chars))
            .map(move |piece| json!([{"index": n, "type": "function", "function": {"arguments": piece}}]));
        iter::once(head).chain(tail)
    });
    let calls = calls.map(|calls| Delta {
        tool_calls: Some(calls),
        ..Delta::opening()
    });
    reasoning.chain(text).chain(calls)
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

fn frame_from(served: &Served, choices: &[Choice], usage: Option<&Map<String, Value>>, error: Option<Value>) -> Bytes {
    let metadata = if usage.is_some() {
        served.metadata.as_ref()
    } else {
        None
    };
    let chunk = Chunk {
        id: &served.id,
        provider: &served.provider,
        model: &served.model_id,
        object: "chat.completion.chunk",
        created: CREATED_S,
        choices,
        usage,
        error,
        openrouter_metadata: metadata,
    };
    let mut frame = Vec::with_capacity(320);
    frame.extend_from_slice(b"data: ");
    serde_json::to_writer(&mut frame, &chunk).expect("a chunk has text keys only, and a vector takes every write");
    frame.extend_from_slice(b"\n\n");
    Bytes::from(frame)
}

/// The JSON in a data frame.
pub(crate) fn json_from(frame: &[u8]) -> Value {
    let text = frame.strip_prefix(b"data: ").unwrap_or(frame);
    serde_json::from_slice(text).unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{catalogue::find, reply::Call};

    fn play(script: &Script, answer: &Answer) -> Vec<Step> {
        let served = Served {
            id: "gen-sandbox-000001".to_owned(),
            model_id: "openai/gpt-4o".to_owned(),
            provider: "Sandbox".to_owned(),
            model: find("openai/gpt-4o").expect("in the catalogue"),
            metadata: None,
        };
        steps_from(script, answer, &Map::new(), &served)
    }

    fn said(text: &str) -> Answer {
        Answer {
            text: text.to_owned(),
            finish_reason: "stop".to_owned(),
            native_finish_reason: "stop".to_owned(),
            ..Answer::default()
        }
    }

    fn data(steps: &[Step]) -> Vec<Value> {
        let json = |step: &Step| match step {
            Step::Data(frame) => Some(json_from(frame)),
            _ => None,
        };
        steps.iter().filter_map(json).collect()
    }

    #[test]
    fn a_stream_is_role_pieces_finish_reason_usage_and_done() {
        let steps = play(&Script::default(), &said("one two"));
        let chunks = data(&steps);
        let contents: Vec<&Value> = chunks
            .iter()
            .map(|chunk| &chunk["choices"][0]["delta"]["content"])
            .collect();
        assert_eq!(
            contents,
            [&json!(""), &json!("one"), &json!(" two"), &json!(""), &Value::Null]
        );
        assert_eq!(chunks[3]["choices"][0]["finish_reason"], json!("stop"));
        assert_eq!(
            (&chunks[4]["choices"], chunks[4].get("usage").is_some()),
            (&json!([]), true)
        );
        assert_eq!(steps.last(), Some(&Step::Text(Bytes::from_static(b"data: [DONE]\n\n"))));
    }

    #[test]
    fn pieces_give_the_text_back() {
        for text in ["", "a", " a  b\nc ", "äöü 日本語", "   "] {
            for chars in [None, Some(0), Some(1), Some(3)] {
                assert_eq!(pieces(text, chars).collect::<String>(), text, "{text:?} {chars:?}");
            }
        }
    }

    #[test]
    fn a_failure_in_the_middle_ends_the_stream() {
        let steps = play(
            &Script {
                fail_after_chunks: Some(1),
                ..Script::default()
            },
            &said("one two"),
        );
        let chunks = data(&steps);
        assert_eq!(chunks.len(), 3, "role, one piece, the failure");
        assert_eq!(
            chunks[2]["error"]["metadata"]["error_type"],
            json!("provider_unavailable")
        );
        assert_eq!(chunks[2]["choices"][0]["finish_reason"], json!("error"));
        assert!(matches!(steps.last(), Some(Step::Data(_))));
    }

    #[test]
    fn a_stall_before_the_first_piece_leaves_the_role_only() {
        let steps = play(
            &Script {
                stall_after_chunks: Some(0),
                ..Script::default()
            },
            &said("one"),
        );
        assert_eq!((steps.len(), steps.last()), (2, Some(&Step::Stall)));
    }

    #[test]
    fn a_tool_call_comes_in_several_pieces_which_join_to_its_arguments() {
        let arguments = r#"{"city":"Paris"}"#;
        let call = Call {
            id: "c".to_owned(),
            name: "weather".to_owned(),
            arguments: arguments.to_owned(),
        };
        let chunks = data(&play(
            &Script::default(),
            &Answer {
                calls: vec![call],
                ..said("")
            },
        ));
        let functions: Vec<&Value> = chunks
            .iter()
            .map(|chunk| &chunk["choices"][0]["delta"]["tool_calls"][0]["function"])
            .collect();
        let joined: String = functions
            .iter()
            .filter_map(|function| function["arguments"].as_str())
            .collect();
        let n_names = functions.iter().filter(|function| function["name"].is_string()).count();
        assert_eq!((joined.as_str(), n_names), (arguments, 1));
    }

    #[test]
    fn comments_stand_before_the_first_chunk_and_between_the_pieces() {
        let steps = play(
            &Script {
                comments: 2,
                comments_between: 1,
                ..Script::default()
            },
            &said("one two"),
        );
        let kinds: String = steps
            .iter()
            .map(|step| if matches!(step, Step::Data(_)) { 'd' } else { 't' })
            .collect();
        assert_eq!(kinds, "ttddtdddt");
    }
}
