//! What somebody most likely meant who wrote a name that does not exist. Pure.

/// The name among `known` that a person who wrote `name` most likely meant.
pub fn closest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    const LONGEST: usize = 64;
    let folded = fold(name);
    if folded.is_empty() || name.len() > LONGEST {
        return None;
    }
    let distance = |candidate: &&str| {
        let candidate = fold(candidate);
        let longest = folded.chars().count().max(candidate.chars().count());
        let edits = strsim::osa_distance(&folded, &candidate);
        let abbreviates = folded.len() >= 4 && candidate.starts_with(&folded);
        (edits <= longest.div_ceil(4) || abbreviates).then_some(edits)
    };
    let near = known.filter(|candidate| candidate.len() <= LONGEST);
    near.filter_map(|candidate| Some((distance(&candidate)?, candidate)))
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// The spelling-free form of a name: `max_tokens`, `maxTokens` and `Max-Tokens` are the same.
pub fn fold(name: &str) -> String {
    name.chars()
        .filter(|character| !"_- ".contains(*character))
        .flat_map(char::to_lowercase)
        .collect()
}
