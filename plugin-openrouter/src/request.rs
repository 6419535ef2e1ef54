//! Turns a chat request and the options into the body and the headers of one HTTP request.
//!
//! Pure. The messages are spliced into the body as they came, never read and printed again. Nothing stands in the body
//! that nobody set: no `provider`, no sampling parameter, no `max_tokens`.

use std::collections::BTreeMap;

use bytes::Bytes;
use plugin_api::{ChatRequest, Error, ErrorKind, Notice};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::ask::Ask;
use crate::dialect::{self, Dialect};
use crate::members::Members;
use crate::model_id;
use crate::options::{MAX_FALLBACKS, Options, Privacy};
use crate::settings::Settings;
use crate::tiers::{self, Choice, Origin, Tier};

/// The most models that a request may name behind its first one.
// Source: the service answers 400 `'models' array must have 3 items or fewer.`, which its description does not say.
const MAX_OTHERS: usize = 3;

/// What a call is going to ask for. It is made once; each attempt takes its body from it.
pub struct Plan {
    dialect: Dialect,
    tier: Option<Tier>,
    /// The models that may answer, the one that was asked for first, by their ids on the wire.
    pub models: Vec<String>,
    /// Who is asking.
    pub headers: HeaderMap,
    /// What the caller should know about the request.
    pub notices: Vec<Notice>,
    /// The longest answer that is asked for, in tokens.
    pub max_tokens: Option<u64>,
}

/// What an attempt asks for otherwise than the plan.
#[derive(Clone, Copy, Default)]
pub struct Changes {
    /// Fewer tokens than were asked for.
    pub max_tokens: Option<u64>,
}

/// Body fields that have a place of their own in [`ChatRequest`] or are the method's matter.
const NOT_PARAMETERS: [&str; 3] = ["messages", "model", "stream"];

/// Parameters that have a place of their own in the body.
const PLACED_FIELDS: [&str; 3] = ["provider", "plugins", "models"];

/// Fields that OpenAI's protocol does not have.
const OWN_FIELDS: [&str; 21] = [
    "provider",
    "models",
    "plugins",
    "route",
    "transforms",
    "reasoning",
    "include_reasoning",
    "top_k",
    "top_a",
    "min_p",
    "repetition_penalty",
    "usage",
    "session_id",
    "trace",
    "debug",
    "preset",
    "stop_server_tools_when",
    "max_tool_calls",
    "prompt_cache_options",
    "cache_control",
    "image_config",
];

/// What stands before the name of a tier where a model is expected.
const TIER_PREFIX: &str = "tier/";

