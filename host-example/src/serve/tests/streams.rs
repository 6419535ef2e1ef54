//! Streamed answers.

use plugin_api::{Attempt, ChatEvent, Error, ErrorKind, Notice};
use serde_json::{Value, json};

use super::bench::{Bench, Client};
use super::fake::{Fake, Held, head};

const BODY: &str = r#"{"stream":true,"model":"tier/small"}"#;

/// Asks for the stream of this name.
fn open(bench: &Bench, name: &str) -> (Client, Held) {
    let mut client = bench.client();
    client.ask("POST", &format!("/v1/chat/completions?{name}"), BODY);
    (client, Held::wait(&format!("/chat/completions?{name}")))
}

#[track_caller]
fn contains(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[test]
fn a_stream_goes_out_as_it_comes_and_as_it_was_written() {
    let bench = Bench::new();
    let (mut client, held) = open(&bench, "as-it-comes");
    let mut retried = Notice::new("retry", "asked again");
    retried.attempt = Some(Box::new(Attempt::default()));
    held.send(ChatEvent::Notice(retried));
    held.send(ChatEvent::Notice(Notice::new("translated.model-list", "x")));
    held.send(ChatEvent::KeepAlive("PROCESSING".into()));
    let (status, head_text) = client.head();
    assert_eq!(status, 200);
    let lines = [
        "content-type: text/event-stream\r\n",
        "cache-control: no-cache\r\n",
        "x-accel-buffering: no\r\n",
        "x-attempts: 2\r\n",
        "x-translated: model-list\r\n",
        "transfer-encoding: chunked\r\n",
    ];
    contains(&head_text, &lines);
    // It is there although nothing else is.
    assert_eq!(client.chunk(), ": PROCESSING\n\n");
    held.send(head(200, &[("content-type", "text/event-stream; charset=utf-8")]));
    // Why another model answers is known too late for the head.
    held.send(ChatEvent::Notice(Notice::new("fallback", "`acme/large`: no capacity")));
    let notice = ": agent-host {\"notice\":\"fallback\",\"message\":\"`acme/large`: no capacity\"}\n\n";
    assert_eq!(client.chunk(), notice);
    let odd = "data: { \"a\" :1.50,\"\\u00e9\":\"\u{e9}\"}\r\n\r\n";
    for frame in [odd, "data: 2\n\n"] {
        held.raw(frame);
        assert_eq!(client.chunk(), frame);
    }
    held.raw("data: [DONE]\n\n");
    let failed = json!({"model": "acme/large", "status": 503, "code": "unavailable", "reason": "no capacity"});
    held.done(json!({
        "model": "acme/small", "usage": {"prompt_tokens": 7, "cost_usd": "0.25"}, "attempts": [failed],
        "time_to_first_token_ms": 20, "duration_ms": 40
    }));
    let rest = client.chunks();
    let served = rest
        .strip_prefix(": agent-host ")
        .and_then(|rest| rest.strip_suffix("\n\ndata: [DONE]\n\n"));
    let served: Value = serde_json::from_str(served.unwrap_or_else(|| panic!("{rest}"))).expect("JSON");
    let expected = json!({
        "model": "acme/small", "provider": null, "attempts": [failed], "first_token_ms": 20, "duration_ms": 40
    });
    assert_eq!(served, expected);
    // The connection goes on, and the cost is counted.
    client.ask("GET", "/metrics", "");
    let counted = [
        "agent_host_requests_total{route=\"chat\",outcome=\"ok\"} 1",
        "agent_host_tokens_total{kind=\"prompt\"} 7",
        "agent_host_cost_usd_total{model=\"acme/small\"} 0.25",
        "agent_host_credits_remaining_usd 12.5",
        "agent_host_plugin_up{plugin=\"fake\"} 1",
    ];
    contains(&client.answer().body, &counted);
}

#[test]
fn an_event_ready_at_once_is_sent_at_once_and_names_the_model() {
    let bench = Bench::new();
    let mut client = bench.client();
    client.ask("POST", "/v1/chat/completions?all-at-once", BODY);
    let (status, head) = client.head();
    assert_eq!(status, 200);
    let lines = [
        "x-from: acme\r\n",
        "content-type: text/event-stream\r\n",
        "x-served-model: acme/small\r\n",
        "x-served-provider: Acme\r\n",
        "x-generation-id: gen-1\r\n",
        "x-attempts: 1\r\n",
        "x-translated: route\r\n",
    ];
    contains(&head, &lines);
    assert!(!head.contains("content-length"), "{head}");
    let events = client.chunk();
    let first = "data: {\"id\":\"gen-1\",\"model\":\"acme/small\",\"provider\":\"Acme\"}\n\n: agent-host {";
    assert!(
        events.starts_with(first) && events.ends_with("}\n\ndata: [DONE]\n\n"),
        "{events}"
    );
    assert_eq!(client.chunk(), "");
}

#[test]
fn a_failure_before_the_first_word_has_a_status_of_its_own() {
    let bench = Bench::new();
    let refused = bench.ask("POST", "/v1/chat/completions?refused", BODY);
    refused.fails(402, "message", "no credit is left");
    let (mut client, held) = open(&bench, "fails");
    held.send(ChatEvent::Notice(Notice::new("translated.route", "x")));
    let mut error = Error::new(ErrorKind::OVERLOADED, "too many calls wait");
    error.retry_after_ms = Some(1001);
    held.fail(error);
    let failed = client.answer();
    failed.fails(503, "type", "overloaded");
    failed.has(&[("retry-after", "2"), ("x-translated", "route")]);
}

#[test]
fn a_stream_that_breaks_off_says_so_once_in_the_form_of_its_protocol() {
    let bench = Bench::new();
    let last_words = |path: &str, is_told: bool| {
        let mut client = bench.client();
        let path = format!("{path}?breaks-{is_told}");
        client.ask("POST", &format!("/v1{path}"), BODY);
        let held = Held::wait(&path);
        held.raw("data: 1\n\n");
        assert_eq!(client.head().0, 200);
        assert_eq!(client.chunk(), "data: 1\n\n");
        let mut error = Error::new(ErrorKind::INTERRUPTED, "the answer broke off");
        error.details.generation_id = Some("gen-1".to_owned());
        error.details.is_told = is_told;
        held.fail(error);
        client.chunks()
    };
    for path in ["/chat/completions", "/responses", "/messages"] {
        assert_eq!(last_words(path, true), "");
    }
    let data = |words: &str, event: &str| -> Value {
        let data = words.strip_prefix(event).and_then(|words| words.strip_prefix("data: "));
        let data = data.and_then(|data| data.strip_suffix("\n\n"));
        serde_json::from_str(data.unwrap_or_else(|| panic!("{words}"))).expect("it is JSON")
    };
    let error = json!({
        "code": 502, "message": "the answer broke off", "type": "interrupted", "param": null,
        "metadata": {"error_type": "interrupted", "generation_id": "gen-1"}
    });
    let mut chunk = data(&last_words("/chat/completions", false), "");
    assert!(chunk["created"].take().as_u64() > Some(1_700_000_000));
    let choice = json!({"index": 0, "delta": {}, "finish_reason": "error"});
    let expected = json!({
        "id": "gen-1", "object": "chat.completion.chunk", "created": null, "model": "", "choices": [choice], "error": error
    });
    assert_eq!(chunk, expected);
    let expected = json!({
        "type": "error", "code": "interrupted", "message": "the answer broke off", "param": null, "sequence_number": 0,
        "error": error
    });
    assert_eq!(data(&last_words("/responses", false), "event: error\n"), expected);
    let metadata = json!({"error_type": "interrupted", "generation_id": "gen-1"});
    let expected = json!({
        "type": "error", "error": {"type": "api_error", "message": "the answer broke off", "metadata": metadata}
    });
    assert_eq!(data(&last_words("/messages", false), "event: error\n"), expected);
}

#[test]
fn a_client_that_asked_for_no_usage_finds_a_choice_in_every_chunk() {
    let bench = Bench::new();
    let usage = r#"data: {"choices":[],"usage":{"cost":1.50}}"#;
    let choice = r#"{"index":0,"delta":{},"finish_reason":null}"#;
    let filled = format!(r#"data: {{"choices":[{choice}],"usage":{{"cost":1.50}}}}"#);
    for (name, options, expected) in [
        ("no-options", "", filled.as_str()),
        ("no-usage", r#","stream_options":{"include_usage":false}"#, &filled),
        ("usage", r#","stream_options":{"include_usage":true}"#, usage),
    ] {
        let mut client = bench.client();
        let body = BODY.replace('}', &format!("{options}}}"));
        client.ask("POST", &format!("/v1/chat/completions?{name}"), &body);
        let held = Held::wait(&format!("/chat/completions?{name}"));
        held.raw(&format!("{usage}\n\n"));
        assert_eq!(client.head().0, 200);
        assert_eq!(client.chunk(), format!("{expected}\n\n"), "{name}");
        held.done(json!({}));
        client.chunks();
    }
}

#[test]
fn an_answer_that_has_no_events_gets_no_comment() {
    let bench = Bench::new();
    let (mut client, held) = open(&bench, "no-events");
    held.send(head(200, &[("content-type", "application/json")]));
    assert_eq!(client.head().0, 200);
    held.raw("{\"choices\":[{}]}");
    held.done(json!({"model": "acme/small"}));
    assert_eq!(client.chunks(), "{\"choices\":[{}]}");
}

#[test]
fn a_client_that_leaves_ends_the_request_to_the_service() {
    let bench = Bench::new();
    // In the middle of an answer, before anything of it is there, and before a whole one.
    for (method, path, first) in [
        ("POST", "/chat/completions?leaves-later", "data: 1\n\n"),
        ("POST", "/chat/completions?leaves-at-once", ""),
        ("GET", "/held/whole", ""),
    ] {
        let mut client = bench.client();
        client.ask(method, &format!("/v1{path}"), if method == "POST" { BODY } else { "" });
        let held = Held::wait(path);
        if !first.is_empty() {
            held.raw(first);
            client.until(first);
        }
        drop(client);
        held.wait_until_dropped();
    }
    let lines = [
        "agent_host_requests_total{route=\"chat\",outcome=\"client_left\"} 2",
        "agent_host_requests_total{route=\"other\",outcome=\"client_left\"} 1",
    ];
    contains(&bench.get("/metrics").body, &lines);
}

#[test]
fn requests_beyond_the_limit_wait_or_are_refused_and_health_answers() {
    let bench = Bench::with::<Fake>(1);
    let (mut first, held) = open(&bench, "first-of-three");
    let mut second = bench.client();
    second.ask("GET", "/v1/key", "");
    // The second request is counted before it waits.
    while bench.get("/health").json()["in_flight"] != 3 {}
    let third = bench.get("/v1/key");
    third.fails(503, "message", "1 requests run and 1 wait");
    third.has(&[("retry-after", "5")]);
    held.send(ChatEvent::done("stop"));
    assert_eq!(first.head().0, 200);
    first.chunks();
    assert_eq!(second.answer().status, 200);
}

#[test]
fn a_client_that_closes_its_sending_half_gets_its_answer() {
    let bench = Bench::new();
    // In the middle of an answer, and before anything of it is there.
    let (mut client, held) = open(&bench, "half-closes-later");
    held.raw("data: 1\n\n");
    assert_eq!(client.head().0, 200);
    assert_eq!(client.chunk(), "data: 1\n\n");
    client.half_close();
    assert_eq!(client.chunk(), ":\n\n", "a comment finds out whether it is still there");
    held.raw("data: 2\n\n");
    assert_eq!(client.chunk(), "data: 2\n\n");
    held.send(ChatEvent::done("stop"));
    client.chunks();
    let (mut client, held) = open(&bench, "half-closes-at-once");
    client.half_close();
    assert_eq!(client.head().0, 100);
    held.raw("data: 1\n\n");
    assert_eq!(client.head().0, 200);
    held.send(ChatEvent::done("stop"));
    assert!(client.chunks().contains("data: 1\n\n"));
}

#[test]
fn a_stream_that_is_cut_in_an_event_ends_the_event_before_the_error() {
    let bench = Bench::new();
    let (mut client, held) = open(&bench, "cut-in-an-event");
    held.raw("data: {\"a\":\"");
    assert_eq!(client.head().0, 200);
    assert_eq!(client.chunk(), "data: {\"a\":\"");
    bench.cut();
    let rest = client.chunks();
    let data = rest
        .strip_prefix("\n\ndata: ")
        .and_then(|data| data.strip_suffix("\n\n"));
    let event: Value = serde_json::from_str(data.unwrap_or_else(|| panic!("{rest}"))).expect("JSON");
    assert_eq!(event["error"]["type"], "shut_down");
    held.wait_until_dropped();
}
