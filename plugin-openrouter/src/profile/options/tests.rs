use super::*;
use crate::profile::tiers::Tier;

fn parsed(value: Value) -> Options {
    serde_json::from_value(value).expect("these options are valid")
}

fn documented() -> Value {
    json!({
        "model": "anthropic/claude-sonnet-4.5",
        "tiers": {
            "TEXT_SMALL": "openai/gpt-4o-mini",
            "TEXT_MEGA": {
                "model": "anthropic/claude-opus-4",
                "fallbackModels": ["openai/gpt-4o"],
                "parameters": {"temperature": 0.2},
                "providerPreferences": {"only": ["anthropic"]},
                "plugins": [],
            },
        },
        "fallbackModels": ["a/b", "c/d"],
        "parameters": {"maxTokens": 500, "temperature": 1},
        "providerPreferences": {"order": ["Anthropic", "AWS Bedrock"], "allowFallbacks": true},
        "plugins": [{"id": "context-compression", "engine": "middle-out"}],
        "privacy": "strict",
        "attribution": {
            "siteUrl": "https://example.org", "appName": "Example", "categories": ["cli-agent"],
        },
        "timeouts": {
            "connectMs": 1000, "firstTokenMs": 30000, "idleMs": 20000, "progressMs": 40000, "totalMs": 90000,
        },
        "retry": {"attempts": 2, "maxWaitMs": 1000, "ambiguous": true, "reduceTokens": true},
        "limits": {"requestsPerMinute": 20, "concurrency": 8, "queue": 100},
        "budget": {
            "perRequestUsd": "0.5", "perSessionUsd": 2, "perDayUsd": 10.5, "onExceed": {"stepDownTo": "TEXT_SMALL"},
            "ledger": "/tmp/ledger",
        },
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
    let options = parsed(documented());
    assert_eq!(
        serde_json::to_value(&options).expect("plain JSON")["tiers"],
        documented()["tiers"]
    );
    assert_eq!(parsed(serde_json::to_value(&options).expect("plain JSON")), options);
    assert_eq!(options.problems(), []);
}

#[test]
fn the_defaults_are_the_documented_ones() {
    let options = parsed(json!({}));
    assert_eq!(options, Options::default());
    assert_eq!(
        options.timeouts,
        Timeouts {
            connect_ms: 5_000,
            first_token_ms: 120_000,
            idle_ms: 60_000,
            progress_ms: 300_000,
            total_ms: 600_000
        },
    );
    assert!(!options.allow_any_key);
    assert_eq!(options.problems(), []);
    assert_eq!(options.preferences_for(None).to_wire(), Map::new());
}

#[test]
fn null_means_not_set_everywhere() {
    let Value::Object(all) = documented() else {
        unreachable!("it is an object")
    };
    let nulls: Map<String, Value> = all.into_iter().map(|(key, _)| (key, Value::Null)).collect();
    assert_eq!(parsed(Value::Object(nulls)), Options::default());
    let inner = json!({
        "tiers": {"TEXT_SMALL": null, "TEXT_LARGE": {"model": null, "plugins": null}},
        "attribution": {"siteUrl": null, "appName": null, "categories": null},
        "timeouts": {"connectMs": null, "firstTokenMs": null, "idleMs": null, "progressMs": null, "totalMs": null},
        "retry": {"attempts": null, "maxWaitMs": null, "ambiguous": null, "reduceTokens": null},
        "limits": {"requestsPerMinute": null, "concurrency": null, "queue": null},
        "budget": {"perRequestUsd": null, "perSessionUsd": null, "perDayUsd": null, "onExceed": null, "ledger": null},
        "caches": {"modelsMs": null, "creditsMs": null, "disk": null, "folder": null},
    });
    let options = parsed(inner);
    assert_eq!(options.tiers.len(), 1);
    assert_eq!(options.attribution, Attribution::default());
    assert_eq!(options.timeouts, Timeouts::default());
    assert_eq!((options.retry, options.limits, options.caches), Default::default());
    assert_eq!(options.budget, Some(Budget::default()));
}

/// The same JSON with its keys in snake_case, except tier names.
fn in_snake_case(value: Value) -> Value {
    match value {
        Value::Object(map) => map
            .into_iter()
            .map(|(key, value)| {
                let is_tier = Tier::parse(&key).is_some();
                let snake: String = key
                    .chars()
                    .flat_map(|letter| {
                        let mark = letter.is_ascii_uppercase().then_some('_');
                        mark.into_iter().chain([letter.to_ascii_lowercase()])
                    })
                    .collect();
                (if is_tier { key } else { snake }, in_snake_case(value))
            })
            .collect(),
        Value::Array(values) => values.into_iter().map(in_snake_case).collect(),
        other => other,
    }
}

#[test]
fn snake_case_is_accepted_for_every_key() {
    let snake = in_snake_case(documented());
    assert!(snake.get("provider_preferences").is_some());
    assert_eq!(parsed(snake), parsed(documented()));
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
            let Value::Object(pair) = in_snake_case(json!({key: null})) else {
                unreachable!("an object stays one");
            };
            let snake = pair.keys().next().expect("it has one key").clone();
            assert!(
                schema["patternProperties"].get(format!("^{snake}$")).is_some(),
                "{name} lacks {snake}",
            );
            let value = json!({snake.as_str(): null});
            let read = match name {
                "Options" => serde_json::from_value::<Options>(value).map(drop),
                "TierOptions" => serde_json::from_value::<TierOptions>(value).map(drop),
                "Attribution" => serde_json::from_value::<Attribution>(value).map(drop),
                "Timeouts" => serde_json::from_value::<Timeouts>(value).map(drop),
                "Retry" => serde_json::from_value::<Retry>(value).map(drop),
                "Limits" => serde_json::from_value::<Limits>(value).map(drop),
                "Budget" => serde_json::from_value::<Budget>(value).map(drop),
                "Caches" => serde_json::from_value::<Caches>(value).map(drop),
                "Secondary" => {
                    let value = json!({snake.as_str(): "https://api.example.com"});
                    serde_json::from_value::<Secondary>(value).map(drop)
                }
                "Parameters" => serde_json::from_value::<Parameters>(value).map(drop),
                "Reasoning" => serde_json::from_value::<crate::profile::parameters::Reasoning>(value).map(drop),
                "ProviderPreferences" => serde_json::from_value::<ProviderPreferences>(value).map(drop),
                other => panic!("the test does not know `{other}`"),
            };
            assert!(read.is_ok(), "{name} does not read {snake}");
            n_pairs += 1;
        }
    }
    assert_eq!(n_pairs, 46);
}

