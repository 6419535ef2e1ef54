//! Keeps keys out of messages and excerpts.
//!
//! A profile must not hold a key, but a file that does is exactly the one that gets reported.
//! Hidden are strings that begin like a provider's key, strings under a member such as `apiKey`,
//! and, where the meaning of the text is not known (other sections, comments, broken files), every
//! long run of letters and digits.

use std::ops::Range;

use super::places::StringPlace;
use super::pointer::{PROFILES, segments};
use super::schema::ProviderSchema;

/// Shortest run of letters and digits that may be a key; model names have dashes but also slashes.
const SHORTEST_KEY: usize = 20;

/// The key prefixes of all providers.
pub(super) fn prefixes(providers: &[ProviderSchema]) -> Vec<&str> {
    let all = providers.iter().flat_map(|provider| &provider.key_prefixes);
    all.map(String::as_str).filter(|prefix| !prefix.is_empty()).collect()
}

/// Whether `text` begins like a key, also with blanks or `Bearer` before it.
pub(super) fn looks_like_key(text: &str, prefixes: &[&str]) -> bool {
    let text = text.trim_start();
    let text = match text.get(..7) {
        Some(start) if start.eq_ignore_ascii_case("bearer ") => text[7..].trim_start(),
        _ => text,
    };
    prefixes.iter().any(|prefix| text.starts_with(prefix))
}

/// Whether a value under a key of this name is never shown.
pub(super) fn names_a_secret(key: &str) -> bool {
    let key = key.to_lowercase();
    ["key", "secret", "token", "password", "authorization"]
        .iter()
        .any(|word| key.ends_with(word))
}

/// The text of the document with keys hidden, byte for byte as long as before.
///
/// - In: `strings`, all of the same text.
pub(super) fn masked<'a>(text: &str, strings: impl Iterator<Item = StringPlace<'a>>, prefixes: &[&str]) -> String {
    let (mut shown, mut hidden) = (Vec::new(), Vec::new());
    for place in strings {
        let inside = place.range.start + 1..place.range.end - 1;
        let secret_above = !place.is_key && segments(place.pointer).any(|key| names_a_secret(&key));
        if secret_above || looks_like_key(&place.text, prefixes) {
            hidden.push(inside);
            continue;
        }
        let secrets = secrets_inside(&text[inside.clone()], prefixes);
        let placed = |secret: &Range<usize>| inside.start + secret.start..inside.start + secret.end;
        hidden.extend(secrets.iter().map(placed));
        if place.pointer == PROFILES || place.pointer.starts_with("/auth/profiles/") {
            shown.push(inside);
        }
    }
    masked_text(text, &shown, &hidden)
}

/// The ranges of a text that may contain a key or a password: the user and the query of a URL, and anything that
/// begins like a key.
fn secrets_inside(text: &str, prefixes: &[&str]) -> Vec<Range<usize>> {
    let mut secrets = Vec::new();
    if let Some(start) = text.find("://").map(|at| at + "://".len()) {
        let end = text[start..].find(['/', '?', '#']).map_or(text.len(), |at| start + at);
        secrets.extend(text[start..end].rfind('@').map(|at| start..start + at));
        secrets.extend(text[start..].find('?').map(|at| start + at + 1..text.len()));
    }
    for prefix in prefixes {
        secrets.extend(text.match_indices(prefix).map(|(at, _)| at..text.len()));
    }
    secrets.sort_by_key(|secret| secret.start);
    secrets
}

/// `text` with `hidden` places and everything else that could be a key replaced by asterisks,
/// except the places in `shown`.
pub(super) fn masked_text(text: &str, shown: &[Range<usize>], hidden: &[Range<usize>]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let mut kept = shown.to_vec();
    kept.sort_by_key(|range| range.start);
    let mut start = 0;
    for run in text.split(|character: char| !character.is_ascii_alphanumeric() && !"-_".contains(character)) {
        let range = start..start + run.len();
        start = range.end;
        start += text[start..].chars().next().map_or(0, char::len_utf8);
        let may_be_key = run.starts_with("sk-")
            || run.len() >= SHORTEST_KEY && run.contains(|character: char| character.is_ascii_digit());
        let next = kept.partition_point(|place| place.start <= range.start);
        let is_kept = next > 0 && range.end <= kept[next - 1].end;
        if may_be_key && !is_kept {
            bytes[range].fill(b'*');
        }
    }
    for range in hidden {
        bytes[range.clone()].fill(b'*');
    }
    String::from_utf8(bytes).unwrap_or_default()
}
