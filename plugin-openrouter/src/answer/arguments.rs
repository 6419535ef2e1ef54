//! Reads the arguments of a tool call, which providers send whole, in pieces, or in ways of their own.
//!
//! In: the pieces in order. Out: one JSON text, or why there is none. Pure.
//! Arguments that are not valid JSON are mended only if they can be read in one way. Arguments that break off are never
//! completed.

use serde::de::IgnoredAny;
use serde_json::Value;

use crate::answer::json::{self, Kind};

/// Longest arguments of one tool call, in bytes.
pub const MAX_BYTES: usize = 1 << 20;

/// The pieces of the arguments of one call.
#[derive(Default)]
pub struct Arguments {
    /// All pieces, joined.
    text: String,
    /// Where each piece ends.
    ends: Vec<u32>,
    /// How deeply objects and arrays are open at the end, and whether any has been closed.
    depth: u32,
    has_closed: bool,
    /// Whether the end is inside a string, and behind a backslash in it.
    in_string: bool,
    is_escaped: bool,
}

/// Arguments that can be used.
#[derive(Debug, PartialEq)]
pub struct Settled {
    pub json: String,
    /// What was mended, as the end of a sentence.
    pub mended: Option<&'static str>,
}

/// Why arguments cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// They end before they are complete.
    Cut,
    /// They are not JSON.
    NotJson,
}

impl Arguments {
    /// Adds a piece.
    pub fn push(&mut self, piece: &str) {
        if piece.is_empty() {
            return;
        }
        for byte in piece.bytes() {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = self.in_string,
                b'"' => self.in_string = !self.in_string,
                b'{' | b'[' if !self.in_string => self.depth += 1,
                b'}' | b']' if !self.in_string => {
                    self.depth = self.depth.saturating_sub(1);
                    self.has_closed = self.depth == 0;
                }
                _ => {}
            }
        }
        self.text.push_str(piece);
        // Longer arguments are refused before they are read.
        self.ends.push(u32::try_from(self.text.len()).unwrap_or(u32::MAX));
    }

    /// Whether they are longer than allowed. Pieces that repeat the ones before count once, as long as they grow.
    pub fn is_too_long(&mut self) -> bool {
        if self.text.len() <= MAX_BYTES {
            return false;
        }
        let last = self.last_of_cumulative().or_else(|| self.last_of_growing());
        let last = last.map(str::to_owned);
        let first = self
            .ends
            .first()
            .map_or(0, |end| usize::try_from(*end).unwrap_or(usize::MAX));
        // Equal pieces are not cumulative, or there would be no end to them.
        if let Some(last) = last.filter(|last| last.len() > first) {
            self.ends = vec![0, u32::try_from(last.len()).unwrap_or(u32::MAX)];
            self.text = last;
        }
        self.text.len() > MAX_BYTES
    }

    /// Whether nothing has arrived.
    pub fn is_blank(&self) -> bool {
        self.text.trim().is_empty()
    }

    /// Whether everything that was opened is closed, so that more would be another call's.
    pub fn is_whole(&self) -> bool {
        self.has_closed && self.depth == 0 && !self.in_string
    }

    /// Whether all that has arrived is an empty object, which some providers send ahead of the arguments.
    pub fn is_placeholder(&self) -> bool {
        json::is_blank(self.text.trim())
    }

    /// Whether a piece only repeats what has arrived.
    pub fn is_repeated_by(&self, piece: &str) -> bool {
        self.text == piece
    }

    /// Whether the last piece is this one.
    pub fn ends_with_piece(&self, piece: &str) -> bool {
        self.last_piece() == piece
    }

    /// Whether the last piece is an object that a later piece repeats with more in it.
    pub fn is_contained_in(&self, further: &str) -> bool {
        let (last, further) = (json::value(self.last_piece().trim()), json::value(further.trim()));
        last.is_object() && contains(&further, &last)
    }

    /// Reads the arguments.
    ///
    /// - Errors: `Cut` if they may only lack their end, `NotJson` otherwise.
    pub fn settle(&self) -> Result<Settled, Unusable> {
        let plain = |json: &str| Settled {
            json: json.to_owned(),
            mended: None,
        };
        if self.is_blank() || self.text.trim() == "null" {
            // Some providers send no arguments for a function without parameters.
            return Ok(plain("{}"));
        }
        let mut is_cut = false;
        for (text, mended) in self.readings() {
            let text = text.trim_start_matches('\u{feff}');
            let escaped = json::escape_control_characters(text);
            match serde_json::from_str::<IgnoredAny>(&escaped) {
                Ok(IgnoredAny) => return Ok(unquoted(&escaped, mended, escaped != text)),
                Err(cause) => is_cut |= cause.is_eof(),
            }
            if let Some(first) = followed_by_no_json(&escaped) {
                return Ok(Settled {
                    json: first.to_owned(),
                    mended: Some("text behind them was dropped"),
                });
            }
        }
        Err(if is_cut { Unusable::Cut } else { Unusable::NotJson })
    }

    /// The texts that the pieces may mean, the most literal first, each with how it was mended.
    fn readings(&self) -> impl Iterator<Item = (&str, Option<&'static str>)> {
        let after_placeholder = after_placeholder(&self.text);
        let readings = [
            Some((self.text.as_str(), None)),
            self.last_of_cumulative()
                .map(|last| (last, Some("each piece repeated the ones before"))),
            after_placeholder.map(|rest| (rest, Some("an empty object ahead of them was dropped"))),
            self.last_of_growing()
                .map(|last| (last, Some("each object repeated the one before"))),
        ];
        readings.into_iter().flatten()
    }

    /// The last piece, if each piece begins with the one before it.
    fn last_of_cumulative(&self) -> Option<&str> {
        let mut last = "";
        for piece in self.pieces() {
            if !piece.starts_with(last) {
                return None;
            }
            last = piece;
        }
        (self.ends.len() > 1).then_some(last)
    }

    /// The last piece, if each is an object that contains everything in the one before it.
    fn last_of_growing(&self) -> Option<&str> {
        if self.ends.len() < 2 {
            return None;
        }
        let (mut last, mut known) = ("", Value::Null);
        for piece in self.pieces().filter(|piece| !piece.trim().is_empty()) {
            let object = json::value(piece.trim());
            if !object.is_object() || !contains(&object, &known) {
                return None;
            }
            (last, known) = (piece, object);
        }
        (!last.is_empty()).then_some(last)
    }

    fn last_piece(&self) -> &str {
        let before = self.ends.len().checked_sub(2).map_or(0, |at| self.ends[at]);
        let start = usize::try_from(before).unwrap_or(usize::MAX);
        self.text.get(start..).unwrap_or_default()
    }

    fn pieces(&self) -> impl Iterator<Item = &str> {
        let mut start = 0;
        self.ends.iter().map_while(move |end| {
            let end = usize::try_from(*end).ok()?;
            let piece = self.text.get(start..end)?;
            start = end;
            Some(piece)
        })
    }
}

