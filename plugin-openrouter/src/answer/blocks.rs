//! Joins reasoning that arrives in pieces into the blocks that the pieces are parts of.
//!
//! In: the elements of `reasoning_details`, in order, as they were written. Out: whole blocks, in order. Pure.
//! Services sign blocks, and refuse a turn in which one is missing, changed or still in pieces. So only neighbours with
//! the same type and index are joined, and every other element keeps its bytes.
//!
//! Source: OpenRouter docs, "Reasoning tokens": "Preserving reasoning blocks".

use std::borrow::Cow;

use crate::answer::json::{Kind, Raw, each_element, each_member};

/// Most pieces that are joined. Each takes more memory than it has bytes.
const MAX_ELEMENTS: usize = 1 << 18;

/// Most members of a block that is joined. Documented ones have less than ten.
const MAX_MEMBERS: usize = 64;

/// The members of a block, each as it was written.
type Block<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// Joins the pieces in an array; `None` if there are none to join.
pub fn joined(details: Raw<'_>) -> Option<String> {
    let mut n_elements = 0;
    each_element(details, |_| n_elements += 1);
    if n_elements > MAX_ELEMENTS {
        return None;
    }
    let mut elements: Vec<Element<'_>> = Vec::new();
    let mut has_joined = false;
    each_element(details, |raw| {
        let next = Element::read(raw);
        match elements.last_mut() {
            Some(last) if last.continues_in(&next) => {
                has_joined = true;
                last.join(next);
            }
            _ => elements.push(next),
        }
    });
    let all: Vec<String> = elements.iter().map(Element::json).collect();
    has_joined.then(|| format!("[{}]", all.join(",")))
}

struct Element<'a> {
    raw: Raw<'a>,
    members: Block<'a>,
    is_joined: bool,
}

impl<'a> Element<'a> {
    fn read(raw: Raw<'a>) -> Self {
        let mut members = Block::new();
        each_member(raw, |name, member| {
            let member = if member.is_empty() { "null" } else { member };
            if members.len() <= MAX_MEMBERS {
                members.push((name, member.into()));
            }
        });
        Self {
            raw,
            members,
            is_joined: false,
        }
    }

    fn member(&self, name: &str) -> &str {
        let members = self.members.iter();
        members
            .rev()
            .find(|(known, _)| known == name)
            .map_or("null", |(_, member)| member)
    }

    fn continues_in(&self, next: &Self) -> bool {
        let is_same = |name| self.member(name) != "null" && self.member(name) == next.member(name);
        is_same("index") && is_same("type") && self.members.len() + next.members.len() <= MAX_MEMBERS
    }

    /// Appends texts, and keeps the last of other members.
    fn join(&mut self, next: Self) {
        self.is_joined = true;
        for (name, member) in next.members {
            let Some((_, own)) = self.members.iter_mut().find(|(known, _)| *known == name) else {
                self.members.push((name, member));
                continue;
            };
            let are_texts = Kind::of(own) == Kind::Text && Kind::of(&member) == Kind::Text;
            if are_texts && matches!(&*name, "text" | "summary") {
                // Without decoding them, so that halves of characters meet and every escape stays.
                let text = own.to_mut();
                text.pop();
                text.push_str(&member[1..]);
            } else if member != "null" && (member != "\"\"" || own == "null") {
                *own = member;
            }
        }
    }

    fn json(&self) -> String {
        if !self.is_joined {
            return self.raw.to_owned();
        }
        let members = self.members.iter();
        let members: Vec<String> = members
            .map(|(name, member)| format!("{}:{member}", serde_json::Value::from(&**name)))
            .collect();
        format!("{{{}}}", members.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_neighbours_with_the_same_type_and_index_are_joined() {
        let pieces = r#"[{"type":"t", "index":0,"text":"\ud83d"},{"type":"t","index":0,"text":"\ude00 b","id":null},
            {"type":"t","index":0,"text":null,"signature":"S","format":"f"},
            {"type":"s","index":0,"summary":"x"}, {"type":"s","index":1,"summary":"y", "n":1.0},{"text":"c"},{"text":"d"}]"#;
        let expected = r#"[{"type":"t","index":0,"text":"\ud83d\ude00 b","id":null,"signature":"S","format":"f"},{"type":"s","index":0,"summary":"x"},{"type":"s","index":1,"summary":"y", "n":1.0},{"text":"c"},{"text":"d"}]"#;
        assert_eq!(joined(pieces).as_deref(), Some(expected));
        assert_eq!(joined(r#"[{"text":"c"},{"text":"d"}]"#), None);
    }

    #[test]
    fn the_last_signature_that_is_not_null_stays() {
        let pieces =
            r#"[{"type":"t","index":0,"signature":"A","data":"1"},{"type":"t","index":0,"signature":null,"data":"2"}]"#;
        let expected = r#"[{"type":"t","index":0,"signature":"A","data":"2"}]"#;
        assert_eq!(joined(pieces).as_deref(), Some(expected));
    }
}
