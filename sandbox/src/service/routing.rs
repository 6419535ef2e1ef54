//! Decides which models may answer a request, which of their providers, and in which order.
//!
//! Pure: a request and a way to look up ids in, a list of candidates or a refusal out. Nothing is tried here.

use std::slice;

use crate::{
    catalogue::{ACCOUNT_DEFAULT, Kind, Model, Provider, lead},
    failure::Failure,
    rules::request::{Chat, Preferences, Sort},
};

/// One model that may answer.
#[derive(Debug)]
pub(crate) struct Candidate {
    /// The id as requested.
    pub(crate) requested: String,
    pub(crate) model: Model,
    /// `openrouter_metadata.strategy`.
    pub(crate) strategy: &'static str,
    /// At least one, the first choice first.
    pub(crate) providers: Vec<&'static Provider>,
    /// Whether the request chose among the providers, so that the reply names one of them.
    pub(crate) chosen: bool,
}

/// The models that may answer `chat`, in the order of the attempts.
///
/// - In: `scripted` looks up an id that only a script knows.
/// - Errors: 400 for an unknown id or a model that does not chat; 404 if no provider is left.
pub(crate) fn candidates(chat: &Chat, scripted: &dyn Fn(&str) -> Option<Model>) -> Result<Vec<Candidate>, Failure> {
    let default = [ACCOUNT_DEFAULT.to_owned()];
    let ids = match &chat.models[..] {
        [] => &default,
        ids => ids,
    };

    let mut found = Vec::new();
    let mut refused = None;
    for id in ids {
        let (model, strategy) = resolve(id, scripted).ok_or_else(|| unknown_model(id, ids))?;
        if !model.does(Kind::Chat) {
            let (what, _, path) = model.facts.kind.words();
            return Err(Failure::status(400)
                .message(format!("{id} is {what}; use {path}"))
                .availability("wrong_endpoint", false, ids));
        }
        match providers_for(chat, &model, ids) {
            Ok(providers) => found.push(Candidate {
                requested: id.clone(),
                strategy,
                providers,
                chosen: chooses(&chat.routing) && !model.is_scripted(),
                model,
            }),
            Err(refusal) => {
                refused.get_or_insert(refusal);
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
    lead(id)
}

/// The refusal of an unknown id.
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
    let (_, _, path) = model.facts.kind.words();
    let (what, ..) = kind.words();
    Err(Failure::status(400)
        .message(format!("{id} is not {what}; use {path}"))
        .availability("wrong_endpoint", false, &requested))
}

/// The name of the provider that serves a request that is not chat.
pub(crate) fn provider_name(routing: &Preferences, model: &Model) -> Result<&'static str, Failure> {
    let chat = Chat {
        routing: routing.clone(),
        ..Chat::default()
    };
    let providers = providers_for(&chat, model, slice::from_ref(&model.id))?;
    let first = providers.first().filter(|_| chooses(routing));
    Ok(first.map_or("Sandbox", |provider| provider.name))
}

fn chooses(routing: &Preferences) -> bool {
    let narrows = routing.only.is_some() || !routing.ignore.is_empty() || !routing.quantizations.is_empty();
    narrows || !routing.order.is_empty() || routing.sort.is_some() || routing.zero_retention
}

/// - Errors: 404 if none is left.
fn providers_for(chat: &Chat, model: &Model, requested: &[String]) -> Result<Vec<&'static Provider>, Failure> {
    let routing = &chat.routing;
    let id = &model.id;
    let refused = |code, message: String| {
        let refusal = Failure::status(404).message(message);
        Err(refusal.availability(code, false, requested))
    };
    let filtered = |message: String| refused("constraint_filtered", message);
    let none_allowed = || {
        let message = format!("No allowed providers are available for the selected model: {id}");
        refused("no_endpoints", message)
    };
    let supports = |parameter: &&str| model.facts.parameters.contains(parameter);
    let is_named = |names: &[String], provider: &Provider| names.iter().any(|name| provider.answers_to(name));

    if !chat.tools.is_empty() && !supports(&"tools") {
        let message = format!("No endpoints found that support tool use: {id}");
        return refused("no_endpoints", message);
    }
    if routing.require_parameters && !chat.parameters.iter().all(supports) {
        return filtered("No endpoints found that can handle the requested parameters.".to_owned());
    }
    if chat.max_tokens > Some(model.facts.max_output_tokens) {
        return filtered(format!("No endpoints found for {id} that can output that many tokens."));
    }
    if is_too_expensive(routing, model) {
        return filtered(format!("No endpoints found for {id} within the maximum price."));
    }

    let mut providers: Vec<&'static Provider> = model.providers().collect();
    providers.retain(|provider| routing.only.as_ref().is_none_or(|only| is_named(only, provider)));
    providers.retain(|provider| !is_named(&routing.ignore, provider));
    if providers.is_empty() {
        return none_allowed();
    }
    let wanted = &routing.quantizations;
    providers.retain(|provider| wanted.is_empty() || wanted.iter().any(|name| name == provider.quantization));
    providers.retain(|provider| provider.zero_retention || !routing.zero_retention);
    if providers.is_empty() {
        return filtered(format!(
            "No endpoints found for {id} that match your data policy or quantizations."
        ));
    }

    put_in_order(&mut providers, routing, id);
    // Stable, so the providers that `order` does not name keep their order behind the others.
    let place = |provider: &&Provider| routing.order.iter().position(|name| provider.answers_to(name));
    providers.sort_by_key(|provider| place(provider).unwrap_or(usize::MAX));
    if routing.no_fallbacks {
        if routing.order.is_empty() {
            providers.truncate(1);
        }
        providers.retain(|provider| routing.order.is_empty() || place(provider).is_some());
    }
    if providers.is_empty() {
        return none_allowed();
    }
    Ok(providers)
}

