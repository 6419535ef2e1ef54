//! The forms that become part of `provider`.

use super::*;

#[test]
fn provider_is_rewritten_in_the_apis_spelling() {
    let table = r#"
        {"provider":{"allowFallbacks":false,"order":["Anthropic","AWS Bedrock"],"new":{"maxPrice" : 1}}}
            | {"provider":{"allow_fallbacks":false,"order":["anthropic","amazon-bedrock"],"new":{"maxPrice" : 1}}}
            | provider-keys
        {"provider":{"requireParameters":1,"dataCollection":"deny","enforceDistillableText":true,"preferredMinThroughput":5.0,"preferredMaxLatency":{"p50":1},"maxPrice":{"prompt":0.10}}}
            | {"provider":{"require_parameters":1,"data_collection":"deny","enforce_distillable_text":true,"preferred_min_throughput":5.0,"preferred_max_latency":{"p50":1},"max_price":{"prompt":"0.1"}}}
            | provider-keys
        {"provider":{"only":["Together AI"],"ignore":["Azure/x","openai"]}}
            | {"provider":{"only":["together"],"ignore":["azure/x","openai"]}} | provider-keys
        {"provider":{"allowFallbacks":true,"allow_fallbacks":false,"data_collection":null,"dataCollection":"deny"}}
            | {"provider":{"allow_fallbacks":false,"data_collection":"deny"}} | provider-keys
        {"provider":{"allowFallbacks":true,"max_price":{"prompt" : "1"}}}
            | {"provider":{"allow_fallbacks":true,"max_price":{"prompt" : "1"}}} | provider-keys
        {"provider":{"allowFallbacks":true}} | says
            | OpenRouter expects snake_case keys and provider slugs in `provider`; sending those
    "#;
    assert_rows(table);
}

#[test]
fn a_price_in_provider_becomes_a_decimal_string_silently() {
    let table = r#"
        {"provider":{"max_price":{"prompt":1.50,"completion":1e-4,"request":-0,"image":"2","audio":3E2}}}
            | {"provider":{"max_price":{"prompt":"1.5","completion":"0.0001","request":"0","image":"2","audio":"300"}}}
            |
        {"provider":{"max_price":{"prompt":123456789012345678901234567890.123456789}}}
            | {"provider":{"max_price":{"prompt":"123456789012345678901234567890.123456789"}}} |
        {"provider":{"max_price":{"image":-1}}} | refused
            | expected `provider.max_price.image` to be a number of 0 or more, found a negative number
        {"provider":{"maxPrice":{"prompt":"\u002d0.5"}}} | refused
            | expected `provider.max_price.prompt` to be a number of 0 or more, found a negative number
        {"provider":{"max_price":{"prompt":1e400}}} | refused
            | expected `provider.max_price.prompt` to be a number of 0 or more, found a number with an exponent beyond 40
        {"providerPreferences":{"maxPrice":{"audio":-1e-2147483648}}} | refused
            | expected `providerPreferences.max_price.audio` to be a number of 0 or more, found a number with an exponent beyond 40
    "#;
    assert_rows(table);
}

#[test]
fn foreign_preferences_are_merged_below_provider() {
    let table = r#"
        {"providerPreferences":{"order":["Anthropic"],"allowFallbacks":true}}
            | {"provider":{"order":["anthropic"],"allow_fallbacks":true}} | provider-preferences provider-keys
        {"provider_preferences":{"sort":"price","zdr":true},"provider":{"sort":"latency","zdr":null},"model":"a"}
            | {"provider":{"sort":"latency","zdr":null},"model":"a"} | provider-preferences
        {"provider":null,"provider_preferences":{"zdr":true,"only":["x"]},"providerPreferences":{"zdr":false}}
            | {"provider":{"zdr":false,"only":["x"]}} | provider-preferences
        {"providerPreferences":{},"provider_preferences":null} | {} |
        {"provider_preferences":{"zdr":true}} | says
            | OpenRouter has no `provider_preferences`; sending its members in `provider`
        {"providerPreferences":["secret"]} | refused | expected `providerPreferences` to be a JSON object, found a list
        {"providerPreferences":{"zdr":true},"provider":"secret"} | refused
            | expected `provider` to be a JSON object, found a string
        {"provider":{"\ud800secret":1}} | refused
            | expected `provider` to be a JSON object, found one with an invalid name
    "#;
    assert_rows(table);
}

