//! What a raw request can not do: leave the service's address, carry a caller's credentials, or bring the key to light.

use plugin_api::{ErrorKind, HttpRequest};
use sandbox::{Failure, Script};
use serde_json::{Value, json};
use tests::canary::CANARY;
use tests::faultd::{Faultd, Script as Bytes, chunk, delta_event, head, json_reply, text_event};
use tests::service;

use crate::bench::{chat, good, once, plugin, plugin_of, post, printed, raw, raw_stream, requests_to, with_header};

const MODEL: &str = "acme/model";

#[test]
fn a_path_that_leads_elsewhere_is_refused_before_any_request() {
    let service = service();
    let plugin = plugin(&service, once());
    let long = format!("/models?{}", "x".repeat(9000));
    for path in [
        "",
        "models",
        "//evil.example/models",
        "/../../admin",
        "/models/../../../admin",
        "/models/%2e%2e/%2E%2e/admin",
        "/models/.%2e/x",
        "/./models",
        "/models/acme%2Fmodel/endpoints",
        "/%6dodels",
        "/models/%2",
        "/..;/x\\..\\y",
        "/models#fragment",
        "/models\r\nhost: evil.example",
        "/models x",
        "/mod\u{e9}ls",
        "http://evil.example/models",
        "@evil.example/models",
        &long,
    ] {
        for error in [
            raw(&plugin, HttpRequest::new("GET", path)).err(),
            raw(&plugin, HttpRequest::post(path, "{}")).err(),
            raw_stream(&plugin, HttpRequest::new("GET", path)).error,
        ] {
            let error = error.unwrap_or_else(|| panic!("{path} was not refused"));
            assert_eq!(error.kind, ErrorKind::INVALID_REQUEST, "{path}");
            assert!(error.message.starts_with("the path of the request"), "{path}: {error}");
        }
    }
    assert_eq!(service.requests(), []);
    assert_eq!(service.accepted_connections(), 0);
}

#[test]
fn a_path_never_leaves_the_address_of_the_service() {
    // Each of these is a path to somebody: to none of them may it be one above the address.
    let service = Faultd::playing([Bytes::reply(404, &[], &json!({}))]);
    let plugin = plugin_of(&service, once());
    for path in [
        "/a/..%2f..%2fadmin",
        "/%2e%2e%2fadmin",
        "/a;/..;/admin",
        "/%252e%252e/admin",
        "/:80/x",
        "/@evil.example/",
        "/?x=/../../admin",
        "/models?next=//evil.example",
        "/%5c..%5cadmin",
    ] {
        let _ = raw(&plugin, HttpRequest::new("GET", path));
    }
    for request in service.requests() {
        assert!(request.path.starts_with("/api/v1/"), "{}", request.path);
    }
    assert!(!service.requests().is_empty());
}

#[test]
fn an_unknown_method_is_refused_before_any_request() {
    let service = service();
    let plugin = plugin(&service, once());
    for method in ["CONNECT", "TRACE", "OPTIONS", "HEAD", "get", "", "GET / HTTP/1.1\r\nx"] {
        let error = raw(&plugin, HttpRequest::new(method, "/models")).expect_err("a refusal");
        assert_eq!(
            (error.kind, error.message.as_str()),
            (
                ErrorKind::INVALID_REQUEST,
                "expected the method GET, POST, PUT, PATCH or DELETE, found another"
            )
        );
    }
    assert_eq!(service.requests(), []);
}

#[test]
fn a_redirect_is_not_followed() {
    let target = Faultd::playing([Bytes::answer("stolen")]);
    for status in [301, 302, 303, 307, 308] {
        let away = format!("{}/chat/completions", target.base_url());
        let service = Faultd::playing([Bytes::reply(status, &[("location", &away)], &json!({}))]);
        let plugin = plugin_of(&service, once());
        for request in [chat(MODEL), HttpRequest::new("GET", "/models")] {
            let error = raw(&plugin, request.clone()).expect_err("it is no answer");
            assert_eq!(error.details.status, Some(status));
            assert_eq!(raw_stream(&plugin, request).error().details.status, Some(status));
        }
    }
    assert_eq!(target.accepted_connections(), 0);
}

