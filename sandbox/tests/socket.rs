//! The server as a client sees it, over a plain TCP connection.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    time::Duration,
};

use sandbox::{DEFAULT_KEY, Failure, Outcome, Sandbox, Script};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(20);

/// The whole reply to one request, on a connection of its own.
struct Reply {
    status: u16,
    head: String,
    body: String,
}

impl Reply {
    fn read(mut stream: TcpStream) -> Self {
        let mut bytes = Vec::new();
        // A connection that is cut ends with an error after what was read.
        let _ = stream.read_to_end(&mut bytes);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").expect("a reply has a head");
        let status = head
            .get(9..12)
            .and_then(|status| status.parse().ok())
            .expect("a reply has a status");
        let is_chunked = head.to_lowercase().contains("transfer-encoding: chunked");
        let body = if is_chunked { unchunked(body) } else { body.to_owned() };
        Self {
            status,
            head: head.to_lowercase(),
            body,
        }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("the body is JSON")
    }

    fn data(&self) -> Vec<&str> {
        self.body
            .split("\n\n")
            .filter_map(|frame| frame.strip_prefix("data: "))
            .collect()
    }

    fn chunks(&self) -> Vec<Value> {
        let json = |data: &&str| serde_json::from_str(data).expect("a data frame holds JSON");
        self.data().iter().filter(|data| **data != "[DONE]").map(json).collect()
    }

    fn text(&self) -> String {
        let content = |chunk: &Value| chunk["choices"][0]["delta"]["content"].as_str().map(str::to_owned);
        self.chunks().iter().filter_map(content).collect()
    }
}

fn unchunked(mut body: &str) -> String {
    let mut text = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let n_bytes = usize::from_str_radix(size, 16).expect("a chunk has a size");
        if n_bytes == 0 {
            break;
        }
        text.push_str(&rest[..n_bytes]);
        body = &rest[n_bytes + 2..];
    }
    text
}

fn send(sandbox: &Sandbox, key: Option<&str>, method: &str, path: &str, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(sandbox.address()).expect("the server listens");
    stream.set_read_timeout(Some(LIMIT)).expect("a limit can be set");
    let key = key.map_or_else(String::new, |key| format!("authorization: Bearer {key}\r\n"));
    let request = format!(
        "{method} /api/v1{path} HTTP/1.1\r\nhost: sandbox\r\nconnection: close\r\ncontent-type: application/json\r\n\
         {key}content-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).expect("the request is written");
    stream
}

fn chat(sandbox: &Sandbox, model: &str, stream: bool) -> TcpStream {
    let body = json!({"model": model, "stream": stream, "messages": [{"role": "user", "content": "hi"}]});
    send(
        sandbox,
        Some(sandbox.key()),
        "POST",
        "/chat/completions",
        &body.to_string(),
    )
}

#[test]
fn a_stream_arrives_whole_and_says_what_sent_it() {
    let sandbox = Sandbox::builder()
        .script("acme/a", Script::text("one two three"))
        .start()
        .expect("started");
    let reply = Reply::read(chat(&sandbox, "acme/a", true));

    assert_eq!(reply.status, 200);
    for header in [
        "x-sandbox: a local stand-in, not openrouter.ai",
        "content-type: text/event-stream",
        "cache-control: no-cache",
        "x-generation-id: gen-sandbox-000001",
    ] {
        assert!(reply.head.contains(header), "{header} is not in {}", reply.head);
    }
    let chunks = reply.chunks();
    assert_eq!(reply.text(), "one two three");
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], json!("assistant"));
    assert_eq!(chunks[4]["choices"][0]["finish_reason"], json!("stop"));
    assert_eq!(chunks[5]["choices"], json!([]));
    assert_eq!(chunks[5]["usage"]["completion_tokens"], json!(4));
    assert_eq!(reply.data().last(), Some(&"[DONE]"));

    let requests = sandbox.requests();
    assert_eq!((requests[0].outcome, requests[0].status), (Outcome::Completed, 200));
    assert_eq!(requests[0].replies, chunks);
}

