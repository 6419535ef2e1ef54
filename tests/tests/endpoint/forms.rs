//! Old forms of a request are translated on the way, and the answer names them.

use serde_json::{Value, json};
use tests::endpoint::{Answer, Endpoint, Request, chat_body};

/// The answer to a chat request with these members and headers, and the body that the service was sent.
#[track_caller]
pub fn sent(endpoint: &Endpoint, members: &Value, headers: &[(&str, &str)]) -> (Answer, Value) {
    let mut body = chat_body("sandbox/hello", "Hello");
    for (name, value) in members.as_object().expect("members") {
        body[name.as_str()] = value.clone();
    }
    let request = endpoint.post("/v1/chat/completions", &body);
    let request = headers
        .iter()
        .fold(request, |request: Request, (name, value)| request.header(name, value));
    let answer = endpoint.answer(&request);
    let asked = endpoint
        .service
        .requests()
        .into_iter()
        .rfind(|asked| asked.path.ends_with("/chat/completions"));
    (answer, asked.map(|asked| asked.body).unwrap_or_default())
}

#[test]
fn each_old_form_is_sent_in_the_form_that_the_api_has_and_is_named() {
    let endpoint = Endpoint::start();
    let rows = [
        (
            json!({"model": "sandbox/hello, sandbox/echo"}),
            "model-list",
            json!({"model": "sandbox/hello", "models": ["sandbox/echo"]}),
        ),
        (
            json!({"fallback_models": ["sandbox/echo"]}),
            "fallback-models",
            json!({"models": ["sandbox/echo"], "fallback_models": null}),
        ),
        (
            json!({"max_price": {"prompt": 0.01, "completion": 0.02}}),
            "max-price",
            json!({"provider": {"max_price": {"prompt": "10", "completion": "20"}}, "max_price": null}),
        ),
        (json!({"route": "fallback"}), "route", json!({"route": null})),
        (
            json!({"transforms": ["middle-out"]}),
            "transforms",
            json!({"transforms": null, "plugins": [{"id": "context-compression", "engine": "middle-out"}]}),
        ),
        (
            json!({
                "model": "anthropic/claude-sonnet-4.5",
                "provider": {"allowFallbacks": false, "order": ["Amazon Bedrock"]},
            }),
            "provider-keys",
            json!({"provider": {"allow_fallbacks": false, "order": ["amazon-bedrock"]}}),
        ),
        (
            json!({"providerPreferences": {"sort": "price"}}),
            "provider-preferences",
            json!({"provider": {"sort": "price"}, "providerPreferences": null}),
        ),
        (
            json!({"model": "", "autoRouter": true}),
            "auto-router",
            json!({"model": "openrouter/auto", "autoRouter": null}),
        ),
        (
            json!({"model": "gpt-4o"}),
            "model-id",
            json!({"model": "openai/gpt-4o"}),
        ),
    ];
    for (members, word, expected) in rows {
        let (answer, body) = sent(&endpoint, &members, &[]);
        assert_eq!(
            answer.header("x-translated"),
            Some(word),
            "{members}: {}",
            answer.text()
        );
        for (name, value) in expected.as_object().expect("members") {
            assert_eq!(&body[name.as_str()], value, "{members}: {body}");
        }
    }
    let (_, untouched) = sent(&endpoint, &json!({}), &[]);
    assert_eq!(
        untouched,
        chat_body("sandbox/hello", "Hello"),
        "nothing is added that nobody set"
    );
}

#[test]
fn several_old_forms_are_named_in_one_header_and_in_streams_too() {
    let endpoint = Endpoint::start();
    let members = json!({
        "model": "sandbox/hello,sandbox/echo", "max_price": {"prompt": 1}, "route": "fallback", "stream": true,
    });
    let (answer, _) = sent(&endpoint, &members, &[]);
    let answer = answer.expect(200);
    assert_eq!(answer.header("x-translated"), Some("model-list, max-price, route"));
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
}

#[test]
fn the_header_x_provider_becomes_a_part_of_the_body_and_must_be_json() {
    let endpoint = Endpoint::start();
    let preferences = r#"{"order": ["OpenAI"], "allow_fallbacks": false}"#;
    let (answer, body) = sent(
        &endpoint,
        &json!({"model": "openai/gpt-4o"}),
        &[("x-provider", preferences)],
    );
    let answer = answer.expect(200);
    let words = answer.header("x-translated").unwrap_or_default();
    assert!(words.split(", ").any(|word| word == "x-provider"), "{words}");
    assert_eq!(body["provider"], json!({"order": ["openai"], "allow_fallbacks": false}));
    let asked = endpoint.service.requests();
    assert!(
        asked
            .iter()
            .all(|asked| asked.headers.iter().all(|(name, _)| name != "x-provider"))
    );
    let n_asked = asked.len();
    for bad in ["{", "[]", "\"openai\"", "order=openai"] {
        let (answer, _) = sent(&endpoint, &json!({}), &[("x-provider", bad)]);
        let error = answer.expect(400).json();
        assert_eq!(error["error"]["type"], "invalid_request");
        let message = error["error"]["message"].as_str().unwrap_or_default();
        assert!(message.contains("X-Provider"), "{message}");
    }
    assert_eq!(endpoint.service.requests().len(), n_asked, "the service was not asked");
}

#[test]
fn what_cannot_be_translated_is_refused_before_anything_is_asked() {
    let endpoint = Endpoint::start();
    for members in [
        json!({"max_price": {"prompt": -1}}),
        json!({"max_price": "cheap"}),
        json!({"model": ","}),
        json!({"fallback_models": (0..11).map(|n| format!("acme/m{n}")).collect::<Vec<_>>()}),
        json!({"transforms": "middle-out", "fallback_models": 7}),
        json!({"model": 7}),
    ] {
        let (answer, _) = sent(&endpoint, &members, &[]);
        assert_eq!(
            answer.expect(400).json()["error"]["type"],
            "invalid_request",
            "{members}"
        );
    }
    assert_eq!(endpoint.service.requests(), []);
}
