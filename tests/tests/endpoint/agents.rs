//! What coding agents ask for: errors in Anthropic's form, token counts, and retries that do not multiply.
//!
//! Their lists of models are in `lists`.

use serde_json::{Value, json};
use tests::endpoint::{Endpoint, Request, Serve, chat_body};
use tests::faultd::{DONE, Faultd, Script, finish_event, text_event};

use crate::bench::{CHAT, forms, stream_body, streaming};

const MESSAGES: &str = "/v1/messages";
const COUNT_TOKENS: &str = "/v1/messages/count_tokens";

fn messages(endpoint: &Endpoint) -> Request {
    let [.., (_, body)] = forms("sandbox/hello");
    endpoint.post(MESSAGES, &body)
}

#[test]
fn errors_on_messages_have_anthropics_form_and_name_no_header_of_its_keys() {
    let endpoint = Endpoint::start();
    let good = messages(&endpoint);
    for (status, kind, request) in [
        (401, "authentication_error", good.clone().without("authorization")),
        (
            401,
            "authentication_error",
            good.clone().with("authorization", "Bearer wrong"),
        ),
        (
            400,
            "invalid_request_error",
            good.clone().header("x-api-key", "a").header("x-api-key", "b"),
        ),
        (400, "invalid_request_error", good.clone().body("{")),
        (
            400,
            "invalid_request_error",
            endpoint.post(COUNT_TOKENS, &json!({"model": "x"})),
        ),
        (405, "invalid_request_error", good.clone().method("PUT")),
        (
            415,
            "invalid_request_error",
            good.clone().with("content-type", "text/plain"),
        ),
        (421, "invalid_request_error", good.clone().with("host", "evil.example")),
        (404, "not_found_error", good.clone().target("/v1/messages/batches")),
    ] {
        let answer = endpoint.answer(&request).expect(status);
        let text = answer.text().to_lowercase();
        assert!(!text.contains("x-api-key"), "{text}");
        let error = answer.json();
        assert_eq!(
            (&error["type"], &error["error"]["type"]),
            (&json!("error"), &json!(kind)),
            "{text}"
        );
        assert!(error["error"]["message"].is_string(), "{text}");
    }
    endpoint.answer(&good).expect(200);
}

#[test]
fn a_websocket_is_refused_with_426_so_that_clients_go_on_without() {
    let endpoint = Endpoint::start();
    let upgrade = endpoint.get("/v1/responses").header("connection", "Upgrade");
    let upgrade = upgrade
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13");
    let answer = endpoint.answer(&upgrade).expect(426);
    assert_eq!(answer.header("upgrade"), Some("HTTP/1.1"));
    assert_eq!(answer.json()["error"]["type"], "upgrade_required");
}

#[test]
fn a_compressed_body_is_refused_with_the_name_of_its_encoding() {
    let endpoint = Endpoint::start();
    let good = endpoint.post(CHAT, &chat_body("sandbox/hello", "Hello"));
    for encoding in ["gzip", "zstd", "br"] {
        let answer = endpoint
            .answer(&good.clone().header("content-encoding", encoding))
            .expect(415);
        let message = format!("expected a body without `content-encoding`, found one in `{encoding}`");
        assert_eq!(answer.json()["error"]["message"], message);
        assert_eq!(answer.header("accept-encoding"), Some("identity"));
    }
    endpoint
        .answer(&good.header("content-encoding", "identity"))
        .expect(200);
}

#[test]
fn tokens_are_counted_by_an_estimate_that_says_so() {
    let endpoint = Endpoint::start();
    let count = |text: &str| {
        let content = json!({"model": "TEXT_SMALL", "messages": [{"role": "user", "content": text}]});
        let answer = endpoint
            .answer(&endpoint.post(&format!("{COUNT_TOKENS}?beta=true"), &content))
            .expect(200);
        assert_eq!(answer.header("x-notices"), Some("estimate"));
        assert_eq!(answer.json()["estimate"], true);
        answer.json()["input_tokens"].as_u64().expect("a number")
    };
    let (short, long) = (count("Hello"), count(&"Hello ".repeat(1000)));
    assert!(short > 0 && (1000..3000).contains(&long), "{short} {long}");
    assert_eq!(endpoint.service.requests(), []);
}

#[test]
fn three_tries_of_a_client_are_at_most_four_requests() {
    let refusal = json!({"error": {"code": 429, "message": "slow down"}});
    let faultd = Faultd::playing([Script::reply(429, &[], &refusal)]);
    let endpoint = Serve::new().asking(&faultd).start();
    for (n, body) in [
        chat_body("acme/x", "Hello"),
        stream_body("acme/x", "Hello"),
        chat_body("acme/x", "Hello"),
    ]
    .iter()
    .enumerate()
    {
        let request = endpoint
            .post(CHAT, body)
            .header("x-stainless-retry-count", &n.to_string());
        endpoint.answer(&request).expect(429);
    }
    let asked = faultd.requests();
    let n_chats = asked.iter().filter(|request| request.method == "POST").count();
    assert_eq!(n_chats, 4);
}

#[test]
fn a_stream_that_ends_in_failure_without_saying_why_gets_an_error_object() {
    let faultd = Faultd::playing([Script::stream(&[
        text_event("Hel"),
        finish_event("error"),
        DONE.to_owned(),
    ])]);
    let endpoint = Serve::new().asking(&faultd).start();
    let answer = endpoint
        .answer(&endpoint.post(CHAT, &stream_body("acme/x", "Hello")))
        .expect(200);
    assert_eq!(answer.streamed(), "Hel");
    let events = answer.events();
    let last: Value = serde_json::from_str(events.last().expect("events")).expect("JSON");
    assert_eq!(last["error"]["message"], "the provider ended the answer with `error`");
    assert_eq!(last["choices"][0]["finish_reason"], "error");
    assert!(!answer.text().contains("[DONE]"), "{}", answer.text());
}

#[test]
fn a_stream_says_who_served_and_why_others_did_not() {
    let options = json!({"model": "sandbox/status-503", "fallbackModels": ["sandbox/hello"], "retry": {"attempts": 1}});
    let endpoint = Serve::new().profile(&options).start();
    let [(_, mut chat), _, (_, mut responses), (_, mut messages)] = forms("x");
    for (target, body) in [
        (CHAT, &mut chat),
        ("/v1/responses", &mut responses),
        (MESSAGES, &mut messages),
    ] {
        body["model"] = if target == MESSAGES {
            json!("sandbox/hello")
        } else {
            Value::Null
        };
        let answer = endpoint
            .answer(&endpoint.post(target, &streaming(body.clone())))
            .expect(200);
        let text = answer.text();
        let comment = text.lines().find_map(|line| line.strip_prefix(": agent-host "));
        let served: Value = serde_json::from_str(comment.unwrap_or_else(|| panic!("{text}"))).expect("JSON");
        assert_eq!(served["model"], "sandbox/hello", "{target}");
        assert!(
            served["duration_ms"].is_u64() && served["first_token_ms"].is_u64(),
            "{served}"
        );
        if target == CHAT {
            assert!(text.ends_with("}\n\ndata: [DONE]\n\n"), "{text}");
        }
    }
}
