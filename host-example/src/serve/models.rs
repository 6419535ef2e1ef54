//! The list of models as OpenAI's clients read it: a tier is a model, and the tiers come first.
//!
//! The service's entries stay as they are, byte for byte.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::header::{self, HeaderValue};
use hyper::{Response, StatusCode};
use plugin_api::{Error, Model, ModelList, ModelsRequest, TierModel, method};
use serde_json::json;

use super::problem::Problem;
use super::reply::{Body, json_response, response};
use super::shared::{Page, Serving};
use super::tiers::{entry as tier_entry, short_id, tier_named};
use crate::near;

/// How long a page is reused without asking the plugin: clients ask in bursts, and a list is large.
const KEPT: Duration = Duration::from_secs(2);

/// `GET /v1/models`
pub async fn list(serving: &Serving, force: bool) -> Result<Response<Body>, Error> {
    if let Some(page) = serving
        .models_page
        .load_full()
        .filter(|page| !force && page.made_at.elapsed() < KEPT)
    {
        return Ok(page_response(&page));
    }
    let list = of(serving, force).await?;
    let page = Arc::new(Page {
        made_at: Instant::now(),
        body: Bytes::from(text_of(&serving.tiers, &list.models)),
        age: Duration::from_millis(list.age_ms),
        warning: list.is_stale.then(|| list.problem.unwrap_or_default()),
    });
    let response = page_response(&page);
    if serving.has(method::MODELS) {
        serving.models_page.store(Some(page));
    }
    Ok(response)
}

/// The plugin's list; an empty one if it has none.
async fn of(serving: &Serving, force: bool) -> Result<ModelList, Error> {
    if !serving.has(method::MODELS) {
        return Ok(ModelList::default());
    }
    let plugin = serving.plugin.clone();
    // Parsing some hundred models takes milliseconds, which would delay other answers on this thread.
    let work = move || {
        let request = ModelsRequest { force, raw: true };
        tokio::runtime::Handle::current().block_on(plugin.models(request))
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(list) => list,
        Err(_) => Err(Error::new(
            plugin_api::ErrorKind::INTERNAL,
            "cannot read the model list",
        )),
    }
}

fn page_response(page: &Page) -> Response<Body> {
    let mut response = response(StatusCode::OK, "application/json", page.body.clone());
    let headers = response.headers_mut();
    headers.insert(header::AGE, HeaderValue::from(page.age().as_secs()));
    if let Some(why) = &page.warning {
        let why: String = why
            .chars()
            .filter(|letter| *letter != '"' && *letter != '\\' && !letter.is_control())
            .collect();
        // Source: RFC 7234, section 5.5.1; older clients show it, others ignore it.
        let warning = HeaderValue::from_str(&format!("110 agent-host \"the model list is stale: {why}\""));
        let warning = warning.unwrap_or(HeaderValue::from_static("110 agent-host \"the model list is stale\""));
        headers.insert(header::WARNING, warning);
    }
    response
}

/// `GET /v1/models/{id}`
pub async fn one(serving: &Serving, id: &str) -> Result<Response<Body>, Error> {
    if let Some(tier) = tier_named(&serving.tiers, id) {
        return Ok(json_response(StatusCode::OK, &tier_entry(tier, id)));
    }
    let list = of(serving, false).await?;
    if let Some(model) = list.models.iter().find(|model| model.id == id) {
        return Ok(response(StatusCode::OK, "application/json", entry(model)));
    }
    let problem = Problem::not_found("no such model");
    let models = list.models.iter().map(|model| model.id.as_str());
    let tiers = serving.tiers.iter().map(|tier| tier.tier.as_str());
    let near = near::did_you_mean(id, models.chain(tiers));
    let hint = near.unwrap_or_else(|| "`GET /v1/models` lists all models".to_owned());
    Ok(problem.with_hint(hint).into_response())
}

fn text_of(tiers: &[TierModel], models: &[Model]) -> String {
    let own = tiers
        .iter()
        .flat_map(|tier| [tier_entry(tier, &tier.tier), tier_entry(tier, &short_id(&tier.tier))])
        .map(|entry| entry.to_string());
    let entries: Vec<String> = own.chain(models.iter().map(entry)).collect();
    format!("{{\"object\":\"list\",\"data\":[{}]}}", entries.join(","))
}

/// The service's own entry, or one built from what the plugin knows.
fn entry(model: &Model) -> String {
    match &model.raw {
        Some(raw) => raw.get().to_owned(),
        None => json!({
            "id": model.id,
            "object": "model",
            "created": model.created_s.unwrap_or(0),
            "owned_by": model.id.split('/').next(),
            "name": model.name,
        })
        .to_string(),
    }
}

#[cfg(test)]
mod tests {
    use plugin_api::Verbatim;

    use super::*;

    fn tier(name: &str, wire: &str) -> TierModel {
        TierModel {
            tier: name.to_owned(),
            wire: wire.to_owned(),
            ..TierModel::default()
        }
    }

    fn model(id: &str, raw: Option<&str>) -> Model {
        Model {
            id: id.to_owned(),
            raw: raw.and_then(|raw| Verbatim::parse(raw.to_owned())),
            ..Model::default()
        }
    }

    #[test]
    fn tiers_come_first_and_the_services_entries_stay_as_they_are() {
        let tiers = [tier("TEXT_SMALL", "acme/small"), tier("TEXT_EMBEDDING", "acme/vector")];
        let models = [
            model("acme/small", Some("{ \"id\" : \"acme/small\", \"price\":1.50 }")),
            model("acme/other", None),
        ];
        let text = text_of(&tiers, &models);
        assert!(text.ends_with(
            ",{ \"id\" : \"acme/small\", \"price\":1.50 },{\"id\":\"acme/other\",\"object\":\"model\",\"created\":0,\"owned_by\":\"acme\",\"name\":\"\"}]}"
        ));
        let list: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
        let entries = list["data"].as_array().expect("a list");
        let ids: Vec<_> = entries.iter().map(|entry| &entry["id"]).collect();
        let tiers_first = ["TEXT_SMALL", "tier/small", "TEXT_EMBEDDING", "tier/text_embedding"];
        assert_eq!(ids, [&tiers_first[..], &["acme/small", "acme/other"]].concat());
        assert_eq!(entries[0]["name"], "TEXT_SMALL → acme/small");
        for id in "TEXT_SMALL text_small tier/small Tier/TEXT_SMALL tier/Small".split(' ') {
            let named = tier_named(&tiers, id).map(|tier| tier.tier.as_str());
            assert_eq!(named, Some("TEXT_SMALL"), "{id}");
        }
        assert!(tier_named(&tiers, "small").is_none() && tier_named(&tiers, "tier/").is_none());
    }
}
