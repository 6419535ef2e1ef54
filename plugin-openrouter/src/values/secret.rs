//! Removes API keys from text.
//!
//! In: text from the service or from a host. Out: the same text without the key or anything that looks like one. Pure.

/// Longest message from the service that is passed on, in bytes.
const MAX_MESSAGE_BYTES: usize = 2048;

/// A shorter key in an answer is a placeholder, such as `none`: replacing it would break the JSON around it.
const MIN_SECRET_BYTES: usize = 8;

/// Replaces `secret` in an answer with `[key]`. Anything else stays, because it may be what the model wrote.
pub fn without_secret(answer: String, secret: &str) -> String {
    let may_hold = secret.len() >= MIN_SECRET_BYTES;
    if may_hold && memchr::memmem::find(answer.as_bytes(), secret.as_bytes()).is_some() {
        return answer.replace(secret, "[key]");
    }
    answer
}

/// Replaces keys in `text` with `[key]`: `secret`, and anything that starts with `sk-or-`.
pub fn without_keys(text: &str, secret: &str) -> String {
    let text = match secret {
        "" => text.to_owned(),
        secret => text.replace(secret, "[key]"),
    };
    let mut clean = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find("sk-or-") {
        let (before, key) = rest.split_at(at);
        clean.push_str(before);
        clean.push_str("[key]");
        let end = key.find(|letter: char| !(letter.is_ascii_alphanumeric() || "-_*.".contains(letter)));
        rest = &key[end.unwrap_or(key.len())..];
    }
    clean.push_str(rest);
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
    fn a_long_message_is_shortened_between_characters() {
        let short = scrub(&"é".repeat(5000), "");
        assert!(short.len() <= MAX_MESSAGE_BYTES + "…".len() && short.ends_with('…'));
    }
}
