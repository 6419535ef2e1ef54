//! Finds the id that somebody may have meant.

/// The id that is most like `wanted`, if one is like it.
///
/// - In: an id with or without its author and variant.
/// - Out: of several that are equally like it, the first one.
pub fn nearest<'a>(wanted: &str, ids: impl Iterator<Item = &'a str> + Clone) -> Option<&'a str> {
    let wanted = wanted.split(':').next().unwrap_or(wanted).to_lowercase();
    let name = name_of(&wanted);
    if name.is_empty() {
        return None;
    }
    let distance_to = |id: &str| {
        // The name alone finds the id of another author, or of none.
        let by_name = distance(name, name_of(id)) + usize::from(wanted.contains('/'));
        distance(&wanted, id).min(by_name)
    };
    let alike = ids.clone().map(|id| (distance_to(&id.to_lowercase()), id));
    let alike = alike.min_by_key(|(distance, _)| *distance);
    if let Some((distance, id)) = alike
        && distance <= (name.len() / 4).max(1)
    {
        return Some(id);
    }
    let mut longer = ids.filter(|id| name.len() > 2 && id.to_lowercase().contains(name));
    let first = longer.next()?;
    Some(longer.fold(first, |best, id| if id.len() < best.len() { id } else { best }))
}

/// An id without its author.
fn name_of(id: &str) -> &str {
    id.split_once('/').map_or(id, |(_, name)| name)
}

/// How many letters have to be put in, taken out or replaced to make one text of the other (Levenshtein's distance).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (place, letter) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = place + 1;
        for (at, another) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *another);
            diagonal = row[at + 1];
            row[at + 1] = replaced.min(diagonal + 1).min(row[at] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_counts_single_letters() {
        let rows = [
            ("", "", 0),
            ("a", "", 1),
            ("", "ab", 2),
            ("kitten", "sitting", 3),
            ("gpt-4o", "gpt-40", 1),
        ];
        for (one, other, expected) in rows {
            assert_eq!(
                (distance(one, other), distance(other, one)),
                (expected, expected),
                "{one} {other}"
            );
        }
    }

    #[test]
    fn a_slip_finds_the_id_and_nonsense_finds_none() {
        let ids = [
            "anthropic/claude-sonnet-4.5",
            "anthropic/claude-opus-4.1",
            "openai/gpt-4o-mini",
            "openai/gpt-4o",
            "meta-llama/llama-3.3-70b-instruct",
            "google/gemini-2.5-flash-image",
        ];
        let rows = [
            ("antropic/claude-sonnet-4.5", Some(ids[0])),
            ("anthropic/claude-sonnet-45", Some(ids[0])),
            ("Anthropic/Claude-Opus-4.1", Some(ids[1])),
            ("claude-opus-4.1", Some(ids[1])),
            ("openrouter-claude/claude-opus-4.1:nitro", Some(ids[1])),
            ("gpt-4o", Some(ids[3])),
            ("openai/gpt4o-mini", Some(ids[2])),
            ("meta-llama/llama-3.3-70b", Some(ids[4])),
            ("gemini-2.5", Some(ids[5])),
            ("acme/x", None),
            ("completely/different", None),
            ("", None),
            ("/", None),
            (":free", None),
        ];
        for (wanted, expected) in rows {
            assert_eq!(nearest(wanted, ids.into_iter()), expected, "{wanted}");
        }
    }
}
