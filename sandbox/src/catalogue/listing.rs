//! What `GET /models`, `/models/…/endpoints` and `/providers` answer.
//!
//! Pure: tables in, JSON out.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};
use serde_json::{Value, json};

use super::{
    filter::{Entry, SORTS, passes, put_in_order},
    model::{Model, Provider},
    tables::{CATEGORIES, CREATED_S, PROVIDERS},
};
use crate::failure::Failure;

/// One model, as `GET /models` lists it.
pub(crate) fn model_value(model: &Model) -> Value {
    let facts = model.facts;
    // A router costs what the chosen model costs, which the service writes as -1.
    let is_router = model.id.starts_with("openrouter/");
    let (prompt_usd, completion_usd) = if is_router { ("-1", "-1") } else { model.prices_usd() };
    let (_, outputs, _) = facts.kind.words();
    let name = if model.is_scripted() {
        format!("Sandbox: {}", model.id)
    } else {
        facts.name.to_owned()
    };
    let usual = "An entry of the sandbox, a local service, not OpenRouter.".to_owned();
    let mut value = json!({
        "id": model.id,
        "canonical_slug": model.canonical_slug(),
        "hugging_face_id": null,
        "name": name,
        "created": CREATED_S,
        "description": model.description.clone().unwrap_or(usual),
        "context_length": facts.context_tokens,
        "architecture": {
            "modality": format!("{}->{}", facts.inputs.join("+"), outputs.join("+")),
            "input_modalities": facts.inputs,
            "output_modalities": outputs,
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

fn max_output(model: &Model) -> Option<u64> {
    Some(model.facts.max_output_tokens).filter(|tokens| *tokens > 0)
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
    let percentiles = |p50: f64, spread: f64| json!({"p50": p50, "p75": p50 * spread, "p90": p50 * spread * spread, "p99": p50 * spread.powi(3)});
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
        // Newer than the API description; the official SDKs expect them.
        "supports_diarization": false,
        "supports_tool_choice": {"auto": true, "function": true, "none": true, "required": true},
        "native_tools": {},
        "service_tier": null,
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

/// The entry of a model from the tables or of a scripted one.
pub(crate) fn entry_from(model: &Model) -> Entry {
    Entry {
        value: model_value(model),
        providers: model.providers().collect(),
    }
}

/// `GET /models`: the entries that the query keeps, on the page that it asks for.
///
/// - In: the decoded pairs of the query; unknown ones are ignored. `path` of the request, which the link to the next
///   page repeats. `page_size` for clients that ask for none.
/// - Errors: 400 for an `offset`, `limit`, `category` or `sort` that the API description does not allow.
pub(crate) fn models_value(
    entries: Vec<Entry>,
    query: &[(String, String)],
    path: &str,
    page_size: Option<usize>,
) -> Result<Value, Failure> {
    let asked = |name: &str| {
        let found = query.iter().find(|(given, _)| given == name);
        found.map(|(_, value)| value.as_str())
    };
    let number = |name: &str, least: usize, most: usize| match asked(name).map(str::parse::<usize>) {
        None => Ok(None),
        Some(Ok(number)) if (least..=most).contains(&number) => Ok(Some(number)),
        Some(_) => Err(Failure::status(400).message(format!("{name}: expected a whole number, {least} to {most}"))),
    };
    let word = |name: &str, words: &[&str]| match asked(name) {
        Some(word) if !words.contains(&word) => {
            Err(Failure::status(400).message(format!("{name}: expected one of {}", words.join(", "))))
        }
        word => Ok(word),
    };
    let offset = number("offset", 0, usize::MAX)?;
    let limit = number("limit", 1, 1000)?;
    let category = word("category", &CATEGORIES.map(|(name, _)| name))?;
    let sort = word("sort", &SORTS)?;

    let in_category = |id: &str| {
        let ids = CATEGORIES.iter().find(|(name, _)| Some(*name) == category);
        ids.is_none_or(|(_, ids)| ids.contains(&id))
    };
    let mut listed: Vec<Entry> = entries
        .into_iter()
        .filter(|entry| in_category(entry.id()) && passes(entry, &asked))
        .collect();
    put_in_order(&mut listed, sort.unwrap_or_default());
    let total_count = listed.len();

    // Clients that know nothing of pages expect the whole list.
    let pages = offset.is_some() || limit.is_some() || page_size.is_some();
    let size = match (limit, page_size) {
        (Some(limit), Some(size)) => limit.min(size),
        (limit, size) => limit.or(size).unwrap_or(500),
    };
    let size = if pages { size } else { usize::MAX };
    let offset = offset.unwrap_or(0);
    let page = listed.into_iter().skip(offset).take(size);
    let page: Vec<Value> = page.map(|entry| entry.value).collect();
    let end = offset.saturating_add(page.len());
    let next = (end < total_count && !page.is_empty()).then(|| link(path, query, end, size));

    Ok(json!({"data": page, "total_count": total_count, "links": {"next": next}}))
}

/// The path of the next page, with the filters of this one.
fn link(path: &str, query: &[(String, String)], offset: usize, limit: usize) -> String {
    let mut link = format!("{path}?offset={offset}&limit={limit}");
    for (name, value) in query {
        if name != "offset" && name != "limit" {
            link.push_str(&format!("&{}={}", encoded(name), encoded(value)));
        }
    }
    link
}

fn encoded(text: &str) -> PercentEncode<'_> {
    /// Every byte that may have a meaning in a query.
    const SPECIAL: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~')
        .remove(b',')
        .remove(b'/');
    utf8_percent_encode(text, SPECIAL)
}

#[cfg(test)]
mod tests {
    use super::super::models;
    use super::*;

    fn listed(query: &[(&str, &str)]) -> Result<Value, Failure> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let query: Vec<(String, String)> = query.iter().map(owned).collect();
        let entries = models().map(|model| entry_from(&model)).collect();
        models_value(entries, &query, "/api/v1/models", None)
    }

    fn ids(query: &[(&str, &str)]) -> Vec<String> {
        let body = listed(query).expect("the query is in order");
        let data = body["data"].as_array().expect("`data` is an array");
        data.iter()
            .map(|model| model["id"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    #[test]
    fn models_that_do_not_chat_are_listed_only_when_asked_for() {
        assert!(!ids(&[]).contains(&"openai/text-embedding-3-small".to_owned()));
        let embeddings = ["3-small", "3-large", "ada-002"].map(|name| format!("openai/text-embedding-{name}"));
        assert_eq!(ids(&[("output_modalities", "embeddings")]), embeddings);
        let others = [
            "cohere/rerank-v3.5",
            "openai/gpt-4o-mini-tts",
            "mistralai/voxtral-mini-tts-2603",
        ];
        assert_eq!(ids(&[("output_modalities", "rerank,speech")]), others);
    }

    #[test]
    fn filters_narrow_the_list() {
        assert_eq!(ids(&[("q", "haiku")]), ["anthropic/claude-haiku-4.5"]);
        let of_openai = ids(&[("model_authors", "openai")]);
        assert!(of_openai.iter().all(|id| id.starts_with("openai/")));
        let science = ["openai/gpt-5", "deepseek/deepseek-r1"];
        assert_eq!(ids(&[("category", "science")]), science);
        assert_eq!(ids(&[("arch", "Grok")]), ["x-ai/grok-4"]);
        let reasoners = ids(&[("supported_parameters", "reasoning,tools")]);
        assert!(reasoners.contains(&"openai/gpt-5".to_owned()) && !reasoners.contains(&"openai/gpt-4o".to_owned()));
        let dear = ["claude-3-opus", "claude-opus-4", "claude-opus-4.1"].map(|name| format!("anthropic/{name}"));
        assert_eq!(
            ids(&[("min_price", "15"), ("max_price", "15"), ("max_output_price", "75")]),
            dear
        );
    }

    #[test]
    fn parameters_that_the_description_does_not_allow_are_refused() {
        let message = |query| listed(&[query]).expect_err("refused").message.unwrap_or_default();
        assert!(message(("category", "cooking")).starts_with("category: expected one of programming, roleplay"));
        assert!(message(("sort", "best")).starts_with("sort: expected one of most-popular"));
        assert_eq!(message(("limit", "0")), "limit: expected a whole number, 1 to 1000");
    }

    #[test]
    fn sort_orders_the_list() {
        for (sort, first) in [
            ("pricing-low-to-high", "meta-llama/llama-3.3-70b-instruct:free"),
            ("pricing-high-to-low", "openai/gpt-4"),
            ("context-high-to-low", "google/gemini-2.5-flash"),
        ] {
            assert_eq!(ids(&[("sort", sort)])[0], first, "{sort}");
        }
    }

    #[test]
    fn a_page_links_to_the_next_one_with_its_filters() {
        let next = |q| {
            let body = listed(&[("offset", "2"), ("limit", "3"), ("q", q)]).expect("the query is in order");
            (body["data"].as_array().map(Vec::len), body["links"]["next"].clone())
        };
        assert_eq!(next("a b&c"), (Some(0), Value::Null));
        assert_eq!(next("/"), (Some(3), json!("/api/v1/models?offset=5&limit=3&q=/")));
        assert_eq!(encoded("a b&c=ä").to_string(), "a%20b%26c%3D%C3%A4");
    }
}
