//! Cuts an answer into the chunks of chat, the form that the service was made for.
//!
//! Pure: an answer in, the frames of [`crate::forms::stream`] out. Chunks are written without a [`Value`] in between, for
//! this is what is measured when a stream has to be fast.

use std::iter;

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{
    answer::reasoning,
    answer::{CREATED_S, Served, Turn},
    forms::stream::{DONE, Frames, Part, Step, few_pieces, pieces, steps_from as steps},
    script::{Empty, Script},
};

/// Most pieces that the arguments of a tool call, and the parts of audio, are cut into.
const FEW: usize = 4;
/// The members of a chunk, which no extra one replaces.
const MEMBERS: [&str; 9] = [
    "id",
    "provider",
    "model",
    "object",
    "created",
    "choices",
    "usage",
    "error",
    "openrouter_metadata",
];

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
    #[serde(flatten)]
    extra: &'a Map<String, Value>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    images: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    audio: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<Value>,
}

/// The steps that stream the answer of `turn`.
pub(crate) fn steps_from(turn: &Turn<'_>) -> Vec<Step> {
    let Turn {
        script, answer, served, ..
    } = turn;
    let extra: Map<String, Value> = script
        .extra
        .iter()
        .filter(|(name, _)| !MEMBERS.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let writer = Writer { served, extra: &extra };
    let role_only = || Delta {
        content: Some(String::new()),
        ..Delta::opening()
    };
    let has_choices = script.empty != Some(Empty::Choices);

    let mut opening = Vec::new();
    if has_choices {
        let content = script.empty.is_none().then(String::new);
        opening.push(writer.chunk(choice(Delta {
            content,
            ..Delta::opening()
        })));
    }
    let mut closing = Vec::new();
    if !script.omit_finish_reason && has_choices {
        closing.push(writer.chunk(Choice {
            finish_reason: Some(answer.finish_reason.clone()),
            native_finish_reason: Some(answer.native_finish_reason.clone()),
            ..choice(role_only())
        }));
    }
    closing.push(writer.frame(&[], Some(turn.usage), None));
    let mut failing = Vec::new();
    if script.fail_after_chunks.is_some() {
        let last = Choice {
            finish_reason: Some("error".to_owned()),
            native_finish_reason: Some("error".to_owned()),
            ..choice(role_only())
        };
        failing.push(writer.frame(&[last], None, Some(script.late_failure().error_object())));
    }

    let frames = Frames {
        opening,
        body: deltas(script, turn).map(|delta| Part::Piece(writer.chunk(choice(delta)))),
        closing,
        failing,
        done: Some(DONE),
    };
    steps(script, frames)
}

impl Delta {
    fn opening() -> Self {
        Self {
            role: "assistant",
            ..Self::default()
        }
    }

    /// A delta that brings something else than content.
    fn beside() -> Self {
        Self {
            content: Some(String::new()),
            ..Self::opening()
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

/// The pieces of the answer: reasoning, then text with what belongs to it, or tool calls.
fn deltas<'a>(script: &'a Script, turn: &'a Turn<'_>) -> impl Iterator<Item = Delta> + 'a {
    let answer = turn.answer;
    let reasoning = reasoning::pieces_of(script, &answer.details)
        .into_iter()
        .map(|(text, detail)| Delta {
            reasoning_details: Some(json!([detail])),
            reasoning: text,
            ..Delta::beside()
        });
    let text = pieces(&answer.text, script.chunk_chars).map(|piece| Delta {
        content: Some(piece.to_owned()),
        ..Delta::opening()
    });
    let images = answer.images.iter().map(|image| Delta {
        images: Some(json!([image])),
        ..Delta::beside()
    });
    let audio = answer.audio.iter().flat_map(audio_pieces).map(|audio| Delta {
        audio: Some(audio),
        ..Delta::beside()
    });
    let annotations = (!answer.annotations.is_empty()).then(|| Delta {
        annotations: Some(json!(answer.annotations)),
        ..Delta::beside()
    });
    let calls = answer.calls.iter().enumerate().flat_map(|(n, call)| {
        let head = json!([{
            "index": n, "id": call.id, "type": "function", "function": {"name": call.name, "arguments": ""},
        }]);
        let tail = few_pieces(&call.arguments, FEW, 1)
            .map(move |piece| json!([{"index": n, "type": "function", "function": {"arguments": piece}}]));
        iter::once(head).chain(tail)
    });
    let calls = calls.map(|calls| Delta {
        tool_calls: Some(calls),
        ..Delta::opening()
    });
    reasoning
        .chain(text)
        .chain(images)
        .chain(audio)
        .chain(annotations)
        .chain(calls)
}

/// The audio in pieces: what says which it is, then what it says and how it sounds, then the rest.
fn audio_pieces(audio: &Map<String, Value>) -> Vec<Value> {
    let mut all = Vec::new();
    let mut rest = audio.clone();
    all.extend(rest.remove("id").map(|id| json!({"id": id})));
    for name in ["transcript", "data"] {
        if let Some(Value::String(text)) = rest.get(name) {
            // Four characters of base64 are three bytes, so that each piece can be decoded by itself.
            all.extend(few_pieces(text, FEW, 4).map(|piece| json!({name: piece})));
            rest.remove(name);
        }
    }
    if !rest.is_empty() {
        all.push(Value::Object(rest));
    }
    all
}

/// What every chunk of a stream has in common.
struct Writer<'a> {
    served: &'a Served,
    extra: &'a Map<String, Value>,
}

impl Writer<'_> {
    fn chunk(&self, choice: Choice) -> Bytes {
        self.frame(&[choice], None, None)
    }

    fn frame(&self, choices: &[Choice], usage: Option<&Map<String, Value>>, error: Option<Value>) -> Bytes {
        let served = self.served;
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
            extra: self.extra,
        };
        let mut frame = Vec::with_capacity(320);
        frame.extend_from_slice(b"data: ");
        serde_json::to_writer(&mut frame, &chunk).expect("a chunk has text keys only, and a vector takes every write");
        frame.extend_from_slice(b"\n\n");
        Bytes::from(frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        answer::{Answer, Call},
        catalogue::find,
        forms::stream::json_from,
    };

    fn play(script: &Script, answer: &Answer) -> Vec<Step> {
        let served = Served {
            id: "gen-sandbox-000001".to_owned(),
            model_id: "openai/gpt-4o".to_owned(),
            provider: "Sandbox".to_owned(),
            model: find("openai/gpt-4o").expect("in the catalogue"),
            metadata: None,
        };
        steps_from(&Turn {
            script,
            asked: &Map::new(),
            answer,
            usage: &Map::new(),
            served: &served,
        })
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

    #[test]
    fn reasoning_of_several_kinds_comes_in_order_with_its_signature_last() {
        let answer = Answer {
            details: vec![
                json!({"type": "reasoning.summary", "summary": "in short", "index": 0}),
                json!({"type": "reasoning.text", "text": "at length", "signature": "s", "index": 1}),
                json!({"type": "reasoning.encrypted", "data": "x", "id": "r", "index": 2}),
            ],
            ..said("one")
        };
        let chunks = data(&play(&Script::default(), &answer));
        let sent: Vec<(&Value, &Value)> = chunks
            .iter()
            .map(|chunk| &chunk["choices"][0]["delta"])
            .filter(|delta| delta.get("reasoning_details").is_some())
            .map(|delta| (&delta["reasoning"], &delta["reasoning_details"][0]))
            .collect();
        let expected = [
            (
                json!("in"),
                json!({"type": "reasoning.summary", "summary": "in", "index": 0}),
            ),
            (
                json!(" short"),
                json!({"type": "reasoning.summary", "summary": " short", "index": 0}),
            ),
            (json!("at"), json!({"type": "reasoning.text", "text": "at", "index": 1})),
            (
                json!(" length"),
                json!({"type": "reasoning.text", "text": " length", "index": 1}),
            ),
            (
                Value::Null,
                json!({"type": "reasoning.text", "signature": "s", "index": 1}),
            ),
            (
                Value::Null,
                json!({"type": "reasoning.encrypted", "data": "x", "id": "r", "index": 2}),
            ),
        ];
        assert_eq!(
            sent,
            expected.iter().map(|(text, detail)| (text, detail)).collect::<Vec<_>>()
        );
    }

    #[test]
    fn images_audio_and_annotations_are_pieces_and_extra_members_are_everywhere() {
        let answer = Answer {
            images: vec![json!({"type": "image_url", "image_url": {"url": "data:,"}})],
            audio: json!({"id": "a", "data": "AAAABBBB", "transcript": "one", "expires_at": 5})
                .as_object()
                .cloned(),
            annotations: vec![json!({"type": "url_citation", "url_citation": {"url": "https://example.com"}})],
            ..said("one")
        };
        let script = Script {
            extra: Map::from_iter([("service_tier".to_owned(), json!("x")), ("id".to_owned(), json!("no"))]),
            ..Script::default()
        };
        let chunks = data(&play(&script, &answer));
        assert!(
            chunks
                .iter()
                .all(|chunk| chunk["service_tier"] == "x" && chunk["id"] == "gen-sandbox-000001")
        );
        let all = |name: &str| -> Vec<&Value> {
            let found = chunks.iter().map(|chunk| &chunk["choices"][0]["delta"][name]);
            found.filter(|value| !value.is_null()).collect()
        };
        assert_eq!(all("images"), [&json!(answer.images)]);
        assert_eq!(all("annotations"), [&json!(answer.annotations)]);
        let audio = [
            json!({"id": "a"}),
            json!({"transcript": "one"}),
            json!({"data": "AAAA"}),
            json!({"data": "BBBB"}),
            json!({"expires_at": 5}),
        ];
        assert_eq!(all("audio"), audio.iter().collect::<Vec<_>>());
    }
}
