//! The list of models as OpenAI's clients read it, or as Anthropic's do. A tier is a model, behind those of the
//! service.
//!
//! In OpenAI's form the service's entries stay as they are, byte for byte. Every client may find the tiers, so they are
//! in filtered lists too.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use bytes::Bytes;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Response, StatusCode};
use plugin_api::{Error, ErrorKind, HttpRequest, Model, ModelList, ModelsRequest, TierModel, method};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::headers::X_NOTICES;
use super::problem::Problem;
use super::reply::{Body, json_response, response};
use super::shared::{Failed, Page, Serving};
use super::tiers::{entry as tier_entry, tier_named};
use crate::near;
use crate::terminal::time::rfc_3339;

/// How long a page, or the failure to get one, is reused without asking the plugin: clients ask in bursts, and a list
/// is large.
const KEPT: Duration = Duration::from_secs(2);
/// The same for callers without the token, and for models that the list leaves out: any number of requests here must not
/// become as many at the service.
const KEPT_FOR_STRANGERS: Duration = Duration::from_secs(60);

/// `GET /v1/models`
///
/// - In: `filters`, the query for the service; whether the caller has the token, and gets the list in Anthropic's form.
pub async fn list(
    serving: &Serving,
    force: bool,
    filters: Option<String>,
    is_known: bool,
    is_anthropic: bool,
) -> Result<Response<Body>, Error> {
    let page = page(serving, force && is_known, is_known).await?;
    // Anthropic's clients page by their own parameters, and get the whole list as one page.
    let filters = filters.map(|filters| if is_anthropic { without_pages(&filters) } else { filters });
    let filters = filters.filter(|filters| serving.has(method::RAW) && !filters.is_empty());
    // Only the service can filter, and whoever asks it spends the user's key.
    let is_unfiltered = filters.is_some() && !is_known;
    let filters = filters.filter(|_| is_known);
    let body = match &filters {
        None => page.body.clone(),
        Some(filters) => filtered(serving, filters, &page.tiers, is_anthropic).await?.into(),
    };
    let body = if is_anthropic {
        anthropic_list(&body).to_string().into()
    } else {
        body
    };
    let mut response = response(StatusCode::OK, "application/json", body);
    if filters.is_none() {
        set_age(&page, response.headers_mut());
    }
    if is_unfiltered {
        let notice = HeaderValue::from_static("unfiltered");
        response.headers_mut().insert(X_NOTICES, notice);
    }
    Ok(response)
}

/// A query without the parameters by which Anthropic's clients page.
fn without_pages(query: &str) -> String {
    let is_page = |pair: &&str| matches!(pair.split('=').next(), Some("limit" | "after_id" | "before_id"));
    let pairs: Vec<&str> = query.split('&').filter(|pair| !is_page(pair)).collect();
    pairs.join("&")
}

/// How long what is known is good enough for a caller.
fn kept_for(is_known: bool) -> Duration {
    if is_known { KEPT } else { KEPT_FOR_STRANGERS }
}

/// The page, if it is new enough.
fn kept_page(serving: &Serving, kept: Duration) -> Option<Arc<Page>> {
    let page = serving.models_page.load_full();
    page.filter(|page| page.made_at.elapsed() < kept)
}