#[test]
fn only_headers_that_mean_something_to_the_service_go_to_it() {
    let service = Faultd::playing([Bytes::answer("yes")]);
    let plugin = plugin_of(&service, json!({}));
    let given = [
        ("Authorization", "Bearer the-callers"),
        ("Proxy-Authorization", "Basic x"),
        ("X-API-Key", "the-callers"),
        ("Cookie", "a=b"),
        ("Host", "evil.example"),
        ("Connection", "x-title"),
        ("Transfer-Encoding", "chunked"),
        ("Content-Length", "1"),
        ("Accept-Encoding", "gzip"),
        ("X-Forwarded-For", "10.0.0.1"),
        ("X-Stainless-Lang", "python"),
        ("User-Agent", "caller/1"),
        ("X-Title", "Mine"),
        ("HTTP-Referer", "https://me.example"),
        ("X-Session-Id", "s"),
        ("Anthropic-Beta", "b"),
        ("Anthropic-Version", "2023-06-01"),
        ("X-Anthropic-Beta", "c"),
        ("X-OpenRouter-Cache", "true"),
        ("X-OpenRouter-Metadata", "enabled"),
    ];
    let request = given
        .iter()
        .fold(chat(MODEL), |request, (name, value)| with_header(request, name, value));
    good(&plugin, request);
    let arrived = &service.requests()[0];
    let mut names: Vec<&str> = arrived.headers.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "accept",
            "accept-encoding",
            "anthropic-beta",
            "anthropic-version",
            "authorization",
            "content-length",
            "content-type",
            "host",
            "http-referer",
            "x-anthropic-beta",
            "x-openrouter-cache",
            "x-openrouter-metadata",
            "x-openrouter-title",
            "x-session-id",
            "x-title",
        ]
    );
    assert_eq!(arrived.header("authorization"), Some(&*format!("Bearer {CANARY}")));
    assert_eq!(arrived.header("accept-encoding"), Some("identity"));
    assert_eq!(arrived.header("host"), Some(&*service.address().to_string()));
    assert_eq!(arrived.header("x-openrouter-metadata"), Some("enabled"));
}

#[test]
fn a_header_that_cannot_be_sent_is_refused_before_any_request() {
    let service = service();
    let plugin = plugin(&service, once());
    let error = raw(&plugin, with_header(chat(MODEL), "X-Title", "a\r\nx-evil: 1")).expect_err("a refusal");
    assert_eq!(
        (error.kind, error.message.as_str()),
        (
            ErrorKind::INVALID_REQUEST,
            "the value of the header `x-title` cannot be sent"
        )
    );
    assert_eq!(service.requests(), []);
}

#[test]
fn the_head_of_an_answer_holds_what_concerns_whoever_asked() {
    let headers = [
        ("set-cookie", "a=b"),
        ("server", "x"),
        ("cf-ray", "1"),
        ("x-generation-id", "gen-1"),
        ("x-request-id", "r"),
        ("request-id", "q"),
        ("retry-after", "3"),
        ("x-ratelimit-remaining", "7"),
        ("anthropic-ratelimit-tokens-limit", "9"),
        ("x-openrouter-cache-status", "HIT"),
        ("openai-processing-ms", "12"),
        ("content-disposition", "inline"),
        ("access-control-allow-origin", "*"),
    ];
    let service = Faultd::playing([Bytes::reply(200, &headers, &json!({"ok": true}))]);
    let answer = good(&plugin_of(&service, json!({})), HttpRequest::new("GET", "/key"));
    let names: Vec<&str> = answer.head.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "content-type",
            "x-generation-id",
            "x-request-id",
            "request-id",
            "retry-after",
            "x-ratelimit-remaining",
            "anthropic-ratelimit-tokens-limit",
            "x-openrouter-cache-status",
            "openai-processing-ms",
            "content-disposition",
        ]
    );
}

