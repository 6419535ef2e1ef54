//! Answers arrive exactly as the service wrote them, and as soon as it wrote them.

use sandbox::{Outcome, Script};
use serde_json::{Value, json};
use tests::LIMIT;
use tests::endpoint::{Answer, Endpoint, Serve, chat_body};
use tests::faultd::{self, DONE, Faultd, LAST_CHUNK, chunk, delta_event, finish_event, sse_head, text_event};

use crate::bench::{CHAT, Twins, forms, patient, streaming};

const MODELS: [&str; 5] = ["hello", "everything", "reasoning", "words-500", "echo"];

#[test]
fn whole_answers_equal_the_services_byte_for_byte_in_every_form() {
    let twins = Twins::new();
    for model in MODELS {
        for (target, body) in forms(&format!("sandbox/{model}")) {
            let answer = twins.same(target, &body).expect(200);
            assert_eq!(answer.header("content-type"), Some("application/json"), "{target}");
        }
    }
}

#[test]
fn streams_equal_the_services_byte_for_byte_in_every_form() {
    let twins = Twins::new();
    for model in MODELS.into_iter().chain(["comments", "words-5000"]) {
        for (target, body) in forms(&format!("sandbox/{model}")) {
            let mut body = streaming(body);
            if target.ends_with("completions") {
                body["stream_options"] = json!({"include_usage": true});
            }
            twins.same(target, &body).expect(200);
        }
    }
}

#[test]
fn a_stream_whose_usage_was_not_asked_for_has_a_choice_in_every_chunk() {
    let twins = Twins::new();
    for (target, body) in forms("sandbox/hello").into_iter().take(2) {
        let [through, direct] = twins.both(target, &streaming(body));
        let chunks = |answer: &Answer| -> Vec<Value> {
            let events = answer.events().into_iter();
            events.filter_map(|event| serde_json::from_str(&event).ok()).collect()
        };
        let (found, sent) = (chunks(&through), chunks(&direct));
        assert_eq!(sent.last().expect("chunks")["choices"], json!([]), "{target}");
        let mut last = found.last().expect("chunks").clone();
        let choice = last["choices"][0].take();
        assert_eq!(
            (&choice["index"], &choice["finish_reason"]),
            (&json!(0), &Value::Null),
            "{target}"
        );
        assert!(choice["delta"] == json!({}) || choice["text"] == "", "{choice}");
        assert!(last["usage"]["total_tokens"].is_u64(), "{last}");
        assert_eq!(
            found[..found.len() - 1],
            sent[..sent.len() - 1],
            "the others are as they were"
        );
    }
}

#[test]
fn row_91_streams_ask_proxies_neither_to_buffer_nor_to_compress() {
    let endpoint = Serve::new().arguments(&["--allow-host", "models.example.org"]).start();
    for (target, body) in forms("sandbox/hello") {
        let request = endpoint.post(target, &streaming(body));
        let request = request
            .with("host", "models.example.org")
            .header("accept-encoding", "gzip, br, zstd")
            .header("x-forwarded-proto", "https");
        let answer = endpoint.answer(&request).expect(200);
        for (name, value) in [
            ("cache-control", Some("no-cache")),
            ("x-accel-buffering", Some("no")),
            ("content-type", Some("text/event-stream")),
            ("content-encoding", None),
            ("content-length", None),
            ("transfer-encoding", Some("chunked")),
        ] {
            assert_eq!(answer.header(name), value, "{target}: {name}");
        }
    }
    // Nor is the service asked to compress.
    for asked in endpoint.service.requests() {
        let mut encodings = asked.headers.iter().filter(|(name, _)| name == "accept-encoding");
        assert!(encodings.all(|(_, value)| value == "identity"), "{:?}", asked.headers);
    }
}

#[test]
fn each_event_arrives_while_the_next_one_is_still_pending() {
    let script = Script {
        comments: 1,
        comments_between: 1,
        stall_after_chunks: Some(3),
        ..Script::text("one two three four")
    };
    let service = tests::service();
    service.script("acme/stalls", script);
    let endpoint = Serve::before(service).profile(&patient()).start();
    for (n, (target, body)) in forms("acme/stalls").into_iter().enumerate() {
        let mut reply = endpoint.open(&endpoint.post(target, &streaming(body)));
        for piece in [": OPENROUTER PROCESSING", "one", " two", " three"] {
            reply.until(piece);
        }
        let asked = &endpoint.service.requests()[n];
        assert_eq!(asked.outcome, Outcome::InFlight, "{target}");
    }
    let idle = endpoint.service.wait_until_idle(LIMIT);
    idle.expect("nobody waits for it any more");
}

#[test]
fn a_large_event_arrives_while_its_end_is_still_pending() {
    let url = format!("data:image/png;base64,{}middle{0}", "iVBO".repeat(1 << 18));
    let image = delta_event(&json!({"images": [{"type": "image_url", "image_url": {"url": url}}]}));
    let (half, rest) = image.split_at(image.len() * 3 / 4);
    let begin = [sse_head(), chunk(text_event("Hi")), chunk(half)].concat();
    let end = [chunk(rest), chunk(finish_event("stop")), chunk(DONE), LAST_CHUNK.into()].concat();
    let faultd = Faultd::playing([faultd::Script::new().send(begin).hold().send(end)]);
    let endpoint = Serve::new().asking(&faultd).start();
    let mut reply = endpoint.open(&endpoint.post(CHAT, &streaming(chat_body("acme/draws", "Draw"))));
    reply.until("middle");
    faultd.release();
    assert!(reply.whole().text().contains(&image), "some byte changed");
}

#[test]
fn row_95_many_requests_share_few_connections_and_cause_no_others() {
    let endpoint = Endpoint::start();
    let mut client = endpoint.connect();
    for n in 0..100 {
        let mut body = chat_body("sandbox/echo", &format!("number {n}"));
        body["stream"] = json!(n % 2 == 1);
        let (answer, again) = client.ask(&endpoint.post(CHAT, &body)).whole_and_client();
        let answer = answer.expect(200);
        let text = if n % 2 == 1 {
            answer.streamed()
        } else {
            answer.content()
        };
        assert!(text.ends_with(&format!("number {n}")), "{text}");
        client = again;
    }
    assert_eq!(endpoint.service.requests().len(), 100, "nothing else is asked");
    // Usually one. A connection may be busy with the end of an answer while the next request already comes.
    let n_connections = endpoint.service.accepted_connections();
    assert!(n_connections <= 10, "{n_connections}");
}