/// The whole list.
async fn page(serving: &Serving, force: bool, is_known: bool) -> Result<Arc<Page>, Error> {
    let kept = kept_for(is_known);
    if let Some(page) = kept_page(serving, kept).filter(|_| !force) {
        return Ok(page);
    }
    let asked_at = Instant::now();
    let _asked = serving.models_asked.lock().await;
    // Another caller may have got it in the meantime.
    let now = kept_page(serving, kept).filter(|page| !force || page.made_at > asked_at);
    if let Some(page) = now {
        return Ok(page);
    }
    let list = of(serving, force, is_known).await?;
    let previous = serving.models_page.load_full().filter(|_| !force);
    let mut unlisted = previous.as_ref().map(|page| page.unlisted.clone()).unwrap_or_default();
    let mut unlisted_asked = previous.map(|page| page.unlisted_asked.clone()).unwrap_or_default();
    let mut tiers = Vec::new();
    for tier in &serving.tiers {
        let listed = model_behind(tier, &list.models);
        let may_ask = |asked: &Instant| asked.elapsed() >= KEPT_FOR_STRANGERS;
        if listed.is_none()
            && !list.is_stale
            && !unlisted.contains_key(&tier.wire)
            && unlisted_asked.get(&tier.wire).is_none_or(may_ask)
        {
            unlisted_asked.insert(tier.wire.clone(), Instant::now());
            unlisted.extend(unlisted_model(serving, tier).await);
        }
        let behind = listed.as_ref().or_else(|| unlisted.get(&tier.wire));
        tiers.push(tier_entry(tier, behind.map(String::as_str)));
    }
    let models: Vec<String> = list.models.iter().map(entry).collect();
    let data = joined(&models.join(","), &tiers);
    let page = Arc::new(Page {
        made_at: Instant::now(),
        // As the service counts and links its pages; this is the only one.
        body: Bytes::from(format!(
            "{{\"object\":\"list\",\"data\":{data},\"total_count\":{},\"links\":{{\"next\":null}}}}",
            models.len() + tiers.len()
        )),
        tiers,
        unlisted,
        unlisted_asked,
        age: Duration::from_millis(list.age_ms),
        warning: list.is_stale.then(|| list.problem.unwrap_or_default()),
    });
    if serving.has(method::MODELS) {
        serving.models_page.store(Some(Arc::clone(&page)));
    }
    Ok(page)
}

/// The id and the entry of the model behind a tier, for models that lists leave out, such as those for embeddings.
///
/// - Out: an empty entry if the service has none; `None` if it could not say so.
async fn unlisted_model(serving: &Serving, tier: &TierModel) -> Option<(String, String)> {
    #[derive(Deserialize)]
    struct Answer {
        data: Box<RawValue>,
    }

    if !serving.has(method::RAW) {
        return None;
    }
    let path = format!("/model/{}", base_of(&tier.wire));
    let entry = match serving
        .asked(|| serving.plugin.raw(HttpRequest::new("GET", path.as_str())))
        .await
    {
        Ok(answer) => serde_json::from_slice::<Answer>(&answer.body)
            .ok()?
            .data
            .get()
            .to_owned(),
        Err(error) if error.details.status == Some(404) => String::new(),
        Err(_) => return None,
    };
    Some((tier.wire.clone(), entry))
}

/// The list as the service filters it, with the tiers on its last page.
async fn filtered(serving: &Serving, filters: &str, tiers: &[Value], is_only_page: bool) -> Result<String, Error> {
    let path = format!("/models?{filters}");
    let answer = serving
        .asked(|| serving.plugin.raw(HttpRequest::new("GET", path.as_str())))
        .await?;
    let unreadable = || Error::new(ErrorKind::PROTOCOL, "expected a list of models, found something else");
    let mut list: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(&answer.body).map_err(|_| unreadable())?;
    let read = |name: &str| {
        list.get(name)
            .and_then(|value| serde_json::from_str::<Value>(value.get()).ok())
    };
    let (links, count) = (read("links"), read("total_count").and_then(|count| count.as_u64()));
    let data = list.get("data").map(|data| data.get());
    let models = data.and_then(|data| data.strip_prefix('[')?.strip_suffix(']'));
    let models = models.ok_or_else(unreadable)?.trim();
    let next = links.as_ref().and_then(|links| next_page(links["next"].as_str()?));
    // A client that asks for a page after the last one already has the tiers.
    let is_last = next.is_none() && (!models.is_empty() || count.is_none_or(|count| count == 0));
    let tiers_here = if is_last || is_only_page { tiers } else { &[] };
    let mut changed = vec![("data", joined(models, tiers_here))];
    if let Some(mut links) = links.filter(Value::is_object) {
        links["next"] = Value::from(next);
        changed.push(("links", links.to_string()));
    }
    if let Some(count) = count {
        changed.push(("total_count", count.saturating_add(tiers.len() as u64).to_string()));
    }
    for (name, value) in changed {
        list.insert(name.to_owned(), RawValue::from_string(value).map_err(|_| unreadable())?);
    }
    serde_json::to_string(&list).map_err(|_| unreadable())
}

