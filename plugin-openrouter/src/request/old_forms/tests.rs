//! Old forms of requests, in and out.

use std::time::{Duration, Instant};

use super::*;

fn translated_with(json: &str, x_provider: Option<&str>) -> Result<(String, Vec<Translation>), Error> {
    let mut body = Members::parse(json.as_bytes()).expect("an object");
    let told = translate(&mut body, x_provider)?;
    Ok((String::from_utf8(body.to_json()).expect("JSON is UTF-8"), told))
}

/// The body and the words.
fn translated(json: &str) -> (String, Vec<&'static str>) {
    let (body, told) = translated_with(json, None).expect("a body that can be translated");
    (body, told.iter().map(|one| one.word).collect())
}

fn refusal(json: &str) -> String {
    let error = translated_with(json, None).expect_err("a refusal");
    assert_eq!(error.kind, ErrorKind::INVALID_REQUEST);
    error.message
}

fn message(json: &str) -> String {
    let (_, mut told) = translated_with(json, None).expect("a body that can be translated");
    assert_eq!(told.len(), 1, "{told:?}");
    told.remove(0).message
}

/// Each row: a body, what is sent, and the words in order.
fn assert_rows<const N: usize>(rows: [(&str, &str, &[&str]); N]) {
    for (json, sent, words) in rows {
        assert_eq!(translated(json), (sent.to_owned(), words.to_vec()), "{json}");
        assert_eq!(
            translated(sent),
            (sent.to_owned(), vec![]),
            "what is sent is in the API's form"
        );
    }
}

#[test]
fn a_body_without_an_old_form_is_not_changed_in_any_byte() {
    for json in [
        "{}",
        r#"{"model":"a/b:free","messages":[{"role":"user", "content":"a, b\\n\u00e9"}],"temperature":1.50}"#,
        r#"{"model":"a\\b","models":["a/b" , "a/b",1],"provider":{"order" : [ "openai","novita/fp8"],"sort":"price"}}"#,
        r#"{"provider":{"max_price":{"prompt":"1e-4" ,"completion":"free","image":null,"new":-1}}}"#,
        r#"{"provider":{"unknown":{"maxPrice":-1},"order":["Azure",1],"only":"Azure","allow_fallbacks":"yes"}}"#,
        r#"{"provider":null}"#,
        r#"{"provider":"OpenAI"}"#,
        r#"{"provider":[{"allowFallbacks":true}],"model":7}"#,
        r#"{"route":"Fallback","plugins":[{"id":"web"}],"usage":{"include":true}}"#,
        r#"{"route":5,"max_results":3,"stream_options":{},"include_reasoning":true}"#,
        r#"{"functions":[],"function_call":"auto","models":["1","2","3","4","5","6","7","8","9","10","11"]}"#,
        r#"{"metadata":{"autoRouter":"true","route":"fallback","model":"a,b"}}"#,
    ] {
        assert_eq!(translated(json), (json.to_owned(), vec![]));
    }
}

