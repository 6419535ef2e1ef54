//! Streamed answers.

use plugin_api::{Attempt, ChatEvent, Done, Error, ErrorKind, Head, Notice, Usage};
use serde_json::{Value, json};

use super::bench::Bench;
use super::fake::{Held, wait_until_dropped};

const BODY: &str = r#"{"stream":true,"model":"tier/small"}"#;

fn head() -> ChatEvent {
    ChatEvent::Head(Box::new(Head {
        status: 200,
        headers: [
            ("content-type", "text/event-stream; charset=utf-8"),
            ("x-from", "acme"),
            ("content-length", "3"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec(),
    }))
}

#[test]
fn a_stream_goes_out_as_it_comes_and_as_it_was_written() {
    let bench = Bench::new();
    let mut client = bench.client();
    client.ask("POST", "/v1/chat/completions?as-it-comes", BODY);
    let held = Held::wait("/chat/completions?as-it-comes");
    let mut retried = Notice::new("retry", "asked again");
    retried.attempt = Some(Box::new(Attempt::default()));
    held.send(ChatEvent::Notice(retried));
    held.send(ChatEvent::Notice(Notice::new("translated.model-list", "x")));
    held.send(ChatEvent::KeepAlive("PROCESSING".into()));
    let (status, head_text) = client.head();
    assert_eq!(status, 200);
    for line in [
        "content-type: text/event-stream\r\n",
        "cache-control: no-cache\r\n",
        "x-accel-buffering: no\r\n",
        "x-attempts: 2\r\n",
        "x-translated: model-list\r\n",
        "transfer-encoding: chunked\r\n",
    ] {
        assert!(head_text.contains(line), "{line} is not in {head_text}");
    }
    // It is there although nothing else is.
    assert_eq!(client.chunk(), ": PROCESSING\n\n");
    held.send(head());
    let odd = "data: { \"a\" :1.50,\"\\u00e9\":\"\u{e9}\"}\r\n\r\n";
    held.raw(odd);
    assert_eq!(client.chunk(), odd);
    held.raw("data: 2\n\n");
    assert_eq!(client.chunk(), "data: 2\n\n");
    held.raw("data: [DONE]\n\n");
    held.send(ChatEvent::done("stop"));
    assert_eq!(client.chunks(), "data: [DONE]\n\n");
    // The connection goes on.
    client.ask("GET", "/health", "");
    assert_eq!(client.answer().status, 200);
}

#[test]
fn an_event_ready_at_once_is_sent_at_once_and_names_the_model() {
    let bench = Bench::new();
    let mut client = bench.client();
    client.ask("POST", "/v1/chat/completions?all-at-once", BODY);
    let (status, head) = client.head();
    assert_eq!(status, 200);
    for line in [
        "x-from: acme\r\n",
        "content-type: text/event-stream\r\n",
        "x-served-model: acme/small\r\n",
        "x-served-provider: Acme\r\n",
        "x-generation-id: gen-1\r\n",
        "x-attempts: 1\r\n",
        "x-translated: route\r\n",
    ] {
        assert!(head.contains(line), "{line} is not in {head}");
    }
    assert!(!head.contains("content-length"), "{head}");
    assert_eq!(
        client.chunk(),
        "data: {\"id\":\"gen-1\",\"model\":\"acme/small\",\"provider\":\"Acme\"}\n\ndata: [DONE]\n\n"
    );
    assert_eq!(client.chunk(), "");
}

#[test]
fn a_failure_before_the_first_word_has_a_status_of_its_own() {
    let bench = Bench::new();
    let refused = bench.ask("POST", "/v1/chat/completions?refused", BODY);
    assert_eq!(refused.status, 402);
    assert_eq!(
        refused.json(),
        json!({"error": {
            "code": 402, "message": "no credit is left", "type": "payment", "param": null,
            "metadata": {"error_type": "payment"}
        }})
    );
    let mut client = bench.client();
    client.ask("POST", "/v1/chat/completions?fails", BODY);
    let held = Held::wait("/chat/completions?fails");
    held.send(ChatEvent::Notice(Notice::new("translated.route", "x")));
    let mut error = Error::new(ErrorKind::OVERLOADED, "too many calls wait");
    error.retry_after_ms = Some(1001);
    held.fail(error);
    let failed = client.answer();
    assert_eq!(
        (failed.status, failed.json()["error"]["type"].as_str()),
        (503, Some("overloaded"))
    );
    assert_eq!(
        (failed.header("retry-after"), failed.header("x-translated")),
        (Some("2"), Some("route"))
    );
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
        let data = words
            .strip_prefix(event)
            .and_then(|words| words.strip_prefix("data: "))
            .and_then(|words| words.strip_suffix("\n\n"));
        serde_json::from_str(data.unwrap_or_else(|| panic!("{words}"))).expect("it is JSON")
    };
    let error = json!({
        "code": 502, "message": "the answer broke off", "type": "interrupted", "param": null,
        "metadata": {"error_type": "interrupted"}
    });
    let mut chunk = data(&last_words("/chat/completions", false), "");
    assert!(chunk["created"].take().as_u64() > Some(1_700_000_000));
    assert_eq!(
        chunk,
        json!({
            "id": "gen-1", "object": "chat.completion.chunk", "created": null, "model": "",
            "choices": [{"index": 0, "delta": {}, "finish_reason": "error"}], "error": error
        })
    );
    assert_eq!(
        data(&last_words("/responses", false), "event: error\n"),
        json!({
            "type": "error", "code": "interrupted", "message": "the answer broke off", "param": null,
            "sequence_number": 0, "error": error
        })
    );
    assert_eq!(
        data(&last_words("/messages", false), "event: error\n"),
        json!({"type": "error", "error": {"type": "api_error", "message": "the answer broke off"}})
    );
}

#[test]
fn a_client_that_leaves_ends_the_request_to_the_service() {
    let bench = Bench::new();
    // In the middle of an answer.
    let mut client = bench.client();
    client.ask("POST", "/v1/chat/completions?leaves-later", BODY);
    let held = Held::wait("/chat/completions?leaves-later");
    held.raw("data: 1\n\n");
    client.until("data: 1\n\n");
    drop(client);
    wait_until_dropped("/chat/completions?leaves-later");
    // Before anything of it is there.
    let mut client = bench.client();
    client.ask("POST", "/v1/chat/completions?leaves-at-once", BODY);
    let _held = Held::wait("/chat/completions?leaves-at-once");
    drop(client);
    wait_until_dropped("/chat/completions?leaves-at-once");
    // The same for a whole answer.
    let mut client = bench.client();
    client.ask("GET", "/v1/held/whole", "");
    let _held = Held::wait("/held/whole");
    drop(client);
    wait_until_dropped("/held/whole");
    let page = bench.ask("GET", "/metrics", "").body;
    for line in [
        "agent_host_requests_total{route=\"chat\",outcome=\"client_left\"} 2",
        "agent_host_requests_total{route=\"other\",outcome=\"client_left\"} 1",
    ] {
        assert!(page.contains(line), "{line} is not in\n{page}");
    }
}

#[test]
fn the_cost_is_counted_when_the_answer_ends() {
    let bench = Bench::new();
    let mut client = bench.client();
    client.ask("POST", "/v1/chat/completions?counted", BODY);
    let held = Held::wait("/chat/completions?counted");
    held.raw("data: 1\n\n");
    held.send(ChatEvent::Done(Box::new(Done {
        model: Some("acme/small".to_owned()),
        usage: Some(Usage {
            prompt_tokens: 7,
            cost_usd: Some("0.25".to_owned()),
            ..Usage::default()
        }),
        ..Done::default()
    })));
    let (_, _) = client.head();
    assert_eq!(client.chunks(), "data: 1\n\n");
    let page = bench.ask("GET", "/metrics", "").body;
    for line in [
        "agent_host_requests_total{route=\"chat\",outcome=\"ok\"} 1",
        "agent_host_tokens_total{kind=\"prompt\"} 7",
        "agent_host_cost_usd_total{model=\"acme/small\"} 0.25",
        "agent_host_credits_remaining_usd 12.5",
        "agent_host_plugin_up{plugin=\"fake\"} 1",
    ] {
        assert!(page.contains(line), "{line} is not in\n{page}");
    }
}
