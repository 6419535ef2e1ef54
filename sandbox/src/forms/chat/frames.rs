//! Cuts an answer into the chunks of chat, the main form of the service.
//!
//! Pure: an answer in, the frames of [`crate::forms::stream`] out. Chunks are serialized without a [`Value`] in
//! between, because benchmarks measure this path.

use std::iter;

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{
    answer::{
        Served, Turn,
        pieces::{few_pieces, pieces},
        reasoning,
    },
    catalogue::CREATED_S,
    forms::stream::{DONE, Frames, Part, Step, steps_from as steps},
    script::{Empty, Script},
};

/// The members of a chunk, which `extra` cannot replace.
const MEMBERS: [&str; 9] = words!(id provider model object created choices usage error openrouter_metadata);

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

#[derive(Serialize)]
struct Delta {
    role: &'static str,
    content: Option<String>,
    /// The members beside the text, such as reasoning or tool calls.
    #[serde(flatten)]
    more: Map<String, Value>,
}

/// The steps that stream the answer of `turn`.
pub(crate) fn steps_from(turn: &Turn<'_>) -> Vec<Step> {
    let Turn {
        script, answer, served, ..
    } = turn;
    let mut extra = script.extra.clone();
    extra.retain(|name, _| !MEMBERS.contains(&name.as_str()));
    let writer = Writer { served, extra: &extra };
    let has_choices = script.empty != Some(Empty::Choices);
    let last = |finish_reason: &str, native: &str| Choice {
        finish_reason: Some(finish_reason.to_owned()),
        native_finish_reason: Some(native.to_owned()),
        ..choice(delta(Some("")))
    };

    let mut opening = Vec::new();
    if has_choices {
        opening.push(writer.chunk(choice(delta(script.empty.is_none().then_some("")))));
    }
    let mut closing = Vec::new();
    if !script.omit_finish_reason && has_choices {
        closing.push(writer.chunk(last(&answer.finish_reason, &answer.native_finish_reason)));
    }
    closing.push(writer.frame(&[], Some(turn.usage), None));
    let error = script.late_failure().error_object();
    let failing = vec![writer.frame(&[last("error", "error")], None, Some(error))];

    let frames = Frames {
        opening,
        body: deltas(script, turn).map(|delta| Part::Piece(writer.chunk(choice(delta)))),
        closing,
        failing,
        done: Some(DONE),
    };
    steps(script, frames)
}

/// A delta with this content; null for tool calls.
fn delta(content: Option<&str>) -> Delta {
    Delta {
        role: "assistant",
        content: content.map(str::to_owned),
        more: Map::new(),
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
    let with = |content: Option<&str>, name: &str, value: Value| Delta {
        more: Map::from_iter([(name.to_owned(), value)]),
        ..delta(content)
    };
    let reasoning = reasoning::pieces_of(script, &answer.details)
        .into_iter()
        .map(move |(text, detail)| {
            let mut delta = with(Some(""), "reasoning_details", json!([detail]));
            delta
                .more
                .extend(text.map(|text| ("reasoning".to_owned(), json!(text))));
            delta
        });
    let text = pieces(&answer.text, script.chunk_chars).map(|piece| delta(Some(piece)));
    let images = answer
        .images
        .iter()
        .map(move |image| with(Some(""), "images", json!([image])));
    let audio = answer.audio.iter().flat_map(audio_pieces);
    let audio = audio.map(move |audio| with(Some(""), "audio", audio));
    let annotations =
        (!answer.annotations.is_empty()).then(|| with(Some(""), "annotations", json!(answer.annotations)));
    let calls = answer.calls.iter().enumerate().flat_map(|(n, call)| {
        let head = json!([{
            "index": n, "id": call.id, "type": "function", "function": {"name": call.name, "arguments": ""},
        }]);
        let tail = few_pieces(&call.arguments, 1)
            .map(move |piece| json!([{"index": n, "type": "function", "function": {"arguments": piece}}]));
        iter::once(head).chain(tail)
    });
    let calls = calls.map(move |calls| with(None, "tool_calls", calls));
    reasoning
        .chain(text)
        .chain(images)
        .chain(audio)
        .chain(annotations)
        .chain(calls)
}

/// The audio in pieces: its id, its transcript, its data, then the other members.
fn audio_pieces(audio: &Map<String, Value>) -> Vec<Value> {
    let mut all = Vec::new();
    let mut rest = audio.clone();
    all.extend(rest.remove("id").map(|id| json!({"id": id})));
    for name in ["transcript", "data"] {
        if let Some(Value::String(text)) = rest.get(name) {
            // Four characters of base64 are three bytes, so each piece decodes by itself.
            all.extend(few_pieces(text, 4).map(|piece| json!({name: piece})));
            rest.remove(name);
        }
    }
    if !rest.is_empty() {
        all.push(Value::Object(rest));
    }
    all
}

/// Writes chunks with what all of a stream have in common.
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
        let metadata = served.metadata.as_ref().filter(|_| usage.is_some());
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
