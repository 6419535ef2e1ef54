//! Lists and counts in words.

/// `a`, `b` and `c`, each in backticks, with the given last word between.
pub fn listed<'a>(names: impl IntoIterator<Item = &'a str>, last: &str) -> String {
    joined(names.into_iter().map(|name| format!("`{name}`")).collect(), last)
}

/// `a, b and c`.
pub fn joined(mut parts: Vec<String>, last: &str) -> String {
    match parts.pop() {
        None => String::new(),
        Some(only) if parts.is_empty() => only,
        Some(end) => format!("{} {last} {end}", parts.join(", ")),
    }
}

/// `1 item`, `2 items`.
pub fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