/// The service's link to the next page as a path of this endpoint; an absolute one would lead clients past it.
fn next_page(link: &str) -> Option<String> {
    let (path, query) = link.split_once('?')?;
    path.ends_with("/models").then(|| format!("/v1/models?{query}"))
}

/// An array of the models' entries, then the tiers'.
fn joined(models: &str, tiers: &[Value]) -> String {
    let models = Some(models.to_owned()).filter(|models| !models.is_empty());
    let entries: Vec<String> = models.into_iter().chain(tiers.iter().map(Value::to_string)).collect();
    format!("[{}]", entries.join(","))
}

/// A list in Anthropic's form. Its entries keep what they have in the other one.
///
/// - Source: Anthropic's API reference, `GET /v1/models`.
fn anthropic_list(body: &[u8]) -> Value {
    let list: Value = serde_json::from_slice(body).unwrap_or_default();
    let entries = list["data"].as_array().cloned().unwrap_or_default();
    let data: Vec<Value> = entries
        .into_iter()
        .filter(Value::is_object)
        .map(anthropic_entry)
        .collect();
    json!({
        "first_id": data.first().map(|entry| &entry["id"]),
        "last_id": data.last().map(|entry| &entry["id"]),
        "has_more": false,
        "data": data,
    })
}

fn anthropic_entry(mut entry: Value) -> Value {
    let created_s = entry["created"].as_u64().unwrap_or_default();
    let created_at = UNIX_EPOCH.checked_add(Duration::from_secs(created_s));
    entry["created_at"] = Value::from(rfc_3339(created_at.unwrap_or(UNIX_EPOCH)));
    entry["display_name"] = if entry["name"].is_string() {
        entry["name"].clone()
    } else {
        entry["id"].clone()
    };
    entry["type"] = Value::from("model");
    entry
}

/// The plugin's list; an empty one if it has none.
async fn of(serving: &Serving, force: bool, is_known: bool) -> Result<ModelList, Error> {
    if !serving.has(method::MODELS) {
        return Ok(ModelList::default());
    }
    let failed = serving.models_failed.load_full().filter(|_| !force);
    if let Some(failed) = failed.filter(|failed| failed.at.elapsed() < kept_for(is_known)) {
        return Err(failed.error.clone());
    }
    let ask = || {
        let plugin = serving.plugin.clone();
        // Parsing some hundred models takes milliseconds, which would delay other answers on this thread.
        let work = move || {
            let request = ModelsRequest {
                force,
                raw: true,
                ..ModelsRequest::default()
            };
            tokio::runtime::Handle::current().block_on(plugin.models(request))
        };
        async move {
            let unread = |_| Error::new(ErrorKind::INTERNAL, "cannot read the model list");
            tokio::task::spawn_blocking(work).await.map_err(unread).flatten()
        }
    };
    let list = serving.asked(ask).await;
    if let Err(error) = &list {
        let (at, error) = (Instant::now(), error.clone());
        serving.models_failed.store(Some(Arc::new(Failed { at, error })));
    }
    list
}

/// Says how old the service's list is.
fn set_age(page: &Page, headers: &mut HeaderMap) {
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
}

/// `GET /v1/models/{id}`
///
/// - In: whether a tier's entry is the member `data` of the answer; whether the caller has the token.
pub async fn one(
    serving: &Serving,
    id: &str,
    is_data: bool,
    is_known: bool,
    is_anthropic: bool,
) -> Result<Response<Body>, Error> {
    if let Some(tier) = tier_named(&serving.tiers, id) {
        // A tier is a model whether the service answers or not.
        let tiers = page(serving, false, is_known)
            .await
            .map(|page| page.tiers.clone())
            .unwrap_or_default();
        let found = tiers.into_iter().find(|entry| entry["id"] == tier.tier.as_str());
        let mut entry = found.unwrap_or_else(|| tier_entry(tier, None));
        entry["id"] = Value::from(id);
        let entry = if is_anthropic { anthropic_entry(entry) } else { entry };
        let entry = if is_data { json!({"data": entry}) } else { entry };
        return Ok(json_response(StatusCode::OK, &entry));
    }
    let list = of(serving, false, is_known).await?;
    if let Some(model) = list.models.iter().find(|model| model.id == id) {
        let entry = entry(model);
        if is_anthropic {
            let entry = anthropic_entry(serde_json::from_str(&entry).unwrap_or_default());
            return Ok(json_response(StatusCode::OK, &entry));
        }
        return Ok(response(StatusCode::OK, "application/json", entry));
    }
    let problem = Problem::not_found("no such model");
    let models = list.models.iter().map(|model| model.id.as_str());
    let tiers = serving.tiers.iter().map(|tier| tier.tier.as_str());
    let near = near::did_you_mean(id, models.chain(tiers));
    let hint = near.unwrap_or_else(|| "`GET /v1/models` lists all models".to_owned());
    Ok(problem.with_hint(hint).into_response())
}

