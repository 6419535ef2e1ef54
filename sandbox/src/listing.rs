//! The catalogue as the service lists it: models, their endpoints, providers.
//!
//! Pure: tables in, JSON out.

use serde_json::{Map, Value, json};

use crate::{
    catalogue::{Model, PROVIDERS, Provider},
    failure::Failure,
    reply::CREATED_S,
};

/// One model, as `GET /models` lists it.
pub(crate) fn model_value(model: &Model) -> Value {
    let facts = model.facts;
    // The price of a router is that of the model it chooses, which the service writes as -1.
    let is_router = model.id.starts_with("openrouter/");
    let (prompt_usd, completion_usd) = if is_router { ("-1", "-1") } else { model.prices_usd() };
    let output = if model.embeds() { "embeddings" } else { "text" };
    let name = if model.is_scripted() {
        format!("Sandbox: {}", model.id)
    } else {
        facts.name.to_owned()
    };
    let usual = "An entry of the sandbox, a local stand-in for OpenRouter.".to_owned();
    let mut value = json!({
        "id": model.id,
        "canonical_slug": model.id,
        "hugging_face_id": null,
        "name": name,
        "created": CREATED_S,
        "description": model.description.clone().unwrap_or(usual),
        "context_length": facts.context_tokens,
        "architecture": {
            "modality": format!("{}->{output}", facts.inputs.join("+")),
            "input_modalities": facts.inputs,
            "output_modalities": [output],
            "tokenizer": facts.tokenizer,
            "instruct_type": null,
        },
        "pricing": {"prompt": prompt_usd, "completion": completion_usd, "request": "0", "image": "0"},
        "top_provider": {
            "context_length": facts.context_tokens,
            "max_completion_tokens": max_output(model),
            "is_moderated": false,
        },
        "per_request_limits": null,
        "supported_parameters": facts.parameters,
        "default_parameters": {},
        "supported_voices": null,
        "expiration_date": null,
        "knowledge_cutoff": null,
        "links": {"details": format!("/api/v1/models/{}/endpoints", model.id)},
    });
    if facts.parameters.contains(&"reasoning") {
        value["reasoning"] = json!({"mandatory": false, "supported_efforts": ["high", "medium", "low", "minimal"]});
    }
    value
}

fn max_output(model: &Model) -> Value {
    match model.facts.max_output_tokens {
        0 => Value::Null,
        tokens => json!(tokens),
    }
}

/// `GET /models/{author}/{slug}/endpoints`.
pub(crate) fn endpoints_value(model: &Model) -> Value {
    let listed = model_value(model);
    let endpoints: Vec<Value> = model
        .providers()
        .map(|provider| endpoint_value(model, provider))
        .collect();
    json!({
        "data": {
            "id": model.id,
            "name": listed["name"],
            "created": CREATED_S,
            "description": listed["description"],
            "architecture": listed["architecture"],
            "endpoints": endpoints,
        }
    })
}

fn endpoint_value(model: &Model, provider: &Provider) -> Value {
    let facts = model.facts;
    let (prompt_usd, completion_usd) = model.prices_usd();
    let percentiles = |middle: f64, spread: f64| json!({"p50": middle, "p75": middle * spread, "p90": middle * spread * spread, "p99": middle * spread.powi(3)});
    json!({
        "name": format!("{} | {}", provider.name, model.id),
        "model_id": model.id,
        "model_name": facts.name,
        "context_length": facts.context_tokens,
        "pricing": {"prompt": prompt_usd, "completion": completion_usd, "request": "0", "image": "0", "discount": 0},
        "provider_name": provider.name,
        "tag": provider.slug,
        "quantization": provider.quantization,
        "max_completion_tokens": max_output(model),
        "max_prompt_tokens": null,
        "supported_parameters": facts.parameters,
        "status": 0,
        "uptime_last_5m": 100,
        "uptime_last_30m": 100,
        "uptime_last_1d": 100,
        "supports_implicit_caching": false,
        "latency_last_30m": percentiles(provider.latency_s, 1.5),
        "throughput_last_30m": percentiles(provider.tokens_per_s, 0.75),
    })
}

/// `GET /providers`.
pub(crate) fn providers_value() -> Value {
    let provider = |provider: &Provider| {
        json!({
            "name": provider.name,
            "slug": provider.slug,
            "privacy_policy_url": null,
            "terms_of_service_url": null,
            "status_page_url": null,
            "headquarters": null,
            "datacenters": null,
        })
    };
    json!({"data": PROVIDERS.iter().map(provider).collect::<Vec<Value>>()})
}

