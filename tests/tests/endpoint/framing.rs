//! Requests as bytes: those that two readers of HTTP could read differently, and unusual but good ones.

use serde_json::json;
use tests::endpoint::{Endpoint, TOKEN, chat_body};
use tests::faultd::{LAST_CHUNK, chunk};

use crate::bench::CHAT;

/// Ambiguous requests. `{post}` is the first line of a good one with its host and token, `{json}` its content type.
const AMBIGUOUS: &[&str] = &[
    "{post}{json}content-length: 2\r\ncontent-length: 3\r\n\r\n{} ",
    "{post}{json}content-length: +2\r\n\r\n{}",
    "{post}{json}content-length: 2, 3\r\n\r\n{}",
    "{post}{json}content-length: 99999999999999999999\r\n\r\n{}",
    "{post}{json}transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
    "{post}{json}transfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "{post}{json}transfer-encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n",
    "{post}content-type : application/json\r\ncontent-length: 2\r\n\r\n{}",
    "{post} content-type: application/json\r\ncontent-length: 2\r\n\r\n{}",
    "{post}{json}x: a\0b\r\ncontent-length: 2\r\n\r\n{}",
    "POST  /v1/chat/completions HTTP/1.1\r\n\r\n",
    "GET /v1/models HTTP/1.2.3\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "\x16\x03\x01\x02\x00\x01\x00\x01\x7c",
];

#[test]
fn ambiguous_requests_are_refused_and_end_their_connection() {
    let endpoint = Endpoint::start();
    let post = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {TOKEN}\r\n",
        endpoint.address()
    );
    for ambiguous in AMBIGUOUS {
        let bytes = ambiguous.replace("{post}", &post);
        let bytes = bytes.replace("{json}", "content-type: application/json\r\n");
        let mut client = endpoint.connect();
        // It may be refused before all of it was sent.
        let _ = client.send(&bytes);
        client.half_close();
        if let Some(reply) = client.reply_if_any() {
            let (answer, mut client) = reply.whole_and_client();
            assert!((400..500).contains(&answer.status), "{}: {ambiguous}", answer.status);
            assert!(client.is_closed(), "{ambiguous}");
        }
    }
    assert_eq!(endpoint.service.requests(), []);
    endpoint.chat("sandbox/hello", "Hello").expect(200);
}

#[test]
fn a_length_beside_chunks_smuggles_no_second_request() {
    let endpoint = Endpoint::start();
    let body = chat_body("sandbox/hello", "Hello").to_string();
    let hidden = String::from_utf8(endpoint.get("/v1/key").bytes()).expect("text");
    let inner = format!("{:x}\r\n{body}\r\n0\r\n\r\n{hidden}", body.len());
    let head = endpoint.post(CHAT, &json!({}));
    let head = head.with("content-length", &inner.len().to_string());
    let head = head.header("transfer-encoding", "chunked").head();
    let mut client = endpoint.connect();
    client.send([head, inner.into_bytes()].concat()).expect("it is there");
    if let Some(reply) = client.reply_if_any() {
        // Whichever framing holds, the connection ends here: nothing after it can be trusted.
        let (_, mut client) = reply.whole_and_client();
        assert!(client.is_closed());
    }
    let asked = endpoint.service.requests();
    assert!(asked.iter().all(|asked| !asked.path.ends_with("/key")), "{asked:?}");
}

#[test]
fn a_request_in_single_bytes_or_in_chunks_is_understood() {
    let endpoint = Endpoint::start();
    let body = chat_body("sandbox/hello", "Hello");
    let request = endpoint.post(CHAT, &body);
    let mut client = endpoint.connect();
    for byte in request.bytes() {
        client.send([byte]).expect("it is there");
    }
    client.reply().whole().expect(200);
    let request = request.without("content-length");
    let mut chunked = request.header("transfer-encoding", "chunked").head();
    for piece in body.to_string().as_bytes().chunks(7) {
        chunked.extend(chunk(piece));
    }
    chunked.extend(LAST_CHUNK.bytes());
    let mut client = endpoint.connect();
    client.send(chunked).expect("it is there");
    client.reply().whole().expect(200);
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let endpoint = Endpoint::start();
    let texts = ["first", "second", "third"];
    let request = |text: &str| endpoint.post(CHAT, &chat_body("sandbox/echo", text)).bytes();
    let mut client = endpoint.connect();
    client.send(texts.map(request).concat()).expect("it is there");
    for text in texts {
        let (answer, again) = client.reply().whole_and_client();
        assert!(answer.expect(200).content().ends_with(text));
        client = again;
    }
}
