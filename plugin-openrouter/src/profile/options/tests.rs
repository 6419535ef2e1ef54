use serde::de::DeserializeOwned;

use super::*;
use crate::kit::{parsed, refused};
use crate::profile::tiers::Tier;

fn documented() -> Value {
    json!({
        "model": "anthropic/claude-sonnet-4.5",
        "tiers": {
            "TEXT_SMALL": "openai/gpt-4o-mini",
            "TEXT_MEGA": {"model": "anthropic/claude-opus-4", "fallbackModels": ["openai/gpt-4o"],
                "parameters": {"temperature": 0.2}, "providerPreferences": {"only": ["anthropic"]}, "plugins": []},
        },
        "fallbackModels": ["a/b", "c/d"],
        "parameters": {"maxTokens": 500, "temperature": 1},
        "providerPreferences": {"order": ["Anthropic", "AWS Bedrock"], "allowFallbacks": true},
        "plugins": [{"id": "context-compression", "engine": "middle-out"}],
        "privacy": "strict",
        "attribution": {"siteUrl": "https://example.org", "appName": "Example", "categories": ["cli-agent"]},
        "timeouts": {"connectMs": 1000, "firstTokenMs": 30000, "idleMs": 20000, "progressMs": 40000, "totalMs": 90000},
        "retry": {"attempts": 2, "maxWaitMs": 1000, "ambiguous": true, "reduceTokens": true},
        "limits": {"requestsPerMinute": 20, "concurrency": 8, "queue": 100, "answerMib": 128},
        "budget": {"perRequestUsd": "0.5", "perSessionUsd": 2, "perDayUsd": 10.5,
            "onExceed": {"stepDownTo": "TEXT_SMALL"}, "ignoreByok": true, "ledger": "/tmp/ledger"},
        "secondary": {"baseUrl": "https://api.example.com/v1", "models": {"a/b": "b"}},
        "caches": {"modelsMs": 1000, "creditsMs": 1000, "disk": false, "folder": "/tmp/cache"},
        "baseUrl": "http://127.0.0.1:8080/api/v1",
        "compress": true,
        "strictCapabilities": true,
        "allowAnyKey": true,
    })
}

#[test]
fn documented_options_survive_a_round_trip_without_problems() {
    let options: Options = parsed(documented());
    let written = serde_json::to_value(&options).expect("plain JSON");
    assert_eq!(written["tiers"], documented()["tiers"]);
    assert_eq!(parsed::<Options>(written), options);
    assert_eq!(options.problems(), []);
}

#[test]
fn the_defaults_are_the_documented_ones() {
    let options: Options = parsed(json!({}));
    assert_eq!(options, Options::default());
    let timeouts = json!({"connectMs": 5_000, "firstTokenMs": 120_000, "idleMs": 60_000, "progressMs": 300_000,
        "totalMs": 600_000});
    assert_eq!(options.timeouts, parsed(timeouts));
    assert!(!options.allow_any_key);
    assert_eq!(options.problems(), []);
    assert_eq!(options.preferences_for(None).to_wire(), Map::new());
}

#[test]
fn null_means_not_set_everywhere() {
    let nulls = |value: &Value| -> Value {
        let members = value.as_object().expect("an object").keys();
        members.map(|key| (key.clone(), Value::Null)).collect()
    };
    assert_eq!(parsed::<Options>(nulls(&documented())), Options::default());
    let mut inner = json!({"tiers": {"TEXT_SMALL": null, "TEXT_LARGE": {"model": null, "plugins": null}}});
    for section in ["attribution", "timeouts", "retry", "limits", "budget", "caches"] {
        inner[section] = nulls(&documented()[section]);
    }
    let options: Options = parsed(inner);
    assert_eq!(options.tiers.len(), 1);
    assert_eq!(options.attribution, Attribution::default());
    assert_eq!(options.timeouts, Timeouts::default());
    assert_eq!((options.retry, options.limits, options.caches), Default::default());
    assert_eq!(options.budget, Some(Budget::default()));
}

fn snake_case(key: &str) -> String {
    let mark = |letter: char| if letter.is_uppercase() { "_" } else { "" };
    key.chars()
        .map(|letter| format!("{}{}", mark(letter), letter.to_ascii_lowercase()))
        .collect()
}

/// The same JSON with its keys in snake_case, except tier names.
fn in_snake_case(value: Value) -> Value {
    let Value::Object(members) = value else { return value };
    let rename = |key: String| Tier::parse(&key).map_or_else(|| snake_case(&key), |_| key.clone());
    let members = members.into_iter();
    members
        .map(|(key, value)| (rename(key), in_snake_case(value)))
        .collect()
}

