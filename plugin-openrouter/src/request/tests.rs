use plugin_api::{Attribution, ChatRequest, Error, Message};
use serde_json::{Value, json};

use super::body::Changes;
use super::plan::{Plan, fallbacks_of, plan};
use super::*;
use crate::kit::{environment, parsed, raw};
use crate::profile::Profile;
use crate::profile::tiers::Tier;

fn profile(options: Value) -> Profile {
    Profile {
        options: parsed(options),
        environment: environment(&[("OPENROUTER_SITE_NAME", "From the environment")]),
    }
}

fn hello() -> ChatRequest {
    ChatRequest::new(&[Message::user("Hello")]).expect("a request")
}

/// A call with these parameters of its own.
fn with(parameters: &[(&str, &str)]) -> ChatRequest {
    let mut request = hello();
    let parameters = parameters.iter().map(|(name, json)| ((*name).to_owned(), raw(json)));
    request.parameters.extend(parameters);
    request
}

fn planned(options: Value, request: &ChatRequest) -> Result<Plan, Error> {
    plan(&profile(options), &Ask::chat(request.clone()), None)
}

fn changed_body(options: Value, request: &ChatRequest, changes: Changes) -> String {
    let profile = profile(options);
    let plan = plan(&profile, &Ask::chat(request.clone()), None).expect("a good request");
    let body = plan.body(&profile.options, request, plan.window(0), changes, false);
    String::from_utf8(body).expect("JSON is UTF-8")
}

fn body_of(options: Value, request: &ChatRequest) -> String {
    changed_body(options, request, Changes::default())
}

fn json_of(options: Value, request: &ChatRequest) -> Value {
    serde_json::from_str(&body_of(options, request)).expect("JSON")
}

const MESSAGES: &str = r#""messages":[{"role":"user","content":"Hello"}]"#;