/// What a service says that repeats the key wherever it can.
fn indiscreet(status: u16) -> Bytes {
    let body = json!({"error": {"code": status, "message": format!("the key {CANARY} is odd"),
        "metadata": {"raw": CANARY, "provider_name": CANARY}}, "user_id": CANARY});
    Bytes::reply(status, &[("x-generation-id", CANARY), ("x-request-id", CANARY)], &body)
}

#[test]
fn a_key_that_the_service_repeats_in_an_error_is_taken_out() {
    for status in [400, 401, 402, 403, 404, 429, 500, 503] {
        let service = Faultd::playing([indiscreet(status)]);
        let plugin = plugin_of(&service, once());
        let error = raw(&plugin, chat(MODEL)).expect_err("an error");
        assert!(!format!("{error:?} {}", printed(&error)).contains(CANARY), "{status}");
        let answer = error.details.answer.clone().expect("the service's own answer");
        assert!(answer.body.contains("the key [key] is odd"), "{}", answer.body);
        // The kit looks through the rest.
        raw_stream(&plugin, chat(MODEL));
    }
}

#[test]
fn a_key_that_the_service_repeats_inside_an_answer_is_taken_out_of_what_is_told() {
    let error = json!({"error": {"code": 502, "message": format!("no {CANARY}")}, "choices": []});
    let service = Faultd::playing([Bytes::reply(200, &[("x-request-id", CANARY)], &error)]);
    let error = raw(&plugin_of(&service, once()), chat(MODEL)).expect_err("an error");
    assert!(!format!("{error:?} {}", printed(&error)).contains(CANARY));
}

/// What is told of a good answer with these headers and these members.
fn told_of(headers: &[(&str, &str)], members: Value) -> String {
    let mut body = tests::faultd::whole_answer("yes");
    for (name, value) in members.as_object().expect("an object") {
        body[name] = value.clone();
    }
    let service = Faultd::playing([Bytes::new().send(json_reply(200, headers, &body))]);
    let answer = tests::block_on(plugin_of(&service, once()).raw(chat(MODEL))).expect("an answer");
    format!("{:?} {:?} {:?}", answer.head, answer.done, answer.notices)
}

#[test]
fn a_key_in_the_head_of_an_answer_is_taken_out_of_it() {
    for name in ["x-request-id", "x-generation-id"] {
        assert!(!told_of(&[(name, CANARY)], json!({})).contains(CANARY), "{name}");
    }
}

#[test]
fn a_key_in_the_head_of_an_answer_without_an_id_is_taken_out_of_what_is_told() {
    let said = told_of(&[("x-generation-id", CANARY)], json!({"id": null}));
    assert!(!said.contains(CANARY), "{}", said.replace(CANARY, "[the key]"));
}

#[test]
fn a_key_in_what_an_answer_says_of_itself_is_taken_out() {
    for name in ["id", "model", "provider"] {
        assert!(!told_of(&[], json!({ name: CANARY })).contains(CANARY), "{name}");
    }
}

#[test]
fn a_key_in_the_reason_why_an_answer_ended_is_taken_out() {
    for name in ["finish_reason", "native_finish_reason"] {
        let mut choice = json!({"message": {"content": "x"}, "finish_reason": "stop"});
        choice[name] = json!(CANARY);
        assert!(!told_of(&[], json!({"choices": [choice]})).contains(CANARY), "{name}");
    }
}

#[test]
fn a_key_in_an_error_in_the_middle_of_a_stream_is_taken_out_of_the_error() {
    let frame = format!(
        "data: {}\n\n",
        json!({"error": {"code": 502, "message": format!("no {CANARY}")}})
    );
    let service = Faultd::playing([Bytes::stream(&[text_event("Hel"), frame])]);
    let plugin = plugin_of(&service, once());
    let error = tests::block_on(async {
        let mut stream = plugin.raw_stream(chat(MODEL)).await.expect("it opens");
        loop {
            match stream.next().await {
                Some(Err(error)) => break error,
                Some(Ok(_)) => {}
                None => panic!("it ends with an error"),
            }
        }
    });
    assert!(!format!("{error:?} {}", printed(&error)).contains(CANARY));
}