#[test]
fn gathered_frames_hold_the_same_bytes() {
    let sandbox = Sandbox::builder()
        .script(
            "acme/one",
            Script {
                coalesce: false,
                ..Script::words(3000)
            },
        )
        .script(
            "acme/two",
            Script {
                coalesce: true,
                ..Script::words(3000)
            },
        )
        .start()
        .expect("started");
    let one = Reply::read(chat(&sandbox, "acme/one", true));
    let two = Reply::read(chat(&sandbox, "acme/two", true));
    assert_eq!(one.chunks().len(), 3003);
    assert_eq!(
        two.body.replace("acme/two", "acme/one").replace("000002", "000001"),
        one.body
    );
}

#[test]
fn a_whole_reply_has_message_and_usage() {
    let sandbox = Sandbox::start();
    let reply = Reply::read(chat(&sandbox, "sandbox/echo", false));
    let body = reply.json();
    assert_eq!(body["choices"][0]["message"]["content"], json!("The sandbox heard: hi"));
    assert_eq!(
        (&body["provider"], &body["object"]),
        (&json!("Sandbox"), &json!("chat.completion"))
    );
    assert_eq!(body["usage"]["prompt_tokens"], json!(4));
}

#[test]
fn a_failure_in_the_middle_of_a_stream_is_its_last_frame() {
    let sandbox = Sandbox::start();
    let reply = Reply::read(chat(&sandbox, "sandbox/mid-stream-error", true));
    let chunks = reply.chunks();
    let last = chunks.last().expect("a stream has chunks");
    assert_eq!((reply.status, chunks.len()), (200, 7));
    assert_eq!(last["error"]["code"], json!(502));
    assert_eq!(last["error"]["metadata"]["error_type"], json!("provider_unavailable"));
    assert_eq!(last["choices"][0]["finish_reason"], json!("error"));
    assert!(!reply.body.contains("[DONE]"));
}

#[test]
fn a_client_that_leaves_is_recorded() {
    let sandbox = Sandbox::start();
    let stream = chat(&sandbox, "sandbox/stall", true);
    let mut read = [0; 4096];
    let mut text = String::new();
    // The opening chunk and five pieces: once they are here, nothing more comes.
    while text.matches("data: ").count() < 6 {
        let n_bytes = (&stream).read(&mut read).expect("the stream is alive");
        text.push_str(&String::from_utf8_lossy(&read[..n_bytes]));
    }
    assert_eq!(sandbox.requests()[0].outcome, Outcome::InFlight);
    assert_eq!(sandbox.open_connections(), 1);

    stream.shutdown(Shutdown::Both).expect("the connection was open");
    sandbox.wait_until_idle(LIMIT).expect("the server notices");
    sandbox
        .wait_for_open_connections(0, LIMIT)
        .expect("the connection is closed");
    assert_eq!(sandbox.requests()[0].outcome, Outcome::ClientLeft { after_chunks: 6 });
}

#[test]
fn a_client_that_leaves_before_the_reply_is_recorded() {
    let sandbox = Sandbox::start();
    let stream = chat(&sandbox, "sandbox/stall", false);
    sandbox.wait_for_requests(1, LIMIT).expect("the request arrives");
    drop(stream);
    sandbox.wait_until_idle(LIMIT).expect("the server notices");
    assert_eq!(sandbox.requests()[0].outcome, Outcome::ClientLeft { after_chunks: 0 });
}

#[test]
fn a_cut_ends_the_body_and_an_abrupt_one_the_connection() {
    let sandbox = Sandbox::start();
    let mut ends = Vec::new();
    for model in ["sandbox/cut", "sandbox/cut-connection"] {
        let mut bytes = Vec::new();
        let _ = chat(&sandbox, model, true).read_to_end(&mut bytes);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert_eq!(text.matches("data: ").count(), 6, "{model}");
        ends.push(text.ends_with("0\r\n\r\n"));
    }
    assert_eq!(ends, [true, false]);
}

