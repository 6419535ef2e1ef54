//! Joins what arrives in pieces into the blocks that the pieces are parts of.
//!
//! In: the pieces of a member of a message, in order, as they were written. Out: whole blocks, in order. Pure.
//! Services sign blocks, and refuse a turn in which one is missing, changed or still in pieces. So only neighbours that
//! belong together are joined, and every other piece keeps its bytes.
//!
//! Source: OpenRouter docs, "Reasoning tokens": "Preserving reasoning blocks".

use std::borrow::Cow;

use crate::answer::json::{Kind, Raw, each_element, each_member, is_blank};

/// Most members of a block that is joined. Documented ones have less than ten.
const MAX_MEMBERS: usize = 64;

/// The members of a block, each as it was written.
type Block<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// What the pieces are parts of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// `reasoning_details`: neighbours with the same type and index are one block.
    Details,
    /// Thinking in `content`, often without an index: neighbours of one type are one block, up to its signature.
    Content,
    /// `audio`: all pieces are one sound.
    Audio,
}

impl Of {
    /// The members that are concatenated. Of other members, the last counts.
    fn texts(self) -> &'static [&'static str] {
        match self {
            Self::Details => &["text", "summary"],
            Self::Content => &["thinking", "reasoning", "text", "summary"],
            Self::Audio => &["data", "transcript"],
        }
    }

    fn is_one_block(self, one: &Element<'_>, next: &Element<'_>) -> bool {
        if one.members.len() + next.members.len() > MAX_MEMBERS {
            return false;
        }
        let has_same = |name| one.member(name) == next.member(name);
        let has_text = |piece: &Element<'_>| self.texts().iter().any(|name| !piece.some(name).is_empty());
        match self {
            Self::Details => {
                let is_same = |name| has_same(name) && one.member(name) != "null";
                is_same("index") && is_same("type")
            }
            Self::Content => {
                let agrees = |name| has_same(name) || one.some(name).is_empty() || next.some(name).is_empty();
                let goes_on = self.texts().iter().any(|name| !is_blank(next.some(name)));
                let ends_here = !is_blank(one.some("signature")) && goes_on;
                let is_part = has_text(next) || !is_blank(next.some("signature"));
                has_same("type") && agrees("index") && agrees("id") && has_text(one) && is_part && !ends_here
            }
            Self::Audio => true,
        }
    }
}

/// Joins the pieces in an array; `None` if there are none to join.
pub fn joined(pieces: Raw<'_>, of: Of) -> Option<String> {
    let mut whole = String::from("[");
    let mut last: Option<Element<'_>> = None;
    let mut has_joined = false;
    each_element(pieces, |raw| {
        let next = Element::read(raw);
        match &mut last {
            Some(last) if of.is_one_block(last, &next) => {
                has_joined = true;
                last.join(next, of);
            }
            // One block at a time is kept in parts, because each part takes more memory than it has bytes.
            last => drop(last.replace(next).map(|last| last.write(of, &mut whole))),
        }
    });
    if let Some(last) = last.filter(|_| has_joined) {
        last.write(of, &mut whole);
    }
    whole.push(']');
    has_joined.then_some(whole)
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

    /// A member, empty if it is absent or `null`.
    fn some(&self, name: &str) -> Raw<'_> {
        Some(self.member(name))
            .filter(|member| *member != "null")
            .unwrap_or_default()
    }

    /// Appends texts, and keeps the last of other members.
    fn join(&mut self, next: Self, of: Of) {
        self.is_joined = true;
        for (name, member) in next.members {
            let Some((_, own)) = self.members.iter_mut().find(|(known, _)| *known == name) else {
                self.members.push((name, member));
                continue;
            };
            let kinds = (Kind::of(own), Kind::of(&member));
            let are_alike = matches!(kinds, (Kind::Text, Kind::Text) | (Kind::List, Kind::List));
            if are_alike && of.texts().contains(&&*name) && !is_blank(own) {
                // Without decoding them, so that halves of characters meet and every escape stays.
                let separator = if kinds.0 == Kind::List && !is_blank(&member) {
                    ","
                } else {
                    ""
                };
                let text = own.to_mut();
                text.pop();
                text.push_str(separator);
                text.push_str(&member[1..]);
            } else if member != "null" && (member != "\"\"" || own == "null") {
                *own = member;
            }
        }
    }

    /// Appends the element to an array that is still open.
    fn write(&self, of: Of, array: &mut String) {
        let mut separator = if array.len() > 1 { "," } else { "" };
        if !self.is_joined {
            array.push_str(separator);
            return array.push_str(self.raw);
        }
        array.push_str(separator);
        array.push('{');
        separator = "";
        for (name, member) in &self.members {
            // A text may itself be an array of pieces.
            let is_array = Kind::of(member) == Kind::List && of.texts().contains(&&**name);
            let inner = is_array.then(|| joined(member, of)).flatten();
            let member = inner.as_deref().unwrap_or(member);
            array.push_str(&format!("{separator}{}:", serde_json::Value::from(&**name)));
            array.push_str(member);
            separator = ",";
        }
        array.push('}');
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
        assert_eq!(joined(pieces, Of::Details).as_deref(), Some(expected));
        assert_eq!(joined(r#"[{"text":"c"},{"text":"d"}]"#, Of::Details), None);
    }

    #[test]
    fn the_last_signature_that_is_not_null_stays() {
        let pieces =
            r#"[{"type":"t","index":0,"signature":"A","data":"1"},{"type":"t","index":0,"signature":null,"data":"2"}]"#;
        let expected = r#"[{"type":"t","index":0,"signature":"A","data":"2"}]"#;
        assert_eq!(joined(pieces, Of::Details).as_deref(), Some(expected));
    }

    #[test]
    fn thinking_is_one_block_up_to_its_signature() {
        let joined = |pieces: &str| joined(pieces, Of::Content);
        let pieces = r#"[{"type":"thinking","thinking":"a\u00e9"},{"type":"thinking","thinking":""},{"type":"thinking","thinking":"b"},
            {"type":"thinking","signature":"S"},{"type":"thinking","thinking":"c"},{"type":"text","text":"d"}]"#;
        let expected = r#"[{"type":"thinking","thinking":"a\u00e9b","signature":"S"},{"type":"thinking","thinking":"c"},{"type":"text","text":"d"}]"#;
        assert_eq!(joined(pieces).as_deref(), Some(expected));
        let nested = r#"[{"type":"thinking","thinking":[{"type":"text","text":"a"}]},{"type":"thinking","thinking":[{"type":"text","text":"b"}]}]"#;
        let expected = r#"[{"type":"thinking","thinking":[{"type":"text","text":"ab"}]}]"#;
        assert_eq!(joined(nested).as_deref(), Some(expected));
        // Encrypted blocks have no text to continue, and ids and indices tell blocks apart.
        for apart in [
            r#"[{"type":"redacted_thinking","data":"1"},{"type":"redacted_thinking","data":"2"}]"#,
            r#"[{"type":"thinking","thinking":"a","index":0},{"type":"thinking","thinking":"b","index":1}]"#,
            r#"[{"type":"reasoning","text":"a","id":"x"},{"type":"reasoning","text":"b","id":"y"}]"#,
        ] {
            assert_eq!(joined(apart), None, "{apart}");
        }
    }
}
