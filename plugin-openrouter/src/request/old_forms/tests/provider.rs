//! The forms that become part of `provider`.

use super::*;

#[test]
fn provider_is_rewritten_in_the_apis_spelling() {
    assert_rows([
        (
            r#"{"provider":{"allowFallbacks":false,"order":["Anthropic","AWS Bedrock"],"new":{"maxPrice" : 1}}}"#,
            r#"{"provider":{"allow_fallbacks":false,"order":["anthropic","amazon-bedrock"],"new":{"maxPrice" : 1}}}"#,
            &["provider-keys"],
        ),
        (
            r#"{"provider":{"requireParameters":1,"dataCollection":"deny","enforceDistillableText":true,"preferredMinThroughput":5.0,"preferredMaxLatency":{"p50":1},"maxPrice":{"prompt":0.10}}}"#,
            r#"{"provider":{"require_parameters":1,"data_collection":"deny","enforce_distillable_text":true,"preferred_min_throughput":5.0,"preferred_max_latency":{"p50":1},"max_price":{"prompt":"0.1"}}}"#,
            &["provider-keys"],
        ),
        (
            r#"{"provider":{"only":["Together AI"],"ignore":["Azure/x","openai"]}}"#,
            r#"{"provider":{"only":["together"],"ignore":["azure/x","openai"]}}"#,
            &["provider-keys"],
        ),
        (
            r#"{"provider":{"allowFallbacks":true,"allow_fallbacks":false,"data_collection":null,"dataCollection":"deny"}}"#,
            r#"{"provider":{"allow_fallbacks":false,"data_collection":"deny"}}"#,
            &["provider-keys"],
        ),
        (
            r#"{"provider":{"allowFallbacks":true,"max_price":{"prompt" : "1"}}}"#,
            r#"{"provider":{"allow_fallbacks":true,"max_price":{"prompt" : "1"}}}"#,
            &["provider-keys"],
        ),
    ]);
    assert_eq!(
        message(r#"{"provider":{"allowFallbacks":true}}"#),
        "OpenRouter expects snake_case keys and provider slugs in `provider`; sending those"
    );
}

#[test]
fn a_price_in_provider_becomes_a_decimal_string_silently() {
    assert_rows([
        (
            r#"{"provider":{"max_price":{"prompt":1.50,"completion":1e-4,"request":-0,"image":"2","audio":3E2}}}"#,
            r#"{"provider":{"max_price":{"prompt":"1.5","completion":"0.0001","request":"0","image":"2","audio":"300"}}}"#,
            &[],
        ),
        (
            r#"{"provider":{"max_price":{"prompt":123456789012345678901234567890.123456789}}}"#,
            r#"{"provider":{"max_price":{"prompt":"123456789012345678901234567890.123456789"}}}"#,
            &[],
        ),
    ]);
    for (json, message) in [
        (
            r#"{"provider":{"max_price":{"image":-1}}}"#,
            "expected `provider.max_price.image` to be a number of 0 or more, found a negative number",
        ),
        (
            r#"{"provider":{"maxPrice":{"prompt":"\u002d0.5"}}}"#,
            "expected `provider.max_price.prompt` to be a number of 0 or more, found a negative number",
        ),
        (
            r#"{"provider":{"max_price":{"prompt":1e400}}}"#,
            "expected `provider.max_price.prompt` to be a number of 0 or more, found a number with an exponent beyond 40",
        ),
        (
            r#"{"providerPreferences":{"maxPrice":{"audio":-1e-2147483648}}}"#,
            "expected `providerPreferences.max_price.audio` to be a number of 0 or more, \
             found a number with an exponent beyond 40",
        ),
    ] {
        assert_eq!(refusal(json), message);
    }
}

#[test]
fn foreign_preferences_are_merged_below_provider() {
    assert_rows([
        (
            r#"{"providerPreferences":{"order":["Anthropic"],"allowFallbacks":true}}"#,
            r#"{"provider":{"order":["anthropic"],"allow_fallbacks":true}}"#,
            &["provider-preferences", "provider-keys"],
        ),
        (
            r#"{"provider_preferences":{"sort":"price","zdr":true},"provider":{"sort":"latency","zdr":null},"model":"a"}"#,
            r#"{"provider":{"sort":"latency","zdr":null},"model":"a"}"#,
            &["provider-preferences"],
        ),
        (
            r#"{"provider":null,"provider_preferences":{"zdr":true,"only":["x"]},"providerPreferences":{"zdr":false}}"#,
            r#"{"provider":{"zdr":false,"only":["x"]}}"#,
            &["provider-preferences"],
        ),
        (r#"{"providerPreferences":{},"provider_preferences":null}"#, "{}", &[]),
    ]);
    assert_eq!(
        message(r#"{"provider_preferences":{"zdr":true}}"#),
        "OpenRouter has no `provider_preferences`; sending its members in `provider`"
    );
    for (json, message) in [
        (
            r#"{"providerPreferences":["secret"]}"#,
            "expected `providerPreferences` to be a JSON object, found a list",
        ),
        (
            r#"{"providerPreferences":{"zdr":true},"provider":"secret"}"#,
            "expected `provider` to be a JSON object, found a string",
        ),
        (
            r#"{"provider":{"\ud800secret":1}}"#,
            "expected `provider` to be a JSON object, found one with an invalid name",
        ),
    ] {
        assert_eq!(refusal(json), message);
    }
}

#[test]
fn the_header_is_merged_below_the_bodys_provider() {
    for (json, header, sent, words) in [
        (
            "{}",
            r#"{"order":["Together","DeepInfra"]}"#,
            r#"{"provider":{"order":["together","deepinfra"]}}"#,
            &["x-provider", "provider-keys"][..],
        ),
        (
            r#"{"provider":{"sort":"price"}}"#,
            r#" {"sort":"latency","zdr":true} "#,
            r#"{"provider":{"sort":"price","zdr":true}}"#,
            &["x-provider"],
        ),
        (
            r#"{"providerPreferences":{"allowFallbacks":false}}"#,
            r#"{"allow_fallbacks":true,"max_price":{"prompt":1}}"#,
            r#"{"provider":{"allow_fallbacks":false,"max_price":{"prompt":"1"}}}"#,
            &["provider-preferences", "x-provider", "provider-keys"],
        ),
        (r#"{"provider":{"zdr" : 1}}"#, "{}", r#"{"provider":{"zdr" : 1}}"#, &[]),
    ] {
        let (body, translations) = translated_with(json, Some(header)).expect("a good header");
        let translations: Vec<_> = translations.iter().map(|one| one.word).collect();
        assert_eq!((body.as_str(), translations.as_slice()), (sent, words));
    }
    let (_, translations) = translated_with("{}", Some(r#"{"zdr":true}"#)).expect("a good header");
    assert_eq!(
        translations[0].message,
        "OpenRouter has no header `X-Provider`; sending its members in `provider`"
    );
}

#[test]
fn a_header_that_is_not_an_object_is_refused() {
    for (header, found) in [
        ("", "invalid JSON: EOF while parsing a value at line 1 column 0"),
        ("openai", "invalid JSON: expected value at line 1 column 1"),
        (
            r#"{"order":["secret""#,
            "invalid JSON: EOF while parsing a list at line 1 column 18",
        ),
        (r#"["secret"]"#, "a list at line 1 column 0"),
        ("null", "null at line 1 column 4"),
    ] {
        let error = translated_with("{}", Some(header)).expect_err("a refusal");
        assert_eq!(error.kind, ErrorKind::INVALID_REQUEST);
        assert_eq!(
            error.message,
            format!("expected the header `X-Provider` to be a JSON object, found {found}")
        );
    }
    let error = translated_with("{}", Some(r#"{"max_price":{"prompt":-1}}"#)).expect_err("a refusal");
    assert_eq!(
        error.message,
        "expected `X-Provider.max_price.prompt` to be a number of 0 or more, found a negative number"
    );
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
        let (body, words) = translated(&format!(r#"{{"max_price":{per_thousand}}}"#));
        let sent =
            format!(r#"{{"provider":{{"max_price":{{"prompt":"{per_million}","completion":"{per_million}"}}}}}}"#);
        assert_eq!((body, words), (sent, vec!["max-price"]));
    }
    assert_rows([
        (
            r#"{"max_price":{"image":0.01,"request":1,"audio":2.0,"completion":0.002,"prompt":0.001},"model":"a"}"#,
            r#"{"model":"a","provider":{"max_price":{"prompt":"1","completion":"2","request":"1","image":"0.01","audio":"2"}}}"#,
            &["max-price"],
        ),
        (
            r#"{"provider":{"max_price":{"prompt":7,"completion":null}},"max_price":0.001}"#,
            r#"{"provider":{"max_price":{"prompt":"7","completion":"1"}}}"#,
            &["max-price"],
        ),
        (
            r#"{"provider":{"maxPrice":{"prompt" : "7"}},"max_price":{"prompt":0.001}}"#,
            r#"{"provider":{"max_price":{"prompt" : "7"}}}"#,
            &["provider-keys", "max-price"],
        ),
        (
            r#"{"provider":{"max_price":null},"max_price":{"prompt":0.001,"image":null}}"#,
            r#"{"provider":{"max_price":{"prompt":"1"}}}"#,
            &["max-price"],
        ),
        (r#"{"max_price":null}"#, "{}", &[]),
        (
            r#"{"max_price":{"prompt":null},"provider":{"zdr" : true}}"#,
            r#"{"provider":{"zdr" : true}}"#,
            &[],
        ),
    ]);
    assert_eq!(
        message(r#"{"max_price":1}"#),
        "OpenRouter has no `max_price` per thousand tokens; sending `provider.max_price` per million instead"
    );
    assert_eq!(
        message(r#"{"max_price":{"prompt":1},"provider":{"max_price":{"prompt":"1"}}}"#),
        "OpenRouter has no `max_price`; ignored because `provider.max_price` sets the same limits"
    );
}

#[test]
fn a_malformed_price_is_refused() {
    let number = "a number of 0 or more";
    let object = "an object with `prompt`, `completion`, `request`, `image` or `audio`";
    let beyond = "a number with an exponent beyond 40";
    for (price, field, expected, found) in [
        ("-1", "max_price", number, "a negative number"),
        ("1e400", "max_price", number, beyond),
        ("1e-41", "max_price", number, beyond),
        ("1e999999999999", "max_price", number, beyond),
        ("1e-2147483648", "max_price", number, beyond),
        (r#""0.002""#, "max_price", "a number or an object", "a string"),
        ("true", "max_price", "a number or an object", "true or false"),
        ("[1]", "max_price", "a number or an object", "a list"),
        (r#"{"prompt":-0.001}"#, "max_price.prompt", number, "a negative number"),
        (r#"{"image":"secret"}"#, "max_price.image", number, "a string"),
        (
            r#"{"completion":{"secret":1}}"#,
            "max_price.completion",
            number,
            "an object",
        ),
        (
            r#"{"prompt":1,"secret":1}"#,
            "max_price",
            object,
            "one with another member",
        ),
    ] {
        let message = format!("expected `{field}` to be {expected}, found {found}");
        assert_eq!(refusal(&format!(r#"{{"max_price":{price}}}"#)), message);
    }
    assert_eq!(
        refusal(r#"{"max_price":1,"provider":{"max_price":"secret"}}"#),
        "expected `provider.max_price` to be a JSON object, found a string"
    );
}

#[test]
fn a_route_is_dropped_or_becomes_a_partition() {
    assert_rows([
        (r#"{"route":"fallback","model":"a"}"#, r#"{"model":"a"}"#, &["route"]),
        (r#"{"route":"fallback","provider":7}"#, r#"{"provider":7}"#, &["route"]),
        (r#"{"route":null,"model":"a"}"#, r#"{"model":"a"}"#, &[]),
        (
            r#"{"route":"sort"}"#,
            r#"{"provider":{"sort":{"partition":"none"}}}"#,
            &["route"],
        ),
        (
            r#"{"route":"sort","provider":{"sort":"price","zdr":true}}"#,
            r#"{"provider":{"sort":{"by":"price","partition":"none"},"zdr":true}}"#,
            &["route"],
        ),
        (
            r#"{"route":"sort","provider":{"sort":{"by":"latency","partition":null}}}"#,
            r#"{"provider":{"sort":{"by":"latency","partition":"none"}}}"#,
            &["route"],
        ),
        (
            r#"{"route":"sort","provider":{"sort":{"partition":"model"}}}"#,
            r#"{"provider":{"sort":{"partition":"model"}}}"#,
            &["route"],
        ),
    ]);
    for (json, text) in [
        (
            r#"{"route":"fallback"}"#,
            "OpenRouter falls back without a `route`; ignored",
        ),
        (
            r#"{"route":"sort"}"#,
            "OpenRouter has no `route` any more; sending `provider.sort` with the partition `none` instead",
        ),
        (
            r#"{"route":"sort","provider":{"sort":{"partition":"model"}}}"#,
            "OpenRouter has no `route` any more; ignored because `provider.sort` has a partition",
        ),
    ] {
        assert_eq!(message(json), text);
    }
    assert_eq!(
        refusal(r#"{"route":"sort","provider":{"sort":[]}}"#),
        "expected `provider.sort` to be a string or a JSON object, found a list"
    );
    assert_eq!(
        refusal(r#"{"route":"sort","provider":"secret"}"#),
        "expected `provider` to be a JSON object, found a string"
    );
}
