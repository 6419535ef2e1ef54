//! What the service writes whole arrives as it was written: answers in every form, sound, and everything that is no answer of a
//! model.

use plugin_api::{Done, HttpRequest};
use sandbox::{Builder, Script};
use serde_json::json;
use tests::faultd::{Faultd, Script as Bytes, head};
use tests::{LIMIT, block_on, poll_once, service};

use crate::bench::{
    Direct, chat, chat_body, direct, good, json_of, once, plugin, plugin_of, post, raw, raw_stream, strange_twins,
    streaming, told, twins, with_header, without_times, writing_forms,
};

/// A model that answers.
pub const MODEL: &str = "acme/model";

/// A model with everything that the forms can tell of.
pub fn talkative(builder: Builder) -> Builder {
    let script = Script {
        reasoning: Some("Let me see: \u{e9}, \u{1f302}.".to_owned()),
        text: Some("It \"rains\" in \\ Z\u{fc}rich.\n\u{1f327}".to_owned()),
        extra: json!({"x_new": {"n": 1.0, "text": "\u{e9}"}})
            .as_object()
            .cloned()
            .unwrap_or_default(),
        event_lines: true,
        ..Script::default()
    };
    builder.script(MODEL, script)
}

/// A request in each form for which there is a model, those that write first.
pub fn forms() -> Vec<HttpRequest> {
    let others = [
        post(
            "/embeddings",
            &json!({"model": "openai/text-embedding-3-small", "input": ["a", "b"], "dimensions": 5}),
        ),
        post(
            "/rerank",
            &json!({"model": "cohere/rerank-v3.5", "query": "rain", "documents": ["sun", "rain and sun"]}),
        ),
        post(
            "/audio/speech",
            &json!({"model": "openai/gpt-4o-mini-tts", "input": "two words", "voice": "alloy"}),
        ),
    ];
    writing_forms(MODEL).into_iter().chain(others).collect()
}

#[test]
fn a_whole_answer_in_every_form_is_the_one_that_the_service_gives() {
    let twins = twins(talkative);
    let plugin = plugin(&twins.asked, json!({}));
    for request in forms() {
        let answer = good(&plugin, request.clone());
        let given = direct(&twins.direct, &request);
        assert_eq!(given.status, 200, "{}", request.path);
        assert_eq!(Direct::of(&answer), given, "{}", request.path);
    }
}

#[test]
fn sound_arrives_although_it_is_no_text() {
    let twins = twins(talkative);
    let speech = forms().pop().expect("the last one");
    let answer = good(&plugin(&twins.asked, json!({})), speech);
    assert_eq!(answer.head.header("content-type"), Some("audio/mpeg"));
    assert!(std::str::from_utf8(&answer.body).is_err());
    assert_eq!(answer.body.len(), 2 * 417);
}

#[test]
fn lists_and_accounts_are_the_ones_that_the_service_gives() {
    let twins = strange_twins(|builder| talkative(builder).page_size(3));
    let plugin = plugin(&twins.asked, json!({}));
    for path in [
        "/models?category=programming",
        "/models?supported_parameters=tools&offset=3",
        "/models",
        "/models/count",
        "/model/anthropic/claude-haiku-4.5",
        "/models/anthropic/claude-haiku-4.5/endpoints",
        "/embeddings/models",
        "/providers",
        "/key",
        "/models/user",
    ] {
        let request = HttpRequest::new("GET", path);
        let given = direct(&twins.direct, &request);
        assert_eq!(given.status, 200, "{path}");
        assert_eq!(Direct::of(&good(&plugin, request)), given, "{path}");
    }
}

#[test]
fn the_record_of_a_generation_and_the_credits_are_the_ones_that_the_service_gives() {
    let twins = twins(talkative);
    let plugin = plugin(&twins.asked, json!({}));
    let id = json_of(&good(&plugin, chat(MODEL)))["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    direct(&twins.direct, &chat(MODEL));
    let request = HttpRequest::new("GET", format!("/generation?id={id}"));
    assert_eq!(
        Direct::of(&good(&plugin, request.clone())),
        direct(&twins.direct, &request)
    );

    let twins = crate::bench::twins(Builder::management_key);
    let request = HttpRequest::new("GET", "/credits");
    let answer = good(&crate::bench::plugin(&twins.asked, json!({})), request.clone());
    assert_eq!(Direct::of(&answer), direct(&twins.direct, &request));
}

#[test]
fn what_a_whole_answer_tells_of_itself_is_told_beside_it() {
    let twins = twins(talkative);
    let plugin = plugin(&twins.asked, json!({}));
    for request in forms().into_iter().take(5) {
        let answer = good(&plugin, request.clone());
        let body = json_of(&answer);
        assert_eq!(answer.done.model.as_deref(), body["model"].as_str(), "{}", request.path);
        assert_eq!(
            answer.done.generation_id.as_deref(),
            body["id"].as_str(),
            "{}",
            request.path
        );
        let cost = answer.done.usage.and_then(|usage| usage.cost_usd);
        assert!(cost.is_some_and(|cost| cost.starts_with("0.0")), "{}", request.path);
        assert_eq!(
            answer.head.header("x-generation-id"),
            body["id"].as_str(),
            "{}",
            request.path
        );
    }
}

#[test]
fn an_answer_of_success_other_than_200_is_one_where_nothing_is_known_of_the_form() {
    for status in [201, 202, 204] {
        let mut reply = head(status, &[("content-type", "application/json")]);
        if status != 204 {
            reply = tests::faultd::json_reply(status, &[], &json!({"id": "file-1"}));
        }
        let service = Faultd::playing([Bytes::new().send(reply)]);
        let answer = good(&plugin_of(&service, once()), post("/files", &json!({"x": 1})));
        assert_eq!(answer.head.status, status);
    }
}

#[test]
fn every_method_that_services_have_is_passed_on() {
    let service = Faultd::playing([Bytes::reply(200, &[], &json!({"ok": true}))]);
    let plugin = plugin_of(&service, once());
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
        good(&plugin, HttpRequest::new(method, "/keys/1?x=a%2Fb"));
    }
    let seen: Vec<_> = service
        .requests()
        .into_iter()
        .map(|request| (request.method, request.path))
        .collect();
    let expected = ["GET", "POST", "PUT", "PATCH", "DELETE"];
    assert_eq!(
        seen,
        expected.map(|method| (method.to_owned(), "/api/v1/keys/1?x=a%2Fb".to_owned()))
    );
}