/// Plans a call.
///
/// - In: `stepped_down_to`, a tier that takes the place of the one that was asked for, with its model and options.
/// - Errors: `invalid_request` for an unknown tier, or for a parameter that has another place.
pub fn plan(settings: &Settings, ask: &Ask, stepped_down_to: Option<Tier>) -> Result<Plan, Error> {
    let request = &ask.request;
    if let Some(name) = NOT_PARAMETERS
        .iter()
        .find(|name| request.parameters.contains_key(**name))
    {
        return Err(Error::new(
            ErrorKind::INVALID_REQUEST,
            format!("`{name}` has a place of its own and cannot be one of the `parameters`"),
        ));
    }
    let options = &settings.options;
    let named = match request.parameters.get("models").filter(|_| ask.dialect.has_fallbacks()) {
        Some(models) => Some(called_models(models)?),
        None => None,
    };
    let mut asked = match &request.tier {
        Some(name) => Some(Tier::parse(name).ok_or_else(|| unknown_tier(name))?),
        None => None,
    };
    // A blank id is none.
    let mut model = request
        .model
        .as_deref()
        .map(str::trim)
        .filter(|model| !model.is_empty());
    if let Some(tier) = model.map(named_tier).transpose()?.flatten() {
        asked = Some(tier);
        model = None;
    }
    let called = model.filter(|_| stepped_down_to.is_none());
    let tier = stepped_down_to
        .or(asked)
        .or(called.is_none().then_some(ask.dialect.default_tier()).flatten());
    let headers = headers(settings, ask)?;
    let choice = match (called, tier) {
        (Some(model), tier) => Choice::by_call(tier.unwrap_or(Tier::TextLarge), model),
        (None, Some(tier)) => tiers::resolve(tier, options, &settings.environment),
        (None, None) => {
            // It needs no model.
            return Ok(Plan {
                dialect: ask.dialect,
                tier: None,
                models: Vec::new(),
                headers,
                notices: ask.notices.clone(),
                max_tokens: None,
            });
        }
    };
    let mut notices = ask.notices.clone();
    // Nobody needs to be told of each answer that the built-in defaults have other names on the wire.
    if let Some(note) = choice
        .note
        .as_ref()
        .filter(|_| !matches!(choice.origin, Origin::Default { .. }))
    {
        notices.push(Notice::new("translated.model-id", note));
    }
    let others = match ask.dialect {
        // What stands behind a model that writes is no model that reads only.
        Dialect::Embeddings | Dialect::Other => Vec::new(),
        _ => others(settings, tier, called, named.as_deref(), &choice.wire, &mut notices)?,
    };
    let parameters = ask.dialect.defaults(options.parameters_for(tier));
    let called_number = |name: &str| request.parameters.get(name)?.get().parse::<u64>().ok();
    let names = ask.dialect.max_tokens_names();
    // Of several limits, the service may take any.
    let limit = names.iter().filter_map(|name| called_number(name)).max();
    let limit = limit.or_else(|| {
        names
            .iter()
            .find_map(|name| parameters.get(*name).and_then(Value::as_u64))
    });
    let n_answers = ["n", "best_of"]
        .into_iter()
        .filter_map(called_number)
        .max()
        .unwrap_or(1)
        .max(1);
    let max_tokens = limit.map(|limit| limit.saturating_mul(n_answers));
    Ok(Plan {
        dialect: ask.dialect,
        tier,
        models: chain(choice.wire, others),
        headers,
        notices,
        max_tokens,
    })
}

