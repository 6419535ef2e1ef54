//! Bodies in old forms, and what is sent for them.

mod provider;

use super::*;

fn translated_with(json: &str, x_provider: Option<&str>) -> Result<(String, Vec<Translation>), Error> {
    let mut body = Members::parse(json.as_bytes()).expect("an object");
    let translations = translate(&mut body, x_provider)?;
    Ok((String::from_utf8(body.to_json()).expect("JSON is UTF-8"), translations))
}

/// The translated body, and the words of the translations.
fn translated(json: &str) -> (String, Vec<&'static str>) {
    let (body, translations) = translated_with(json, None).expect("a body that can be translated");
    (body, translations.iter().map(|one| one.word).collect())
}

fn refusal(json: &str) -> String {
    let error = translated_with(json, None).expect_err("a refusal");
    assert_eq!(error.kind, ErrorKind::INVALID_REQUEST);
    error.message
}

fn message(json: &str) -> String {
    let (_, mut translations) = translated_with(json, None).expect("a body that can be translated");
    assert_eq!(translations.len(), 1, "{translations:?}");
    translations.remove(0).message
}

/// Each row: a body, what is sent, and the words in order.
fn assert_rows<const N: usize>(rows: [(&str, &str, &[&str]); N]) {
    for (json, sent, words) in rows {
        assert_eq!(translated(json), (sent.to_owned(), words.to_vec()), "{json}");
        assert_eq!(
            translated(sent),
            (sent.to_owned(), vec![]),
            "a translated body needs no further translation"
        );
    }
}

#[test]
fn a_body_without_old_forms_keeps_every_byte() {
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
fn a_list_of_models_is_split_without_duplicates() {
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
        "OpenRouter accepts one `model`; sending the rest of the list in `models`"
    );
}

#[test]
fn fallback_models_are_appended_to_models() {
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
        "OpenRouter has no `fallbackModels`; sending `models` instead"
    );
}

#[test]
fn malformed_or_too_many_models_are_refused() {
    for (json, message) in [
        (
            r#"{"model":" , "}"#,
            "expected `model` to be a model id, found a list without one",
        ),
        (
            r#"{"model":"0,1,2,3,4,5,6,7,8","fallback_models":["9","10","11"]}"#,
            "expected at most 10 fallback models, found more",
        ),
        (
            r#"{"fallback_models":"secret"}"#,
            "expected `fallback_models` to be a list of model ids, found a string",
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
fn the_auto_router_becomes_the_model_unless_there_is_one() {
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
        "OpenRouter has no `autoRouter`; sending `model` `openrouter/auto` instead"
    );
    assert_eq!(
        message(r#"{"auto_router":true,"model":"a/x"}"#),
        "OpenRouter has no `auto_router`; ignored because the request has a `model`"
    );
    assert_eq!(
        refusal(r#"{"autoRouter":"secret"}"#),
        "expected `autoRouter` to be true or false, found a string"
    );
}

#[test]
fn transforms_and_compress_become_a_request_plugin() {
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
            "OpenRouter has no `compress`; sending the plugin `context-compression`, switched on, instead",
        ),
        (
            r#"{"transforms":[]}"#,
            "OpenRouter has no `transforms`; sending the plugin `context-compression`, switched off, instead",
        ),
        (
            r#"{"transforms":["secret"]}"#,
            "OpenRouter has no `transforms`; ignored; only its `middle-out` has a replacement",
        ),
        (
            r#"{"compress":true,"plugins":[{"id":"context-compression"}]}"#,
            "OpenRouter has no `compress`; ignored because `plugins` contains `context-compression`",
        ),
    ] {
        assert_eq!(message(json), text);
    }
    for (json, message) in [
        (
            r#"{"transforms":"secret"}"#,
            "expected `transforms` to be a list of names, found a string",
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
fn no_value_of_any_field_overflows_the_stack_or_appears_in_a_message() {
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
                        Ok((_, translations)) => assert!(translations.iter().all(|one| !one.message.contains("ecret"))),
                        Err(error) => assert!(!error.message.contains("ecret"), "{}", error.message),
                    }
                }
            }
        }
    }
}

#[test]
fn values_with_300_000_items_are_translated() {
    let list = |n: usize, item: fn(usize) -> String| (0..n).map(item).collect::<Vec<_>>().join(",");
    // Walking one list for each item of another would make this test run for minutes.
    let many = 300_000;
    assert_eq!(
        refusal(&format!(r#"{{"model":"{}"}}"#, list(many, |at| at.to_string()))),
        "expected at most 10 fallback models, found more"
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
}
