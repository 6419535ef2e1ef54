//! Collects what a message has beside its text and its tool calls, so that it can be sent back with the next turn.
//!
//! In: members of deltas, as they were written. Out: members of a message. The elements of lists stay as they are, byte for byte
//! and in order: services sign some of them, and refuse a turn in which one is missing or changed. Pure.

use std::collections::BTreeMap;

use plugin_api::{Notice, Verbatim};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// The most that is collected, in bytes: pictures are the largest of it.
const MAX_BYTES: usize = 32 << 20;

/// What has come so far.
#[derive(Default)]
pub struct Extras {
    /// By name, the elements one behind the other, with a comma between them.
    lists: BTreeMap<&'static str, String>,
    /// Members that are no lists.
    others: BTreeMap<&'static str, Vec<String>>,
    n_bytes: usize,
    is_full: bool,
}

/// What a message has beside its text and its tool calls.
pub struct Collected {
    pub members: BTreeMap<String, Verbatim>,
    /// Whether something had to be left out.
    pub notice: Option<Notice>,
}

impl Extras {
    /// Takes the value of a member of one delta.
    pub fn take(&mut self, name: &'static str, json: &str) {
        if matches!(json, "null" | "[]") {
            return;
        }
        if self.n_bytes + json.len() > MAX_BYTES {
            self.is_full = true;
            return;
        }
        self.n_bytes += json.len();
        match serde_json::from_str::<Vec<&RawValue>>(json) {
            Ok(elements) => {
                let list = self.lists.entry(name).or_default();
                for element in elements {
                    if !list.is_empty() {
                        list.push(',');
                    }
                    list.push_str(element.get());
                }
            }
            Err(_) => self.others.entry(name).or_default().push(json.to_owned()),
        }
    }

    /// Ends the message.
    pub fn finish(self) -> Collected {
        let mut members = BTreeMap::new();
        for (name, list) in self.lists {
            if let Some(list) = Verbatim::parse(format!("[{list}]")) {
                members.insert(name.to_owned(), list);
            }
        }
        for (name, pieces) in self.others {
            if let Some(whole) = joined(pieces).and_then(Verbatim::parse) {
                members.entry(name.to_owned()).or_insert(whole);
            }
        }
        let notice = self.is_full.then(|| {
            let message = format!(
                "the answer came with more than {} MiB of pictures, sound or other parts; the rest of them is left out",
                MAX_BYTES >> 20
            );
            Notice::new("extras_left_out", message)
        });
        Collected { members, notice }
    }
}

/// One value of the pieces that it came in: `data` and `transcript` of sound grow, everything else is as it was told last.
fn joined(mut pieces: Vec<String>) -> Option<String> {
    if pieces.len() < 2 {
        return pieces.pop();
    }
    let mut whole = Map::new();
    for piece in pieces {
        let Ok(piece) = serde_json::from_str::<Map<String, Value>>(&piece) else {
            continue;
        };
        for (name, value) in piece {
            match (whole.get_mut(&name), value) {
                (Some(Value::String(text)), Value::String(more)) if name == "data" || name == "transcript" => {
                    text.push_str(&more);
                }
                (_, Value::Null) => {}
                (_, value) => drop(whole.insert(name, value)),
            }
        }
    }
    serde_json::to_string(&whole).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collected(pieces: &[(&'static str, &str)]) -> Collected {
        let mut extras = Extras::default();
        for (name, json) in pieces {
            extras.take(name, json);
        }
        extras.finish()
    }

    #[test]
    fn the_elements_of_lists_stay_as_they_are_and_in_order() {
        let members = collected(&[
            (
                "reasoning_details",
                r#"[{"type":"reasoning.text", "text":"\u00e9 \/","index":0,"n":1.0}]"#,
            ),
            ("reasoning_details", "[]"),
            ("reasoning_details", r#"[{"data":"x=="},{"data":"y"}]"#),
            ("annotations", "null"),
        ])
        .members;
        let details = members["reasoning_details"].get();
        assert_eq!(
            details,
            r#"[{"type":"reasoning.text", "text":"\u00e9 \/","index":0,"n":1.0},{"data":"x=="},{"data":"y"}]"#
        );
        assert_eq!(members.len(), 1);
    }

    #[test]
    fn sound_in_pieces_becomes_one() {
        let one = collected(&[("audio", r#"{"id": "a", "data": "AA"}"#)]).members;
        assert_eq!(one["audio"].get(), r#"{"id": "a", "data": "AA"}"#);
        let whole = collected(&[
            ("audio", r#"{"id":"a","data":"AA"}"#),
            ("audio", r#"{"data":"BB","transcript":"Hi"}"#),
            ("audio", r#"{"transcript":" you","expires_at":7,"data":null}"#),
        ])
        .members;
        assert_eq!(
            whole["audio"].get(),
            r#"{"id":"a","data":"AABB","transcript":"Hi you","expires_at":7}"#
        );
    }

    #[test]
    fn what_is_too_much_is_left_out_and_told() {
        let large = format!(r#"["{}"]"#, "x".repeat(20 << 20));
        let collected = collected(&[("images", &large), ("images", &large)]);
        assert_eq!(collected.members["images"].get().len(), large.len());
        assert_eq!(
            collected.notice.map(|notice| notice.code).as_deref(),
            Some("extras_left_out")
        );
    }
}