#[test]
fn comments_are_written_before_and_between() {
    let sandbox = Sandbox::start();
    let reply = Reply::read(chat(&sandbox, "sandbox/comments", true));
    assert!(reply.body.starts_with(": OPENROUTER PROCESSING\n\n"));
    assert_eq!(reply.body.matches(": OPENROUTER PROCESSING\n\n").count(), 3 + 29);
}

#[test]
fn a_missing_and_a_wrong_key_are_refused() {
    let sandbox = Sandbox::start();
    let refusal = |message: &str| json!({"error": {"code": 401, "message": message, "metadata": {"error_type": "authentication"}}});
    let missing = Reply::read(send(&sandbox, None, "GET", "/key", ""));
    assert_eq!(
        (missing.status, missing.json()),
        (401, refusal("No auth credentials found"))
    );
    let wrong = Reply::read(send(&sandbox, Some("sk-or-v1-other"), "GET", "/key", ""));
    assert_eq!((wrong.status, wrong.json()), (401, refusal("User not found.")));
    assert_eq!(
        Reply::read(send(&sandbox, Some(DEFAULT_KEY), "GET", "/key", "")).status,
        200
    );
    assert_eq!(Reply::read(send(&sandbox, None, "GET", "/models", "")).status, 200);
}

#[test]
fn the_key_is_not_recorded() {
    let sandbox = Sandbox::start();
    Reply::read(chat(&sandbox, "sandbox/hello", false));
    Reply::read(send(&sandbox, None, "GET", "/models", ""));
    let requests = sandbox.requests();
    assert!(
        requests[0]
            .headers
            .contains(&("authorization".to_owned(), "present".to_owned()))
    );
    assert!(
        requests[1]
            .headers
            .contains(&("authorization".to_owned(), "absent".to_owned()))
    );
    assert!(!format!("{requests:?}").contains(sandbox.key()));
}

#[test]
fn every_documented_status_is_sent_in_the_shape_of_the_service() {
    let sandbox = Sandbox::start();
    for status in [400, 401, 402, 403, 404, 408, 413, 422, 429, 500, 502, 503, 524, 529] {
        let reply = Reply::read(chat(&sandbox, &format!("sandbox/status-{status}"), true));
        let body = reply.json();
        assert_eq!((reply.status, &body["error"]["code"]), (status, &json!(status)));
        assert!(body["error"]["message"].is_string() && body["error"]["metadata"]["error_type"].is_string());
        assert_eq!(body["user_id"], json!("user_sandbox"));
        assert!(reply.head.contains("x-sandbox: "), "{status}");
        assert_eq!(
            reply.head.contains("retry-after: 1"),
            [429, 503].contains(&status),
            "{status}"
        );
    }
}

#[test]
fn a_request_that_breaks_a_rule_is_refused_before_any_script() {
    let sandbox = Sandbox::start();
    let body = json!({"model": "openai/gpt-4o", "messages": [], "provider": {"allowFallbacks": true}});
    let reply = Reply::read(send(
        &sandbox,
        Some(DEFAULT_KEY),
        "POST",
        "/chat/completions",
        &body.to_string(),
    ));
    assert_eq!(reply.status, 400);
    assert_eq!(
        reply.json()["error"]["message"],
        json!(
            "provider: unrecognized key `allowFallbacks`; messages: expected an array with at least one message, found \
             an empty one"
        )
    );
}

#[test]
fn a_page_of_a_proxy_and_an_error_with_status_200_are_sent_as_they_are() {
    let sandbox = Sandbox::start();
    let page = Reply::read(chat(&sandbox, "sandbox/html-502", true));
    assert_eq!(page.status, 502);
    assert!(page.head.contains("content-type: text/html") && page.body.starts_with("<html>"));
    let hidden = Reply::read(chat(&sandbox, "sandbox/error-in-200", true));
    assert_eq!((hidden.status, &hidden.json()["error"]["code"]), (200, &json!(502)));
}

