//! Collects the members of a message other than text and tool calls, so that they can be sent back with the next turn.
//!
//! In: members of deltas, as written. Out: members of a message. Pure.
//! The elements of lists keep their bytes and their order:
//! services sign some of them, and refuse a turn in which one is missing or changed.

use std::collections::BTreeMap;

use plugin_api::{Notice, Verbatim};
use serde_json::{Map, Value};

use crate::answer::blocks;
use crate::answer::json::{Kind, each_element};

/// The members collected so far.
#[derive(Default)]
pub struct Extras {
    /// By name, the elements of lists, joined by commas.
    lists: BTreeMap<&'static str, String>,
    /// Members that are not lists, with all their fragments.
    others: BTreeMap<&'static str, Vec<String>>,
    n_bytes: usize,
    /// Most bytes that one answer may collect; images are the largest part.
    limit_bytes: usize,
    is_full: bool,
}

/// The collected members of a message.
pub struct Collected {
    pub members: BTreeMap<String, Verbatim>,
    /// Reports that members were dropped.
    pub notice: Option<Notice>,
}

impl Extras {
    pub fn new(limit_bytes: usize) -> Self {
        Self {
            limit_bytes,
            ..Self::default()
        }
    }

    /// Adds the value of a member of one delta.
    pub fn take(&mut self, name: &'static str, json: &str) {
        if matches!(json, "null" | "[]") {
            return;
        }
        // Each fragment is a text of its own.
        let n_bytes = json.len() + size_of::<String>();
        if self.n_bytes + n_bytes > self.limit_bytes {
            self.is_full = true;
            return;
        }
        self.n_bytes += n_bytes;
        let mut add = |element: &str| {
            let list = self.lists.entry(name).or_default();
            if !list.is_empty() {
                list.push(',');
            }
            list.push_str(if element.is_empty() { "null" } else { element });
        };
        match Kind::of(json) {
            Kind::List => drop(each_element(json, add)),
            // Some providers send the only element itself.
            Kind::Object if name != "audio" => add(json),
            _ => self.others.entry(name).or_default().push(json.to_owned()),
        }
    }

    /// Ends the message.
    pub fn finish(self) -> Collected {
        let mut members = BTreeMap::new();
        for (name, list) in self.lists {
            let list = format!("[{list}]");
            let blocks = (name == "reasoning_details").then(|| blocks::joined(&list)).flatten();
            if let Some(list) = Verbatim::parse(blocks.unwrap_or(list)) {
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
                "the answer has more than {} MiB of images, audio and other parts, the limit of `limits.answerMib` in the \
                 profile; the rest is dropped",
                self.limit_bytes >> 20
            );
            Notice::new("extras_left_out", message)
        });
        Collected { members, notice }
    }
}

/// Joins the fragments of a value: concatenates `data` and `transcript` of audio, and keeps the last of other members.
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
        let mut extras = Extras::new(32 << 20);
        for (name, json) in pieces {
            extras.take(name, json);
        }
        extras.finish()
    }

    #[test]
    fn list_elements_keep_their_bytes_and_order() {
        let first = r#"{"type":"reasoning.text", "text":"\u00e9 \/","index":0,"n":1.0}"#;
        let members = collected(&[
            ("reasoning_details", &format!("[{first}]")),
            ("reasoning_details", "[]"),
            ("reasoning_details", r#"[{"data":"x=="},{"data":"y"}]"#),
            ("annotations", "null"),
        ])
        .members;
        let all = format!(r#"[{first},{{"data":"x=="}},{{"data":"y"}}]"#);
        assert_eq!((members["reasoning_details"].get(), members.len()), (&*all, 1));
    }

    #[test]
    fn audio_in_fragments_becomes_one_value_and_an_object_one_element() {
        let one = collected(&[("audio", r#"{"id": "a", "data": "AA"}"#)]).members;
        assert_eq!(one["audio"].get(), r#"{"id": "a", "data": "AA"}"#);
        let images = collected(&[("images", r#"{"a":1}"#), ("images", r#"[{"a":2}]"#)]).members;
        assert_eq!(images["images"].get(), r#"[{"a":1},{"a":2}]"#);
        let whole = collected(&[
            ("audio", r#"{"id":"a","data":"AA"}"#),
            ("audio", r#"{"data":"BB","transcript":"Hi"}"#),
            ("audio", r#"{"transcript":" you","expires_at":7,"data":null}"#),
        ])
        .members;
        let joined = r#"{"id":"a","data":"AABB","transcript":"Hi you","expires_at":7}"#;
        assert_eq!(whole["audio"].get(), joined);
    }

    #[test]
    fn members_past_the_limit_are_dropped_with_a_notice() {
        let large = format!(r#"["{}"]"#, "x".repeat(20 << 20));
        let collected = collected(&[("images", &large), ("images", &large)]);
        assert_eq!(collected.members["images"].get().len(), large.len());
        let code = collected.notice.map(|notice| notice.code);
        assert_eq!(code.as_deref(), Some("extras_left_out"));
    }
}