/// Whether a value contains everything in an earlier one, whose texts and lists may have grown since.
fn contains(later: &Value, earlier: &Value) -> bool {
    match (later, earlier) {
        (_, Value::Null) => true,
        (Value::String(later), Value::String(earlier)) => later.starts_with(&**earlier),
        (Value::Array(later), Value::Array(earlier)) => {
            later.len() >= earlier.len()
                && later
                    .iter()
                    .zip(earlier)
                    .all(|(later, earlier)| contains(later, earlier))
        }
        (Value::Object(later), Value::Object(earlier)) => earlier
            .iter()
            .all(|(name, earlier)| later.get(name).is_some_and(|later| contains(later, earlier))),
        (later, earlier) => later == earlier,
    }
}

/// What follows an empty object or a `null` at the beginning.
fn after_placeholder(text: &str) -> Option<&str> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    values.next()?.ok()?;
    let (first, rest) = text.split_at(values.byte_offset());
    let is_placeholder = json::is_blank(first.trim()) || first.trim() == "null";
    (is_placeholder && !rest.trim().is_empty()).then_some(rest)
}

/// The arguments of valid JSON: an object that was sent as a string is the object.
fn unquoted(json: &str, mended: Option<&'static str>, is_escaped: bool) -> Settled {
    let inner = json::text(json.trim()).map(json::Text::whole);
    if let Some(object) = inner.filter(|inner| Kind::of(inner.trim()) == Kind::Object)
        && serde_json::from_str::<IgnoredAny>(&object).is_ok()
    {
        return Settled {
            json: object.into_owned(),
            mended: Some("they were quoted twice"),
        };
    }
    let escaped = is_escaped.then_some("control characters in them were escaped");
    Settled {
        json: json.to_owned(),
        mended: mended.or(escaped),
    }
}