fn is_too_expensive(routing: &Preferences, model: &Model) -> bool {
    let (prompt_usd, completion_usd) = model.prices_usd();
    let limits = [
        (routing.max_prompt_usd_per_million, prompt_usd),
        (routing.max_completion_usd_per_million, completion_usd),
    ];
    limits.into_iter().any(|(limit, price)| {
        let usd_per_million = price.parse::<f64>().unwrap_or(0.0) * 1e6;
        // A millionth of a dollar of slack, since the product is not exact.
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
    use serde_json::{Value, json};

    use super::*;
    use crate::rules::preferences_from;

    /// The providers of the first candidate, for a request with this `provider` object.
    fn names(models: &[&str], provider: &Value) -> Result<String, (u16, String)> {
        let body = serde_json::Map::from_iter([("provider".to_owned(), provider.clone())]);
        let (routing, problems) = preferences_from(&body);
        assert_eq!(problems, [""; 0], "{provider}");
        let chat = Chat {
            models: models.iter().map(|id| (*id).to_owned()).collect(),
            routing,
            ..Chat::default()
        };
        let found = candidates(&chat, &|_| None);
        let found = found.map_err(|refusal| (refusal.status, refusal.message.unwrap_or_default()))?;
        let names: Vec<_> = found[0].providers.iter().map(|provider| provider.name).collect();
        Ok(names.join(", "))
    }

    #[test]
    fn preferences_choose_and_order_the_providers() {
        let (gpt, llama) = (&["openai/gpt-4o"][..], &["meta-llama/llama-3.3-70b-instruct"][..]);
        let both = &[gpt[0], llama[0]];
        let fast = json!({"sort": "throughput", "quantizations": ["unknown", "bf16"]});
        let cases = [
            (gpt, json!({"order": ["azure"]}), "Azure, OpenAI"),
            (gpt, json!({"order": ["azure"], "allow_fallbacks": false}), "Azure"),
            (gpt, json!({"allow_fallbacks": false}), "OpenAI"),
            (gpt, json!({"ignore": ["openai"]}), "Azure"),
            (gpt, json!({"zdr": true}), "Azure"),
            (gpt, json!({"max_price": {"prompt": "2.5"}}), "OpenAI, Azure"),
            // The first model has no such provider, so the next one answers.
            (both, json!({"only": ["groq"]}), "Groq"),
            (llama, fast, "Groq, Fireworks"),
        ];
        for (models, provider, expected) in cases {
            assert_eq!(names(models, &provider), Ok(expected.to_owned()), "{provider}");
        }
    }

    #[test]
    fn a_request_that_no_provider_may_serve_is_refused() {
        let none = "No allowed providers are available for the selected model: openai/gpt-4o";
        let too_dear = "No endpoints found for openai/gpt-4o within the maximum price.";
        let policy = "No endpoints found for openai/gpt-4o that match your data policy or quantizations.";
        let cases = [
            (json!({"only": ["groq"]}), none),
            (json!({"order": ["groq"], "allow_fallbacks": false}), none),
            (json!({"max_price": {"prompt": "2.4"}}), too_dear),
            (json!({"quantizations": ["fp8"]}), policy),
        ];
        for (provider, message) in cases {
            let refused = Err((404, message.to_owned()));
            assert_eq!(names(&["openai/gpt-4o"], &provider), refused, "{provider}");
        }
    }

    #[test]
    fn an_unknown_id_is_refused_even_as_a_fallback() {
        let refused = names(&["openai/gpt-4o", "anthropic/claude-sonnet-4-5"], &json!({}));
        let message = "anthropic/claude-sonnet-4-5 is not a valid model ID".to_owned();
        assert_eq!(refused, Err((400, message)));
    }

    #[test]
    fn without_a_model_the_router_chooses_one() {
        let found = candidates(&Chat::default(), &|_| None).expect("the default of the account");
        let expected = ("auto", "openai/gpt-4o-mini");
        assert_eq!((found[0].strategy, found[0].model.id.as_str()), expected);
    }
}
