//! Turns model ids as people write them into the ids that OpenRouter serves. Pure.

use std::borrow::Cow;

/// Ids that appear in documentation but that OpenRouter does not serve, each with the id it serves instead.
///
/// OpenRouter writes the versions of these models with a dot, and has no Haiku 4.0.
const SERVED_AS: [(&str, &str); 9] = [
    ("anthropic/claude-haiku-4", "anthropic/claude-haiku-4.5"),
    ("anthropic/claude-haiku-4-5", "anthropic/claude-haiku-4.5"),
    ("anthropic/claude-sonnet-4-5", "anthropic/claude-sonnet-4.5"),
    ("anthropic/claude-opus-4-1", "anthropic/claude-opus-4.1"),
    ("anthropic/claude-opus-4-5", "anthropic/claude-opus-4.5"),
    ("auto", "openrouter/auto"),
    // Clients ask for these by default, so no model list is fetched to complete them.
    ("text-embedding-3-small", "openai/text-embedding-3-small"),
    ("text-embedding-3-large", "openai/text-embedding-3-large"),
    ("text-embedding-ada-002", "openai/text-embedding-ada-002"),
];

/// Turns a model id as people write it into the id that OpenRouter serves.
///
/// - In: any id with any variant suffix, such as `openrouter/anthropic/claude-sonnet-4-5:nitro`.
/// - Out: the id for the request, and a note if it differs. Ids that are not in the table pass
///   unchanged, because a new model must not need a new plugin.
pub fn wire_id(configured: &str) -> (Cow<'_, str>, Option<String>) {
    let trimmed = configured.trim();
    let unprefixed = without_host_prefix(trimmed);
    let (base, variant) = match unprefixed.find([':', '@']) {
        Some(at) => unprefixed.split_at(at),
        None => (unprefixed, ""),
    };
    if let Some((_, served)) = SERVED_AS.iter().find(|(documented, _)| *documented == base) {
        let wire = format!("{served}{variant}");
        let note = format!("OpenRouter does not serve `{base}`; sending `{wire}` instead");
        return (Cow::Owned(wire), Some(note));
    }
    let note = (unprefixed.len() != trimmed.len())
        .then(|| format!("OpenRouter's model ids have no `openrouter/` prefix; sending `{unprefixed}`"));
    (Cow::Borrowed(unprefixed), note)
}

/// Whether a model id names OpenRouter's auto router, which chooses models and fallbacks itself.
pub fn is_auto_router(model: &str) -> bool {
    let (wire, _) = wire_id(model);
    let name = wire.split([':', '@']).next().unwrap_or_default();
    matches!(name, "openrouter/auto" | "openrouter/auto-beta")
}

/// Whether a model id names a free model, or the router that chooses among them.
pub fn is_free(model: &str) -> bool {
    let mut parts = model.split([':', '@']);
    parts.next() == Some("openrouter/free") || parts.any(|part| part == "free")
}

/// Splits the preset off an id such as `openai/gpt-4o@preset/x`; `None` for other ids, and for a preset alone.
pub fn without_preset(id: &str) -> Option<(&str, &str)> {
    let at = id.find("@preset/").filter(|at| *at > 0)?;
    Some(id.split_at(at))
}

/// Removes the `openrouter/` that multi-provider programs put before `author/model` or `@preset/x`. Keeps it for
/// OpenRouter's own routers, such as `openrouter/auto` or `openrouter/auto@preset/x`.
fn without_host_prefix(id: &str) -> &str {
    let Some(rest) = id.strip_prefix("openrouter/") else {
        return id;
    };
    let name = rest.split(['@', ':']).next().unwrap_or(rest);
    if name.contains('/') || rest.starts_with('@') {
        rest
    } else {
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::rows;

    #[test]
    fn ids_that_are_not_served_are_replaced_and_keep_their_variant() {
        let table = "
            anthropic/claude-haiku-4 | anthropic/claude-haiku-4.5
            anthropic/claude-haiku-4-5 | anthropic/claude-haiku-4.5
            anthropic/claude-sonnet-4-5:nitro | anthropic/claude-sonnet-4.5:nitro
            anthropic/claude-opus-4-1 | anthropic/claude-opus-4.1
            anthropic/claude-opus-4-5:free | anthropic/claude-opus-4.5:free
            openrouter/anthropic/claude-haiku-4 | anthropic/claude-haiku-4.5
            anthropic/claude-sonnet-4-5@preset/x | anthropic/claude-sonnet-4.5@preset/x
            openrouter/@preset/x | @preset/x
            auto@preset/x | openrouter/auto@preset/x
        ";
        for [id, sent] in rows(table) {
            assert_eq!(wire_id(id).0, sent, "{id}");
        }
        assert_eq!(wire_id(" auto ").0, "openrouter/auto");
    }

    #[test]
    fn the_openrouter_prefix_is_removed_except_from_routers() {
        let (wire, note) = wire_id("openrouter/meta-llama/llama-4:free");
        assert_eq!(wire, "meta-llama/llama-4:free");
        let expected = "OpenRouter's model ids have no `openrouter/` prefix; sending `meta-llama/llama-4:free`";
        assert_eq!(note.as_deref(), Some(expected));
    }

    #[test]
    fn the_auto_router_is_recognised_in_every_spelling() {
        for id in "auto openrouter/auto openrouter/auto-beta openrouter/auto:nitro".split(' ') {
            assert!(is_auto_router(id), "{id}");
        }
        for id in "openrouter/free openrouter/a/auto a/auto openrouter/automatic".split(' ') {
            assert!(!is_auto_router(id), "{id}");
        }
    }

    #[test]
    fn a_free_model_says_so_in_its_variant() {
        for id in "a/b:free a/b:free:online a/b:online:free openrouter/free openrouter/free@preset/x".split(' ') {
            assert!(is_free(id), "{id}");
        }
        for id in "a/free a/b a/b:freedom openrouter/freedom @preset/free a/b@preset/free".split(' ') {
            assert!(!is_free(id), "{id}");
        }
    }

    #[test]
    fn every_other_id_passes_unchanged() {
        let ids = "openrouter/auto openrouter/fusion:nitro openrouter/auto@preset/x anthropic/claude-opus-4
            anthropic/claude-haiku-4.5:thinking anthropic/claude-sonnet-4-5-preview deepseek/deepseek-r1:free
            ~anthropic/claude-sonnet-latest @preset/my-preset openai/gpt-4o@preset/x made-up/model:batch:online gpt-4o";
        for id in ids.split_whitespace() {
            assert_eq!(wire_id(id), (Cow::Borrowed(id), None));
        }
    }
}