fn reads<T: DeserializeOwned>(value: Value) -> bool {
    serde_json::from_value::<T>(value).is_ok()
}

#[test]
fn snake_case_is_accepted_for_every_key() {
    let snake = in_snake_case(documented());
    assert!(snake.get("provider_preferences").is_some());
    assert_eq!(parsed::<Options>(snake), parsed(documented()));
}

#[test]
fn the_schema_accepts_both_spellings_of_every_key() {
    let schema = schemars::schema_for!(Options).to_value();
    let mut structs = vec![("Options", &schema)];
    let definitions = schema["$defs"].as_object().expect("the schema has definitions");
    structs.extend(definitions.iter().map(|(name, schema)| (name.as_str(), schema)));
    let mut n_pairs = 0;
    for (name, schema) in structs {
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
            continue;
        };
        for key in properties.keys().filter(|key| key.contains(char::is_uppercase)) {
            let snake = snake_case(key);
            let pattern = schema["patternProperties"].get(format!("^{snake}$"));
            assert!(pattern.is_some(), "{name} lacks {snake}");
            let value = match name {
                "Secondary" => json!({snake.as_str(): "https://api.example.com"}),
                _ => json!({snake.as_str(): null}),
            };
            let is_read = match name {
                "Options" => reads::<Options>(value),
                "TierOptions" => reads::<TierOptions>(value),
                "Attribution" => reads::<Attribution>(value),
                "Timeouts" => reads::<Timeouts>(value),
                "Retry" => reads::<Retry>(value),
                "Limits" => reads::<Limits>(value),
                "Budget" => reads::<Budget>(value),
                "Caches" => reads::<Caches>(value),
                "Secondary" => reads::<Secondary>(value),
                "Parameters" => reads::<Parameters>(value),
                "Reasoning" => reads::<crate::profile::parameters::Reasoning>(value),
                "ProviderPreferences" => reads::<ProviderPreferences>(value),
                other => panic!("the test does not know `{other}`"),
            };
            assert!(is_read, "{name} does not read {snake}");
            n_pairs += 1;
        }
    }
    assert_eq!(n_pairs, 49);
}

#[test]
fn unknown_options_are_refused_by_name() {
    let message = refused::<Options>(json!({"modle": "a/b"}));
    assert!(message.starts_with("unknown field `modle`"), "{message}");
    let message = refused::<Options>(json!({"tiers": {"TEXT_SMALL": 1}}));
    assert_eq!(message, "expected a model id or an object with the tier's settings");
}

#[test]
fn request_plugins_are_sent_unchanged() {
    let plugin = json!({"id": "web", "max_results": 3, "nested": {"keepCase": [1, null]}});
    let options: Options = parsed(json!({"plugins": [plugin]}));
    let sent = serde_json::to_string(&options.plugins_for(None)).expect("plain JSON");
    assert_eq!(sent, r#"[{"id":"web","max_results":3,"nested":{"keepCase":[1,null]}}]"#);
}

#[test]
fn a_tiers_settings_override_the_profiles() {
    let options: Options = parsed(documented());
    let mega = Some(Tier::TextMega);
    assert_eq!(options.fallbacks_for(mega), ["openai/gpt-4o"]);
    assert_eq!(options.fallbacks_for(Some(Tier::TextSmall)), ["a/b", "c/d"]);
    assert_eq!(options.fallbacks_for(None), ["a/b", "c/d"]);
    assert_eq!(*options.plugins_for(mega), []);
    assert_eq!(options.plugins_for(None).len(), 1);
    let parameters = Value::Object(options.parameters_for(mega));
    assert_eq!(parameters, json!({"temperature": 0.2, "max_tokens": 500}));
    let preferences = json!({"order": ["anthropic", "amazon-bedrock"], "only": ["anthropic"], "allow_fallbacks": true,
        "data_collection": "deny", "zdr": true});
    assert_eq!(Value::Object(options.preferences_for(mega).to_wire()), preferences);
}

#[test]
fn a_tier_that_inherits_a_model_inherits_its_settings_too() {
    let large = json!({"model": "a/b", "providerPreferences": {"zdr": true}});
    let options: Options = parsed(json!({"tiers": {"TEXT_LARGE": large, "RESPONSE_HANDLER": "c/d"}}));
    let zdr = |tier| options.preferences_for(Some(tier)).to_wire().get("zdr").cloned();
    assert_eq!(zdr(Tier::TextMega), Some(json!(true)));
    assert_eq!((zdr(Tier::ResponseHandler), zdr(Tier::TextSmall)), (None, None));
}
