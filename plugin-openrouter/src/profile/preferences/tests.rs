use serde_json::json;

use super::*;
use crate::kit::{parsed, refused};

fn wire_text(value: Value) -> String {
    Value::Object(parsed::<ProviderPreferences>(value).to_wire()).to_string()
}

#[test]
fn only_the_fields_that_are_set_are_sent() {
    for unset in [
        json!({}),
        json!({"order": null, "only": null, "ignore": null, "allowFallbacks": null, "requireParameters": null,
            "dataCollection": null, "zdr": null, "enforceDistillableText": null, "quantizations": null, "sort": null,
            "preferredMinThroughput": null, "preferredMaxLatency": null, "maxPrice": null, "extra": null}),
        json!({"order": [], "only": [], "ignore": [], "quantizations": [], "sort": {}, "preferredMinThroughput": {},
            "preferredMaxLatency": {}, "maxPrice": {}, "extra": {}}),
    ] {
        assert_eq!(wire_text(unset), "{}");
    }
    let none: ProviderPreferences = parsed(json!({}));
    assert_eq!(serde_json::to_value(none).expect("plain JSON"), json!({}));
}

#[test]
fn every_field_is_sent_in_a_fixed_order() {
    let everything = json!({
        "extra": {"options": {"openai": {}}, "zdr": false, "newest": 1},
        "maxPrice": {"audio": "4", "prompt": 0.1, "completion": 3, "request": 0, "image": 2.50},
        "preferredMaxLatency": {"p90": 2.5, "p50": 1}, "preferredMinThroughput": 100,
        "sort": {"partition": "none", "by": "price"}, "quantizations": ["fp8", "bf16", "nvfp4"],
        "enforceDistillableText": true, "zdr": true, "dataCollection": "deny", "requireParameters": false,
        "allowFallbacks": false, "ignore": ["Google AI Studio"], "only": ["novita/fp8"], "order": ["Together AI"],
    });
    assert_eq!(
        wire_text(everything),
        concat!(
            r#"{"order":["together"],"only":["novita/fp8"],"ignore":["google-ai-studio"],"allow_fallbacks":false,"#,
            r#""require_parameters":false,"data_collection":"deny","zdr":true,"enforce_distillable_text":true,"#,
            r#""quantizations":["fp8","bf16","nvfp4"],"sort":{"by":"price","partition":"none"},"#,
            r#""preferred_min_throughput":100,"preferred_max_latency":{"p50":1,"p90":2.5},"max_price":{"prompt":"0.1","#,
            r#""completion":"3","request":"0","image":"2.5","audio":"4"},"options":{"openai":{}},"newest":1}"#,
        ),
    );
}

#[test]
fn both_spellings_of_a_key_mean_the_same() {
    let snake: ProviderPreferences = parsed(json!({"allow_fallbacks": true, "require_parameters": true,
        "data_collection": "allow", "enforce_distillable_text": true, "preferred_min_throughput": 1.5,
        "preferred_max_latency": 2, "max_price": {"prompt": "1"}, "sort": "exacto"}));
    let camel = json!({"allowFallbacks": true, "requireParameters": true, "dataCollection": "allow",
        "enforceDistillableText": true, "preferredMinThroughput": 1.5, "preferredMaxLatency": 2,
        "maxPrice": {"prompt": 1}, "sort": "exacto"});
    assert_eq!(snake.to_wire().len(), 8);
    assert_eq!(snake, parsed(camel));
}

#[test]
fn unknown_keys_and_values_are_refused() {
    for (value, message) in [
        (json!({"alowFallbacks": true}), "unknown field `alowFallbacks`"),
        (json!({"dataCollection": "no"}), "`allow` or `deny`"),
        (json!({"quantizations": ["int3"]}), "unknown variant `int3`"),
        (json!({"maxPrice": {"prompts": 1}}), "unknown field `prompts`"),
    ] {
        let found = refused::<ProviderPreferences>(value);
        assert!(found.contains(message), "{found}");
    }
    let sort = refused::<ProviderPreferences>(json!({"sort": "cheapest"}));
    assert_eq!(sort, "expected `price`, `throughput`, `latency`, `exacto` or an object");
    let latency = refused::<ProviderPreferences>(json!({"preferredMaxLatency": {"p42": 1}}));
    assert_eq!(
        latency,
        "expected a number or an object with `p50`, `p75`, `p90`, `p99`"
    );
}

#[test]
fn prices_are_sent_as_exact_decimal_strings() {
    let sent = |price: &str| {
        let text = format!(r#"{{"maxPrice":{{"prompt":{price}}}}}"#);
        let preferences: ProviderPreferences = serde_json::from_str(&text).expect("this price is valid");
        preferences.to_wire()["max_price"]["prompt"].clone()
    };
    for (written, expected) in [
        ("0.1", "0.1"),
        ("0.30000000000000004", "0.30000000000000004"),
        ("3", "3"),
        ("3.0", "3"),
        ("0", "0"),
        ("-0.0", "0"),
        ("1e-7", "0.0000001"),
        ("25e2", "2500"),
        ("1e21", "1000000000000000000000"),
        ("18446744073709551615", "18446744073709551615"),
        (r#""0.10""#, "0.10"),
        (r#""12""#, "12"),
    ] {
        assert_eq!(sent(written), json!(expected), "{written}");
    }
}

#[test]
fn negative_and_malformed_prices_are_refused() {
    let prices = json!([
        -1, -0.5, "-1", "1e3", "", ".", ".5", "1.", "1.2.3", "$1", " 1", "free", true
    ]);
    for price in prices.as_array().expect("it is a list") {
        let message = refused::<ProviderPreferences>(json!({"maxPrice": {"prompt": price}}));
        let expected = "expected a price of 0 or more in US dollars, such as `0.5` or `\"0.5\"`";
        assert!(message.ends_with(expected), "{message}");
    }
}

#[test]
fn preferences_of_a_tier_override_the_profiles() {
    let base = parsed(json!({"order": ["openai"], "zdr": true, "sort": "price", "extra": {"a": 1, "b": 1}}));
    let own: ProviderPreferences = parsed(json!({"order": [], "zdr": false, "maxPrice": {}, "extra": {"b": 2}}));
    let wire = Value::Object(own.over(&base).to_wire());
    assert_eq!(wire, json!({"zdr": false, "sort": "price", "a": 1, "b": 2}));
    assert_eq!(ProviderPreferences::default().over(&base), base);
}