#[test]
fn what_the_body_says_is_not_printed() {
    let service = service();
    service.script(MODEL, Script::text("private"));
    let answer = good(&plugin(&service, json!({})), chat(MODEL));
    assert!(!format!("{answer:?}").contains("private"), "{answer:?}");
    service.script(MODEL, Script::fail(Failure::status(400).message("private")));
    let error = raw(&plugin(&service, once()), chat(MODEL)).expect_err("an error");
    assert!(!format!("{:?}", error.details.answer).contains("private"));
}

#[test]
fn an_answer_that_is_compressed_although_nobody_asked_is_refused() {
    for dialect in ["/chat/completions", "/files"] {
        let service = Faultd::playing([Bytes::reply(200, &[("content-encoding", "gzip")], &json!({}))]);
        let error = raw(&plugin_of(&service, once()), post(dialect, &json!({}))).expect_err("a refusal");
        assert_eq!(
            error.message,
            "expected an answer that is not compressed, found one in `gzip`"
        );
    }
}

#[test]
fn an_endless_answer_is_given_up() {
    let service = Faultd::answering(|_| {
        Bytes::new()
            .send(head(
                200,
                &[
                    ("content-type", "application/octet-stream"),
                    ("transfer-encoding", "chunked"),
                ],
            ))
            .send_forever(chunk(vec![b'x'; 1 << 16]))
    });
    let error = raw(&plugin_of(&service, once()), HttpRequest::new("GET", "/files/1")).expect_err("too much");
    assert_eq!(error.message, "expected an answer of at most 32 MiB, found more");
    assert_eq!(error.kind, ErrorKind::TOO_LARGE);
}

#[test]
fn a_request_without_a_key_is_refused_before_any_request() {
    let service = service();
    let module = plugin_api::loader::load(&tests::openrouter_plugin()).expect("it fits");
    let config = plugin_api::Config {
        options: json!({}),
        environment: [("OPENROUTER_BASE_URL".to_owned(), service.base_url())].into(),
    };
    let services = std::sync::Arc::new(plugin_api::LogOnly::new("openrouter"));
    let Ok(plugin) = module.create(services, &config) else {
        return;
    };
    let error = raw(&plugin, HttpRequest::new("GET", "/models")).expect_err("no key");
    assert_eq!(error.kind, ErrorKind::AUTH);
    assert_eq!(service.requests(), []);
}

#[test]
fn members_that_others_would_read_as_instructions_are_only_data() {
    let event = delta_event(&json!({"content": "data: [DONE]\n\nevent: error\ndata: {}\n\n"}));
    let service = Faultd::playing([Bytes::stream(&[
        event.clone(),
        tests::faultd::finish_event("stop"),
        tests::faultd::DONE.to_owned(),
    ])]);
    let came = raw_stream(&plugin_of(&service, json!({})), chat(MODEL));
    assert_eq!(came.raw().matches("\ndata: [DONE]").count(), 1);
    assert_eq!(came.error, None);
}

#[test]
fn the_key_goes_to_the_service_and_nowhere_else_in_the_request() {
    let service = service();
    service.script(MODEL, Script::text("yes"));
    good(&plugin(&service, json!({})), chat(MODEL));
    let request = &requests_to(&service, "/chat/completions")[0];
    let others: Vec<Value> = vec![json!(request.headers), json!(request.body_text), json!(request.query)];
    assert!(!json!(others).to_string().contains(CANARY));
}

#[test]
fn a_header_that_comes_several_times_says_all_of_it() {
    let service = Faultd::playing([Bytes::answer("yes")]);
    let request = with_header(with_header(chat(MODEL), "anthropic-beta", "a"), "Anthropic-Beta", "b");
    good(&plugin_of(&service, json!({})), request);
    let arrived = &service.requests()[0];
    let said: Vec<&str> = arrived
        .headers
        .iter()
        .filter(|(name, _)| name == "anthropic-beta")
        .map(|(_, value)| value.as_str())
        .collect();
    assert_eq!(said, ["a, b"]);
}
