//! Removes API keys from text.
//!
//! In: text from the service or from a host. Out: the same text without the key or anything that looks like one. Pure.

use std::iter;
use std::ops::Range;

/// Longest message from the service that is passed on, in bytes.
const MAX_MESSAGE_BYTES: usize = 2048;

/// A shorter key in an answer is a placeholder, such as `none`: replacing it would break the JSON around it.
const MIN_SECRET_BYTES: usize = 8;

/// How every key of OpenRouter begins.
const PREFIX: &str = "sk-or-";

/// Most backslashes before one escaped letter: JSON inside a string of JSON inside a string of JSON.
const MAX_BACKSLASHES: usize = 4;

/// Most bytes that a key takes in an answer, where every letter may be escaped.
pub const fn max_bytes_in_json(secret: &str) -> usize {
    secret.len() * (MAX_BACKSLASHES + "u0073".len())
}

/// Finds each place in an answer at which `secret` stands. A placeholder is not looked for: see [`MIN_SECRET_BYTES`].
pub fn places_in_answer<'a>(answer: &'a [u8], secret: &'a str) -> impl Iterator<Item = Range<usize>> + 'a {
    let secret = if secret.len() < MIN_SECRET_BYTES { "" } else { secret };
    places(answer, secret)
}

/// Whether an answer repeats `secret`.
pub fn is_in_answer(answer: &[u8], secret: &str) -> bool {
    places_in_answer(answer, secret).next().is_some()
}

/// Finds `secret` also where JSON escapes spell some of its letters (`\u0073k-or-v1-…`), because whoever parses the
/// text would have the key again.
fn places<'a>(text: &'a [u8], secret: &'a str) -> impl Iterator<Item = Range<usize>> + 'a {
    let has_escapes = memchr::memmem::find(text, b"u00").is_some();
    let mut from = 0;
    iter::from_fn(move || {
        let first = *secret.as_bytes().first()?;
        let rest = &text[from..];
        let place = if has_escapes {
            memchr::memchr2_iter(first, b'\\', rest).find_map(|at| Some(at..spelled_to(rest, at, secret)?))?
        } else {
            memchr::memmem::find(rest, secret.as_bytes()).map(|at| at..at + secret.len())?
        };
        let place = from + place.start..from + place.end;
        from = place.end;
        Some(place)
    })
}

/// Where `secret` ends if it begins at `start`.
fn spelled_to(text: &[u8], start: usize, secret: &str) -> Option<usize> {
    secret.bytes().try_fold(start, |at, letter| {
        let (found, n_bytes) = first_letter(&text[at..])?;
        (found == letter).then_some(at + n_bytes)
    })
}

/// The first letter of a text, which may be a JSON escape, and the bytes that it takes.
fn first_letter(text: &[u8]) -> Option<(u8, usize)> {
    let n_backslashes = text.iter().take_while(|byte| **byte == b'\\').count();
    let escaped = || {
        let digits = text[n_backslashes..].strip_prefix(b"u00")?.get(..2)?;
        let code = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        Some((code, n_backslashes + "u0073".len()))
    };
    let is_escape = (1..=MAX_BACKSLASHES).contains(&n_backslashes);
    is_escape.then(escaped).flatten().or(Some((*text.first()?, 1)))
}

/// Replaces each `secret` in an answer with `[key]`. Anything else stays, because it may be what the model wrote.
pub fn without_secret(answer: String, secret: &str) -> String {
    if is_in_answer(answer.as_bytes(), secret) {
        return replace(&answer, secret, |_| 0);
    }
    answer
}

/// Replaces keys in `text` with `[key]`: `secret`, and anything that starts with `sk-or-`.
pub fn without_keys(text: &str, secret: &str) -> String {
    let text = replace(text, secret, |_| 0);
    replace(&text, PREFIX, |rest| {
        let is_part = |letter: u8| letter.is_ascii_alphanumeric() || b"-_*.".contains(&letter);
        let mut n_more = 0;
        while let Some((letter, n_bytes)) = first_letter(&rest.as_bytes()[n_more..])
            && is_part(letter)
        {
            n_more += n_bytes;
        }
        n_more
    })
}

/// Replaces each `secret`, and as many bytes behind it as `n_more` says.
fn replace(text: &str, secret: &str, n_more: impl Fn(&str) -> usize) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut end = 0;
    for place in places(text.as_bytes(), secret) {
        if place.start >= end {
            clean.push_str(&text[end..place.start]);
            clean.push_str("[key]");
            end = place.end + n_more(&text[place.end..]);
        }
    }
    clean.push_str(&text[end..]);
    clean
}

/// Removes keys from a message and shortens it to 2048 bytes.
pub fn scrub(text: &str, secret: &str) -> String {
    let mut clean = without_keys(text, secret);
    if clean.len() > MAX_MESSAGE_BYTES {
        let end = (0..=MAX_MESSAGE_BYTES)
            .rev()
            .find(|&at| clean.is_char_boundary(at))
            .unwrap_or(0);
        clean.truncate(end);
        clean.push('…');
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_never_leaves_in_a_message() {
        assert_eq!(
            scrub(
                "key sk-or-v1-secret is bad, so is (sk-or-v1-0a1b2c) here",
                "sk-or-v1-secret"
            ),
            "key [key] is bad, so is ([key]) here"
        );
        assert_eq!(scrub("my own secret word", "secret"), "my own [key] word");
        for (secret, expected) in [
            ("sk-or-v1-secret", "data: \"[key] sk-or-v1-other none\""),
            ("none", "data: \"sk-or-v1-secret sk-or-v1-other none\""),
            ("", "data: \"sk-or-v1-secret sk-or-v1-other none\""),
        ] {
            let answer = "data: \"sk-or-v1-secret sk-or-v1-other none\"".to_owned();
            assert_eq!(without_secret(answer, secret), expected);
        }
    }

    #[test]
    fn a_key_in_json_escapes_is_found_too() {
        let secret = "sk-or-v1-secret";
        let every_letter: String = secret.bytes().map(|byte| format!("\\\\u{byte:04X}")).collect();
        for spelled in ["\\u0073k-or-v1-secret", "sk-or-v1-se\\u0063re\\u0074", &every_letter] {
            let answer = format!(r#"{{"model":"{spelled}","id":"\u0073k"}}"#);
            let expected = r#"{"model":"[key]","id":"\u0073k"}"#;
            assert_eq!(without_secret(answer.clone(), secret), expected);
            assert_eq!(without_keys(&answer, ""), expected.replace("secret", ""), "{spelled}");
            assert!(spelled.len() <= max_bytes_in_json(secret));
        }
    }

    #[test]
    fn a_long_message_is_shortened_between_characters() {
        let short = scrub(&"é".repeat(5000), "");
        assert!(short.len() <= MAX_MESSAGE_BYTES + "…".len() && short.ends_with('…'));
    }
}
