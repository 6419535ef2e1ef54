//! Bodies in old forms, and what is sent for them.

mod provider;

use super::*;
use crate::kit::rows;

fn translated_with(json: &str, x_provider: Option<&str>) -> Result<(String, Vec<Translation>), Error> {
    let mut body = Members::parse(json.as_bytes()).expect("an object");
    let translations = translate(&mut body, x_provider)?;
    Ok((String::from_utf8(body.to_json()).expect("JSON is UTF-8"), translations))
}

/// The translated body, and the words of the translations.
fn translated(json: &str, x_provider: Option<&str>) -> (String, String) {
    let (body, translations) = translated_with(json, x_provider).expect("a body that can be translated");
    let words: Vec<&str> = translations.iter().map(|one| one.word).collect();
    (body, words.join(" "))
}

fn refusal(json: &str, x_provider: Option<&str>) -> String {
    let error = translated_with(json, x_provider).expect_err("a refusal");
    assert_eq!(error.kind, ErrorKind::INVALID_REQUEST);
    error.message
}

/// Each row begins with a body. Then comes what is sent and the words of the translations,
/// or `says` and the message of the only translation, or `refused` and why.
fn assert_rows(table: &str) {
    for [json, sent, rest] in rows(table) {
        match sent {
            "refused" => assert_eq!(refusal(json, None), rest, "{json}"),
            "says" => {
                let (_, translations) = translated_with(json, None).expect("a body that can be translated");
                let messages: Vec<&str> = translations.iter().map(|one| &*one.message).collect();
                assert_eq!(messages, [rest], "{json}");
            }
            _ => {
                assert_eq!(translated(json, None), (sent.to_owned(), rest.to_owned()), "{json}");
                // A translated body needs no further translation.
                assert_eq!(translated(sent, None), (sent.to_owned(), String::new()), "{json}");
            }
        }
    }
}

#[test]
fn a_body_without_old_forms_keeps_every_byte() {
    let bodies = r#"
        {}
        {"model":"a/b:free","messages":[{"role":"user", "content":"a, b\\n\u00e9"}],"temperature":1.50}
        {"model":"a\\b","models":["a/b" , "a/b",1],"provider":{"order" : [ "openai","novita/fp8"],"sort":"price"}}
        {"provider":{"max_price":{"prompt":"1e-4" ,"completion":"free","image":null,"new":-1}}}
        {"provider":{"unknown":{"maxPrice":-1},"order":["Azure",1],"only":"Azure","allow_fallbacks":"yes"}}
        {"provider":null}
        {"provider":"OpenAI"}
        {"provider":[{"allowFallbacks":true}],"model":7}
        {"route":"Fallback","plugins":[{"id":"web"}],"usage":{"include":true}}
        {"route":5,"max_results":3,"stream_options":{},"include_reasoning":true}
        {"functions":[],"function_call":"auto","models":["1","2","3","4","5","6","7","8","9","10","11"]}
        {"metadata":{"autoRouter":"true","route":"fallback","model":"a,b"}}
    "#;
    for [json] in rows(bodies) {
        assert_eq!(translated(json, None), (json.to_owned(), String::new()));
    }
}

#[test]
fn a_list_of_models_is_split_without_duplicates() {
    let table = r#"
        {"model":"a/x, b/y,c/z","stream":true} | {"model":"a/x","stream":true,"models":["b/y","c/z"]} | model-list
        {"models":["d/d", " b/y ","","a/x"],"model":",a/x,,b/y , a/x,"} | {"models":["b/y","d/d"],"model":"a/x"}
            | model-list
        {"model":"a/x,","models":null} | {"model":"a/x","models":null} | model-list
        {"model":"a/x\u002cb/y"} | {"model":"a/x","models":["b/y"]} | model-list
        {"model":"a/x,b/y"} | says | OpenRouter accepts one `model`; sending the rest of the list in `models`
    "#;
    assert_rows(table);
}

#[test]
fn fallback_models_are_appended_to_models() {
    let table = r#"
        {"model":"a/x","fallback_models":["b/y","a/x","c/z"],"models":["c/z"]} | {"model":"a/x","models":["c/z","b/y"]}
            | fallback-models
        {"fallbackModels":["a"],"fallback_models":["b"]} | {"models":["b","a"]} | fallback-models
        {"model":"a,b","fallbackModels":["c"],"models":["d"]} | {"model":"a","models":["b","d","c"]}
            | model-list fallback-models
        {"model":"x","fallback_models":["1","2","3","4","5","6","7","8","9","10","x","1"]}
            | {"model":"x","models":["1","2","3","4","5","6","7","8","9","10"]} | fallback-models
        {"model":"x","fallback_models":null} | {"model":"x"} |
        {"model":"x","fallback_models":[ ],"models":[1]} | {"model":"x","models":[1]} |
        {"model":"x","fallback_models":["x"," "]} | {"model":"x"} | fallback-models
        {"model":7,"fallback_models":["x"]} | {"model":7,"models":["x"]} | fallback-models
        {"fallbackModels":["a"]} | says | OpenRouter has no `fallbackModels`; sending `models` instead
    "#;
    assert_rows(table);
}

#[test]
fn malformed_or_too_many_models_are_refused() {
    let table = r#"
        {"model":" , "} | refused | expected `model` to be a model id, found a list without one
        {"model":"0,1,2,3,4,5,6,7,8","fallback_models":["9","10","11"]} | refused
            | expected at most 10 fallback models, found more
        {"fallback_models":"secret"} | refused | expected `fallback_models` to be a list of model ids, found a string
        {"fallbackModels":["a",["secret"]]} | refused
            | expected `fallbackModels` to be a list of model ids, found a list of something else
        {"model":"a,b","models":{"secret":1}} | refused | expected `models` to be a list of model ids, found an object
    "#;
    assert_rows(table);
}

