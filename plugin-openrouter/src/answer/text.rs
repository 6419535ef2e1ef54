//! Makes characters whole that JSON writes in halves (`\ud83d`), also where the halves come in two deltas.
//!
//! In: a frame that is not readable as it stands, then its texts one by one. Out: texts as Rust has them. Pure. Providers that
//! cut their answers into tokens of bytes split characters; one of them is no reason to lose an answer.

use std::borrow::Cow;

use serde::Deserialize;

/// The first half of a character that waits for the other one.
pub type Half = Option<u16>;

/// Where halves of characters stand between two steps: in a range of code points that nobody has given a meaning.
const HALVES_AT: u32 = 0x10_F000;

/// What all stand-ins begin with in UTF-8, and little else does.
const FIRST_BYTE_OF_HALVES: u8 = 0xF4;

/// The text with `\ud83d` and the like, where the other half of the character is missing, replaced by a stand-in that
/// [`joined`] knows: JSON allows such halves, Rust's texts do not, and one is no reason to lose an answer.
pub fn whole_characters(json: &str, with_halves: bool) -> Cow<'_, str> {
    let half_at = |at: usize| {
        let digits = json.get(at..at + 6)?.strip_prefix(r"\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    let mut mended = String::new();
    let (mut kept, mut at) = (0, 0);
    while let Some(found) = memchr::memchr(b'\\', &json.as_bytes()[at..]) {
        at += found;
        match half_at(at) {
            Some(0xD800..=0xDBFF) if matches!(half_at(at + 6), Some(0xDC00..=0xDFFF)) => at += 12,
            Some(half @ 0xD800..=0xDFFF) => {
                mended.push_str(&json[kept..at]);
                let placeholder = char::from_u32(HALVES_AT + u32::from(half - 0xD800));
                mended.push(placeholder.filter(|_| with_halves).unwrap_or('\u{fffd}'));
                at += 6;
                kept = at;
            }
            // Any other escape: the character behind the backslash belongs to it.
            _ => at += 2,
        }
        if at >= json.len() {
            break;
        }
    }
    if kept == 0 {
        return Cow::Borrowed(json);
    }
    mended.push_str(&json[kept..]);
    Cow::Owned(mended)
}

/// The text with its half characters made whole: a first half at the end waits in `half` for the next text, and what finds no
/// other half becomes U+FFFD.
pub fn joined<'a>(text: Cow<'a, str>, half: &mut Half, has_halves: bool) -> Cow<'a, str> {
    if half.is_none() && !(has_halves && memchr::memchr(FIRST_BYTE_OF_HALVES, text.as_bytes()).is_some()) {
        return text;
    }
    let mut whole = String::with_capacity(text.len() + 4);
    for letter in text.chars() {
        let stands_for = u32::from(letter)
            .checked_sub(HALVES_AT)
            .filter(|offset| has_halves && *offset < 0x800);
        let unit = stands_for
            .and_then(|offset| u16::try_from(offset).ok())
            .map(|offset| offset + 0xD800);
        match (half.take(), unit) {
            (first, Some(unit @ 0xD800..=0xDBFF)) => {
                whole.extend(first.map(|_| '\u{fffd}'));
                *half = Some(unit);
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

/// A text that is whole by itself: halves in it become U+FFFD.
pub fn plain(text: Cow<'_, str>, has_halves: bool) -> String {
    let mut half = None;
    let mut whole = joined(text, &mut half, has_halves).into_owned();
    whole.extend(half.map(|_| '\u{fffd}'));
    whole
}

/// The same, without a copy where nothing can be wrong.
pub fn mended(text: Cow<'_, str>, has_halves: bool) -> Cow<'_, str> {
    if has_halves {
        Cow::Owned(plain(text, true))
    } else {
        text
    }
}

/// Whether a text has letters that look like stand-ins before there are any.
pub fn looks_halved(text: &str) -> bool {
    memchr::memchr(FIRST_BYTE_OF_HALVES, text.as_bytes()).is_some()
}

/// Text that borrows from the frame unless it has escapes. `Option<Cow<str>>` by itself would always copy.
#[derive(Deserialize)]
pub struct Str<'a>(#[serde(borrow)] pub Cow<'a, str>);
