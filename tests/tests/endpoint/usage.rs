//! `GET /v1/usage`: what the calls of this endpoint cost.

use serde_json::json;
use tests::endpoint::Endpoint;

use crate::bench::{CHAT, stream_body};

#[test]
fn calls_are_recorded_by_client_and_shown_to_those_with_the_token() {
    let endpoint = Endpoint::start();
    let plain = json!({"model": "TEXT_SMALL", "messages": [{"role": "user", "content": "Hi"}]});
    for name in ["OpenAI/Python 1.99.1", "curl/8.5.0"] {
        endpoint
            .answer(&endpoint.post(CHAT, &plain).with("user-agent", name))
            .expect(200);
    }
    endpoint
        .answer(&endpoint.post(CHAT, &stream_body("sandbox/hello", "Hi")))
        .expect(200);
    let usage = endpoint
        .answer(&endpoint.get("/v1/usage?by=client,tier&since=1h"))
        .expect(200)
        .json();
    let rows = usage["rows"].as_array().expect("rows");
    for client in ["openai-python", "curl"] {
        let row = rows
            .iter()
            .find(|row| row["client"] == client)
            .unwrap_or_else(|| panic!("{usage}"));
        assert_eq!(
            (&row["tier"], &row["calls"], &row["errors"]),
            (&json!("TEXT_SMALL"), &json!(1), &json!(0))
        );
    }
    assert_eq!(usage["total"]["calls"], 3, "{usage}");
    endpoint
        .answer(&endpoint.get("/v1/usage").without("authorization"))
        .expect(401);
    endpoint.answer(&endpoint.get("/v1/usage?by=modle")).expect(400);
}
