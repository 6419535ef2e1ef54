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
        let status = head[9..12].parse().expect("a reply has a status");
        let head = head.to_lowercase();
        let is_chunked = head.contains("transfer-encoding: chunked");
        let body = if is_chunked { unchunked(body) } else { body.to_owned() };
        Self { status, head, body }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("the body is JSON")
    }

    /// The chunks of a stream that ends as it should.
    fn chunks(&self) -> Vec<Value> {
        let frames = self.body.strip_suffix("data: [DONE]\n\n").expect("the stream is done");
        let data = frames.split("\n\n").filter_map(|frame| frame.strip_prefix("data: "));
        data.map(|data| serde_json::from_str(data).expect("a data frame holds JSON"))
            .collect()
    }

    fn expect_headers(&self, headers: &[&str]) {
        for header in headers {
            assert!(self.head.contains(header), "{header} is not in {}", self.head);
        }
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

/// Sends a chat and leaves the reply to the caller.
fn begin_chat(sandbox: &Sandbox, model: &str, stream: bool) -> TcpStream {
    let body = json!({"model": model, "stream": stream, "messages": [{"role": "user", "content": "hi"}]});
    send(
        sandbox,
        Some(sandbox.key()),
        "POST",
        "/chat/completions",
        &body.to_string(),
    )
}

fn chat(sandbox: &Sandbox, model: &str, stream: bool) -> Reply {
    Reply::read(begin_chat(sandbox, model, stream))
}

#[test]
fn a_stream_arrives_whole_and_names_the_sandbox() {
    let sandbox = sandbox_with(Script::text("one two three"));
    let reply = chat(&sandbox, "acme/a", true);

    assert_eq!(reply.status, 200);
    reply.expect_headers(&[
        "x-sandbox: a local sandbox, not openrouter.ai",
        "content-type: text/event-stream",
        "cache-control: no-cache",
        "x-generation-id: gen-sandbox-000001",
    ]);
    let chunks = reply.chunks();
    let content = |chunk: &Value| chunk["choices"][0]["delta"]["content"].as_str().map(str::to_owned);
    assert_eq!(chunks.iter().filter_map(content).collect::<String>(), "one two three");
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    assert_eq!(chunks[4]["choices"][0]["finish_reason"], "stop");
    let seen = json!([chunks[5]["choices"], chunks[5]["usage"]["completion_tokens"]]);
    assert_eq!(seen, json!([[], 4]));

    let requests = sandbox.requests();
    assert_eq!((requests[0].outcome, requests[0].status), (Outcome::Completed, 200));
    assert_eq!(requests[0].replies, chunks);
}

#[test]
fn coalesced_frames_hold_the_same_bytes() {
    let sandbox = sandbox_with(Script::words(3000));
    let one = chat(&sandbox, "acme/a", true);
    let mut coalesced = Script::words(3000);
    coalesced.coalesce = true;
    sandbox.script("acme/a", coalesced);
    let two = chat(&sandbox, "acme/a", true);
    assert_eq!(one.chunks().len(), 3003);
    assert_eq!(two.body.replace("000002", "000001"), one.body);
}

#[test]
fn a_client_that_leaves_is_recorded_in_the_middle_and_before_the_reply() {
    let sandbox = Sandbox::start();
    let stream = begin_chat(&sandbox, "sandbox/stall", true);
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
    let closed = sandbox.wait_for_open_connections(0, LIMIT);
    closed.expect("the connection is closed");
    assert_eq!(sandbox.requests()[0].outcome, Outcome::ClientLeft { after_chunks: 6 });

    let stream = begin_chat(&sandbox, "sandbox/stall", false);
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
        let _ = begin_chat(&sandbox, model, true).read_to_end(&mut bytes);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert_eq!(text.matches("data: ").count(), 6, "{model}");
        ends.push(text.ends_with("0\r\n\r\n"));
    }
    assert_eq!(ends, [true, false]);
}

#[test]
fn missing_and_wrong_keys_are_refused() {
    let sandbox = Sandbox::start();
    let missing = (None, "No auth credentials found");
    for (key, message) in [missing, (Some("sk-or-v1-other"), "User not found.")] {
        let refused = get(&sandbox, key, "/key");
        let metadata = json!({"error_type": "authentication"});
        let expected = json!({"error": {"code": 401, "message": message, "metadata": metadata}});
        assert_eq!((refused.status, refused.json()), (401, expected));
    }
    assert_eq!(get(&sandbox, Some(DEFAULT_KEY), "/key").status, 200);
    assert_eq!(get(&sandbox, None, "/models").status, 200);
    let in_its_form = Reply::read(send(&sandbox, None, "POST", "/messages", "{}"));
    assert_eq!(in_its_form.status, 401);
    assert_eq!(in_its_form.json()["error"]["type"], "authentication_error");
}

#[test]
fn the_key_is_never_recorded() {
    let sandbox = Sandbox::start();
    chat(&sandbox, "sandbox/hello", false);
    get(&sandbox, None, "/models");
    let requests = sandbox.requests();
    for (request, value) in requests.iter().zip(["present", "absent"]) {
        let header = ("authorization".to_owned(), value.to_owned());
        assert!(request.headers.contains(&header), "{:?}", request.headers);
    }
    assert!(!format!("{requests:?}").contains(sandbox.key()));
}