#[test]
fn the_header_is_merged_below_the_bodys_provider() {
    let table = r#"
        {} | {"order":["Together","DeepInfra"]}
            | {"provider":{"order":["together","deepinfra"]}} | x-provider provider-keys
        {"provider":{"sort":"price"}} | {"sort":"latency","zdr":true} | {"provider":{"sort":"price","zdr":true}} | x-provider
        {"providerPreferences":{"allowFallbacks":false}} | {"allow_fallbacks":true,"max_price":{"prompt":1}}
            | {"provider":{"allow_fallbacks":false,"max_price":{"prompt":"1"}}}
            | provider-preferences x-provider provider-keys
        {"provider":{"zdr" : 1}} | {} | {"provider":{"zdr" : 1}} |
    "#;
    for [json, header, sent, words] in rows(table) {
        let padded = format!(" {header} ");
        let expected = (sent.to_owned(), words.to_owned());
        assert_eq!(translated(json, Some(&padded)), expected, "{json}");
    }
    let (_, translations) = translated_with("{}", Some(r#"{"zdr":true}"#)).expect("a good header");
    let message = "OpenRouter has no header `X-Provider`; sending its members in `provider`";
    assert_eq!(translations[0].message, message);
}

#[test]
fn a_header_that_is_not_an_object_is_refused() {
    for (header, found) in [
        ("", "invalid JSON: EOF while parsing a value at line 1 column 0"),
        ("openai", "invalid JSON: expected value at line 1 column 1"),
        (
            r#"{"a":["secret""#,
            "invalid JSON: EOF while parsing a list at line 1 column 14",
        ),
        (r#"["secret"]"#, "a list at line 1 column 0"),
        ("null", "null at line 1 column 4"),
    ] {
        let message = format!("expected the header `X-Provider` to be a JSON object, found {found}");
        assert_eq!(refusal("{}", Some(header)), message);
    }
    let message = "expected `X-Provider.max_price.prompt` to be a number of 0 or more, found a negative number";
    assert_eq!(refusal("{}", Some(r#"{"max_price":{"prompt":-1}}"#)), message);
}

#[test]
fn a_price_per_thousand_tokens_is_sent_per_million() {
    for (per_thousand, per_million) in [
        ("0.002", "2"),
        ("0.00015", "0.15"),
        ("1e-4", "0.1"),
        ("1E+2", "100000"),
        ("5", "5000"),
        ("0", "0"),
        ("-0", "0"),
        ("-0.0e5", "0"),
        ("0.0030", "3"),
        ("0.1234567890123456789", "123.4567890123456789"),
        ("1e-40", "0.0000000000000000000000000000000000001"),
        ("1e40", "10000000000000000000000000000000000000000000"),
    ] {
        let sent = format!(r#"{{"prompt":"{per_million}","completion":"{per_million}"}}"#);
        let sent = format!(r#"{{"provider":{{"max_price":{sent}}}}}"#);
        let json = format!(r#"{{"max_price":{per_thousand}}}"#);
        assert_eq!(translated(&json, None), (sent, "max-price".to_owned()));
    }
    let table = r#"
        {"max_price":{"image":0.01,"request":1,"audio":2.0,"completion":0.002,"prompt":0.001},"model":"a"}
            | {"model":"a","provider":{"max_price":{"prompt":"1","completion":"2","request":"1","image":"0.01","audio":"2"}}}
            | max-price
        {"provider":{"max_price":{"prompt":7,"completion":null}},"max_price":0.001}
            | {"provider":{"max_price":{"prompt":"7","completion":"1"}}} | max-price
        {"provider":{"maxPrice":{"prompt" : "7"}},"max_price":{"prompt":0.001}}
            | {"provider":{"max_price":{"prompt" : "7"}}} | provider-keys max-price
        {"provider":{"max_price":null},"max_price":{"prompt":0.001,"image":null}}
            | {"provider":{"max_price":{"prompt":"1"}}} | max-price
        {"max_price":null} | {} |
        {"max_price":{"prompt":null},"provider":{"zdr" : true}} | {"provider":{"zdr" : true}} |
        {"max_price":1} | says
            | OpenRouter has no `max_price` per thousand tokens; sending `provider.max_price` per million instead
        {"max_price":{"prompt":1},"provider":{"max_price":{"prompt":"1"}}} | says
            | OpenRouter has no `max_price`; ignored because `provider.max_price` sets the same limits
    "#;
    assert_rows(table);
}

#[test]
fn a_malformed_price_is_refused() {
    let table = r#"
        {"max_price":-1} | refused | expected `max_price` to be a number of 0 or more, found a negative number
        {"max_price":"0.002"} | refused | expected `max_price` to be a number or an object, found a string
        {"max_price":true} | refused | expected `max_price` to be a number or an object, found true or false
        {"max_price":[1]} | refused | expected `max_price` to be a number or an object, found a list
        {"max_price":{"prompt":-0.001}}
            | refused | expected `max_price.prompt` to be a number of 0 or more, found a negative number
        {"max_price":{"image":"secret"}}
            | refused | expected `max_price.image` to be a number of 0 or more, found a string
        {"max_price":{"completion":{"secret":1}}}
            | refused | expected `max_price.completion` to be a number of 0 or more, found an object
        {"max_price":{"prompt":1,"secret":1}} | refused
            | expected `max_price` to be an object with `prompt`, `completion`, `request`, `image` or `audio`, found one with another member
        {"max_price":1,"provider":{"max_price":"secret"}}
            | refused | expected `provider.max_price` to be a JSON object, found a string
    "#;
    assert_rows(table);
    for price in ["1e400", "1e-41", "1e999999999999", "1e-2147483648"] {
        let message = "expected `max_price` to be a number of 0 or more, found a number with an exponent beyond 40";
        assert_eq!(
            refusal(&format!(r#"{{"max_price":{price}}}"#), None),
            message,
            "{price}"
        );
    }
}

#[test]
fn a_route_is_dropped_or_becomes_a_partition() {
    let table = r#"
        {"route":"fallback","model":"a"} | {"model":"a"} | route
        {"route":"fallback","provider":7} | {"provider":7} | route
        {"route":null,"model":"a"} | {"model":"a"} |
        {"route":"sort"} | {"provider":{"sort":{"partition":"none"}}} | route
        {"route":"sort","provider":{"sort":"price","zdr":true}}
            | {"provider":{"sort":{"by":"price","partition":"none"},"zdr":true}} | route
        {"route":"sort","provider":{"sort":{"by":"latency","partition":null}}}
            | {"provider":{"sort":{"by":"latency","partition":"none"}}} | route
        {"route":"sort","provider":{"sort":{"partition":"model"}}} | {"provider":{"sort":{"partition":"model"}}} | route
        {"route":"fallback"} | says | OpenRouter falls back without a `route`; ignored
        {"route":"sort"} | says
            | OpenRouter has no `route` any more; sending `provider.sort` with the partition `none` instead
        {"route":"sort","provider":{"sort":{"partition":"model"}}} | says
            | OpenRouter has no `route` any more; ignored because `provider.sort` has a partition
        {"route":"sort","provider":{"sort":[]}} | refused
            | expected `provider.sort` to be a string or a JSON object, found a list
        {"route":"sort","provider":"secret"} | refused | expected `provider` to be a JSON object, found a string
    "#;
    assert_rows(table);
}
