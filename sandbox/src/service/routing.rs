//! Decides which models may answer a request, and which of their providers, in which order.
//!
//! Pure: a request and a way to look up ids in, a list of attempts or a refusal out. Nothing is tried here.

use std::slice;

use crate::{
    catalogue::{ALIASES, Kind, Model, Provider, find},
    failure::Failure,
    rules::request::{Chat, Preferences, Sort},
};

/// Id that answers when a request names no model.
const ACCOUNT_DEFAULT: &str = "openrouter/auto";

/// One model that may answer.
#[derive(Debug)]
pub(crate) struct Candidate {
    /// As the request wrote it.
    pub(crate) requested: String,
    pub(crate) model: Model,
    /// What `openrouter_metadata.strategy` says of it.
    pub(crate) strategy: &'static str,
    /// At least one, the first choice first.
    pub(crate) providers: Vec<&'static Provider>,
    /// Whether the request chose among the providers, so that the reply names one of them.
    pub(crate) chosen: bool,
}

/// The models that may answer `chat`, in the order in which to try them.
///
/// - In: `scripted` looks up an id that only a script knows.
/// - Errors: 400 for an id that nobody knows, or for a model that does not chat; 404 if no provider is left.
pub(crate) fn candidates(chat: &Chat, scripted: &dyn Fn(&str) -> Option<Model>) -> Result<Vec<Candidate>, Failure> {
    let default = [ACCOUNT_DEFAULT.to_owned()];
    let ids = if chat.models.is_empty() {
        &default[..]
    } else {
        &chat.models[..]
    };

    let mut found = Vec::new();
    let mut refused = None;
    for id in ids {
        let (model, strategy) = resolve(id, scripted).ok_or_else(|| unknown_model(id, ids))?;
        if !model.does(Kind::Chat) {
            let (what, place) = model.facts.kind.told();
            return Err(Failure::status(400)
                .message(format!("{id} is {what}; use {place}"))
                .availability("wrong_endpoint", false, ids));
        }
        match providers_for(chat, &model) {
            Ok(providers) => found.push(Candidate {
                requested: id.clone(),
                strategy,
                providers,
                chosen: chooses(&chat.routing) && !model.is_scripted(),
                model,
            }),
            Err((code, message)) => {
                refused.get_or_insert(Failure::status(404).message(message).availability(code, false, ids));
            }
        }
    }
    match refused {
        Some(refusal) if found.is_empty() => Err(refusal),
        _ => Ok(found),
    }
}

/// The model behind `id`, and the strategy that finds it.
fn resolve(id: &str, scripted: &dyn Fn(&str) -> Option<Model>) -> Option<(Model, &'static str)> {
    if let Some(model) = scripted(id) {
        return Some((model, "direct"));
    }
    if let Some((_, target, strategy)) = ALIASES.iter().find(|(alias, ..)| *alias == id) {
        return find(target).map(|model| (model, *strategy));
    }
    find(id).map(|model| (model, "direct"))
}

/// The refusal of an id that no catalogue lists.
fn unknown_model(id: &str, requested: &[String]) -> Failure {
    let message = format!("{id} is not a valid model ID");
    Failure::status(400)
        .message(message)
        .availability("model_not_found", false, requested)
}

/// The model of a request that is not chat, or its refusal.
pub(crate) fn model_for(kind: Kind, id: &str, model: Option<Model>) -> Result<Model, Failure> {
    let requested = [id.to_owned()];
    let model = model.ok_or_else(|| unknown_model(id, &requested))?;
    if model.does(kind) {
        return Ok(model);
    }
    let (_, place) = model.facts.kind.told();
    let (what, _) = kind.told();
    Err(Failure::status(400)
        .message(format!("{id} is not {what}; use {place}"))
        .availability("wrong_endpoint", false, &requested))
}

/// Name of the provider which serves a request that is not chat.
pub(crate) fn provider_name(routing: &Preferences, model: &Model) -> Result<&'static str, Failure> {
    let chat = Chat {
        routing: routing.clone(),
        ..Chat::default()
    };
    let providers = providers_for(&chat, model).map_err(|(code, message)| {
        Failure::status(404)
            .message(message)
            .availability(code, false, slice::from_ref(&model.id))
    })?;
    let first = providers.first().filter(|_| chooses(routing));
    Ok(first.map_or("Sandbox", |provider| provider.name))
}

