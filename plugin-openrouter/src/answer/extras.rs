//! Collects the members of a message other than text and tool calls, so that they can be sent back with the next turn.
//!
//! In: members of deltas, as written. Out: members of a message. Pure.
//! The elements of lists keep their bytes and their order:
//! services sign some of them, and refuse a turn in which one is missing or changed.

use std::collections::BTreeMap;

use plugin_api::{Notice, Verbatim};
use serde_json::Value;

use crate::answer::blocks::{self, Of};
use crate::answer::json::{Kind, each_element};

/// The members collected so far.
#[derive(Default)]
pub struct Extras {
    members: BTreeMap<&'static str, Pieces>,
    n_bytes: usize,
    /// Most bytes that one answer may collect; images are the largest part.
    limit_bytes: usize,
    is_full: bool,
    /// How much of the answer's text is among the parts of `content`, in bytes.
    text_bytes: usize,
    /// Whether parts of `content` are missing. Without them it must not go back.
    lacks_content: bool,
}

/// What has arrived of a member.
#[derive(Default)]
struct Pieces {
    /// An unfinished array. The pieces are kept in one text, because tiny pieces would take many times their size.
    array: String,
    /// Whether the member is an array, and not only its pieces.
    is_list: bool,
}

impl Pieces {
    fn add(&mut self, piece: &str) {
        self.array.push(if self.array.is_empty() { '[' } else { ',' });
        self.array.push_str(if piece.is_empty() { "null" } else { piece });
    }

    /// The member, with the pieces of each block in it joined.
    fn whole(self, name: &str) -> Option<Verbatim> {
        let array = self.array + "]";
        let of = match name {
            "reasoning_details" => Some(Of::Details),
            "content" => Some(Of::Content),
            "audio" => Some(Of::Audio),
            _ => None,
        };
        let mut array = of.and_then(|of| blocks::joined(&array, of)).unwrap_or(array);
        let mut n_elements = 0;
        if !self.is_list && each_element(&array, |_| n_elements += 1) && n_elements == 1 {
            array.pop();
            array.remove(0);
        }
        Verbatim::parse(array)
    }
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
        let n_bytes = json.len() + 1;
        if self.n_bytes + n_bytes > self.limit_bytes {
            self.is_full = true;
            return;
        }
        self.n_bytes += n_bytes;
        let pieces = self.members.entry(name).or_default();
        match Kind::of(json) {
            Kind::List => {
                pieces.is_list = true;
                each_element(json, |element| pieces.add(element));
            }
            kind => {
                // Some providers send the only element itself.
                pieces.is_list |= kind == Kind::Object && name != "audio";
                pieces.add(json);
            }
        }
    }

    /// Adds to the parts of `content` what the answer's text has grown by.
    ///
    /// - In: the text so far; `None` if it is not known.
    pub fn take_text(&mut self, text: Option<&str>) {
        self.lacks_content |= text.is_none();
        let Some(new) = text.and_then(|text| text.get(self.text_bytes..)) else {
            return;
        };
        if !new.is_empty() {
            self.text_bytes += new.len();
            self.take("content", &format!(r#"{{"type":"text","text":{}}}"#, Value::from(new)));
        }
    }

    /// Ends the message.
    pub fn finish(mut self) -> Collected {
        if self.is_full || self.lacks_content {
            self.members.remove("content");
        }
        let whole = |(name, pieces): (&'static str, Pieces)| Some((name.to_owned(), pieces.whole(name)?));
        let members = self.members.into_iter().filter_map(whole).collect();
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
    fn tiny_pieces_are_kept_in_place() {
        let mut extras = Extras::new(32 << 20);
        for n in 0..100_000 {
            extras.take("audio", &format!(r#"{{"{n}":1}}"#));
            extras.take("reasoning_details", &format!(r#"{{"type":"{n}"}}"#));
        }
        let kept: usize = extras.members.values().map(|pieces| pieces.array.capacity()).sum();
        assert!(kept <= 2 * extras.n_bytes, "{kept} bytes for {}", extras.n_bytes);
        assert_eq!(extras.finish().members.len(), 2);
    }

    #[test]
    fn content_with_missing_parts_does_not_go_back() {
        let with_text = |text: Option<&str>| {
            let mut extras = Extras::new(32 << 20);
            extras.take("content", r#"{"type":"thinking","thinking":"a"}"#);
            extras.take_text(text);
            extras
                .finish()
                .members
                .get("content")
                .map(|content| content.get().to_owned())
        };
        let whole = r#"[{"type":"thinking","thinking":"a"},{"type":"text","text":"b\n"}]"#;
        assert_eq!(with_text(Some("b\n")).as_deref(), Some(whole));
        assert_eq!(with_text(None), None);
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
