use plugin_api::{Attribution, ChatRequest, Message};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::body::Changes;
use super::plan::{fallbacks_of, plan};
use super::*;
use crate::profile::Profile;
use crate::profile::tiers::Tier;

fn profile(options: Value) -> Profile {
    Profile {
        options: serde_json::from_value(options).expect("good options"),
        environment: [("OPENROUTER_SITE_NAME".to_owned(), "From the environment".to_owned())].into(),
    }
}

fn hello() -> ChatRequest {
    ChatRequest::new(&[Message::user("Hello")]).expect("a request")
}

fn body_of(options: Value, request: &ChatRequest) -> String {
    let profile = profile(options);
    let plan = plan(&profile, &Ask::chat(request.clone()), None).expect("a good request");
    let body = plan.body(&profile.options, request, plan.window(0), Changes::default(), false);
    String::from_utf8(body).expect("JSON is UTF-8")
}

const MESSAGES: &str = r#""messages":[{"role":"user","content":"Hello"}]"#;

#[test]
fn only_the_fields_that_are_set_are_sent() {
    assert_eq!(
        body_of(json!({}), &hello()),
        format!(r#"{{"model":"anthropic/claude-sonnet-4.5",{MESSAGES}}}"#)
    );
}

#[test]
fn provider_preferences_are_sent_with_slugs_and_snake_case() {
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
        "a parameter is sent byte for byte"
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
fn the_profiles_fallbacks_are_sent_only_with_its_own_model() {
    let options = json!({"model": "acme/large", "fallbackModels": ["acme/spare", "anthropic/claude-sonnet-4-5"]});
    let body: Value = serde_json::from_str(&body_of(options.clone(), &hello())).expect("JSON");
    assert_eq!(body["models"], json!(["acme/spare", "anthropic/claude-sonnet-4.5"]));
    let mut request = hello();
    request.model = Some("other/model".to_owned());
    let body: Value = serde_json::from_str(&body_of(options, &request)).expect("JSON");
    assert_eq!((&body["model"], body.get("models")), (&json!("other/model"), None));
}

#[test]
fn the_auto_router_gets_no_fallbacks_and_the_caller_a_notice() {
    let options = json!({"model": "openrouter/auto", "fallbackModels": ["acme/spare"]});
    let plan = plan(&profile(options.clone()), &Ask::chat(hello()), None).expect("a good request");
    assert!(!body_of(options, &hello()).contains("models"));
    assert_eq!(plan.notices[0].code, "fallbacks_left_out");
}

#[test]
fn a_chain_of_eleven_models_takes_three_requests() {
    let fallbacks: Vec<String> = (1..=10).map(|n| format!("acme/spare-{n}")).collect();
    let profile = profile(json!({"model": "acme/large", "fallbackModels": fallbacks}));
    let plan = plan(&profile, &Ask::chat(hello()), None).expect("a good request");
    let mut asked = Vec::new();
    for request in 0..plan.n_requests() {
        let window = plan.window(4 * request);
        let body = plan.body(&profile.options, &hello(), window, Changes::default(), true);
        let body: Value = serde_json::from_slice(&body).expect("JSON");
        let others = body["models"].as_array().expect("a list").iter();
        assert!(others.len() <= 3);
        let models = others
            .chain([&body["model"]])
            .map(|id| id.as_str().expect("an id").to_owned());
        asked.push(models.count());
    }
    assert_eq!((asked, plan.models.len()), (vec![4, 4, 3], 11));
    assert_eq!(fallbacks_of(&profile, Tier::TextLarge), fallbacks);
}

#[test]
fn models_of_a_call_replace_the_profiles_fallbacks() {
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
        let error = plan(&profile(options.clone()), &Ask::chat(request.clone()), None)
            .err()
            .expect("a refusal");
        assert_eq!(error.message, message);
    }
}

#[test]
fn a_lower_token_limit_replaces_the_one_that_is_set() {
    let fewer = Changes { max_tokens: Some(7) };
    let body = |options: Value, request: &ChatRequest| -> Value {
        let profile = profile(options);
        let plan = plan(&profile, &Ask::chat(request.clone()), None).expect("a good request");
        let body = plan.body(&profile.options, request, plan.window(0), fewer, false);
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
fn the_secondary_service_gets_no_fields_that_only_openrouter_knows() {
    let options = json!({"fallbackModels": ["a/b"], "providerPreferences": {"zdr": true}, "plugins": [{"id": "web"}]});
    let profile = profile(options);
    let plan = plan(&profile, &Ask::chat(hello()), None).expect("a good request");
    let body = plan.plain_body(&profile.options, &hello(), "large", Changes::default(), true);
    assert_eq!(
        String::from_utf8_lossy(&body),
        format!(r#"{{"model":"large",{MESSAGES},"stream":true}}"#)
    );
}

#[test]
fn attribution_comes_from_the_call_the_profile_or_the_environment() {
    let title = |options: Value, called: Option<&str>| {
        let mut request = hello();
        request.attribution = called.map(|name| Attribution {
            app_name: Some(name.to_owned()),
            ..Attribution::default()
        });
        let prepared = plan(&profile(options), &Ask::chat(request.clone()), None).expect("a good request");
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
fn an_unknown_tier_is_refused_with_a_list_of_known_ones() {
    let mut request = hello();
    request.tier = Some("TEXT_HUGE".to_owned());
    let error = plan(&profile(json!({})), &Ask::chat(request.clone()), None)
        .err()
        .expect("a refusal");
    assert_eq!(error.message, "there is no tier `TEXT_HUGE`");
    assert!(error.hint().is_some_and(|hint| hint.contains("TEXT_LARGE")));
}