/// `GET /models`: the models that the query lets through.
///
/// - In: the decoded pairs of the query; pairs that the sandbox does not know are passed over.
/// - Errors: 400 for an `offset` or a `limit` out of range.
pub(crate) fn models_value(models: &[Model], query: &[(String, String)]) -> Result<Value, Failure> {
    let asked = |name: &str| {
        query
            .iter()
            .find(|(given, _)| given == name)
            .map(|(_, value)| value.as_str())
    };
    let number = |name: &str, least: usize, most: usize| match asked(name).map(str::parse::<usize>) {
        None => Ok(None),
        Some(Ok(number)) if (least..=most).contains(&number) => Ok(Some(number)),
        Some(_) => Err(Failure::status(400).message(format!("{name}: expected a whole number, {least} to {most}"))),
    };
    let offset = number("offset", 0, usize::MAX)?;
    let limit = number("limit", 1, 1000)?;

    let listed: Vec<Value> = models
        .iter()
        .filter(|model| passes(model, &asked))
        .map(model_value)
        .collect();
    let total_count = listed.len();
    let page: Vec<Value> = match (offset, limit) {
        (None, None) => listed,
        (offset, limit) => listed
            .into_iter()
            .skip(offset.unwrap_or(0))
            .take(limit.unwrap_or(500))
            .collect(),
    };
    let end = offset.unwrap_or(0) + page.len();
    let next = (end < total_count && !page.is_empty())
        .then(|| format!("/api/v1/models?offset={end}&limit={}", limit.unwrap_or(500)));

    let mut body = Map::new();
    body.insert("data".to_owned(), Value::Array(page));
    body.insert("total_count".to_owned(), json!(total_count));
    body.insert("links".to_owned(), json!({"next": next}));
    Ok(Value::Object(body))
}

fn passes<'a>(model: &Model, asked: &impl Fn(&str) -> Option<&'a str>) -> bool {
    let facts = model.facts;
    let all_in =
        |name: &str, list: &[&str]| asked(name).is_none_or(|wanted| wanted.split(',').all(|item| list.contains(&item)));
    let any_in =
        |name: &str, list: &[&str]| asked(name).is_none_or(|wanted| wanted.split(',').any(|item| list.contains(&item)));
    let output = if model.embeds() { "embeddings" } else { "text" };
    let outputs = asked("output_modalities").unwrap_or("text");
    let least_context = asked("context").and_then(|tokens| tokens.parse().ok()).unwrap_or(0);
    let most_usd = asked("max_price")
        .and_then(|usd| usd.parse::<f64>().ok())
        .unwrap_or(f64::MAX);
    let usd_per_million = model.prices_usd().0.parse::<f64>().unwrap_or(0.0) * 1e6;
    let text = asked("q").unwrap_or_default().to_lowercase();

    (outputs == "all" || outputs.split(',').any(|wanted| wanted == output))
        && all_in("supported_parameters", facts.parameters)
        && all_in("input_modalities", facts.inputs)
        && any_in("providers", facts.providers)
        && any_in("model_authors", &[model.author()])
        && facts.context_tokens >= least_context
        && usd_per_million <= most_usd + 1e-6
        && (model.id.contains(&text) || facts.name.to_lowercase().contains(&text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::models;

    fn ids(query: &[(&str, &str)]) -> Vec<String> {
        let all: Vec<Model> = models().collect();
        let query: Vec<(String, String)> = query
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let body = models_value(&all, &query).expect("the query is in order");
        let data = body["data"].as_array().expect("`data` is an array");
        data.iter()
            .map(|model| model["id"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    #[test]
    fn models_that_embed_are_listed_only_when_asked_for() {
        assert!(!ids(&[]).contains(&"openai/text-embedding-3-small".to_owned()));
        let embeddings = ["openai/text-embedding-3-small", "openai/text-embedding-3-large"];
        assert_eq!(ids(&[("output_modalities", "embeddings")]), embeddings);
    }

    #[test]
    fn filters_narrow_the_list() {
        assert_eq!(ids(&[("q", "haiku")]), ["anthropic/claude-haiku-4.5"]);
        assert!(
            ids(&[("model_authors", "openai")])
                .iter()
                .all(|id| id.starts_with("openai/"))
        );
    }

    #[test]
    fn a_page_says_where_the_next_one_is() {
        let all: Vec<Model> = models().collect();
        let query = [
            ("offset".to_owned(), "2".to_owned()),
            ("limit".to_owned(), "3".to_owned()),
        ];
        let body = models_value(&all, &query).expect("the query is in order");
        assert_eq!(body["links"]["next"], json!("/api/v1/models?offset=5&limit=3"));
        assert_eq!(body["data"].as_array().map(Vec::len), Some(3));
    }
}
