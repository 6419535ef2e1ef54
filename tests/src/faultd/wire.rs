//! The bytes of good and almost good answers.

use serde_json::{Value, json};

/// The end of a chunked body.
pub const LAST_CHUNK: &str = "0\r\n\r\n";

/// The last event of a stream.
pub const DONE: &str = "data: [DONE]\n\n";

/// An HTTP/1.1 head with these headers and no others.
pub fn head(status: u16, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status} Scripted\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += "\r\n";
    head.into_bytes()
}

/// A complete reply with a body of this type.
pub fn reply(status: u16, content_type: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let length = body.len().to_string();
    let own = [("content-type", content_type), ("content-length", &length)];
    let mut reply = head(status, &[&own[..], headers].concat());
    reply.extend_from_slice(body.as_bytes());
    reply
}

/// A complete JSON reply.
pub fn json_reply(status: u16, headers: &[(&str, &str)], body: &Value) -> Vec<u8> {
    reply(status, "application/json", headers, &body.to_string())
}

/// The head of a chunked event stream.
pub fn sse_head() -> Vec<u8> {
    head(
        200,
        &[
            ("content-type", "text/event-stream"),
            ("transfer-encoding", "chunked"),
            ("x-generation-id", "gen-faultd"),
        ],
    )
}

/// The head of an event stream that ends with its connection.
pub fn sse_head_until_close() -> Vec<u8> {
    head(200, &[("content-type", "text/event-stream"), ("connection", "close")])
}

/// One chunk.
pub fn chunk(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
    chunk.extend_from_slice(bytes);
    chunk.extend_from_slice(b"\r\n");
    chunk
}

/// An event with some text.
pub fn text_event(text: &str) -> String {
    delta_event(&json!({"role": "assistant", "content": text}))
}

/// An event with this delta.
pub fn delta_event(delta: &Value) -> String {
    event(&json!({"delta": delta, "finish_reason": null, "index": 0}))
}

/// The event with the finish reason.
pub fn finish_event(reason: &str) -> String {
    event(&json!({"delta": {"content": ""}, "finish_reason": reason, "index": 0}))
}

fn event(choice: &Value) -> String {
    let data = json!({
        "id": "gen-faultd", "object": "chat.completion.chunk", "created": 1, "model": "acme/model",
        "provider": "Faultd", "choices": [choice],
    });
    format!("data: {data}\n\n")
}

/// The body of an answer in one piece.
pub fn whole_answer(text: &str) -> Value {
    json!({
        "id": "gen-faultd", "object": "chat.completion", "created": 1, "model": "acme/model", "provider": "Faultd",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    })
}
