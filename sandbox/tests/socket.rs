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

/// Sends a body with the key and reads the whole reply.
fn post(sandbox: &Sandbox, path: &str, body: &Value) -> Reply {
    Reply::read(send(sandbox, Some(sandbox.key()), "POST", path, &body.to_string()))
}

/// A server with one model, `acme/a`.
fn sandbox_with(script: Script) -> Sandbox {
    Sandbox::builder().script("acme/a", script).start().expect("started")
}

fn get(sandbox: &Sandbox, key: Option<&str>, path: &str) -> Reply {
    Reply::read(send(sandbox, key, "GET", path, ""))
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
fn a_stream_arrives_whole_and_names_the_sandbox() {
    let sandbox = sandbox_with(Script::text("one two three"));
    let reply = Reply::read(chat(&sandbox, "acme/a", true));

    assert_eq!(reply.status, 200);
    for header in [
        "x-sandbox: a local sandbox, not openrouter.ai",
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
fn coalesced_frames_hold_the_same_bytes() {
    let coalesced = Script {
        coalesce: true,
        ..Script::words(3000)
    };
    let sandbox = Sandbox::builder()
        .script("acme/one", Script::words(3000))
        .script("acme/two", coalesced)
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
fn a_whole_reply_has_a_message_and_usage() {
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
fn a_client_that_leaves_is_recorded_in_the_middle_and_before_the_reply() {
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

    let stream = chat(&sandbox, "sandbox/stall", false);
    sandbox.wait_for_requests(2, LIMIT).expect("the request arrives");
    drop(stream);
    sandbox.wait_until_idle(LIMIT).expect("the server notices");
    assert_eq!(sandbox.requests()[1].outcome, Outcome::ClientLeft { after_chunks: 0 });
}

#[test]
fn a_cut_ends_the_body_and_an_abrupt_one_breaks_the_connection() {
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
fn missing_and_wrong_keys_are_refused() {
    let sandbox = Sandbox::start();
    let refusal = |message: &str| json!({"error": {"code": 401, "message": message, "metadata": {"error_type": "authentication"}}});
    let missing = get(&sandbox, None, "/key");
    assert_eq!(
        (missing.status, missing.json()),
        (401, refusal("No auth credentials found"))
    );
    let wrong = get(&sandbox, Some("sk-or-v1-other"), "/key");
    assert_eq!((wrong.status, wrong.json()), (401, refusal("User not found.")));
    assert_eq!(get(&sandbox, Some(DEFAULT_KEY), "/key").status, 200);
    assert_eq!(get(&sandbox, None, "/models").status, 200);
    let in_its_form = Reply::read(send(&sandbox, None, "POST", "/messages", "{}"));
    assert_eq!(
        (in_its_form.status, &in_its_form.json()["error"]["type"]),
        (401, &json!("authentication_error"))
    );
}

#[test]
fn the_key_is_never_recorded() {
    let sandbox = Sandbox::start();
    Reply::read(chat(&sandbox, "sandbox/hello", false));
    get(&sandbox, None, "/models");
    let requests = sandbox.requests();
    for (request, value) in requests.iter().zip(["present", "absent"]) {
        assert!(
            request
                .headers
                .contains(&("authorization".to_owned(), value.to_owned()))
        );
    }
    assert!(!format!("{requests:?}").contains(sandbox.key()));
}

#[test]
fn every_documented_status_has_the_shape_of_the_service() {
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
fn proxy_pages_and_errors_with_status_200_are_sent_verbatim() {
    let sandbox = Sandbox::start();
    let page = Reply::read(chat(&sandbox, "sandbox/html-502", true));
    assert_eq!(page.status, 502);
    assert!(page.head.contains("content-type: text/html") && page.body.starts_with("<html>"));
    let hidden = Reply::read(chat(&sandbox, "sandbox/error-in-200", true));
    assert_eq!((hidden.status, &hidden.json()["error"]["code"]), (200, &json!(502)));
}

#[test]
fn a_script_can_be_replaced_while_the_server_runs() {
    let sandbox = sandbox_with(Script::fail(Failure::status(503)));
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
fn a_taken_port_is_named_in_the_error() {
    let sandbox = Sandbox::start();
    let address = sandbox.address();
    let error = Sandbox::builder()
        .port(address.port())
        .start()
        .expect_err("the port is taken");
    assert_eq!(error.to_string(), format!("the sandbox cannot listen on {address}"));
}

#[test]
fn a_failure_and_a_cut_in_the_middle_happen_in_every_form() {
    let sandbox = Sandbox::start();
    let hello = json!([{"role": "user", "content": "hi"}]);
    for (path, member, input) in [
        ("/chat/completions", "messages", hello.clone()),
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
fn speech_is_bytes_that_are_not_utf_8() {
    let sandbox = Sandbox::start();
    let body = json!({"model": "openai/gpt-4o-mini-tts", "input": "one two", "voice": "alloy"});
    let reply = post(&sandbox, "/audio/speech", &body);
    for header in ["content-type: audio/mpeg", "x-generation-id: gen-sandbox-000001"] {
        assert!(reply.head.contains(header), "{header} is not in {}", reply.head);
    }
    assert!(reply.body.starts_with(char::REPLACEMENT_CHARACTER), "{}", reply.body);
    assert_eq!(sandbox.requests()[0].outcome, Outcome::Completed);
}

#[test]
fn pages_link_to_the_next_and_entries_can_be_replaced() {
    let entries: Vec<Value> = (0..5)
        .map(|n| json!({"id": format!("acme/m{n}"), "name": "m", "architecture": {"output_modalities": ["text"]}}))
        .collect();
    let sandbox = Sandbox::builder()
        .models(entries)
        .model(json!({"id": "acme/m5", "name": "m", "architecture": {"output_modalities": ["text"]}}))
        .page_size(4)
        .start()
        .expect("started");
    let page = |path: &str| get(&sandbox, None, path).json();
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
fn a_forgetful_server_keeps_only_the_last_256_requests() {
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
        get(&sandbox, Some(sandbox.key()), &path).status
    };
    assert_eq!([found(4), found(4), found(5), found(5)], [404, 404, 404, 200]);
}