#[test]
fn only_the_fields_that_are_set_are_sent() {
    let expected = format!(r#"{{"model":"anthropic/claude-sonnet-4.5",{MESSAGES}}}"#);
    assert_eq!(body_of(json!({}), &hello()), expected);
}

#[test]
fn provider_preferences_are_sent_with_slugs_and_snake_case() {
    let options = json!({"model": "anthropic/claude-sonnet-4-5",
        "providerPreferences": {"order": ["Anthropic", "AWS Bedrock"], "allowFallbacks": true}});
    let provider = r#"{"order":["anthropic","amazon-bedrock"],"allow_fallbacks":true}"#;
    let expected = format!(r#"{{"model":"anthropic/claude-sonnet-4.5",{MESSAGES},"provider":{provider}}}"#);
    assert_eq!(body_of(options, &hello()), expected);
}

#[test]
fn the_call_wins_over_the_tier_and_the_tier_over_the_profile() {
    let options = json!({
        "parameters": {"temperature": 0.1, "topP": 0.5, "seed": 7},
        "providerPreferences": {"sort": "price", "zdr": true},
        "tiers": {"TEXT_SMALL": {"model": "acme/small", "parameters": {"temperature": 0.2, "topP": 0.6},
            "providerPreferences": {"sort": "latency"}}}});
    let mut request = with(&[("temperature", "0.30"), ("provider", r#"{"sort":"throughput"}"#)]);
    request.tier = Some("small".to_owned());
    let body = body_of(options, &request);
    let expected = r#""temperature":0.30"#;
    assert!(body.contains(expected), "a parameter is sent byte for byte");
    let mut body: Value = serde_json::from_str(&body).expect("JSON");
    body["messages"].take();
    assert_eq!(
        body,
        json!({"model": "acme/small", "messages": null, "temperature": 0.3, "top_p": 0.6, "seed": 7,
            "provider": {"sort": "throughput", "zdr": true}})
    );
}

#[test]
fn strict_privacy_cannot_be_relaxed_by_a_call() {
    let request = with(&[("provider", r#"{"data_collection":"allow"}"#)]);
    let body = json_of(json!({"privacy": "strict"}), &request);
    assert_eq!(body["provider"], json!({"data_collection": "deny", "zdr": true}));
}

#[test]
fn the_profiles_fallbacks_are_sent_only_with_its_own_model() {
    let options = json!({"model": "acme/large", "fallbackModels": ["acme/spare", "anthropic/claude-sonnet-4-5"]});
    let body = json_of(options.clone(), &hello());
    assert_eq!(body["models"], json!(["acme/spare", "anthropic/claude-sonnet-4.5"]));
    let mut request = hello();
    request.model = Some("other/model".to_owned());
    let body = json_of(options, &request);
    assert_eq!((&body["model"], body.get("models")), (&json!("other/model"), None));
}

#[test]
fn a_split_tier_gives_a_session_always_the_same_model() {
    let options = json!({"tiers": {"large": {"split": {"a/one": 1, "a/two": 1}}}, "fallbackModels": ["acme/spare"]});
    let of = |parameters: &[(&str, &str)], place: f64, profile: Value| {
        let mut ask = Ask::chat(with(parameters));
        ask.place = place;
        let plan = plan(&self::profile(profile), &ask, None).expect("a good request");
        assert_eq!(plan.arm.as_deref(), plan.models.first().map(String::as_str));
        assert_eq!(plan.models.get(1).map(String::as_str), Some("acme/spare"));
        plan.models[0].clone()
    };
    // Without a session, the place of the call decides.
    let at = |place| of(&[], place, options.clone());
    assert_eq!([at(0.2), at(0.7)], ["a/one", "a/two"]);
    let sessions: Vec<String> = (0..20)
        .map(|session| {
            let session = format!(r#""s-{session}""#);
            let at = |place| of(&[("session_id", &session), ("user", r#""u""#)], place, options.clone());
            assert_eq!(at(0.2), at(0.7), "{session}");
            at(0.2)
        })
        .collect();
    assert!(sessions.iter().any(|model| model == "a/one") && sessions.iter().any(|model| model == "a/two"));
    // The user counts where there is no session, the call's before the profile's.
    let mut configured = options.clone();
    configured["parameters"] = json!({"user": "u-1"});
    assert_eq!(
        of(&[], 0.2, configured),
        of(&[("user", r#""u-1""#)], 0.7, options.clone())
    );
    // A call that names its model is no part of the experiment.
    let mut request = hello();
    request.model = Some("other/model".to_owned());
    assert_eq!(planned(options, &request).expect("a good request").arm, None);
}

#[test]
fn the_auto_router_gets_no_fallbacks_and_the_caller_a_notice() {
    let options = json!({"model": "openrouter/auto", "fallbackModels": ["acme/spare"]});
    assert!(!body_of(options.clone(), &hello()).contains("models"));
    let plan = planned(options, &hello()).expect("a good request");
    assert_eq!(plan.notices[0].code, "fallbacks_left_out");
}

#[test]
fn a_chain_of_eleven_models_takes_three_requests() {
    let fallbacks: Vec<String> = (1..=10).map(|n| format!("acme/spare-{n}")).collect();
    let profile = profile(json!({"model": "acme/large", "fallbackModels": fallbacks}));
    let plan = plan(&profile, &Ask::chat(hello()), None).expect("a good request");
    let asked = (0..plan.n_requests()).map(|request| {
        let window = plan.window(4 * request);
        let body = plan.body(&profile.options, &hello(), window, Changes::default(), true);
        let body: Value = serde_json::from_slice(&body).expect("JSON");
        assert!(body["model"].is_string());
        body["models"].as_array().expect("a list").len()
    });
    assert_eq!((asked.collect(), plan.models.len()), (vec![3, 3, 2], 11));
    assert_eq!(fallbacks_of(&profile, Tier::TextLarge), fallbacks);
}

#[test]
fn models_of_a_call_replace_the_profiles_fallbacks() {
    let options = json!({"model": "acme/large", "fallbackModels": ["acme/spare"]});
    let body = json_of(options.clone(), &with(&[("models", r#"["a/b", "acme/large", "c/d"]"#)]));
    assert_eq!(
        (&body["model"], &body["models"]),
        (&json!("acme/large"), &json!(["a/b", "c/d"]))
    );
    let eleven = r#"["1","2","3","4","5","6","7","8","9","10","11"]"#;
    for (models, message) in [
        (
            r#""a/b""#,
            "expected `models` to be a list of model ids, found something else",
        ),
        (eleven, "expected at most 10 `models`, found 11"),
    ] {
        let refusal = planned(options.clone(), &with(&[("models", models)])).err();
        assert_eq!(refusal.expect("a refusal").message, message);
    }
}

#[test]
fn a_lower_token_limit_replaces_the_one_that_is_set() {
    let by_profile = json!({"parameters": {"maxTokens": 900}});
    let by_call = with(&[("max_completion_tokens", "900")]);
    for (options, request, name) in [
        (json!({}), hello(), "max_tokens"),
        (by_profile, hello(), "max_tokens"),
        (json!({}), by_call, "max_completion_tokens"),
    ] {
        let body = changed_body(options, &request, Changes { max_tokens: Some(7) });
        let limits: Vec<&str> = body.split(r#""max_"#).skip(1).collect();
        assert_eq!(limits, [format!("{}\":7}}", &name[4..])], "{body}");
    }
}

#[test]
fn the_secondary_service_gets_no_fields_that_only_openrouter_knows() {
    let options = json!({"fallbackModels": ["a/b"], "providerPreferences": {"zdr": true}, "plugins": [{"id": "web"}]});
    let profile = profile(options);
    let plan = plan(&profile, &Ask::chat(hello()), None).expect("a good request");
    let body = plan.plain_body(&profile.options, &hello(), "large", Changes::default(), true);
    let expected = format!(r#"{{"model":"large",{MESSAGES},"stream":true}}"#);
    assert_eq!(String::from_utf8_lossy(&body), expected);
}

#[test]
fn attribution_comes_from_the_call_the_profile_or_the_environment() {
    let own = json!({"attribution": {"appName": "Profile"}});
    for (options, called, expected) in [
        (json!({}), None, "From the environment"),
        (own.clone(), None, "Profile"),
        (own, Some("Call"), "Call"),
    ] {
        let mut request = hello();
        request.attribution = called.map(|name| Attribution {
            app_name: Some(name.to_owned()),
            ..Attribution::default()
        });
        let headers = planned(options, &request).expect("a good request").headers;
        assert_eq!([&headers["x-title"], &headers["x-openrouter-title"]], [expected; 2]);
    }
}

#[test]
fn an_unknown_tier_is_refused_with_a_list_of_known_ones() {
    let mut request = hello();
    request.tier = Some("TEXT_HUGE".to_owned());
    let error = planned(json!({}), &request).err().expect("a refusal");
    assert_eq!(error.message, "unknown tier `TEXT_HUGE`");
    assert!(error.hint().is_some_and(|hint| hint.contains("TEXT_LARGE")));
}
