//! Requests and answers between the endpoint and the plugin.
//!
//! What passes untouched, what is translated and what a profile adds is in `tests/forms`.
//!
//! `row_…` tests are named after the rows of `tests/features.md`.

use serde_json::json;
use tests::endpoint::Serve;

use crate::bench::{CHAT, sent};

#[test]
fn row_14_auto_means_the_auto_router_and_the_answer_names_the_model() {
    let endpoint = Serve::new().profile(&json!({"model": "openrouter/auto"})).start();
    for model in ["", "auto", "openrouter/auto"] {
        let (answer, body) = sent(&endpoint, &json!({"model": model}));
        let answer = answer.expect(200);
        assert_eq!(body["model"], "openrouter/auto", "{model}");
        assert_eq!(answer.header("x-served-model"), Some("openai/gpt-4o-mini"), "{model}");
        assert_eq!(answer.json()["model"], "openai/gpt-4o-mini", "{model}");
    }
}

#[test]
fn row_22_a_fallback_shows_in_headers_and_in_the_services_metadata() {
    let options = json!({"model": "sandbox/status-503", "fallbackModels": ["sandbox/hello"], "retry": {"attempts": 1}});
    let endpoint = Serve::new().profile(&options).start();
    for stream in [false, true] {
        let body = json!({"messages": [{"role": "user", "content": "Hello"}], "stream": stream});
        let request = endpoint.post(CHAT, &body).header("x-openrouter-metadata", "enabled");
        let answer = endpoint.answer(&request).expect(200);
        assert_eq!(answer.header("x-served-model"), Some("sandbox/hello"));
        assert!(answer.text().contains("\"openrouter_metadata\""), "{}", answer.text());
    }
    let asked = &endpoint.service.requests()[0];
    let header = ("x-openrouter-metadata".to_owned(), "enabled".to_owned());
    assert!(asked.headers.contains(&header), "{:?}", asked.headers);
    assert_eq!(asked.body["models"], json!(["sandbox/hello"]));
}
