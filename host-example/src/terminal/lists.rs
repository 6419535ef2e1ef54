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

/// `a, b, c and 197 more`: names that may be many.
pub fn few(names: &[String]) -> String {
    const MOST: usize = 4;
    let (shown, rest) = names.split_at(if names.len() > MOST { MOST - 1 } else { names.len() });
    let rest = (!rest.is_empty()).then(|| format!("{} more", rest.len()));
    joined(shown.iter().cloned().chain(rest).collect(), "and")
}

/// `1 item`, `2 items`.
pub fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_names_three_are_shown() {
        let few_of = |n: usize| few(&(0..n).map(|n| n.to_string()).collect::<Vec<_>>());
        assert_eq!([1, 2, 4].map(few_of), ["0", "0 and 1", "0, 1, 2 and 3"]);
        assert_eq!(few_of(200), "0, 1, 2 and 197 more");
    }
}
