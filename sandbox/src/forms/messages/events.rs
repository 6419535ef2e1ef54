//! Streams an answer as named events.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    blocks,
    body::{message, stop, usage},
    error::error_event,
};
use crate::{
    answer::{
        Turn,
        pieces::{few_pieces, pieces},
    },
    forms::stream::{Frames, Part, Step, event_frame, steps_from as steps},
};

const DONE: &str = "event: data\ndata: [DONE]\n\n";

/// The steps that stream the answer.
pub(crate) fn steps_from(turn: &Turn<'_>) -> Vec<Step> {
    let script = turn.script;
    let mut body = Vec::new();
    for (index, block) in blocks::all(turn).iter().enumerate() {
        block_events(turn, index, block, &mut body);
    }
    let mut closing = Vec::new();
    if !script.omit_finish_reason {
        closing.push(frame(
            turn,
            json!({"type": "message_delta", "delta": stop(turn), "usage": usage(turn)}),
        ));
    }
    if !script.omit_done {
        let mut last = json!({"type": "message_stop"});
        turn.served.add_metadata(&mut last);
        closing.push(frame(turn, last));
    }
    let frames = Frames {
        opening: vec![
            frame(turn, json!({"type": "message_start", "message": message(turn)})),
            frame(turn, json!({"type": "ping"})),
        ],
        body,
        closing,
        failing: vec![frame(turn, error_event(&script.late_failure()))],
        done: Some(DONE),
    };
    steps(script, frames)
}

fn frame(turn: &Turn<'_>, event: Value) -> Bytes {
    let kind = event["type"].as_str().map(str::to_owned);
    event_frame(kind.as_deref(), event, &turn.script.extra)
}

/// The events of one block, from start to stop.
fn block_events(turn: &Turn<'_>, index: usize, block: &Value, body: &mut Vec<Part>) {
    let around = |event: Value| Part::Around(frame(turn, event));
    let delta = |delta: Value| {
        let event = json!({"type": "content_block_delta", "index": index, "delta": delta});
        Part::Piece(frame(turn, event))
    };
    let text = |name: &str| block[name].as_str().unwrap_or_default();
    let cut = |name: &str| pieces(text(name), turn.script.chunk_chars);

    let mut first = block.clone();
    for (name, empty) in [
        ("text", json!("")),
        ("citations", Value::Null),
        ("thinking", json!("")),
        ("signature", json!("")),
        ("input", json!({})),
    ] {
        if first.get(name).is_some() {
            first[name] = empty;
        }
    }
    body.push(around(
        json!({"type": "content_block_start", "index": index, "content_block": first}),
    ));
    match text("type") {
        "text" => {
            body.extend(cut("text").map(|piece| delta(json!({"type": "text_delta", "text": piece}))));
            let citations = block["citations"].as_array();
            for citation in citations.into_iter().flatten() {
                body.push(delta(json!({"type": "citations_delta", "citation": citation})));
            }
        }
        "thinking" => {
            body.extend(cut("thinking").map(|piece| delta(json!({"type": "thinking_delta", "thinking": piece}))));
            if !text("signature").is_empty() {
                body.push(delta(
                    json!({"type": "signature_delta", "signature": text("signature")}),
                ));
            }
        }
        "tool_use" => {
            let call = turn.answer.calls.iter().find(|call| block["id"] == call.id.as_str());
            let arguments = call.map_or("", |call| call.arguments.as_str());
            let input = |piece| delta(json!({"type": "input_json_delta", "partial_json": piece}));
            body.extend(few_pieces(arguments, 1).map(input));
        }
        _ => {}
    }
    body.push(around(json!({"type": "content_block_stop", "index": index})));
}