#[test]
fn the_auto_router_becomes_the_model_unless_there_is_one() {
    let table = r#"
        {"autoRouter":true} | {"model":"openrouter/auto"} | auto-router
        {"model":" ","auto_router":true,"autoRouter":true} | {"model":"openrouter/auto"} | auto-router
        {"model":null,"auto_router":true} | {"model":"openrouter/auto"} | auto-router
        {"model":"a/x","autoRouter":true} | {"model":"a/x"} | auto-router
        {"model":7,"autoRouter":true} | {"model":7} | auto-router
        {"autoRouter":false,"auto_router":null} | {} |
        {"autoRouter":true} | says | OpenRouter has no `autoRouter`; sending `model` `openrouter/auto` instead
        {"auto_router":true,"model":"a/x"} | says
            | OpenRouter has no `auto_router`; ignored because the request has a `model`
        {"autoRouter":"secret"} | refused | expected `autoRouter` to be true or false, found a string
    "#;
    assert_rows(table);
}

#[test]
fn transforms_and_compress_become_a_request_plugin() {
    let table = r#"
        {"transforms":["middle-out"]} | {"plugins":[{"id":"context-compression","engine":"middle-out"}]} | transforms
        {"transforms":["secret","middle-out"]} | {"plugins":[{"id":"context-compression","engine":"middle-out"}]}
            | transforms
        {"transforms":[]} | {"plugins":[{"id":"context-compression","enabled":false}]} | transforms
        {"transforms":["secret"]} | {} | transforms
        {"transforms":null,"compress":null} | {} |
        {"compress":true,"plugins":null} | {"plugins":[{"id":"context-compression","engine":"middle-out"}]} | compress
        {"compress":true,"transforms":["middle-out"]} | {"plugins":[{"id":"context-compression","engine":"middle-out"}]}
            | transforms compress
        {"compress":false} | {} |
        {"transforms":["middle-out"],"plugins":[{ "id":"context-compression","enabled":false}]}
            | {"plugins":[{ "id":"context-compression","enabled":false}]} | transforms
        {"plugins":[{"id": "web"},7],"compress":true}
            | {"plugins":[{"id": "web"},7,{"id":"context-compression","engine":"middle-out"}]} | compress
        {"compress":true} | says
            | OpenRouter has no `compress`; sending the plugin `context-compression`, switched on, instead
        {"transforms":[]} | says
            | OpenRouter has no `transforms`; sending the plugin `context-compression`, switched off, instead
        {"transforms":["secret"]} | says
            | OpenRouter has no `transforms`; ignored; only its `middle-out` has a replacement
        {"compress":true,"plugins":[{"id":"context-compression"}]} | says
            | OpenRouter has no `compress`; ignored because `plugins` contains `context-compression`
        {"transforms":"secret"} | refused | expected `transforms` to be a list of names, found a string
        {"transforms":[{"secret":1}]} | refused
            | expected `transforms` to be a list of names, found a list of something else
        {"compress":1} | refused | expected `compress` to be true or false, found a number
        {"compress":true,"plugins":{"id":"secret"}} | refused
            | expected `plugins` to be a list of objects, found an object
    "#;
    assert_rows(table);
}

#[test]
fn no_value_of_any_field_overflows_the_stack_or_appears_in_a_message() {
    let deep = 20_000;
    let deep_list = format!("{}{}", "[".repeat(deep), "]".repeat(deep));
    let deep_object = format!("{}1{}", r#"{"secret":"#.repeat(deep), "}".repeat(deep));
    let values = rows(
        r#"
        "secret"
        "secret,secret"
        "\ud800secret"
        ["secret"]
        {"secret":"secret","order":["Secret"],"max_price":"secret","sort":7}
        1e400
        -0
        -1
        true
        null
        "#,
    );
    let values = values.iter().map(|[value]| *value).chain([&*deep_list, &deep_object]);
    let fields = "model models fallback_models fallbackModels provider providerPreferences max_price route transforms \
        autoRouter compress";
    for (field, value) in fields
        .split(' ')
        .flat_map(|field| values.clone().map(move |value| (field, value)))
    {
        for other in "model provider plugins max_price compress fallback_models".split(' ') {
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

#[test]
fn values_with_300_000_items_are_translated() {
    // Walking one list for each item of another would make this test run for minutes.
    let list = |item: fn(usize) -> String| (0..300_000).map(item).collect::<Vec<_>>().join(",");
    let json = format!(r#"{{"model":"{}"}}"#, list(|at| at.to_string()));
    assert_eq!(refusal(&json, None), "expected at most 10 fallback models, found more");
    let same = format!(r#"{{"fallback_models":[{}]}}"#, list(|_| r#""a""#.to_owned()));
    assert_eq!(translated(&same, None).0, r#"{"models":["a"]}"#);
    let names = list(|at| format!(r#""{at}":1"#));
    let layers = format!(r#"{{"provider":{{{names}}},"providerPreferences":{{{names}}}}}"#);
    assert_eq!(translated(&layers, None).0, format!(r#"{{"provider":{{{names}}}}}"#));
    let order = list(|_| r#""X""#.to_owned());
    let plugins = list(|_| r#"{"id":"x"}"#.to_owned());
    for (json, word) in [
        (format!(r#"{{"provider":{{"order":[{order}]}}}}"#), "provider-keys"),
        (format!(r#"{{"max_price":0.{}}}"#, "1".repeat(300_000)), "max-price"),
        (format!(r#"{{"compress":true,"plugins":[{plugins}]}}"#), "compress"),
    ] {
        assert_eq!(translated(&json, None).1, word);
    }
}