#[test]
fn why_an_answer_ended_is_told_of_every_form() {
    let script = Script {
        finish_reason: Some("length".to_owned()),
        ..Script::text("It rai")
    };
    let twins = twins(|builder| builder.script(MODEL, script.clone()));
    let plugin = plugin(&twins.asked, json!({}));
    for (request, reason) in forms().into_iter().zip(["length", "length", "length", "max_tokens"]) {
        let whole = good(&plugin, request.clone()).done;
        let streamed = raw_stream(&plugin, streaming(&request)).done();
        assert_eq!(
            [&whole.finish_reason, &streamed.finish_reason],
            [reason; 2],
            "{}",
            request.path
        );
        let cost = |done: Done| done.usage.and_then(|usage| usage.cost_usd);
        assert_eq!(cost(whole), cost(streamed), "{}", request.path);
    }
}

#[test]
fn what_no_model_gave_is_told_as_nothing_of_the_kind() {
    let service = Faultd::playing([Bytes::reply(
        200,
        &[],
        &json!({"id": "file-1", "status": "incomplete", "error": null}),
    )]);
    let plugin = plugin_of(&service, json!({}));
    for request in [HttpRequest::new("GET", "/files/1"), post("/files", &json!({"x": 1}))] {
        let done = without_times(good(&plugin, request).done);
        assert_eq!(done, Done::default());
    }
}

#[test]
fn how_an_answer_came_about_is_told_where_the_caller_lets_it_be_told() {
    let twins = twins(|builder| {
        builder
            .script("a/away", Script::status(503))
            .script(MODEL, Script::text("yes"))
    });
    let plugin = plugin(&twins.asked, json!({}));
    let mut body = chat_body("a/away");
    body["models"] = json!([MODEL]);
    let asked = with_header(post("/chat/completions", &body), "x-openrouter-metadata", "enabled");
    let answer = good(&plugin, asked.clone());
    assert_eq!(Direct::of(&answer), direct(&twins.direct, &asked));
    let tried: Vec<_> = answer
        .done
        .attempts
        .iter()
        .map(|attempt| (attempt.model.as_str(), attempt.status))
        .collect();
    assert_eq!(tried, [("a/away", Some(503)), (MODEL, Some(200))]);
    assert_eq!(answer.done.requested_model.as_deref(), Some("a/away"));
    assert_eq!(
        told(&answer.notices, "fallback"),
        "`a/away` could not answer, so `acme/model` does"
    );
}

#[test]
fn a_large_body_crosses_as_it_is() {
    let bytes: Vec<u8> = (0..8_u32 << 20).map(|n| (n ^ (n >> 8)) as u8).collect();
    let service = Faultd::playing([Bytes::reply(200, &[], &json!({}))]);
    good(
        &plugin_of(&service, json!({})),
        HttpRequest::post("/files", bytes.clone()),
    );
    assert!(service.requests()[0].body == bytes, "some byte is another one");
}

#[test]
fn what_there_is_not_is_told_as_the_service_tells_it() {
    let twins = strange_twins(talkative);
    let plugin = plugin(&twins.asked, json!({}));
    for path in [
        "/models/acme/none/endpoints",
        "/model/acme/none",
        "/generation?id=none",
        "/no/such/path",
    ] {
        let request = HttpRequest::new("GET", path);
        let given = direct(&twins.direct, &request);
        let error = raw(&plugin, request).expect_err("there is none");
        let answer = error.details.answer.expect("the service's own answer");
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (given.status, given.text()),
            "{path}"
        );
    }
}

#[test]
fn a_path_goes_to_the_service_as_it_is_written() {
    let service = Faultd::playing([Bytes::reply(200, &[], &json!({}))]);
    let plugin = plugin_of(&service, once());
    let paths = [
        "/models/acme/model:free/endpoints",
        "/generation?id=gen%20x&y=a+b&z=%2e%2E/",
        "/keys/",
        "/a//b?",
    ];
    for path in paths {
        good(&plugin, HttpRequest::new("GET", path));
    }
    let arrived: Vec<String> = service.requests().into_iter().map(|request| request.path).collect();
    assert_eq!(arrived, paths.map(|path| format!("/api/v1{path}")));
}

#[test]
fn dropping_a_raw_request_ends_it_at_the_service() {
    let service = service();
    let script = Script {
        stall_after_chunks: Some(1),
        ..Script::words(5)
    };
    service.script(MODEL, script);
    let plugin = plugin(&service, json!({}));
    block_on(async {
        let mut call = Box::pin(plugin.raw(chat(MODEL)));
        assert!(poll_once(call.as_mut()).is_pending());
        service.wait_for_requests(1, LIMIT).expect("it comes");
    });
    service.wait_until_idle(LIMIT).expect("the request ends");
}
