//! How much is taken: bodies, heads, connections.

use serde_json::json;
use tests::LIMIT;
use tests::endpoint::{Endpoint, Serve, chat_body};
use tests::faultd::{Faultd, Script, json_reply, whole_answer};

const CHAT: &str = "/v1/chat/completions";
const MIB: usize = 1 << 20;

#[test]
fn a_body_beyond_the_limit_is_a_413_before_it_was_sent() {
    let endpoint = Serve::new().arguments(&["--max-body", "1"]).start();
    let request = endpoint.post(CHAT, &json!({}));
    // It is refused by its length alone: nothing of it is sent.
    let mut client = endpoint.connect();
    client
        .send(request.clone().with("content-length", &(MIB + 1).to_string()).head())
        .expect("it is there");
    let (answer, mut client) = client.reply().whole_and_client();
    assert_eq!(answer.expect(413).json()["error"]["type"], "too_large");
    assert!(client.is_closed(), "nothing can follow a body that was not read");
    // A body of chunks has no length, and is read until it is too much.
    let mut client = endpoint.connect();
    let head = request
        .without("content-length")
        .header("transfer-encoding", "chunked")
        .head();
    client.send(head).expect("it is there");
    let piece = tests::faultd::chunk(vec![b' '; 64 << 10]);
    let n_sent = (0..64).take_while(|_| client.send(&piece).is_ok()).count();
    if let Some(reply) = client.reply_if_any() {
        reply.whole().expect(413);
    }
    assert!(n_sent >= 15, "{n_sent}");
    assert_eq!(endpoint.service.requests(), []);
    // A body of just the limit is none of the endpoint's business.
    let mut body = chat_body("sandbox/hello", "Hello").to_string();
    body += &" ".repeat(MIB - body.len());
    endpoint.answer(&endpoint.post(CHAT, &json!({})).body(body)).expect(200);
}

#[test]
fn a_head_beyond_the_limit_is_a_431() {
    let endpoint = Endpoint::start();
    let long = endpoint.get("/health").header("x-long", &"x".repeat(200 << 10));
    let mut client = endpoint.connect();
    let _ = client.send(long.bytes());
    if let Some(reply) = client.reply_if_any() {
        assert_eq!(reply.whole().status, 431);
    }
    let many = (0..1000).fold(endpoint.get("/health"), |request, n| {
        request.header(&format!("x-{n}"), "1")
    });
    let mut client = endpoint.connect();
    let _ = client.send(many.bytes());
    assert_eq!(client.reply_if_any().map(|reply| reply.whole().status), Some(431));
    let long_path = format!("/v1/{}", "x".repeat(70 << 10));
    let mut client = endpoint.connect();
    let _ = client.send(endpoint.get(&long_path).bytes());
    if let Some(reply) = client.reply_if_any() {
        assert!([414, 431].contains(&reply.whole().status));
    }
    endpoint.answer(&endpoint.get("/health")).expect(200);
}

#[test]
fn what_is_no_json_is_refused_with_its_place_and_without_its_words() {
    let endpoint = Endpoint::start();
    for body in [
        "",
        "{\n  \"secret\": private",
        "{\"messages\": []} secret",
        "secret",
        "\u{feff}{}",
    ] {
        let request = endpoint.post(CHAT, &json!({})).body(body);
        let answer = endpoint.answer(&request).expect(400);
        assert!(
            !answer.text().contains("secret") && !answer.text().contains("private"),
            "{}",
            answer.text()
        );
        let error = &answer.json()["error"];
        assert_eq!(error["type"], "invalid_request", "{body}");
    }
    let request = endpoint.post(CHAT, &json!({})).body(b"{\"a\": \"\xff\"}".to_vec());
    endpoint.answer(&request).expect(400);
    assert_eq!(endpoint.service.requests(), []);
}

#[test]
fn json_of_any_depth_overflows_nothing() {
    // A service that does not look into what it is sent.
    let answer = json_reply(200, &[], &whole_answer("survived"));
    let faultd = Faultd::playing([Script::new().send(answer)]);
    let endpoint = Serve::new().asking(&faultd).start();
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let answer = endpoint.answer(&endpoint.post(CHAT, &json!({})).body(deep));
    assert!([200, 400].contains(&answer.status), "{}", answer.status);
    endpoint.chat("acme/model", "Hello").expect(200);
}

#[test]
fn connections_beyond_the_limit_wait_until_there_is_room() {
    let endpoint = Serve::new().arguments(&["--max-connections", "2"]).start();
    let ask = || {
        let mut client = endpoint.connect();
        client.send(endpoint.get("/health").bytes()).expect("it is there");
        client
    };
    let first = ask().reply().whole_and_client().1;
    let second = ask().reply().whole_and_client().1;
    // It is connected, and has sent its request; nobody answers while both places are taken.
    let third = ask();
    drop((first, second));
    third.reply().whole().expect(200);
}

#[test]
fn a_client_that_leaves_in_the_middle_of_its_request_costs_nothing() {
    let endpoint = Endpoint::start();
    let request = endpoint.post(CHAT, &chat_body("sandbox/hello", "Hello"));
    let bytes = request.bytes();
    let n_files = {
        endpoint.answer(&endpoint.get("/health")).expect(200);
        endpoint.open_files()
    };
    for end in (0..bytes.len()).step_by(bytes.len() / 20) {
        let mut client = endpoint.connect();
        client.send(&bytes[..end]).expect("it is there");
    }
    let late = std::time::Instant::now() + LIMIT;
    while endpoint.open_files() > n_files {
        endpoint.answer(&endpoint.get("/health")).expect(200);
        assert!(
            std::time::Instant::now() < late,
            "{} files, {n_files} before",
            endpoint.open_files()
        );
    }
    assert_eq!(endpoint.service.requests(), []);
}