#[test]
fn every_documented_status_has_the_shape_of_the_service() {
    let sandbox = Sandbox::start();
    for status in [400, 401, 402, 403, 404, 408, 413, 422, 429, 500, 502, 503, 524, 529] {
        let reply = chat(&sandbox, &format!("sandbox/status-{status}"), true);
        let body = reply.json();
        assert_eq!(json!([reply.status, body["error"]["code"]]), json!([status, status]));
        assert!(body["error"]["message"].is_string() && body["error"]["metadata"]["error_type"].is_string());
        assert_eq!(body["user_id"], "user_sandbox");
        reply.expect_headers(&["x-sandbox: "]);
        let waits = reply.head.contains("retry-after: 1");
        assert_eq!(waits, [429, 503].contains(&status), "{status}");
    }
}

#[test]
fn proxy_pages_and_errors_with_status_200_are_sent_verbatim() {
    let sandbox = Sandbox::start();
    let page = chat(&sandbox, "sandbox/html-502", true);
    assert_eq!(page.status, 502);
    assert!(page.head.contains("content-type: text/html") && page.body.starts_with("<html>"));
    let hidden = chat(&sandbox, "sandbox/error-in-200", true);
    assert_eq!(
        (hidden.status, hidden.json()["error"]["code"].as_u64()),
        (200, Some(502))
    );
}

#[test]
fn a_script_can_be_replaced_while_the_server_runs() {
    let sandbox = sandbox_with(Script::fail(Failure::status(503)));
    assert_eq!(chat(&sandbox, "acme/a", false).status, 503);
    sandbox.script("acme/a", Script::default());
    assert_eq!(chat(&sandbox, "acme/a", false).status, 200);
}

#[test]
fn a_dropped_sandbox_no_longer_listens() {
    let sandbox = Sandbox::start();
    let address = sandbox.address();
    let stalled = begin_chat(&sandbox, "sandbox/stall", false);
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
    let error = Sandbox::builder().port(address.port()).start();
    let error = error.expect_err("the port is taken");
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
        let failed = post(&sandbox, path, &body).body;
        let seen = (failed.contains("Provider disconnected"), failed.contains("[DONE]"));
        assert_eq!(seen, (true, false), "{path}");
        body["model"] = json!("sandbox/cut");
        let cut = post(&sandbox, path, &body).body;
        assert!(!cut.contains("[DONE]") && cut.ends_with("\n\n"), "{path}");
        body["model"] = json!("sandbox/comments");
        let comments = post(&sandbox, path, &body).body;
        let seen = comments.matches(": OPENROUTER PROCESSING\n\n").count();
        assert_eq!(seen, 3 + 29, "{path}");
    }
}

#[test]
fn speech_is_bytes_that_are_not_utf_8() {
    let sandbox = Sandbox::start();
    let body = json!({"model": "openai/gpt-4o-mini-tts", "input": "one two", "voice": "alloy"});
    let reply = post(&sandbox, "/audio/speech", &body);
    reply.expect_headers(&["content-type: audio/mpeg", "x-generation-id: gen-sandbox-000001"]);
    assert!(reply.body.starts_with(char::REPLACEMENT_CHARACTER), "{}", reply.body);
    assert_eq!(sandbox.requests()[0].outcome, Outcome::Completed);
}

#[test]
fn pages_link_to_the_next_and_entries_can_be_replaced() {
    let entry = |id: &str, name: &str| json!({"id": id, "name": name, "architecture": {"output_modalities": ["text"]}});
    let sandbox = Sandbox::builder()
        .models((0..5).map(|n| entry(&format!("acme/m{n}"), "m")).collect())
        .model(entry("acme/m5", "m"))
        .page_size(4)
        .start()
        .expect("started");
    let page = |path: &str| get(&sandbox, None, path).json();
    let first = page("/models");
    assert_eq!(first["data"].as_array().map(Vec::len), Some(4));
    let next = "/models?offset=4&limit=4";
    let seen = json!([first["total_count"], first["links"]["next"]]);
    assert_eq!(seen, json!([6, format!("/api/v1{next}")]));
    let last = page(next);
    let expected = json!(["acme/m5", null]);
    assert_eq!(json!([last["data"][1]["id"], last["links"]["next"]]), expected);

    sandbox.models(vec![entry("acme/new", "m")]);
    sandbox.model(entry("acme/new", "again"));
    let replaced = page("/models");
    let expected = json!([1, "again"]);
    assert_eq!(json!([replaced["total_count"], replaced["data"][0]["name"]]), expected);
}

#[test]
fn a_forgetful_server_keeps_only_the_last_256_requests() {
    let builder = Sandbox::builder().forgetful().without_replies().late_generations(1);
    let sandbox = builder.start().expect("started");
    for _ in 0..260 {
        assert_eq!(chat(&sandbox, "sandbox/hello", false).status, 200);
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