fn chooses(routing: &Preferences) -> bool {
    let narrows = routing.only.is_some() || !routing.ignore.is_empty() || !routing.quantizations.is_empty();
    narrows || !routing.order.is_empty() || routing.sort.is_some() || routing.zero_retention
}

type Refused = (&'static str, String);

fn providers_for(chat: &Chat, model: &Model) -> Result<Vec<&'static Provider>, Refused> {
    let routing = &chat.routing;
    let id = &model.id;
    let supports = |parameter: &&str| model.facts.parameters.contains(parameter);

    if !chat.tools.is_empty() && !supports(&"tools") {
        return Err((
            "no_endpoints",
            format!("No endpoints found that support tool use: {id}"),
        ));
    }
    if routing.require_parameters && !chat.parameters.iter().all(supports) {
        let message = "No endpoints found that can handle the requested parameters.";
        return Err(("constraint_filtered", message.to_owned()));
    }
    if chat
        .max_tokens
        .is_some_and(|tokens| tokens > model.facts.max_output_tokens)
    {
        let message = format!("No endpoints found for {id} that can output that many tokens.");
        return Err(("constraint_filtered", message));
    }
    if too_dear(routing, model) {
        return Err((
            "constraint_filtered",
            format!("No endpoints found for {id} within the maximum price."),
        ));
    }

    let mut providers: Vec<&'static Provider> = model.providers().collect();
    if let Some(only) = &routing.only {
        providers.retain(|provider| only.iter().any(|name| provider.answers_to(name)));
    }
    providers.retain(|provider| !routing.ignore.iter().any(|name| provider.answers_to(name)));
    if providers.is_empty() {
        return Err((
            "no_endpoints",
            format!("No allowed providers are available for the selected model: {id}"),
        ));
    }
    if !routing.quantizations.is_empty() {
        providers.retain(|provider| routing.quantizations.iter().any(|name| name == provider.quantization));
    }
    if routing.zero_retention {
        providers.retain(|provider| provider.zero_retention);
    }
    if providers.is_empty() {
        let message = format!("No endpoints found for {id} that match your data policy or quantizations.");
        return Err(("constraint_filtered", message));
    }

    put_in_order(&mut providers, routing, &model.id);
    if routing.order.is_empty() {
        if routing.no_fallbacks {
            providers.truncate(1);
        }
        return Ok(providers);
    }
    let mut ordered: Vec<&'static Provider> = Vec::new();
    for name in &routing.order {
        let named = providers.iter().filter(|provider| provider.answers_to(name));
        for provider in named {
            if !ordered.iter().any(|earlier| earlier.slug == provider.slug) {
                ordered.push(provider);
            }
        }
    }
    if routing.no_fallbacks {
        if ordered.is_empty() {
            let message = format!("No allowed providers are available for the selected model: {id}");
            return Err(("no_endpoints", message));
        }
        return Ok(ordered);
    }
    providers.retain(|provider| !ordered.iter().any(|earlier| earlier.slug == provider.slug));
    ordered.extend(providers);
    Ok(ordered)
}

fn too_dear(routing: &Preferences, model: &Model) -> bool {
    let (prompt_usd, completion_usd) = model.prices_usd();
    let limits = [
        (routing.max_prompt_usd_per_million, prompt_usd),
        (routing.max_completion_usd_per_million, completion_usd),
    ];
    limits.into_iter().any(|(limit, price)| {
        let usd_per_million = price.parse::<f64>().unwrap_or(0.0) * 1e6;
        // A millionth of a dollar of slack: the product is not exact.
        limit.is_some_and(|limit| usd_per_million > limit + 1e-6)
    })
}

