//! Suggestions for names that do not exist. Pure.

use crate::terminal::listed;

/// The known name that `name` was most likely meant to be.
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

/// A name without its spelling: `max_tokens`, `maxTokens` and `Max-Tokens` are the same.
pub fn fold(name: &str) -> String {
    name.chars()
        .filter(|character| !"_- ".contains(*character))
        .flat_map(char::to_lowercase)
        .collect()
}

/// A question that names the known ids closest to what was written, if any is close.
pub fn did_you_mean<'a>(written: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let near = ids(written, known);
    (!near.is_empty()).then(|| format!("did you mean {}?", listed(near, "or")))
}

/// The known ids, such as `acme/large-2`, closest to what was written, the closest first.
///
/// Dashes, dots and blanks make no difference; the author may be missing, and so may the end.
fn ids<'a>(written: &str, known: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    const MOST: usize = 3;
    const LONGEST: usize = 200;
    let written = spaced(written.trim());
    if written.is_empty() || written.len() > LONGEST {
        return Vec::new();
    }
    let n_chars = written.chars().count();
    let distance = |id: &str| {
        let id = spaced(id);
        let name = id.rsplit_once('/').map_or(id.as_str(), |(_, name)| name);
        // The start of an id counts as well, but less.
        let begun = |text: &str| strsim::osa_distance(&written, &text.chars().take(n_chars).collect::<String>()) + 1;
        let whole = |text: &str| strsim::osa_distance(&written, text);
        // So does a word of its name.
        let word = name.split(' ').map(|word| whole(word) + 1).min().unwrap_or(usize::MAX);
        whole(&id).min(whole(name)).min(begun(&id)).min(begun(name)).min(word)
    };
    let mut near: Vec<(usize, &str)> = known
        .map(|id| (distance(id), id))
        .filter(|(edits, _)| *edits <= n_chars.div_ceil(3))
        .collect();
    near.sort_by_key(|(edits, _)| *edits);
    near.into_iter().take(MOST).map(|(_, id)| id).collect()
}

/// Whether each of these words is a part of the text, but for a slip in spelling.
pub fn resembles<'a>(text: &str, words: impl IntoIterator<Item = &'a str>) -> bool {
    let text = spaced(text);
    let parts: Vec<&str> = text.split([' ', '/', ':', '\n']).collect();
    let is_near = |word: &str| {
        let n_chars = word.chars().count();
        let begun = |part: &str| part.chars().take(n_chars).collect::<String>();
        let edits = |part: &&str| strsim::osa_distance(word, part).min(strsim::osa_distance(word, &begun(part)) + 1);
        parts.iter().map(edits).min().is_some_and(|edits| edits <= n_chars / 4)
    };
    words
        .into_iter()
        .all(|word| spaced(word).split_whitespace().all(is_near))
}

/// The form in which ids are compared: in lower case, with blanks for dashes and dots.
pub fn spaced(text: &str) -> String {
    text.to_lowercase().replace(['-', '_', '.'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_with_a_slip_are_found() {
        let text = "anthropic/claude-sonnet-4.5\nAnthropic: Claude Sonnet 4.5";
        for (words, is_found) in [
            ("cluade", true),
            ("claude-sonet 4.5", true),
            ("sonet", true),
            ("sonnet 4.6", false),
            ("opus", false),
            ("gpt", false),
        ] {
            assert_eq!(resembles(text, [words]), is_found, "{words}");
        }
    }

    #[test]
    fn near_ids_may_lack_their_author_or_have_a_slip() {
        let known = ["acme/large", "other/large", "acme/small", "TEXT_SMALL"];
        let near = |written: &str| ids(written, known.into_iter());
        assert_eq!(near("large"), ["acme/large", "other/large"]);
        assert_eq!(near("acme/smal"), ["acme/small"]);
        assert_eq!(near("TEXT_SMAL"), ["TEXT_SMALL"]);
        assert_eq!(
            ids("sonet", ["acme/claude-sonnet-5"].into_iter()),
            ["acme/claude-sonnet-5"]
        );
        assert!(near("zzzzzzzz").is_empty() && near(" ").is_empty());
    }
}
