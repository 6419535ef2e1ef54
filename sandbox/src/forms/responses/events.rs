//! Streams an answer as numbered events.
//!
//! The numbers are consecutive across the whole stream.

use serde_json::{Value, json};

use super::{
    body::{begun, error, failed, finished},
    items,
};
use crate::{
    answer::{
        Turn,
        pieces::{few_pieces, pieces},
    },
    forms::stream::{DONE, Frames, Part, Step, event_frame, steps_from as steps},
};

/// The steps that stream the answer.
pub(crate) fn steps_from(turn: &Turn<'_>) -> Vec<Step> {
    let script = turn.script;
    let mut events = Events {
        turn,
        n_events: 0,
        body: Vec::new(),
    };
    let opening = ["response.created", "response.in_progress"]
        .map(|kind| events.frame(json!({"type": kind, "response": begun(turn)})))
        .to_vec();
    for (output_index, item) in items::all(turn).iter().enumerate() {
        events.item(output_index, item);
    }

    let response = finished(turn);
    let kind = match response["status"].as_str() {
        Some("incomplete") => "response.incomplete",
        Some("failed") => "response.failed",
        _ => "response.completed",
    };
    let closing = if script.omit_finish_reason {
        Vec::new()
    } else {
        vec![events.frame(json!({"type": kind, "response": response}))]
    };
    let failing = script.fail_after_chunks.map(|n_pieces| {
        events.n_events = opening.len() + n_parts_up_to(&events.body, n_pieces);
        events.frame(failure_event(turn))
    });
    let frames = Frames {
        opening,
        body: events.body,
        closing,
        failing: failing.into_iter().collect(),
        done: Some(DONE),
    };
    steps(script, frames)
}

/// The number of parts up to and including piece number `n_pieces`.
fn n_parts_up_to(body: &[Part], n_pieces: usize) -> usize {
    let mut pieces = (1..).zip(body).filter(|(_, part)| matches!(part, Part::Piece(_)));
    match n_pieces.checked_sub(1) {
        Some(last) => pieces.nth(last).map_or(body.len(), |(n_parts, _)| n_parts),
        None => 0,
    }
}

fn failure_event(turn: &Turn<'_>) -> Value {
    if !turn.script.error_event {
        return json!({"type": "response.failed", "response": failed(turn)});
    }
    let error = error(&turn.script.late_failure());
    json!({"type": "error", "code": error["code"], "message": error["message"], "param": null})
}

/// Collects the events in order.
struct Events<'a> {
    turn: &'a Turn<'a>,
    n_events: usize,
    body: Vec<Part>,
}

impl Events<'_> {
    fn frame(&mut self, mut event: Value) -> bytes::Bytes {
        event["sequence_number"] = json!(self.n_events);
        self.n_events += 1;
        let script = self.turn.script;
        let kind = event["type"].as_str().filter(|_| script.event_lines).map(str::to_owned);
        event_frame(kind.as_deref(), event, &script.extra)
    }

    fn around(&mut self, event: Value) {
        let frame = self.frame(event);
        self.body.push(Part::Around(frame));
    }

    fn piece(&mut self, event: Value) {
        let frame = self.frame(event);
        self.body.push(Part::Piece(frame));
    }

    /// The events of one item, from added to done.
    fn item(&mut self, output_index: usize, item: &Value) {
        let text = |name: &str| item[name].as_str().unwrap_or_default();
        let place = Place {
            output_index,
            item_id: text("id").to_owned(),
        };
        // As the item is before any piece.
        let mut first = item.clone();
        first["status"] = json!("in_progress");
        let bare = match text("type") {
            "reasoning" => json!({"summary": [], "content": [], "encrypted_content": null, "signature": null}),
            "message" => json!({"content": []}),
            "image_generation_call" => json!({"result": null}),
            _ => json!({"arguments": ""}),
        };
        for (name, value) in bare.as_object().into_iter().flatten() {
            first[name] = value.clone();
        }
        self.around(json!({"type": "response.output_item.added", "output_index": output_index, "item": first}));
        match text("type") {
            "reasoning" => self.reasoning(item, &place),
            "message" => {
                if let Some(part) = item["content"].get(0) {
                    self.text(part, &place);
                }
            }
            "image_generation_call" => {
                self.piece(place.of(json!({"type": "response.image_generation_call.completed"})));
            }
            _ => self.call(text("name"), text("arguments"), &place),
        }
        self.around(json!({"type": "response.output_item.done", "output_index": output_index, "item": item}));
    }

    fn reasoning(&mut self, item: &Value, place: &Place) {
        let script = self.turn.script;
        let parts = |name: &str| item[name].as_array().into_iter().flatten().enumerate();
        for (n, part) in parts("summary") {
            let at = |mut event: Value| {
                event["summary_index"] = json!(n);
                place.of(event)
            };
            let text = part["text"].as_str().unwrap_or_default();
            let empty = json!({"type": "summary_text", "text": ""});
            self.around(at(
                json!({"type": "response.reasoning_summary_part.added", "part": empty}),
            ));
            for piece in pieces(text, script.chunk_chars) {
                self.piece(at(
                    json!({"type": "response.reasoning_summary_text.delta", "delta": piece}),
                ));
            }
            self.around(at(
                json!({"type": "response.reasoning_summary_text.done", "text": text}),
            ));
            self.around(at(
                json!({"type": "response.reasoning_summary_part.done", "part": part}),
            ));
        }
        // No `response.content_part` events here: the API description allows no reasoning in their part.
        for (n, part) in parts("content") {
            let at = |event: Value| place.part(n, event);
            let text = part["text"].as_str().unwrap_or_default();
            for piece in pieces(text, script.chunk_chars) {
                self.piece(at(json!({"type": "response.reasoning_text.delta", "delta": piece})));
            }
            self.around(at(json!({"type": "response.reasoning_text.done", "text": text})));
        }
    }

    fn text(&mut self, part: &Value, place: &Place) {
        let turn = self.turn;
        let at = |event: Value| place.part(0, event);
        let empty = json!({"type": "output_text", "text": "", "annotations": [], "logprobs": []});
        self.around(at(json!({"type": "response.content_part.added", "part": empty})));
        for piece in pieces(&turn.answer.text, turn.script.chunk_chars) {
            self.piece(at(
                json!({"type": "response.output_text.delta", "delta": piece, "logprobs": []}),
            ));
        }
        for (n, annotation) in turn.answer.annotations.iter().map(items::annotation).enumerate() {
            self.piece(at(json!({
                "type": "response.output_text.annotation.added", "annotation_index": n, "annotation": annotation,
            })));
        }
        let text = &turn.answer.text;
        self.around(at(
            json!({"type": "response.output_text.done", "text": text, "logprobs": []}),
        ));
        self.around(at(json!({"type": "response.content_part.done", "part": part})));
    }

    fn call(&mut self, name: &str, arguments: &str, place: &Place) {
        for piece in few_pieces(arguments, 1) {
            self.piece(place.of(json!({"type": "response.function_call_arguments.delta", "delta": piece})));
        }
        self.around(place.of(json!({
            "type": "response.function_call_arguments.done", "name": name, "arguments": arguments,
        })));
    }
}

/// The item that an event belongs to.
struct Place {
    output_index: usize,
    item_id: String,
}

impl Place {
    fn of(&self, mut event: Value) -> Value {
        event["output_index"] = json!(self.output_index);
        event["item_id"] = json!(self.item_id);
        event
    }

    fn part(&self, content_index: usize, event: Value) -> Value {
        let mut event = self.of(event);
        event["content_index"] = json!(content_index);
        event
    }
}