/// The entry of the model behind a tier, or of the one that it is a variant of.
fn model_behind(tier: &TierModel, models: &[Model]) -> Option<String> {
    let named = |id: &str| models.iter().find(|model| model.id == id);
    named(&tier.wire).or_else(|| named(base_of(&tier.wire))).map(entry)
}

/// A model's id without a variant.
fn base_of(id: &str) -> &str {
    id.split(':').next().unwrap_or(id)
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
    fn a_tier_has_all_that_the_model_behind_it_has() {
        let models = [
            model(
                "acme/small",
                Some("{ \"id\" : \"acme/small\", \"price\":1.50, \"name\":\"Small\" }"),
            ),
            model("acme/other", None),
        ];
        let entry_of = |wire: &str| {
            let tier = tier("TEXT_SMALL", wire);
            tier_entry(&tier, model_behind(&tier, &models).as_deref())
        };
        for wire in ["acme/small", "acme/small:nitro"] {
            let name = format!("TEXT_SMALL → {wire}");
            let expected = json!({"id": "TEXT_SMALL", "price": 1.5, "name": name, "object": "model", "created": 0,
                "owned_by": "agent-host", "tier": true});
            assert_eq!(entry_of(wire), expected);
        }
        assert_eq!(
            entry_of("acme/new")["pricing"],
            json!({"prompt": "-1", "completion": "-1"})
        );
        let tiers = [json!(8), json!(9)];
        let all = [joined("1.50", &tiers), joined("", &tiers), joined("1.50", &[])];
        assert_eq!(all, ["[1.50,8,9]", "[8,9]", "[1.50]"]);
    }

    #[test]
    fn the_next_page_is_always_one_of_this_endpoint() {
        for (link, next) in [
            ("/api/v1/models?offset=5&limit=5", Some("/v1/models?offset=5&limit=5")),
            (
                "https://service.example/x/models?cursor=a%2Fb",
                Some("/v1/models?cursor=a%2Fb"),
            ),
            ("https://service.example/other?cursor=a", None),
            ("/api/v1/models", None),
        ] {
            assert_eq!(next_page(link).as_deref(), next, "{link}");
        }
    }

    #[test]
    fn a_tier_is_known_by_each_of_its_names() {
        let tiers = [tier("TEXT_SMALL", "acme/small"), tier("TEXT_EMBEDDING", "acme/vector")];
        for id in "TEXT_SMALL text_small tier/small Tier/TEXT_SMALL tier/Small".split(' ') {
            let named = tier_named(&tiers, id).map(|tier| tier.tier.as_str());
            assert_eq!(named, Some("TEXT_SMALL"), "{id}");
        }
        assert!(tier_named(&tiers, "small").is_none() && tier_named(&tiers, "tier/").is_none());
    }

    #[test]
    fn anthropics_list_has_its_own_members_beside_the_others() {
        let list = anthropic_list(br#"{"data":[{"id":"a","name":"A","created":86400},{"id":"b"}]}"#);
        let expected = json!({
            "first_id": "a", "last_id": "b", "has_more": false,
            "data": [
                {"id": "a", "name": "A", "created": 86400, "created_at": "1970-01-02T00:00:00Z", "display_name": "A",
                    "type": "model"},
                {"id": "b", "created_at": "1970-01-01T00:00:00Z", "display_name": "b", "type": "model"},
            ],
        });
        assert_eq!(list, expected);
    }
}