#[test]
fn the_schema_has_the_documented_limits() {
    let schema = schemars::schema_for!(Options).to_value();
    let fallbacks = &schema["properties"]["fallbackModels"];
    assert_eq!(
        (&fallbacks["maxItems"], &fallbacks["items"]["minLength"]),
        (&json!(10), &json!(1))
    );
    let names = &schema["properties"]["tiers"]["propertyNames"]["enum"];
    assert_eq!(names, &json!(tiers::accepted_names()));
    let connect = &schema["$defs"]["Timeouts"]["properties"]["connectMs"];
    assert_eq!(
        (&connect["minimum"], &connect["maximum"]),
        (&json!(1), &json!(3_600_000))
    );
    assert_eq!(connect["default"], json!(5_000));
    let categories = &schema["$defs"]["Attribution"]["properties"]["categories"];
    assert_eq!(
        (&categories["maxItems"], &categories["items"]["maxLength"]),
        (&json!(2), &json!(30))
    );
    let parameters = &schema["$defs"]["Parameters"]["properties"];
    assert_eq!(parameters["temperature"]["maximum"], json!(2));
    assert_eq!(parameters["frequencyPenalty"]["minimum"], json!(-2));
    assert_eq!(parameters["logitBias"]["additionalProperties"]["maximum"], json!(100));
    assert_eq!(parameters["sessionId"]["maxLength"], json!(256));
    assert_eq!(schema["$defs"]["Stop"]["anyOf"][1]["maxItems"], json!(4));
    assert_eq!(schema["additionalProperties"], json!(false));
}

#[test]
fn unknown_options_are_refused_by_name() {
    let refused = serde_json::from_value::<Options>(json!({"modle": "a/b"}));
    let message = refused.expect_err("not an option").to_string();
    assert!(message.starts_with("unknown field `modle`"), "{message}");
    let refused = serde_json::from_value::<Options>(json!({"tiers": {"TEXT_SMALL": 1}}));
    assert_eq!(
        refused.expect_err("not a tier").to_string(),
        "expected a model id or an object with the tier's settings",
    );
}

#[test]
fn request_plugins_are_sent_unchanged() {
    let plugin = json!({"id": "web", "max_results": 3, "nested": {"keepCase": [1, null]}});
    let options = parsed(json!({"plugins": [plugin]}));
    let sent = serde_json::to_string(&options.plugins_for(None)).expect("plain JSON");
    assert_eq!(sent, r#"[{"id":"web","max_results":3,"nested":{"keepCase":[1,null]}}]"#);
}

#[test]
fn a_tiers_settings_override_the_profiles() {
    let options = parsed(documented());
    let mega = Some(Tier::TextMega);
    assert_eq!(options.fallbacks_for(mega), ["openai/gpt-4o"]);
    assert_eq!(options.fallbacks_for(Some(Tier::TextSmall)), ["a/b", "c/d"]);
    assert_eq!(options.fallbacks_for(None), ["a/b", "c/d"]);
    assert_eq!(*options.plugins_for(mega), []);
    assert_eq!(options.plugins_for(None).len(), 1);
    assert_eq!(
        Value::Object(options.parameters_for(mega)),
        json!({"temperature": 0.2, "max_tokens": 500}),
    );
    assert_eq!(
        Value::Object(options.preferences_for(mega).to_wire()),
        json!({
            "order": ["anthropic", "amazon-bedrock"], "only": ["anthropic"],
            "allow_fallbacks": true, "data_collection": "deny", "zdr": true,
        }),
    );
}

#[test]
fn a_tier_that_inherits_a_model_inherits_its_settings_too() {
    let options = parsed(json!({
        "tiers": {
            "TEXT_LARGE": {"model": "a/b", "providerPreferences": {"zdr": true}},
            "RESPONSE_HANDLER": "c/d",
        },
    }));
    let zdr = |tier| options.preferences_for(Some(tier)).to_wire().get("zdr").cloned();
    assert_eq!(zdr(Tier::TextMega), Some(json!(true)));
    assert_eq!((zdr(Tier::ResponseHandler), zdr(Tier::TextSmall)), (None, None));
}
