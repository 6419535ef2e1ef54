//! Turns a chat request and the options into the body and the headers of one HTTP request.
//!
//! Pure. The messages are spliced into the body as they came, never read and printed again. Nothing stands in the body
//! that nobody set: no `provider`, no sampling parameter, no `max_tokens`.

use std::collections::BTreeMap;

use plugin_api::{ChatRequest, Error, ErrorKind, Notice};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::model_id;
use crate::options::{Options, Privacy};
use crate::settings::Settings;
use crate::tiers::{self, Choice, Origin, Tier};

/// A request that is ready to be sent.
pub struct Prepared {
    /// The JSON.
    pub body: Vec<u8>,
    /// Who is asking.
    pub headers: HeaderMap,
    /// The model that is asked for, by its id on the wire.
    pub model: String,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// What the caller should know about the request.
    pub notices: Vec<Notice>,
}

/// Body fields that have a place of their own in [`ChatRequest`] or are the method's matter.
const NOT_PARAMETERS: [&str; 3] = ["messages", "model", "stream"];

/// Prepares a request.
///
/// - Errors: `invalid_request` for an unknown tier, or for a parameter that has another place.
pub fn prepare(settings: &Settings, request: &ChatRequest, stream: bool) -> Result<Prepared, Error> {
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
    let tier = match &request.tier {
        Some(name) => Some(Tier::parse(name).ok_or_else(|| unknown_tier(name))?),
        None => None,
    };
    // A blank id is none.
    let called = request
        .model
        .as_deref()
        .map(str::trim)
        .filter(|model| !model.is_empty());
    let choice = match called {
        Some(model) => Choice::by_call(tier.unwrap_or(Tier::TextLarge), model),
        None => tiers::resolve(tier.unwrap_or(Tier::TextLarge), options, &settings.environment),
    };
    // A model that the call names is not the tier's, so the tier's own options do not come with it unless it is named.
    let tier = tier.or(called.is_none().then_some(Tier::TextLarge));
    let mut notices = Vec::new();
    // Nobody needs to be told of each answer that the built-in defaults have other names on the wire.
    if let Some(note) = choice
        .note
        .as_ref()
        .filter(|_| !matches!(choice.origin, Origin::Default { .. }))
    {
        notices.push(Notice::new("model_id_translated", note));
    }
    let fallbacks = fallback_models(options, tier, called, &choice.wire, &mut notices);
    Ok(Prepared {
        body: body(options, tier, request, &choice.wire, &fallbacks, stream),
        headers: headers(settings, request)?,
        model: choice.wire,
        stream,
        notices,
    })
}

fn unknown_tier(name: &str) -> Error {
    Error::new(ErrorKind::INVALID_REQUEST, format!("there is no tier `{name}`"))
        .with_hint(format!("the tiers are {}", tiers::accepted_names().join(", ")))
}

/// The other models that may serve. A model that the call names has only the fallbacks that the call names, so that
/// nothing answers that nobody asked for.
fn fallback_models(
    options: &Options,
    tier: Option<Tier>,
    called: Option<&str>,
    model: &str,
    notices: &mut Vec<Notice>,
) -> Vec<String> {
    let configured = options.fallbacks_for(tier);
    if configured.is_empty() || called.is_some() {
        return Vec::new();
    }
    if model_id::is_auto_router(model) {
        notices.push(Notice::new(
            "fallbacks_left_out",
            "the auto router chooses its own fallbacks, so those of the profile were left out",
        ));
        return Vec::new();
    }
    configured
        .iter()
        .map(|id| model_id::wire_id(id).0.into_owned())
        .collect()
}

fn body(
    options: &Options,
    tier: Option<Tier>,
    request: &ChatRequest,
    model: &str,
    fallbacks: &[String],
    stream: bool,
) -> Vec<u8> {
    let messages = request.messages.get();
    let mut body = Body(Vec::with_capacity(messages.len() + 256));
    body.field("model", &model);
    if !fallbacks.is_empty() && !request.parameters.contains_key("models") {
        body.field("models", &fallbacks);
    }
    body.raw("messages", messages);
    if stream {
        body.field("stream", &true);
    }
    for (name, value) in options.parameters_for(tier) {
        if !request.parameters.contains_key(&name) {
            body.field(&name, &value);
        }
    }
    for (name, value) in &request.parameters {
        if name != "provider" {
            body.raw(name, value.get());
        }
    }
    let provider = provider(options, tier, &request.parameters);
    if !provider.is_empty() {
        body.field("provider", &provider);
    }
    let plugins = options.plugins_for(tier);
    if !plugins.is_empty() && !request.parameters.contains_key("plugins") {
        body.field("plugins", &plugins);
    }
    body.end()
}

/// The provider preferences: the call's over those of the options, field by field; what `privacy` demands is demanded
/// once more, because it is the operator's word.
fn provider(options: &Options, tier: Option<Tier>, called: &BTreeMap<String, Box<RawValue>>) -> Map<String, Value> {
    let mut merged = options.preferences_for(tier).to_wire();
    if let Some(called) = called.get("provider")
        && let Ok(Some(called)) = serde_json::from_str::<Option<Map<String, Value>>>(called.get())
    {
        merged.extend(called);
        if options.privacy == Some(Privacy::Strict) {
            let demanded = Options {
                privacy: options.privacy,
                ..Options::default()
            };
            merged.extend(demanded.preferences_for(None).to_wire());
        }
    }
    merged
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
fn headers(settings: &Settings, request: &ChatRequest) -> Result<HeaderMap, Error> {
    let called = request.attribution.clone().unwrap_or_default();
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
        let prepared = prepare(&settings(options), request, false).expect("a good request");
        String::from_utf8(prepared.body).expect("JSON is UTF-8")
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
        let prepared = prepare(&settings(options), &hello(), true).expect("a good request");
        assert!(!String::from_utf8_lossy(&prepared.body).contains("models"));
        assert_eq!(prepared.notices[0].code, "fallbacks_left_out");
    }

    #[test]
    fn who_is_asking_is_told_by_call_profile_or_environment() {
        let title = |options: Value, called: Option<&str>| {
            let mut request = hello();
            request.attribution = called.map(|name| Attribution {
                app_name: Some(name.to_owned()),
                ..Attribution::default()
            });
            let prepared = prepare(&settings(options), &request, true).expect("a good request");
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
        let error = prepare(&settings(json!({})), &request, true).err().expect("a refusal");
        assert_eq!(error.message, "there is no tier `TEXT_HUGE`");
        assert!(error.hint().is_some_and(|hint| hint.contains("TEXT_LARGE")));
    }
}