#[test]
fn a_list_of_models_is_split_and_each_stands_once() {
    assert_rows([
        (
            r#"{"model":"a/x, b/y,c/z","stream":true}"#,
            r#"{"model":"a/x","stream":true,"models":["b/y","c/z"]}"#,
            &["model-list"],
        ),
        (
            r#"{"models":["d/d", " b/y ","","a/x"],"model":",a/x,,b/y , a/x,"}"#,
            r#"{"models":["b/y","d/d"],"model":"a/x"}"#,
            &["model-list"],
        ),
        (
            r#"{"model":"a/x,","models":null}"#,
            r#"{"model":"a/x","models":null}"#,
            &["model-list"],
        ),
        (
            r#"{"model":"a/x\u002cb/y"}"#,
            r#"{"model":"a/x","models":["b/y"]}"#,
            &["model-list"],
        ),
    ]);
    assert_eq!(
        message(r#"{"model":"a/x,b/y"}"#),
        "OpenRouter takes one `model`; the others of the list are sent in `models`"
    );
}

#[test]
fn fallback_models_stand_behind_the_models_of_the_request() {
    assert_rows([
        (
            r#"{"model":"a/x","fallback_models":["b/y","a/x","c/z"],"models":["c/z"]}"#,
            r#"{"model":"a/x","models":["c/z","b/y"]}"#,
            &["fallback-models"],
        ),
        (
            r#"{"fallbackModels":["a"],"fallback_models":["b"]}"#,
            r#"{"models":["b","a"]}"#,
            &["fallback-models"],
        ),
        (
            r#"{"model":"a,b","fallbackModels":["c"],"models":["d"]}"#,
            r#"{"model":"a","models":["b","d","c"]}"#,
            &["model-list", "fallback-models"],
        ),
        (
            r#"{"model":"x","fallback_models":["1","2","3","4","5","6","7","8","9","10","x","1"]}"#,
            r#"{"model":"x","models":["1","2","3","4","5","6","7","8","9","10"]}"#,
            &["fallback-models"],
        ),
        (r#"{"model":"x","fallback_models":null}"#, r#"{"model":"x"}"#, &[]),
        (
            r#"{"model":"x","fallback_models":[ ],"models":[1]}"#,
            r#"{"model":"x","models":[1]}"#,
            &[],
        ),
        (
            r#"{"model":"x","fallback_models":["x"," "]}"#,
            r#"{"model":"x"}"#,
            &["fallback-models"],
        ),
        (
            r#"{"model":7,"fallback_models":["x"]}"#,
            r#"{"model":7,"models":["x"]}"#,
            &["fallback-models"],
        ),
    ]);
    assert_eq!(
        message(r#"{"fallbackModels":["a"]}"#),
        "OpenRouter has no `fallbackModels`; they are sent in `models`"
    );
}

#[test]
fn models_that_are_none_or_too_many_are_refused() {
    for (json, message) in [
        (
            r#"{"model":" , "}"#,
            "expected `model` to be a model id, found a list without one",
        ),
        (
            r#"{"model":"0,1,2,3,4,5,6,7,8","fallback_models":["9","10","11"]}"#,
            "expected at most 10 models behind the first one, found more",
        ),
        (
            r#"{"fallback_models":"secret"}"#,
            "expected `fallback_models` to be a list of model ids, found a text",
        ),
        (
            r#"{"fallbackModels":["a",["secret"]]}"#,
            "expected `fallbackModels` to be a list of model ids, found a list of something else",
        ),
        (
            r#"{"model":"a,b","models":{"secret":1}}"#,
            "expected `models` to be a list of model ids, found an object",
        ),
    ] {
        assert_eq!(refusal(json), message);
    }
}

#[test]
fn the_auto_router_is_a_model_unless_the_request_names_one() {
    assert_rows([
        (
            r#"{"autoRouter":true}"#,
            r#"{"model":"openrouter/auto"}"#,
            &["auto-router"],
        ),
        (
            r#"{"model":" ","auto_router":true,"autoRouter":true}"#,
            r#"{"model":"openrouter/auto"}"#,
            &["auto-router"],
        ),
        (
            r#"{"model":null,"auto_router":true}"#,
            r#"{"model":"openrouter/auto"}"#,
            &["auto-router"],
        ),
        (
            r#"{"model":"a/x","autoRouter":true}"#,
            r#"{"model":"a/x"}"#,
            &["auto-router"],
        ),
        (r#"{"model":7,"autoRouter":true}"#, r#"{"model":7}"#, &["auto-router"]),
        (r#"{"autoRouter":false,"auto_router":null}"#, "{}", &[]),
    ]);
    assert_eq!(
        message(r#"{"autoRouter":true}"#),
        "OpenRouter has no `autoRouter`; the `model` `openrouter/auto` is sent"
    );
    assert_eq!(
        message(r#"{"auto_router":true,"model":"a/x"}"#),
        "OpenRouter has no `auto_router`; it is left out, because the request names a `model`"
    );
    assert_eq!(
        refusal(r#"{"autoRouter":"secret"}"#),
        "expected `autoRouter` to be true or false, found a text"
    );
}

#[test]
fn provider_is_written_as_the_api_writes_it() {
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
        "OpenRouter writes the keys of `provider` in snake_case and providers as slugs; they are sent so"
    );
}

#[test]
fn a_price_in_provider_becomes_a_decimal_text_without_a_word() {
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
            "expected `provider.max_price.prompt` to be a number of 0 or more, found one with an exponent beyond 40",
        ),
        (
            r#"{"providerPreferences":{"maxPrice":{"audio":-1e-2147483648}}}"#,
            "expected `providerPreferences.max_price.audio` to be a number of 0 or more, \
             found one with an exponent beyond 40",
        ),
    ] {
        assert_eq!(refusal(json), message);
    }
}

#[test]
fn foreign_preferences_are_laid_under_provider() {
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
        "OpenRouter has no `provider_preferences`; its members are sent in `provider`"
    );
    for (json, message) in [
        (
            r#"{"providerPreferences":["secret"]}"#,
            "expected `providerPreferences` to be a JSON object, found a list",
        ),
        (
            r#"{"providerPreferences":{"zdr":true},"provider":"secret"}"#,
            "expected `provider` to be a JSON object, found a text",
        ),
        (
            r#"{"provider":{"\ud800secret":1}}"#,
            "expected `provider` to be a JSON object, found one with a name that is no text",
        ),
    ] {
        assert_eq!(refusal(json), message);
    }
}

#[test]
fn the_header_is_laid_under_the_provider_of_the_body() {
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
        let (body, told) = translated_with(json, Some(header)).expect("a good header");
        let told: Vec<_> = told.iter().map(|one| one.word).collect();
        assert_eq!((body.as_str(), told.as_slice()), (sent, words));
    }
    let (_, told) = translated_with("{}", Some(r#"{"zdr":true}"#)).expect("a good header");
    assert_eq!(
        told[0].message,
        "OpenRouter has no header `X-Provider`; its members are sent in `provider`"
    );
}

#[test]
fn a_header_that_holds_no_object_is_refused() {
    for (header, found) in [
        ("", "what is not JSON: EOF while parsing a value at line 1 column 0"),
        ("openai", "what is not JSON: expected value at line 1 column 1"),
        (
            r#"{"order":["secret""#,
            "what is not JSON: EOF while parsing a list at line 1 column 18",
        ),
        (r#"["secret"]"#, "a list at line 1 column 0"),
        ("null", "null at line 1 column 4"),
    ] {
        let error = translated_with("{}", Some(header)).expect_err("a refusal");
        assert_eq!(error.kind, ErrorKind::INVALID_REQUEST);
        assert_eq!(
            error.message,
            format!("expected the header `X-Provider` to hold a JSON object, found {found}")
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
        "OpenRouter has no `max_price` per thousand tokens; it is sent as `provider.max_price` per million"
    );
    assert_eq!(
        message(r#"{"max_price":{"prompt":1},"provider":{"max_price":{"prompt":"1"}}}"#),
        "OpenRouter has no `max_price`; it is left out, because `provider.max_price` holds the same limits"
    );
}

#[test]
fn a_price_that_is_none_is_refused() {
    let number = "a number of 0 or more";
    let object = "an object with `prompt`, `completion`, `request`, `image` or `audio`";
    let beyond = "one with an exponent beyond 40";
    for (price, field, expected, found) in [
        ("-1", "max_price", number, "a negative number"),
        ("1e400", "max_price", number, beyond),
        ("1e-41", "max_price", number, beyond),
        ("1e999999999999", "max_price", number, beyond),
        ("1e-2147483648", "max_price", number, beyond),
        (r#""0.002""#, "max_price", "a number or an object", "a text"),
        ("true", "max_price", "a number or an object", "true or false"),
        ("[1]", "max_price", "a number or an object", "a list"),
        (r#"{"prompt":-0.001}"#, "max_price.prompt", number, "a negative number"),
        (r#"{"image":"secret"}"#, "max_price.image", number, "a text"),
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
            "another member in it",
        ),
    ] {
        let message = format!("expected `{field}` to be {expected}, found {found}");
        assert_eq!(refusal(&format!(r#"{{"max_price":{price}}}"#)), message);
    }
    assert_eq!(
        refusal(r#"{"max_price":1,"provider":{"max_price":"secret"}}"#),
        "expected `provider.max_price` to be a JSON object, found a text"
    );
}

#[test]
fn a_route_is_left_out_or_becomes_a_partition() {
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
            "OpenRouter falls back without a `route` too; it is left out",
        ),
        (
            r#"{"route":"sort"}"#,
            "OpenRouter's `route` is old; `provider.sort` is sent with the partition `none`",
        ),
        (
            r#"{"route":"sort","provider":{"sort":{"partition":"model"}}}"#,
            "OpenRouter's `route` is old; it is left out, because `provider.sort` holds a partition",
        ),
    ] {
        assert_eq!(message(json), text);
    }
    assert_eq!(
        refusal(r#"{"route":"sort","provider":{"sort":[]}}"#),
        "expected `provider.sort` to be a text or a JSON object, found a list"
    );
    assert_eq!(
        refusal(r#"{"route":"sort","provider":"secret"}"#),
        "expected `provider` to be a JSON object, found a text"
    );
}

#[test]
fn transforms_and_compress_become_a_plugin() {
    let on = r#"{"plugins":[{"id":"context-compression","engine":"middle-out"}]}"#;
    let off = r#"{"plugins":[{"id":"context-compression","enabled":false}]}"#;
    let own = r#"{"plugins":[{ "id":"context-compression","enabled":false}]}"#;
    assert_rows([
        (r#"{"transforms":["middle-out"]}"#, on, &["transforms"]),
        (r#"{"transforms":["secret","middle-out"]}"#, on, &["transforms"]),
        (r#"{"transforms":[]}"#, off, &["transforms"]),
        (r#"{"transforms":["secret"]}"#, "{}", &["transforms"]),
        (r#"{"transforms":null,"compress":null}"#, "{}", &[]),
        (r#"{"compress":true,"plugins":null}"#, on, &["compress"]),
        (
            r#"{"compress":true,"transforms":["middle-out"]}"#,
            on,
            &["transforms", "compress"],
        ),
        (r#"{"compress":false}"#, "{}", &[]),
        (
            r#"{"transforms":["middle-out"],"plugins":[{ "id":"context-compression","enabled":false}]}"#,
            own,
            &["transforms"],
        ),
        (
            r#"{"plugins":[{"id": "web"},7],"compress":true}"#,
            r#"{"plugins":[{"id": "web"},7,{"id":"context-compression","engine":"middle-out"}]}"#,
            &["compress"],
        ),
    ]);
    for (json, text) in [
        (
            r#"{"compress":true}"#,
            "OpenRouter has no `compress`; the plugin `context-compression` is sent, switched on",
        ),
        (
            r#"{"transforms":[]}"#,
            "OpenRouter has no `transforms`; the plugin `context-compression` is sent, switched off",
        ),
        (
            r#"{"transforms":["secret"]}"#,
            "OpenRouter has no `transforms`; it is left out; of what it names only `middle-out` has a successor",
        ),
        (
            r#"{"compress":true,"plugins":[{"id":"context-compression"}]}"#,
            "OpenRouter has no `compress`; it is left out, because `plugins` holds `context-compression`",
        ),
    ] {
        assert_eq!(message(json), text);
    }
    for (json, message) in [
        (
            r#"{"transforms":"secret"}"#,
            "expected `transforms` to be a list of names, found a text",
        ),
        (
            r#"{"transforms":[{"secret":1}]}"#,
            "expected `transforms` to be a list of names, found a list of something else",
        ),
        (
            r#"{"compress":1}"#,
            "expected `compress` to be true or false, found a number",
        ),
        (
            r#"{"compress":true,"plugins":{"id":"secret"}}"#,
            "expected `plugins` to be a list of objects, found an object",
        ),
    ] {
        assert_eq!(refusal(json), message);
    }
}

const OLD_FIELDS: [&str; 11] = [
    "model",
    "models",
    "fallback_models",
    "fallbackModels",
    "provider",
    "providerPreferences",
    "max_price",
    "route",
    "transforms",
    "autoRouter",
    "compress",
];

#[test]
fn no_value_of_any_field_overflows_the_stack_or_is_told() {
    let deep = 20_000;
    let values = [
        format!("{}{}", "[".repeat(deep), "]".repeat(deep)),
        format!("{}1{}", r#"{"secret":"#.repeat(deep), "}".repeat(deep)),
        r#""secret""#.to_owned(),
        r#""secret,secret""#.to_owned(),
        r#""\ud800secret""#.to_owned(),
        r#"["secret"]"#.to_owned(),
        r#"{"secret":"secret","order":["Secret"],"max_price":"secret","sort":7}"#.to_owned(),
        "1e400".to_owned(),
        "-0".to_owned(),
        "-1".to_owned(),
        "true".to_owned(),
        "null".to_owned(),
    ];
    for field in OLD_FIELDS {
        for other in [
            "model",
            "provider",
            "plugins",
            "max_price",
            "compress",
            "fallback_models",
        ] {
            for value in &values {
                for others_value in ["true", "\"sort\"", "[\"secret\"]", "{\"sort\":[]}"] {
                    let json = format!(r#"{{"{field}":{value},"{other}":{others_value}}}"#);
                    match translated_with(&json, Some(r#"{"allowFallbacks":"secret"}"#)) {
                        Ok((_, told)) => assert!(told.iter().all(|one| !one.message.contains("ecret"))),
                        Err(error) => assert!(!error.message.contains("ecret"), "{}", error.message),
                    }
                }
            }
        }
    }
}

#[test]
fn large_values_cost_as_many_steps_as_they_have_bytes() {
    let list = |n: usize, item: fn(usize) -> String| (0..n).map(item).collect::<Vec<_>>().join(",");
    let many = 300_000;
    let begun = Instant::now();
    assert_eq!(
        refusal(&format!(r#"{{"model":"{}"}}"#, list(many, |at| at.to_string()))),
        "expected at most 10 models behind the first one, found more"
    );
    let same = format!(r#"{{"fallback_models":[{}]}}"#, list(many, |_| r#""a""#.to_owned()));
    assert_eq!(translated(&same).0, r#"{"models":["a"]}"#);
    let names = list(many, |at| format!(r#""{at}":1"#));
    let layers = format!(r#"{{"provider":{{{names}}},"providerPreferences":{{{names}}}}}"#);
    assert_eq!(translated(&layers).0, format!(r#"{{"provider":{{{names}}}}}"#));
    let order = format!(
        r#"{{"provider":{{"order":[{}]}}}}"#,
        list(many, |_| r#""X""#.to_owned())
    );
    assert_eq!(translated(&order).1, ["provider-keys"]);
    let digits = format!(r#"{{"max_price":0.{}}}"#, "1".repeat(many));
    assert_eq!(translated(&digits).1, ["max-price"]);
    let plugins = list(many, |_| r#"{"id":"x"}"#.to_owned());
    let plugins = format!(r#"{{"compress":true,"plugins":[{plugins}]}}"#);
    assert_eq!(translated(&plugins).1, ["compress"]);
    // One list that is walked for each item of another would take minutes.
    assert!(begun.elapsed() < Duration::from_secs(60));
}