#[test]
fn a_script_can_be_replaced_while_the_server_runs() {
    let sandbox = Sandbox::builder()
        .script("acme/a", Script::fail(Failure::status(503)))
        .start()
        .expect("started");
    assert_eq!(Reply::read(chat(&sandbox, "acme/a", false)).status, 503);
    sandbox.script("acme/a", Script::default());
    assert_eq!(Reply::read(chat(&sandbox, "acme/a", false)).status, 200);
}

#[test]
fn a_dropped_sandbox_no_longer_listens() {
    let sandbox = Sandbox::start();
    let address = sandbox.address();
    let stalled = chat(&sandbox, "sandbox/stall", false);
    sandbox.wait_for_requests(1, LIMIT).expect("the request arrives");
    drop(sandbox);
    assert!(TcpStream::connect(address).is_err());
    let mut rest = Vec::new();
    let _ = (&stalled).read_to_end(&mut rest);
    assert!(rest.is_empty(), "the connection was closed without a reply");
}

#[test]
fn a_taken_port_is_an_error_that_names_it() {
    let sandbox = Sandbox::start();
    let address = sandbox.address();
    let error = Sandbox::builder()
        .port(address.port())
        .start()
        .expect_err("the port is taken");
    assert_eq!(error.to_string(), format!("the sandbox cannot listen on {address}"));
}

/// Sends a body with the key and reads the whole reply.
fn post(sandbox: &Sandbox, path: &str, body: &Value) -> Reply {
    Reply::read(send(sandbox, Some(sandbox.key()), "POST", path, &body.to_string()))
}

#[test]
fn events_of_responses_arrive_in_order_and_are_recorded() {
    let sandbox = Sandbox::builder()
        .script("acme/a", Script::text("one two"))
        .start()
        .expect("started");
    let reply = post(
        &sandbox,
        "/responses",
        &json!({"model": "acme/a", "input": "hi", "stream": true}),
    );
    assert!(reply.head.contains("content-type: text/event-stream"));
    let events = reply.chunks();
    let text: String = events.iter().filter_map(|event| event["delta"].as_str()).collect();
    assert_eq!(text, "one two");
    assert_eq!(
        events.last().map(|event| &event["type"]),
        Some(&json!("response.completed"))
    );
    assert_eq!(reply.data().last(), Some(&"[DONE]"));
    assert_eq!(sandbox.requests()[0].replies, events);
}

#[test]
fn events_of_messages_are_named_and_recorded() {
    let sandbox = Sandbox::builder()
        .script("acme/a", Script::text("one two"))
        .start()
        .expect("started");
    let body = json!({"model": "acme/a", "messages": [{"role": "user", "content": "hi"}], "stream": true});
    let reply = post(&sandbox, "/messages", &body);
    let names: Vec<&str> = reply
        .body
        .lines()
        .filter_map(|line| line.strip_prefix("event: "))
        .collect();
    let recorded = sandbox.requests()[0].replies.clone();
    let kinds: Vec<&str> = recorded.iter().filter_map(|event| event["type"].as_str()).collect();
    assert_eq!((names.first(), names.last()), (Some(&"message_start"), Some(&"data")));
    assert_eq!(names[..names.len() - 1], kinds);
    assert!(reply.body.ends_with("event: data\ndata: [DONE]\n\n"));
}

#[test]
fn a_wrong_key_is_refused_in_the_shape_of_the_form() {
    let sandbox = Sandbox::start();
    let refused = Reply::read(send(&sandbox, None, "POST", "/messages", "{}"));
    assert_eq!(refused.status, 401);
    assert_eq!(
        refused.json(),
        json!({
            "type": "error", "request_id": null,
            "error": {
                "type": "authentication_error", "message": "No auth credentials found",
                "error_type": "authentication",
            },
        })
    );
}