/// The object at the beginning, if what follows it is the same object again, or no JSON at all.
fn followed_by_no_json(text: &str) -> Option<&str> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    values.next()?.ok()?;
    let (first, rest) = text.split_at(values.byte_offset());
    let (first, rest) = (first.trim(), rest.trim());
    if Kind::of(first) != Kind::Object || rest.is_empty() {
        return None;
    }
    // What begins like more of an object, or holds another one, may be a part of the arguments.
    let may_be_json = rest.starts_with(['[', ',', ':', '"']) || rest.contains('{');
    let is_repeated = rest.split(first).all(|between| between.trim().is_empty());
    (is_repeated || !may_be_json).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(pieces: &[&str]) -> Result<(String, bool), Unusable> {
        let mut arguments = Arguments::default();
        pieces.iter().for_each(|piece| arguments.push(piece));
        arguments
            .settle()
            .map(|settled| (settled.json, settled.mended.is_some()))
    }

    #[test]
    fn arguments_are_whole_once_all_brackets_are_closed() {
        for (text, is_whole) in [
            ("", false),
            ("1", false),
            (r#"{"a":[1,{}]"#, false),
            (r#"{"a":[1,{}]}"#, true),
            (r#"{"a":"}"#, false),
            (r#"{"a":"{["}"#, true),
            (r#"{"a":"\"}"#, false),
            (r#"{"a":"\\"}"#, true),
            (r#"{"a":1}{"#, false),
            (r#"{"a":1}""#, false),
        ] {
            let mut arguments = Arguments::default();
            text.split_inclusive(':').for_each(|piece| arguments.push(piece));
            assert_eq!(arguments.is_whole(), is_whole, "{text}");
        }
    }

    #[test]
    fn arguments_are_mended_where_one_reading_is_possible() {
        let rows: [(&[&str], &str, bool); 18] = [
            (&[], "{}", false),
            (&[" "], "{}", false),
            (&["null"], "{}", false),
            (&["{\"a\":", "1}"], "{\"a\":1}", false),
            (&["{}"], "{}", false),
            (&["{}", "{\"a\":", "1}"], "{\"a\":1}", true),
            (&["", "{\"a\":", "{\"a\":1}"], "{\"a\":1}", true),
            (
                &["{", "{\"a\"", "{\"a\":1", "{\"a\":1}", "{\"a\":1}"],
                "{\"a\":1}",
                true,
            ),
            (&["{\"a\":1}", "{\"a\":1}"], "{\"a\":1}", true),
            (&["{\"a\":1}{\"a\":1}{\"a\":1}"], "{\"a\":1}", true),
            (&["{\"a\":1}</tool_call>"], "{\"a\":1}", true),
            (&["{\"a\":1}", "}"], "{\"a\":1}", true),
            (&["{\"a\":\"1\n\t2\"}"], r#"{"a":"1\u000a\u00092"}"#, true),
            (&["{\"a\":\"1\n\"} Done."], r#"{"a":"1\u000a"}"#, true),
            (&[r#""{\"a\":1}""#], "{\"a\":1}", true),
            (&["[1]"], "[1]", false),
            (
                &["{\"a\":\"x\"}", "{\"a\":\"xy\",\"b\":1}"],
                "{\"a\":\"xy\",\"b\":1}",
                true,
            ),
            (
                &["{\"a\":[]}", "{\"a\":[null]}", "{\"b\":{},\"a\":[{\"c\":2}]}"],
                "{\"b\":{},\"a\":[{\"c\":2}]}",
                true,
            ),
        ];
        for (pieces, json, is_mended) in rows {
            assert_eq!(settled(pieces), Ok((json.to_owned(), is_mended)), "{pieces:?}");
        }
    }

    #[test]
    fn arguments_with_no_or_several_readings_are_not_used() {
        let rows: [(&[&str], Unusable); 13] = [
            (&["{\"a\":"], Unusable::Cut),
            (&["{\"a\":\"x"], Unusable::Cut),
            (&["{}", "{\"a\":"], Unusable::Cut),
            (&["{\"a\":", "{\"a\":\"x"], Unusable::Cut),
            (&["{\"a\":\"1\n"], Unusable::Cut),
            (&["{\"a\":1}{\"a\":2}"], Unusable::NotJson),
            (&["{\"a\":1}", ",\"b\":2}"], Unusable::NotJson),
            (&["{a:1}"], Unusable::NotJson),
            (&["{'a':1}"], Unusable::NotJson),
            (&["{\"a\":1,}"], Unusable::NotJson),
            (&["I call it with 1"], Unusable::NotJson),
            (&["{\"a\":1}{\"a\":1"], Unusable::NotJson),
            (&["{\"a\":1,\"b\":2}", "{\"a\":1,\"c\":3}"], Unusable::NotJson),
        ];
        for (pieces, why) in rows {
            assert_eq!(settled(pieces), Err(why), "{pieces:?}");
        }
    }
}
