use serde_json::json;

use super::*;

struct Bench {
    service: Service,
}

impl Bench {
    fn new() -> Self {
        Self {
            service: Service::new(vec!["sk-or-v1-sandbox".to_owned()], false),
        }
    }

    fn with(self, id: &str, script: Script) -> Self {
        self.service.set_script(id.to_owned(), script);
        self
    }

    fn send(&self, method: &str, target: &str, body: Value) -> (u16, Value) {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let received = Received {
            method: method.to_owned(),
            path: format!("/api/v1{path}"),
            query: query.to_owned(),
            key: Some("sk-or-v1-sandbox".to_owned()),
            content_type: Some("application/json".to_owned()),
            wants_metadata: true,
            body: Bytes::from(body.to_string()),
        };
        let plan = plan_for(&self.service, &received);
        match plan.body {
            Body::Whole { bytes, .. } => (plan.status, serde_json::from_slice(&bytes).unwrap_or_default()),
            _ => (plan.status, Value::Null),
        }
    }

    fn chat(&self, mut body: Value) -> (u16, Value) {
        body["messages"] = json!([{"role": "user", "content": "hi"}]);
        self.send("POST", "/chat/completions", body)
    }
}

#[test]
fn a_model_that_fails_is_replaced_by_the_next() {
    let t = Bench::new();
    let (status, body) = t.chat(json!({"model": "sandbox/status-503", "models": ["openai/gpt-4o"]}));
    assert_eq!((status, &body["model"]), (200, &json!("openai/gpt-4o")));
    let metadata = &body["openrouter_metadata"];
    assert_eq!(
        (&metadata["strategy"], &metadata["attempt"]),
        (&json!("fallback"), &json!(2))
    );
    assert_eq!(metadata["attempts"][0]["status"], json!(503));
}

#[test]
fn a_failure_that_no_other_model_can_mend_is_returned() {
    let t = Bench::new();
    let (status, _) = t.chat(json!({"model": "sandbox/status-402", "models": ["openai/gpt-4o"]}));
    assert_eq!(status, 402);
}

#[test]
fn a_provider_that_fails_is_replaced_by_the_next_unless_fallbacks_are_off() {
    let script = Script {
        fail_providers: vec!["azure".to_owned()],
        ..Script::status(502)
    };
    let t = Bench::new().with("openai/gpt-4o", script);
    let (_, body) = t.chat(json!({"model": "openai/gpt-4o", "provider": {"order": ["azure"]}}));
    assert_eq!(body["provider"], json!("OpenAI"));
    let strict = json!({"order": ["azure"], "allow_fallbacks": false});
    assert_eq!(t.chat(json!({"model": "openai/gpt-4o", "provider": strict})).0, 502);
}

#[test]
fn a_script_may_fail_only_the_first_times() {
    let t = Bench::new().with(
        "acme/a",
        Script {
            fail_times: Some(2),
            ..Script::status(503)
        },
    );
    let statuses: Vec<u16> = (0..4).map(|_| t.chat(json!({"model": "acme/a"})).0).collect();
    assert_eq!(statuses, [503, 503, 200, 200]);
}

#[test]
fn the_affordable_number_is_named_and_then_served() {
    let t = Bench::new();
    let (status, body) = t.chat(json!({"model": "sandbox/affords-200"}));
    let message = body["error"]["message"].as_str().unwrap_or_default();
    assert_eq!(status, 402);
    assert!(
        message.contains("You requested up to 65536 tokens, but can only afford 200."),
        "{message}"
    );
    assert_eq!(
        t.chat(json!({"model": "sandbox/affords-200", "max_tokens": 200})).0,
        200
    );
}

#[test]
fn reasoning_that_does_not_come_back_with_a_tool_result_is_refused() {
    let t = Bench::new();
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    let (_, first) = t.chat(json!({"model": "sandbox/reasoning-tools", "tools": tools}));
    let mut message = first["choices"][0]["message"].clone();
    let turn = |message: &Value| {
        let messages = json!([
            {"role": "user", "content": "hi"}, message,
            {"role": "tool", "tool_call_id": "call_sandbox_01", "content": "done"},
        ]);
        let body = json!({"model": "sandbox/reasoning-tools", "tools": tools, "messages": messages});
        t.send("POST", "/chat/completions", body).0
    };
    assert_eq!(turn(&message), 200);
    message["reasoning_details"] = Value::Null;
    assert_eq!(turn(&message), 400);
}

#[test]
fn a_generation_is_found_under_its_id_and_spends() {
    let t = Bench::new();
    let (_, body) = t.chat(json!({"model": "openai/gpt-4o"}));
    assert_eq!(body["id"], json!("gen-sandbox-000001"));
    let (_, generation) = t.send("GET", "/generation?id=gen-sandbox-000001", Value::Null);
    assert_eq!(generation["data"]["total_cost"], body["usage"]["cost"]);
    let (_, key) = t.send("GET", "/key", Value::Null);
    assert_eq!(key["data"]["usage"], body["usage"]["cost"]);
    assert_eq!(t.send("GET", "/generation?id=other", Value::Null).0, 404);
}

#[test]
fn credits_are_for_management_keys() {
    let (status, body) = Bench::new().send("GET", "/credits", Value::Null);
    assert_eq!((status, &body["error"]["code"]), (403, &json!(403)));
    let t = Bench {
        service: Service::new(vec!["sk-or-v1-sandbox".to_owned()], true),
    };
    assert_eq!(t.send("GET", "/credits", Value::Null).0, 200);
    assert_eq!(t.chat(json!({"model": "openai/gpt-4o"})).0, 403);
}

#[test]
fn scripted_models_are_in_the_catalogue() {
    let t = Bench::new().with("acme/model-a", Script::default());
    assert_eq!(t.send("GET", "/model/acme/model-a", Value::Null).0, 200);
    let (_, list) = t.send("GET", "/models?q=acme", Value::Null);
    assert_eq!(list["total_count"], json!(1));
    let (_, endpoints) = t.send("GET", "/models/openai/gpt-4o%3Anitro/endpoints", Value::Null);
    assert_eq!(endpoints["data"]["endpoints"][1]["tag"], json!("azure"));
}

#[test]
fn a_router_is_listed_without_a_price() {
    let (_, list) = Bench::new().send("GET", "/models?q=openrouter/auto", Value::Null);
    assert_eq!(list["data"][0]["id"], json!("openrouter/auto"));
    assert_eq!(list["data"][0]["pricing"]["prompt"], json!("-1"));
}

#[test]
fn unknown_routes_and_methods_are_told_apart() {
    let t = Bench::new();
    assert_eq!(t.send("GET", "/nothing", Value::Null).0, 404);
    assert_eq!(t.send("GET", "/chat/completions", Value::Null).0, 405);
    assert_eq!(t.send("HEAD", "/models", Value::Null).0, 405);
}

#[test]
fn embeddings_obey_the_chosen_provider() {
    let t = Bench::new();
    let body = json!({"model": "openai/text-embedding-3-small", "input": "a", "provider": {"only": ["azure"]}});
    assert_eq!(t.send("POST", "/embeddings", body).1["provider"], json!("Azure"));
}