#[test]
fn a_failure_and_a_cut_in_the_middle_happen_in_every_form() {
    let sandbox = Sandbox::start();
    let hello = json!([{"role": "user", "content": "hi"}]);
    for (path, member, input) in [
        ("/completions", "prompt", json!("hi")),
        ("/responses", "input", json!("hi")),
        ("/messages", "messages", hello),
    ] {
        let mut body = json!({"model": "sandbox/mid-stream-error", "stream": true});
        body[member] = input;
        let failed = post(&sandbox, path, &body);
        assert!(failed.body.contains("Provider disconnected"), "{path}");
        assert!(!failed.body.contains("[DONE]"), "{path}");
        body["model"] = json!("sandbox/cut");
        let cut = post(&sandbox, path, &body);
        assert!(!cut.body.contains("[DONE]") && cut.body.ends_with("\n\n"), "{path}");
        body["model"] = json!("sandbox/comments");
        let comments = post(&sandbox, path, &body);
        assert_eq!(
            comments.body.matches(": OPENROUTER PROCESSING\n\n").count(),
            3 + 29,
            "{path}"
        );
    }
}

#[test]
fn speech_is_bytes_that_are_no_text() {
    let sandbox = Sandbox::start();
    let body = json!({"model": "openai/gpt-4o-mini-tts", "input": "one two", "voice": "alloy"});
    let mut bytes = Vec::new();
    let mut stream = send(
        &sandbox,
        Some(sandbox.key()),
        "POST",
        "/audio/speech",
        &body.to_string(),
    );
    stream.read_to_end(&mut bytes).expect("the reply is read");
    let end = bytes
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .expect("a head");
    let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
    assert!(
        head.starts_with("http/1.1 200") && head.contains("content-type: audio/mpeg"),
        "{head}"
    );
    assert!(head.contains("x-generation-id: gen-sandbox-000001"));
    let audio = &bytes[end + 4..];
    assert_eq!((audio.len(), &audio[..2]), (834, &[0xff, 0xfb][..]));
    assert!(std::str::from_utf8(audio).is_err());
    assert_eq!(sandbox.requests()[0].outcome, Outcome::Completed);
}

#[test]
fn a_server_that_pages_links_to_each_next_page() {
    let entries: Vec<Value> = (0..5)
        .map(|n| json!({"id": format!("acme/m{n}"), "name": "m", "architecture": {"output_modalities": ["text"]}}))
        .collect();
    let sandbox = Sandbox::builder()
        .models(entries)
        .model(json!({"id": "acme/m5", "name": "m", "architecture": {"output_modalities": ["text"]}}))
        .page_size(4)
        .start()
        .expect("started");
    let page = |path: &str| Reply::read(send(&sandbox, None, "GET", path, "")).json();
    let first = page("/models");
    assert_eq!(first["data"].as_array().map(Vec::len), Some(4));
    assert_eq!(
        (&first["total_count"], &first["links"]["next"]),
        (&json!(6), &json!("/api/v1/models?offset=4&limit=4"))
    );
    let last = page("/models?offset=4&limit=4");
    assert_eq!(
        (&last["data"][1]["id"], &last["links"]["next"]),
        (&json!("acme/m5"), &Value::Null)
    );

    sandbox.models(vec![
        json!({"id": "acme/new", "architecture": {"output_modalities": ["text"]}}),
    ]);
    sandbox.model(json!({"id": "acme/new", "name": "again", "architecture": {"output_modalities": ["text"]}}));
    let replaced = page("/models");
    assert_eq!(
        (&replaced["total_count"], &replaced["data"][0]["name"]),
        (&json!(1), &json!("again"))
    );
}

#[test]
fn a_forgetful_server_keeps_only_the_last_few_hundred() {
    let sandbox = Sandbox::builder()
        .forgetful()
        .without_replies()
        .late_generations(1)
        .start()
        .expect("started");
    for _ in 0..260 {
        assert_eq!(Reply::read(chat(&sandbox, "sandbox/hello", false)).status, 200);
    }
    let requests = sandbox.requests();
    assert_eq!((requests.len(), requests[0].number), (256, 5));
    assert!(requests.iter().all(|request| request.replies.is_empty()));
    let found = |n: u32| {
        let path = format!("/generation?id=gen-sandbox-{n:06}");
        Reply::read(send(&sandbox, Some(sandbox.key()), "GET", &path, "")).status
    };
    assert_eq!([found(4), found(4), found(5), found(5)], [404, 404, 404, 200]);
}
