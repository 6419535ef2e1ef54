//! Old and foreign forms of a request: each is translated into what the service has, and reported by its word.
//!
//! What each of them becomes is tested where it is translated, in `plugin-openrouter/src/old_forms/tests.rs`.

use serde_json::json;
use tests::faultd::{DONE, Faultd, Script, finish_event, text_event};

use crate::bench::{chat_with, codes, good, plugin_of, post, raw_stream, with_header, words};

#[test]
fn old_forms_of_body_and_header_are_each_reported() {
    let service = Faultd::playing([Script::answer("yes")]);
    let body = chat_with(
        &json!({"model": "auto,b/second", "max_price": 0.001, "route": "fallback",
        "transforms": ["middle-out"], "providerPreferences": {"allowFallbacks": true}}),
    );
    let answer = good(
        &plugin_of(&service, json!({})),
        with_header(body, "X-Provider", r#"{"zdr": true}"#),
    );
    assert_eq!(
        words(&answer.notices).join(" "),
        "model-list provider-preferences x-provider provider-keys max-price route transforms model-id"
    );
    assert_eq!(
        service.requests()[0].json()["provider"],
        json!({"allow_fallbacks": true, "zdr": true, "max_price": {"prompt": "1", "completion": "1"}})
    );
}

#[test]
fn old_forms_are_translated_in_every_known_form_and_no_other() {
    let service = Faultd::playing([Script::reply(
        200,
        &[],
        &json!({"id": "x", "status": "completed", "data": []}),
    )]);
    let plugin = plugin_of(&service, json!({}));
    for path in ["/responses", "/messages", "/embeddings", "/completions"] {
        let body = json!({"model": "a/first", "provider": {"dataCollection": "deny"}, "input": "x", "prompt": "x"});
        let answer = good(&plugin, post(path, &body));
        assert_eq!(words(&answer.notices), ["provider-keys"], "{path}");
        let sent = service.requests().pop().expect("one came").json();
        assert_eq!(sent["provider"], json!({"data_collection": "deny"}), "{path}");
    }
    let body = json!({"model": "a/first,b/second", "max_price": 1, "route": "fallback"});
    let answer = good(&plugin, post("/videos", &body));
    assert_eq!(codes(&answer.notices), [""; 0]);
    assert_eq!(service.requests().pop().expect("one came").json(), body);
}

#[test]
fn a_stream_reports_old_forms_before_its_head() {
    let events = [text_event("Hi"), finish_event("stop"), DONE.to_owned()];
    let service = Faultd::playing([Script::stream(&events)]);
    let asked = chat_with(&json!({"route": "fallback", "max_price": 1}));
    let came = raw_stream(&plugin_of(&service, json!({})), asked);
    assert_eq!(came.kinds(), ["notice", "head", "raw", "done"]);
    assert_eq!(words(&came.reply().notices), ["max-price", "route"]);
}