/// The tier that stands in the place of a model: `TEXT_SMALL`, `tier/small`, `small`.
///
/// - Errors: `invalid_request` for a name that is meant for a tier's and that no tier has.
fn named_tier(model: &str) -> Result<Option<Tier>, Error> {
    let starts_with = |prefix: &str| {
        model
            .get(..prefix.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    if starts_with(TIER_PREFIX) {
        let name = &model[TIER_PREFIX.len()..];
        return Tier::parse(name).map(Some).ok_or_else(|| unknown_tier(name));
    }
    // A model's id has an author, so a bare word is free to mean a tier.
    match Tier::parse(model) {
        None if starts_with("TEXT_") && !model.contains('/') => Err(unknown_tier(model)),
        tier => Ok(tier),
    }
}

impl Plan {
    /// The models of a request that begins with the `first`-th of the chain: one that is asked for, and up to three behind it.
    /// Empty beyond the end of the chain.
    pub fn window(&self, first: usize) -> &[String] {
        let rest = self.models.get(first..).unwrap_or_default();
        &rest[..rest.len().min(self.window_len())]
    }

    fn window_len(&self) -> usize {
        if self.dialect.has_fallbacks() {
            1 + MAX_OTHERS
        } else {
            1
        }
    }

    /// How many requests it takes to ask for every model of the chain.
    pub fn n_requests(&self) -> usize {
        self.models.len().div_ceil(self.window_len())
    }

    /// The body of a request for these models at the service itself.
    pub fn body(
        &self,
        options: &Options,
        request: &ChatRequest,
        models: &[String],
        changes: Changes,
        stream: bool,
    ) -> Vec<u8> {
        // Where a form has no such list, it is the service's matter what it makes of one.
        let placed = if self.dialect.has_fallbacks() {
            &PLACED_FIELDS[..]
        } else {
            &PLACED_FIELDS[..2]
        };
        let mut body = self.common(options, request, models, changes, stream, placed);
        let others = models.get(1..).unwrap_or_default();
        if !others.is_empty() {
            body.field("models", &others);
        }
        if self.dialect.has_provider()
            && let Some(provider) = provider(self.dialect, options, self.tier, &request.parameters)
        {
            body.raw("provider", &provider);
        }
        let plugins = options.plugins_for(self.tier);
        match request.parameters.get("plugins") {
            Some(called) => body.raw("plugins", called.get()),
            None if !plugins.is_empty() && self.dialect.has_plugins() => body.field("plugins", &plugins),
            None => {}
        }
        body.end()
    }

    /// A body that was given, with the model that is asked for in the place of the one that it names.
    /// Where `privacy` is strict, it asks for what that demands, too.
    pub fn given_body(&self, options: &Options, ask: &Ask, given: &Bytes, models: &[String]) -> Bytes {
        let model = models
            .first()
            .filter(|model| ask.request.model.as_ref() != Some(*model));
        let is_strict = options.privacy == Some(Privacy::Strict) && !models.is_empty();
        if model.is_none() && !is_strict {
            return given.clone();
        }
        let Ok(mut members) = Members::parse(given) else {
            return given.clone();
        };
        if let Some(model) = model {
            members.set_value("model", model);
        }
        if is_strict {
            let called = members
                .get("provider")
                .map(|provider| Members::parse(provider.get().as_bytes()));
            let mut provider = called.and_then(Result::ok).unwrap_or_default();
            demand_privacy(&mut provider);
            members.set_value("provider", &provider);
        }
        members.to_json().into()
    }

    /// The body of a request for `model` at another service, without the fields that only this one knows.
    pub fn plain_body(
        &self,
        options: &Options,
        request: &ChatRequest,
        model: &str,
        changes: Changes,
        stream: bool,
    ) -> Vec<u8> {
        self.common(options, request, &[model.to_owned()], changes, stream, &OWN_FIELDS)
            .end()
    }

    /// Everything but what is `left_out`.
    fn common(
        &self,
        options: &Options,
        request: &ChatRequest,
        models: &[String],
        changes: Changes,
        stream: bool,
        left_out: &[&str],
    ) -> Body {
        let messages = request.messages.get();
        let mut body = Body(Vec::with_capacity(messages.len() + 256));
        if let Some(model) = models.first() {
            body.field("model", model);
        }
        if messages != "null" {
            body.raw("messages", messages);
        }
        if stream {
            body.field("stream", &true);
        }
        let mut has_limit = false;
        let mut limit = |name: &str| {
            let is_limit = self.dialect.max_tokens_names().contains(&name) && changes.max_tokens.is_some();
            has_limit |= is_limit;
            is_limit
        };
        let configured = self.dialect.defaults(options.parameters_for(self.tier));
        let is_called = |name: &str| request.parameters.contains_key(name) || self.is_said_in_headers(name);
        for (name, value) in configured
            .iter()
            .filter(|(name, _)| !dialect::is_said(name, is_called) && !left_out.contains(&name.as_str()))
        {
            match limit(name) {
                true => body.field(name, &changes.max_tokens),
                false => body.field(name, value),
            }
        }
        let called = request.parameters.iter();
        for (name, value) in called.filter(|(name, _)| !left_out.contains(&name.as_str())) {
            match limit(name) {
                true => body.field(name, &changes.max_tokens),
                false => body.raw(name, value.get()),
            }
        }
        if let (Some(tokens), false) = (changes.max_tokens, has_limit) {
            let name = self.dialect.max_tokens_names().last().unwrap_or(&"max_tokens");
            body.field(name, &tokens);
        }
        body
    }

    /// Whether a header of the call says what a parameter would.
    fn is_said_in_headers(&self, name: &str) -> bool {
        name == "session_id" && self.headers.contains_key("x-session-id")
    }
}

/// The models that a call names to stand behind its first one.
///
/// - Errors: `invalid_request` for anything but a list of ids.
fn called_models(models: &RawValue) -> Result<Vec<String>, Error> {
    let ids: Option<Vec<String>> = serde_json::from_str(models.get()).map_err(|_| {
        Error::new(
            ErrorKind::INVALID_REQUEST,
            "expected `models` to be a list of model ids, found something else",
        )
    })?;
    let ids = ids.unwrap_or_default();
    if ids.len() > MAX_FALLBACKS {
        let n_models = ids.len();
        return Err(Error::new(
            ErrorKind::INVALID_REQUEST,
            format!("expected at most {MAX_FALLBACKS} `models`, found {n_models}"),
        ));
    }
    Ok(ids)
}

/// The models that stand behind a tier's own, by their ids on the wire.
pub fn fallbacks_of(settings: &Settings, tier: Tier) -> Vec<String> {
    let choice = tiers::resolve(tier, &settings.options, &settings.environment);
    let others = others(settings, Some(tier), None, None, &choice.configured, &mut Vec::new());
    chain(choice.wire, others.unwrap_or_default()).split_off(1)
}

/// A model and those behind it, each once: asking the same model once more is the matter of retries.
fn chain(first: String, others: Vec<String>) -> Vec<String> {
    let mut models = vec![first];
    for other in others {
        if !models.contains(&other) {
            models.push(other);
        }
    }
    models
}

fn unknown_tier(name: &str) -> Error {
    Error::new(ErrorKind::INVALID_REQUEST, format!("there is no tier `{name}`"))
        .with_hint(format!("the tiers are {}", tiers::accepted_names().join(", ")))
}

/// The other models that may serve. A model that the call names has only the fallbacks that the call names, so that
/// nothing answers that nobody asked for.
fn others(
    settings: &Settings,
    tier: Option<Tier>,
    called: Option<&str>,
    named: Option<&[String]>,
    model: &str,
    notices: &mut Vec<Notice>,
) -> Result<Vec<String>, Error> {
    let options = &settings.options;
    let configured = match (named, called) {
        (Some(named), _) => named,
        (None, Some(_)) => &[],
        (None, None) => options.fallbacks_for(tier),
    };
    if configured.is_empty() {
        return Ok(Vec::new());
    }
    if model_id::is_auto_router(model) {
        notices.push(Notice::new(
            "fallbacks_left_out",
            "the auto router chooses its own fallbacks, so those that were named were left out",
        ));
        return Ok(Vec::new());
    }
    configured
        .iter()
        .map(|id| match named_tier(id.trim())? {
            Some(tier) => Ok(tiers::resolve(tier, options, &settings.environment).wire),
            None => Ok(model_id::wire_id(id).0.into_owned()),
        })
        .collect()
}

/// The provider preferences: the call's over those of the options, field by field; what `privacy` demands is demanded
/// once more, because it is the operator's word.
fn provider(
    dialect: Dialect,
    options: &Options,
    tier: Option<Tier>,
    called: &BTreeMap<String, Box<RawValue>>,
) -> Option<String> {
    let called = called.get("provider").filter(|called| called.get() != "null");
    let overlaid = match called.map(|called| Members::parse(called.get().as_bytes())) {
        Some(Ok(members)) => members,
        // What is not an object the service refuses in its own words.
        Some(Err(_)) => return called.map(|called| called.get().to_owned()),
        None => Members::default(),
    };
    let preferences = match dialect {
        // Whom the profile prefers for text may have no vectors.
        Dialect::Embeddings => options.own_preferences_for(tier),
        _ => options.preferences_for(tier),
    };
    let mut merged = Members::default();
    for (name, value) in preferences.to_wire() {
        merged.set_value(&name, &value);
    }
    for (name, value) in overlaid {
        merged.set(&name, value);
    }
    if options.privacy == Some(Privacy::Strict) {
        demand_privacy(&mut merged);
    }
    (!merged.is_empty())
        .then(|| String::from_utf8(merged.to_json()).ok())
        .flatten()
}

/// Demands of providers what a strict `privacy` does.
fn demand_privacy(provider: &mut Members) {
    let strict = Options {
        privacy: Some(Privacy::Strict),
        ..Options::default()
    };
    for (name, value) in strict.preferences_for(None).to_wire() {
        provider.set_value(&name, &value);
    }
}

/// A JSON object under construction.
struct Body(Vec<u8>);

impl Body {
    fn name(&mut self, name: &str) {
        self.0.push(if self.0.is_empty() { b'{' } else { b',' });
        // Writing text into a Vec cannot fail.
        let _ = serde_json::to_writer(&mut self.0, name);
        self.0.push(b':');
    }

    fn raw(&mut self, name: &str, json: &str) {
        self.name(name);
        self.0.extend_from_slice(json.as_bytes());
    }

    fn field(&mut self, name: &str, value: &impl serde::Serialize) {
        self.name(name);
        // The values are JSON already, or lists of text and numbers.
        let _ = serde_json::to_writer(&mut self.0, value);
    }

    fn end(mut self) -> Vec<u8> {
        self.0.push(b'}');
        self.0
    }
}

/// The attribution headers: the call's before the profile's before the environment's.
///
/// - Errors: `invalid_request` for a value of the call that cannot be sent in a header.
fn headers(settings: &Settings, ask: &Ask) -> Result<HeaderMap, Error> {
    let called = ask.request.attribution.clone().unwrap_or_default();
    let profile = settings.options.attribution.clone();
    let from_environment = |name: &str| {
        settings
            .environment
            .get(name)
            .filter(|value| !value.trim().is_empty())
            .cloned()
    };
    let site_url = called
        .site_url
        .or(profile.site_url)
        .or_else(|| from_environment("OPENROUTER_SITE_URL"));
    let app_name = called
        .app_name
        .or(profile.app_name)
        .or_else(|| from_environment("OPENROUTER_SITE_NAME"));
    let categories = if called.categories.is_empty() {
        profile.categories
    } else {
        called.categories
    };
    let mut headers = HeaderMap::new();
    let mut add = |name: &'static str, value: &str| -> Result<(), Error> {
        let value = HeaderValue::from_str(value).map_err(|_| {
            Error::new(
                ErrorKind::INVALID_REQUEST,
                format!("the attribution for `{name}` cannot be sent in a header"),
            )
        })?;
        headers.insert(HeaderName::from_static(name), value);
        Ok(())
    };
    if let Some(url) = site_url {
        add("http-referer", &url)?;
    }
    if let Some(name) = app_name {
        add("x-openrouter-title", &name)?;
        // The former name of the same header, for services that stand in for this one.
        add("x-title", &name)?;
    }
    if !categories.is_empty() {
        add("x-openrouter-categories", &categories.join(","))?;
    }
    for (name, value) in &ask.headers {
        headers.insert(name, value.clone());
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use plugin_api::{Attribution, Config, Message};
    use serde_json::json;

    use super::*;

    fn settings(options: Value) -> Arc<Settings> {
        let environment = [
            ("OPENROUTER_API_KEY".to_owned(), "sk-or-v1-abc".to_owned()),
            ("OPENROUTER_SITE_NAME".to_owned(), "From the environment".to_owned()),
        ];
        let config = Config {
            options,
            environment: environment.into_iter().collect(),
        };
        Settings::from_config(&config, None).expect("good options")
    }

    fn hello() -> ChatRequest {
        ChatRequest::new(&[Message::user("Hello")]).expect("a request")
    }

    fn body_of(options: Value, request: &ChatRequest) -> String {
        let settings = settings(options);
        let plan = plan(&settings, &Ask::chat(request.clone()), None).expect("a good request");
        let body = plan.body(&settings.options, request, plan.window(0), Changes::default(), false);
        String::from_utf8(body).expect("JSON is UTF-8")
    }

    const MESSAGES: &str = r#""messages":[{"role":"user","content":"Hello"}]"#;

    #[test]
    fn nothing_stands_in_the_body_that_nobody_set() {
        assert_eq!(
            body_of(json!({}), &hello()),
            format!(r#"{{"model":"anthropic/claude-sonnet-4.5",{MESSAGES}}}"#)
        );
    }

    #[test]
    fn provider_names_and_camel_case_become_the_wires() {
        let options = json!({"model": "anthropic/claude-sonnet-4-5",
            "providerPreferences": {"order": ["Anthropic", "AWS Bedrock"], "allowFallbacks": true}});
        assert_eq!(
            body_of(options, &hello()),
            format!(
                r#"{{"model":"anthropic/claude-sonnet-4.5",{MESSAGES},"provider":{{"order":["anthropic","amazon-bedrock"],"allow_fallbacks":true}}}}"#
            )
        );
    }

    #[test]
    fn the_call_wins_over_the_tier_and_the_tier_over_the_profile() {
        let options = json!({
            "parameters": {"temperature": 0.1, "topP": 0.5, "seed": 7},
            "providerPreferences": {"sort": "price", "zdr": true},
            "tiers": {"TEXT_SMALL": {"model": "acme/small", "parameters": {"temperature": 0.2, "topP": 0.6},
                "providerPreferences": {"sort": "latency"}}}});
        let mut request = hello();
        request.tier = Some("small".to_owned());
        let raw = |json: &str| RawValue::from_string(json.to_owned()).expect("JSON");
        request.parameters.insert("temperature".to_owned(), raw("0.30"));
        request
            .parameters
            .insert("provider".to_owned(), raw(r#"{"sort":"throughput"}"#));
        let body: Value = serde_json::from_str(&body_of(options.clone(), &request)).expect("JSON");
        assert_eq!(body["model"], "acme/small");
        assert_eq!(
            (&body["temperature"], &body["top_p"], &body["seed"]),
            (&json!(0.3), &json!(0.6), &json!(7))
        );
        assert_eq!(body["provider"], json!({"sort": "throughput", "zdr": true}));
        assert!(
            body_of(options, &request).contains(r#""temperature":0.30"#),
            "passed on as it was written"
        );
    }

    #[test]
    fn strict_privacy_cannot_be_relaxed_by_a_call() {
        let mut request = hello();
        let relaxed = RawValue::from_string(r#"{"data_collection":"allow"}"#.to_owned()).expect("JSON");
        request.parameters.insert("provider".to_owned(), relaxed);
        let body: Value = serde_json::from_str(&body_of(json!({"privacy": "strict"}), &request)).expect("JSON");
        assert_eq!(body["provider"], json!({"data_collection": "deny", "zdr": true}));
    }

    #[test]
    fn fallbacks_come_with_the_profiles_model_and_with_no_other() {
        let options = json!({"model": "acme/large", "fallbackModels": ["acme/spare", "anthropic/claude-sonnet-4-5"]});
        let body: Value = serde_json::from_str(&body_of(options.clone(), &hello())).expect("JSON");
        assert_eq!(body["models"], json!(["acme/spare", "anthropic/claude-sonnet-4.5"]));
        let mut request = hello();
        request.model = Some("other/model".to_owned());
        let body: Value = serde_json::from_str(&body_of(options, &request)).expect("JSON");
        assert_eq!((&body["model"], body.get("models")), (&json!("other/model"), None));
    }

    #[test]
    fn the_auto_router_gets_no_fallbacks_and_the_caller_is_told() {
        let options = json!({"model": "openrouter/auto", "fallbackModels": ["acme/spare"]});
        let plan = plan(&settings(options.clone()), &Ask::chat(hello()), None).expect("a good request");
        assert!(!body_of(options, &hello()).contains("models"));
        assert_eq!(plan.notices[0].code, "fallbacks_left_out");
    }

    #[test]
    fn a_chain_of_eleven_goes_out_in_three_requests_that_name_each_model_once() {
        let fallbacks: Vec<String> = (1..=10).map(|n| format!("acme/spare-{n}")).collect();
        let settings = settings(json!({"model": "acme/large", "fallbackModels": fallbacks}));
        let plan = plan(&settings, &Ask::chat(hello()), None).expect("a good request");
        let mut asked = Vec::new();
        for request in 0..plan.n_requests() {
            let window = plan.window(4 * request);
            let body = plan.body(&settings.options, &hello(), window, Changes::default(), true);
            let body: Value = serde_json::from_slice(&body).expect("JSON");
            let others = body["models"].as_array().expect("a list").iter();
            assert!(others.len() <= 3);
            let models = others
                .chain([&body["model"]])
                .map(|id| id.as_str().expect("an id").to_owned());
            asked.push(models.count());
        }
        assert_eq!((asked, plan.models.len()), (vec![4, 4, 3], 11));
        assert_eq!(fallbacks_of(&settings, Tier::TextLarge), fallbacks);
    }

    #[test]
    fn models_that_a_call_names_take_the_place_of_the_profiles() {
        let options = json!({"model": "acme/large", "fallbackModels": ["acme/spare"]});
        let mut request = hello();
        let named = |json: &str| RawValue::from_string(json.to_owned()).expect("JSON");
        request
            .parameters
            .insert("models".to_owned(), named(r#"["a/b", "acme/large", "c/d"]"#));
        let body: Value = serde_json::from_str(&body_of(options.clone(), &request)).expect("JSON");
        assert_eq!(
            (&body["model"], &body["models"]),
            (&json!("acme/large"), &json!(["a/b", "c/d"]))
        );
        for (json, message) in [
            (
                r#""a/b""#,
                "expected `models` to be a list of model ids, found something else",
            ),
            (
                r#"["1","2","3","4","5","6","7","8","9","10","11"]"#,
                "expected at most 10 `models`, found 11",
            ),
        ] {
            request.parameters.insert("models".to_owned(), named(json));
            let error = plan(&settings(options.clone()), &Ask::chat(request.clone()), None)
                .err()
                .expect("a refusal");
            assert_eq!(error.message, message);
        }
    }

    #[test]
    fn fewer_tokens_replace_the_number_wherever_it_stands() {
        let fewer = Changes { max_tokens: Some(7) };
        let body = |options: Value, request: &ChatRequest| -> Value {
            let settings = settings(options);
            let plan = plan(&settings, &Ask::chat(request.clone()), None).expect("a good request");
            let body = plan.body(&settings.options, request, plan.window(0), fewer, false);
            serde_json::from_slice(&body).expect("JSON")
        };
        assert_eq!(body(json!({}), &hello())["max_tokens"], json!(7));
        let by_profile = body(json!({"parameters": {"maxTokens": 900}}), &hello());
        assert_eq!(by_profile["max_tokens"], json!(7));
        let mut request = hello();
        let number = RawValue::from_string("900".to_owned()).expect("JSON");
        request.parameters.insert("max_completion_tokens".to_owned(), number);
        let by_call = body(json!({}), &request);
        assert_eq!(
            (&by_call["max_completion_tokens"], by_call.get("max_tokens")),
            (&json!(7), None)
        );
    }

    #[test]
    fn another_service_is_sent_nothing_that_only_this_one_knows() {
        let options =
            json!({"fallbackModels": ["a/b"], "providerPreferences": {"zdr": true}, "plugins": [{"id": "web"}]});
        let settings = settings(options);
        let plan = plan(&settings, &Ask::chat(hello()), None).expect("a good request");
        let body = plan.plain_body(&settings.options, &hello(), "large", Changes::default(), true);
        assert_eq!(
            String::from_utf8_lossy(&body),
            format!(r#"{{"model":"large",{MESSAGES},"stream":true}}"#)
        );
    }

    #[test]
    fn who_is_asking_is_told_by_call_profile_or_environment() {
        let title = |options: Value, called: Option<&str>| {
            let mut request = hello();
            request.attribution = called.map(|name| Attribution {
                app_name: Some(name.to_owned()),
                ..Attribution::default()
            });
            let prepared = plan(&settings(options), &Ask::chat(request.clone()), None).expect("a good request");
            assert_eq!(prepared.headers["x-title"], prepared.headers["x-openrouter-title"]);
            prepared.headers["x-title"].to_str().expect("text").to_owned()
        };
        assert_eq!(title(json!({}), None), "From the environment");
        assert_eq!(title(json!({"attribution": {"appName": "Profile"}}), None), "Profile");
        assert_eq!(
            title(json!({"attribution": {"appName": "Profile"}}), Some("Call")),
            "Call"
        );
    }

    #[test]
    fn an_unknown_tier_is_refused_with_the_known_ones() {
        let mut request = hello();
        request.tier = Some("TEXT_HUGE".to_owned());
        let error = plan(&settings(json!({})), &Ask::chat(request.clone()), None)
            .err()
            .expect("a refusal");
        assert_eq!(error.message, "there is no tier `TEXT_HUGE`");
        assert!(error.hint().is_some_and(|hint| hint.contains("TEXT_LARGE")));
    }
}
