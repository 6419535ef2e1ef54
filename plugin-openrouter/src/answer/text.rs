//! Joins surrogates (`\ud83d`) into characters, even if the two halves arrive in two deltas.
//!
//! In: a frame with lone surrogates, then its texts one by one. Out: valid texts. Pure.
//! Providers whose tokens are bytes split characters between deltas. JSON allows lone surrogates, Rust strings do not,
//! so a placeholder holds each one until its other half is known.

use std::borrow::Cow;

use serde::Deserialize;

/// A high surrogate that awaits its other half.
pub type Surrogate = Option<u16>;

/// The first of the 0x800 code points that serve as placeholders, in a private-use plane.
const PLACEHOLDERS_AT: u32 = 0x10_F000;

/// The first byte of every placeholder in UTF-8, which is rare in other text.
const PLACEHOLDER_FIRST_BYTE: u8 = 0xF4;

/// Replaces the escapes of lone surrogates in JSON with placeholders for [`joined`], or with U+FFFD.
pub fn replace_lone_surrogates(json: &str, with_placeholders: bool) -> Cow<'_, str> {
    let unit_at = |at: usize| {
        let digits = json.get(at..at + 6)?.strip_prefix(r"\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    let mut repaired = String::new();
    let (mut kept, mut at) = (0, 0);
    while let Some(found) = memchr::memchr(b'\\', &json.as_bytes()[at..]) {
        at += found;
        match unit_at(at) {
            Some(0xD800..=0xDBFF) if matches!(unit_at(at + 6), Some(0xDC00..=0xDFFF)) => at += 12,
            Some(lone @ 0xD800..=0xDFFF) => {
                repaired.push_str(&json[kept..at]);
                let placeholder = char::from_u32(PLACEHOLDERS_AT + u32::from(lone - 0xD800));
                repaired.push(placeholder.filter(|_| with_placeholders).unwrap_or('\u{fffd}'));
                at += 6;
                kept = at;
            }
            // Any other escape: skip the character after the backslash.
            _ => at += 2,
        }
        if at >= json.len() {
            break;
        }
    }
    if kept == 0 {
        return Cow::Borrowed(json);
    }
    repaired.push_str(&json[kept..]);
    Cow::Owned(repaired)
}

/// Joins the placeholders in a text into characters.
///
/// A high surrogate at the end stays in `pending` for the next text. A lone surrogate becomes U+FFFD.
pub fn joined<'a>(text: Cow<'a, str>, pending: &mut Surrogate, has_placeholders: bool) -> Cow<'a, str> {
    if pending.is_none() && !(has_placeholders && may_hold_placeholders(&text)) {
        return text;
    }
    let mut whole = String::with_capacity(text.len() + 4);
    for letter in text.chars() {
        let offset = u32::from(letter)
            .checked_sub(PLACEHOLDERS_AT)
            .filter(|offset| has_placeholders && *offset < 0x800);
        let unit = offset
            .and_then(|offset| u16::try_from(offset).ok())
            .map(|offset| offset + 0xD800);
        match (pending.take(), unit) {
            (first, Some(unit @ 0xD800..=0xDBFF)) => {
                whole.extend(first.map(|_| '\u{fffd}'));
                *pending = Some(unit);
            }
            (Some(first), Some(second)) => {
                whole.extend(char::decode_utf16([first, second]).map(|letter| letter.unwrap_or('\u{fffd}')));
            }
            (None, Some(_)) => whole.push('\u{fffd}'),
            (first, None) => {
                whole.extend(first.map(|_| '\u{fffd}'));
                whole.push(letter);
            }
        }
    }
    Cow::Owned(whole)
}

/// Joins the placeholders in a text that is complete by itself.
pub fn plain(text: Cow<'_, str>, has_placeholders: bool) -> String {
    let mut pending = None;
    let mut whole = joined(text, &mut pending, has_placeholders).into_owned();
    whole.extend(pending.map(|_| '\u{fffd}'));
    whole
}

/// Like [`plain`], but copies only if the text may hold placeholders.
pub fn repaired(text: Cow<'_, str>, has_placeholders: bool) -> Cow<'_, str> {
    if has_placeholders {
        Cow::Owned(plain(text, true))
    } else {
        text
    }
}

/// Whether a text may hold code points of the placeholder range.
pub fn may_hold_placeholders(text: &str) -> bool {
    memchr::memchr(PLACEHOLDER_FIRST_BYTE, text.as_bytes()).is_some()
}

/// Text that borrows from the frame unless it has escapes. A bare `Option<Cow<str>>` would always copy.
#[derive(Deserialize)]
pub struct Str<'a>(#[serde(borrow)] pub Cow<'a, str>);
