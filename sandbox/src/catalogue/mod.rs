//! The models and providers that the sandbox knows: a small excerpt of the real catalogue.
//!
//! [`tables`] holds the data, this file looks ids up, [`listing`] makes what `GET /models` answers. Scripted ids look
//! like models of the provider `Sandbox`.

mod model;
mod tables;
mod filter;
pub(crate) mod listing;

use self::tables::{MODELS, PROVIDERS, SCRIPTED, SLUGS};
pub(crate) use self::{
    filter::Entry,
    model::{Facts, Kind, Model, Provider},
    tables::{ALIASES, CREATED_S},
};

/// The model of a request that names none.
pub(crate) const ACCOUNT_DEFAULT: &str = "openrouter/auto";

const VARIANTS: [&str; 8] = [
    "free", "nitro", "floor", "online", "thinking", "exacto", "extended", "batch",
];

/// The real models, in the order of the table, without the routers in [`ALIASES`].
pub(crate) fn models() -> impl Iterator<Item = Model> {
    MODELS.iter().map(|facts| named(facts.id, facts))
}

/// The real model that `id` names, by its id or its canonical slug, with or without a variant. Ignores aliases and
/// scripted ids.
pub(crate) fn find(id: &str) -> Option<Model> {
    let base = base_of(id).unwrap_or(id);
    if let Some((listed, _)) = SLUGS.iter().find(|(_, slug)| *slug == base) {
        return find(&format!("{listed}{}", &id[base.len()..]));
    }
    let facts_of = |id| MODELS.iter().find(|facts| facts.id == id);
    let facts = facts_of(id).or_else(|| facts_of(base))?;
    Some(named(id, facts))
}

/// The real model that answers for `id`, and the strategy that routing reports: as [`find`], also through an alias or
/// a preset. A preset holds nothing here, so that one without a model means the account's default.
pub(crate) fn lead(id: &str) -> Option<(Model, &'static str)> {
    let id = match id.split_once("@preset/") {
        Some(("", _)) => ACCOUNT_DEFAULT,
        Some((model, _)) => model,
        None => id,
    };
    let alias = ALIASES.into_iter().find(|(alias, ..)| *alias == id);
    let (_, target, strategy) = alias.unwrap_or((id, id, "direct"));
    find(target).map(|model| (model, strategy))
}

/// The model of an id that only a script knows.
pub(crate) fn scripted(id: &str, description: &str) -> Model {
    Model {
        description: Some(description.to_owned()),
        ..named(id, &SCRIPTED)
    }
}

fn named(id: &str, facts: &'static Facts) -> Model {
    Model {
        id: id.to_owned(),
        facts,
        description: None,
        own_prices_usd: None,
    }
}

/// `id` without its variant, if it has a known one.
pub(crate) fn base_of(id: &str) -> Option<&str> {
    let (base, variant) = id.rsplit_once(':')?;
    VARIANTS.contains(&variant).then_some(base)
}

impl Model {
    /// Whether it answers requests of `kind`.
    pub(crate) fn does(&self, kind: Kind) -> bool {
        let paints = self.facts.kind == Kind::Painter && matches!(kind, Kind::Chat | Kind::Pictures);
        self.facts.kind == kind || paints || self.is_scripted()
    }

    /// The name that never moves to another model, dated for some.
    pub(crate) fn canonical_slug(&self) -> &str {
        let dated = SLUGS.iter().find(|(id, _)| *id == self.id);
        dated.map_or(&self.id, |(_, slug)| slug)
    }

    pub(crate) fn is_scripted(&self) -> bool {
        self.facts.id == SCRIPTED.id
    }

    pub(crate) fn author(&self) -> &str {
        self.id.split('/').next().unwrap_or_default()
    }

    /// US dollars for one token of the prompt and of the answer, as text.
    pub(crate) fn prices_usd(&self) -> (&str, &str) {
        if let Some((prompt, completion)) = &self.own_prices_usd {
            return (prompt, completion);
        }
        if self.id.ends_with(":free") {
            return ("0", "0");
        }
        (self.facts.prompt_usd, self.facts.completion_usd)
    }

    pub(crate) fn providers(&self) -> impl Iterator<Item = &'static Provider> {
        let find = |slug: &&str| PROVIDERS.iter().find(|provider| provider.slug == *slug);
        self.facts.providers.iter().filter_map(find)
    }
}

/// Whether the catalogue knows a real provider of this display name.
pub(crate) fn is_real_provider(name: &str) -> bool {
    PROVIDERS
        .iter()
        .any(|provider| provider.name == name && name != "Sandbox")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_misses_of_ids_are_unknown() {
        for id in ["anthropic/claude-sonnet-4-5", "gpt-4o", "openai/gpt-4o:cheap"] {
            assert!(find(id).is_none(), "{id}");
        }
    }

    #[test]
    fn a_variant_is_known_and_a_free_one_costs_nothing() {
        for (id, base, prices_usd) in [
            ("openai/gpt-4o:nitro", "openai/gpt-4o", ("0.0000025", "0.00001")),
            ("deepseek/deepseek-chat:free", "deepseek/deepseek-chat", ("0", "0")),
        ] {
            let model = find(id).expect("a known variant");
            let seen = (model.id.as_str(), model.facts.id, model.prices_usd());
            assert_eq!(seen, (id, base, prices_usd));
        }
    }

    #[test]
    fn canonical_slugs_aliases_and_presets_lead_to_models() {
        for (id, model, strategy) in [
            ("openai/gpt-5.2-20251211", "openai/gpt-5.2", "direct"),
            ("openai/gpt-5.2-20251211:nitro", "openai/gpt-5.2:nitro", "direct"),
            ("openai/gpt-5.2@preset/x", "openai/gpt-5.2", "direct"),
            ("~openai/gpt-latest", "openai/gpt-5", "latest"),
            ("@preset/x", "openai/gpt-4o-mini", "auto"),
        ] {
            let found = lead(id).map(|(found, strategy)| (found.id, strategy));
            assert_eq!(found, Some((model.to_owned(), strategy)), "{id}");
        }
    }

    #[test]
    fn the_tables_lead_to_providers_prices_and_models() {
        for model in models() {
            assert_eq!(model.providers().count(), model.facts.providers.len(), "{}", model.id);
            let (prompt, completion) = model.prices_usd();
            let are_numbers = prompt.parse::<f64>().is_ok() && completion.parse::<f64>().is_ok();
            assert!(are_numbers, "{}", model.id);
        }
        let in_categories = tables::CATEGORIES.iter().flat_map(|(_, ids)| ids.iter());
        let in_aliases = ALIASES.iter().map(|(_, target, _)| target);
        let with_slugs = SLUGS.iter().map(|(id, _)| id);
        for id in in_categories.chain(in_aliases).chain(with_slugs) {
            assert!(find(id).is_some(), "{id}");
        }
    }

    #[test]
    fn a_provider_answers_to_its_slug_its_variants_and_its_name() {
        let provider = &PROVIDERS[2];
        for name in ["google-vertex", "google-vertex/us-east5", "Google"] {
            assert!(provider.answers_to(name), "{name}");
        }
        assert!(!provider.answers_to("google-ai-studio"));
    }
}