fn put_in_order(providers: &mut [&'static Provider], routing: &Preferences, id: &str) {
    let by_variant = match id.rsplit_once(':') {
        Some((_, "nitro")) => Some(Sort::Throughput),
        Some((_, "floor")) => Some(Sort::Price),
        _ => None,
    };
    match routing.sort.or(by_variant) {
        Some(Sort::Throughput) => providers.sort_by(|a, b| b.tokens_per_s.total_cmp(&a.tokens_per_s)),
        Some(Sort::Latency) => providers.sort_by(|a, b| a.latency_s.total_cmp(&b.latency_s)),
        // All providers of a model cost the same here, and none is better at tools.
        Some(Sort::Price | Sort::Exacto) | None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chat(models: &[&str], routing: Preferences) -> Chat {
        Chat {
            models: models.iter().map(|id| (*id).to_owned()).collect(),
            routing,
            ..Chat::default()
        }
    }

    fn names(models: &[&str], routing: Preferences) -> Result<Vec<&'static str>, (u16, String)> {
        candidates(&chat(models, routing), &|_| None)
            .map(|found| found[0].providers.iter().map(|provider| provider.name).collect())
            .map_err(|refusal| (refusal.status, refusal.message.unwrap_or_default()))
    }

    fn list(slugs: &[&str]) -> Vec<String> {
        slugs.iter().map(|slug| (*slug).to_owned()).collect()
    }

    #[test]
    fn an_unknown_id_is_refused_even_as_a_fallback() {
        let refused = names(
            &["openai/gpt-4o", "anthropic/claude-sonnet-4-5"],
            Preferences::default(),
        );
        assert_eq!(
            refused,
            Err((400, "anthropic/claude-sonnet-4-5 is not a valid model ID".to_owned()))
        );
    }

    #[test]
    fn the_order_puts_its_providers_first() {
        let routing = Preferences {
            order: list(&["azure"]),
            ..Preferences::default()
        };
        assert_eq!(names(&["openai/gpt-4o"], routing), Ok(vec!["Azure", "OpenAI"]));
    }

    #[test]
    fn the_order_alone_is_used_without_fallbacks() {
        let routing = Preferences {
            order: list(&["azure"]),
            no_fallbacks: true,
            ..Preferences::default()
        };
        assert_eq!(names(&["openai/gpt-4o"], routing), Ok(vec!["Azure"]));
    }

    #[test]
    fn naming_no_provider_of_the_model_is_refused() {
        let message = "No allowed providers are available for the selected model: openai/gpt-4o".to_owned();
        let only = Preferences {
            only: Some(list(&["groq"])),
            ..Preferences::default()
        };
        assert_eq!(names(&["openai/gpt-4o"], only), Err((404, message.clone())));
        let order = Preferences {
            order: list(&["groq"]),
            no_fallbacks: true,
            ..Preferences::default()
        };
        assert_eq!(names(&["openai/gpt-4o"], order), Err((404, message)));
    }

    #[test]
    fn a_fallback_stands_in_for_a_model_without_providers() {
        let only = Preferences {
            only: Some(list(&["groq"])),
            ..Preferences::default()
        };
        let ids = ["openai/gpt-4o", "meta-llama/llama-3.3-70b-instruct"];
        assert_eq!(names(&ids, only), Ok(vec!["Groq"]));
    }

    #[test]
    fn sorting_by_throughput_puts_the_fastest_first() {
        let routing = Preferences {
            sort: Some(Sort::Throughput),
            ..Preferences::default()
        };
        assert_eq!(
            names(&["meta-llama/llama-3.3-70b-instruct"], routing).map(|found| found[0]),
            Ok("Groq")
        );
    }

    #[test]
    fn the_maximum_price_is_for_a_million_tokens() {
        let at_most = |usd| Preferences {
            max_prompt_usd_per_million: Some(usd),
            ..Preferences::default()
        };
        assert!(names(&["openai/gpt-4o"], at_most(2.5)).is_ok());
        let message = "No endpoints found for openai/gpt-4o within the maximum price.".to_owned();
        assert_eq!(names(&["openai/gpt-4o"], at_most(2.4)), Err((404, message)));
    }

    #[test]
    fn without_a_model_the_router_chooses_one() {
        let found = candidates(&Chat::default(), &|_| None).expect("the default of the account");
        assert_eq!(
            (found[0].strategy, found[0].model.id.as_str()),
            ("auto", "openai/gpt-4o-mini")
        );
    }
}
