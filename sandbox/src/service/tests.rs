use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    plan::{Body, Received},
    plan_for,
    state::{Service, Settings},
};
use crate::{DEFAULT_KEY, script::Script};

struct Bench {
    service: Service,
}

impl Bench {
    fn new() -> Self {
        Self::with_keys(false)
    }

    fn with_keys(is_management: bool) -> Self {
        let keys = vec![DEFAULT_KEY.to_owned()];
        let service = Service::new(Settings {
            keys,
            is_management,
            ..Settings::default()
        });
        Self { service }
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
            key: Some(DEFAULT_KEY.to_owned()),
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

    fn get(&self, target: &str) -> (u16, Value) {
        self.send("GET", target, Value::Null)
    }

    fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.send("POST", path, body)
    }

    fn chat(&self, mut body: Value) -> (u16, Value) {
        body["messages"] = json!([{"role": "user", "content": "hi"}]);
        self.post("/chat/completions", body)
    }
}

/// The path of each form, a body that says `hi`, and the place of the text in the reply.
fn forms() -> [(&'static str, Value, &'static str); 4] {
    let messages = json!({"messages": [{"role": "user", "content": "hi"}]});
    [
        ("/chat/completions", messages.clone(), "/choices/0/message/content"),
        ("/completions", json!({"prompt": "hi"}), "/choices/0/text"),
        ("/responses", json!({"input": "hi"}), "/output/0/content/0/text"),
        ("/messages", messages, "/content/0/text"),
    ]
}

#[test]
fn the_next_model_answers_after_a_retryable_failure() {
    let t = Bench::new();
    let (status, body) = t.chat(json!({"model": "sandbox/status-503", "models": ["openai/gpt-4o"]}));
    let metadata = &body["openrouter_metadata"];
    assert_eq!(json!([status, body["model"]]), json!([200, "openai/gpt-4o"]));
    let first = &metadata["attempts"][0]["status"];
    let seen = json!([metadata["strategy"], metadata["attempt"], first]);
    assert_eq!(seen, json!(["fallback", 2, 503]));
    let refused = t.chat(json!({"model": "sandbox/status-402", "models": ["openai/gpt-4o"]}));
    assert_eq!(refused.0, 402);
}

#[test]
fn the_next_provider_answers_after_a_failure_unless_fallbacks_are_off() {
    let mut script = Script::status(502);
    script.fail_providers = vec!["azure".to_owned()];
    let t = Bench::new().with("openai/gpt-4o", script);
    let (_, body) = t.chat(json!({"model": "openai/gpt-4o", "provider": {"order": ["azure"]}}));
    assert_eq!(body["provider"], "OpenAI");
    let strict = json!({"order": ["azure"], "allow_fallbacks": false});
    assert_eq!(t.chat(json!({"model": "openai/gpt-4o", "provider": strict})).0, 502);
}

#[test]
fn a_script_may_fail_only_the_first_requests() {
    let mut script = Script::status(503);
    script.fail_times = Some(2);
    let t = Bench::new().with("acme/a", script);
    let statuses: Vec<u16> = (0..4).map(|_| t.chat(json!({"model": "acme/a"})).0).collect();
    assert_eq!(statuses, [503, 503, 200, 200]);
}

#[test]
fn a_402_names_the_affordable_tokens_and_serves_them() {
    let t = Bench::new();
    let (status, body) = t.chat(json!({"model": "sandbox/affords-200"}));
    let message = body["error"]["message"].as_str().unwrap_or_default();
    assert_eq!(status, 402);
    let wanted = "You requested up to 65536 tokens, but can only afford 200.";
    assert!(message.contains(wanted), "{message}");
    let affordable = t.chat(json!({"model": "sandbox/affords-200", "max_tokens": 200}));
    assert_eq!(affordable.0, 200);
}

#[test]
fn a_tool_result_without_the_returned_reasoning_is_refused() {
    let t = Bench::new();
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    let (_, first) = t.chat(json!({"model": "sandbox/reasoning-tools", "tools": tools}));
    let mut message = first["choices"][0]["message"].clone();
    let turn = |message: &Value| {
        let result = json!({"role": "tool", "tool_call_id": "call_sandbox_01", "content": "done"});
        let messages = json!([{"role": "user", "content": "hi"}, message, result]);
        let body = json!({"model": "sandbox/reasoning-tools", "tools": tools, "messages": messages});
        t.post("/chat/completions", body).0
    };
    assert_eq!(turn(&message), 200);
    message["reasoning_details"] = Value::Null;
    assert_eq!(turn(&message), 400);
}

#[test]
fn a_generation_is_found_by_id_and_charged_to_the_key() {
    let t = Bench::new();
    let (_, body) = t.chat(json!({"model": "openai/gpt-4o"}));
    assert_eq!(body["id"], "gen-sandbox-000001");
    let (_, generation) = t.get("/generation?id=gen-sandbox-000001");
    assert_eq!(generation["data"]["total_cost"], body["usage"]["cost"]);
    let (_, key) = t.get("/key");
    assert_eq!(key["data"]["usage"], body["usage"]["cost"]);
    assert_eq!(t.get("/generation?id=other").0, 404);
}

#[test]
fn only_management_keys_read_credits_and_they_cannot_chat() {
    let (status, body) = Bench::new().get("/credits");
    assert_eq!(json!([status, body["error"]["code"]]), json!([403, 403]));
    let t = Bench::with_keys(true);
    assert_eq!(t.get("/credits").0, 200);
    assert_eq!(t.chat(json!({"model": "openai/gpt-4o"})).0, 403);
}

#[test]
fn activity_adds_up_for_management_keys() {
    let mut t = Bench::new();
    for _ in 0..2 {
        t.chat(json!({"model": "openai/gpt-4o"}));
    }
    assert_eq!(t.get("/activity").0, 403);
    t.service.settings.management_keys.push(DEFAULT_KEY.to_owned());
    let (_, body) = t.get("/activity");
    let row = &body["data"][0];
    assert_eq!(json!([row["model"], row["requests"]]), json!(["openai/gpt-4o", 2]));
    let (_, credits) = t.get("/credits");
    assert_eq!(row["usage"], credits["data"]["total_usage"]);
    assert_eq!(t.get("/activity?date=1999-12-31").1, json!({"data": []}));
    assert_eq!(t.get("/activity?date=today").0, 400);
}

#[test]
fn scripted_models_are_in_the_catalogue() {
    let t = Bench::new().with("acme/model-a", Script::default());
    assert_eq!(t.get("/model/acme/model-a").0, 200);
    let (_, list) = t.get("/models?q=acme");
    assert_eq!(list["total_count"], json!(1));
    let (_, endpoints) = t.get("/models/openai/gpt-4o%3Anitro/endpoints");
    assert_eq!(endpoints["data"]["endpoints"][1]["tag"], "azure");
    // A router has no price of its own.
    let (_, list) = t.get("/models?q=openrouter/auto");
    let router = &list["data"][0];
    let expected = json!(["openrouter/auto", "-1"]);
    assert_eq!(json!([router["id"], router["pricing"]["prompt"]]), expected);
}

#[test]
fn unknown_routes_get_404_and_wrong_methods_405() {
    let t = Bench::new();
    assert_eq!(t.get("/nothing").0, 404);
    assert_eq!(t.get("/chat/completions").0, 405);
    assert_eq!(t.send("HEAD", "/models", Value::Null).0, 405);
}

#[test]
fn every_form_gets_the_same_answer_and_is_one_generation() {
    let t = Bench::new();
    for (path, mut body, text) in forms() {
        body["model"] = json!("sandbox/echo");
        let (status, reply) = t.post(path, body);
        let heard = json!("The sandbox heard: hi");
        assert_eq!((status, reply.pointer(text)), (200, Some(&heard)), "{path}");
        assert_eq!(reply["openrouter_metadata"]["requested"], "sandbox/echo", "{path}");
        let id = reply["id"].as_str().expect("an id");
        let (_, generation) = t.get(&format!("/generation?id={id}"));
        assert_eq!(generation["data"]["total_cost"], reply["usage"]["cost"], "{path}");
        assert!(reply["usage"]["cost"].as_f64() > Some(0.0), "{path}");
    }
    let (_, reply) = t.chat(json!({"model": "sandbox/echo"}));
    let seen = json!([reply["provider"], reply["object"], reply["usage"]["prompt_tokens"]]);
    assert_eq!(seen, json!(["Sandbox", "chat.completion", 4]));
}

#[test]
fn every_form_falls_back_and_reports_failures_in_its_own_shape() {
    let t = Bench::new();
    for (path, mut body, _) in forms() {
        body["model"] = json!("sandbox/status-503");
        let (status, reply) = t.post(path, body.clone());
        assert_eq!(status, 503, "{path}");
        let is_anthropic = path == "/messages";
        assert_eq!(reply["type"] == "error", is_anthropic, "{path}");
        assert_eq!(reply["error"]["code"] == 503, !is_anthropic, "{path}");
        body["models"] = json!(["openai/gpt-4o"]);
        let (status, reply) = t.post(path, body);
        assert_eq!(json!([status, reply["model"]]), json!([200, "openai/gpt-4o"]), "{path}");
    }
    let (status, reply) = t.post("/messages", json!({"model": "nobody/knows", "messages": []}));
    let expected = json!([400, "invalid_request_error"]);
    assert_eq!(json!([status, reply["error"]["type"]]), expected);
}

#[test]
fn reasoning_of_several_kinds_must_return_in_every_form() {
    let script = Script {
        reasoning_details: vec![
            json!({"type": "reasoning.text", "text": "at length", "signature": "s", "index": 0}),
            json!({"type": "reasoning.encrypted", "data": "x", "index": 1}),
        ],
        require_reasoning_details: true,
        ..Script::tool_call("f", json!({}))
    };
    let t = Bench::new().with("acme/a", script);
    let user = json!({"role": "user", "content": "hi"});

    let tools = json!([{"type": "function", "name": "f", "parameters": {}}]);
    let post = |input: Value| t.post("/responses", json!({"model": "acme/a", "input": input, "tools": tools}));
    let (_, first) = post(json!("hi"));
    let output = json!({"type": "function_call_output", "call_id": "call_sandbox_01", "output": "done"});
    let ask = |reasoning: &Value| post(json!([user, reasoning, first["output"][1], output])).0;
    assert_eq!(ask(&first["output"][0]), 200);
    assert_eq!(ask(&json!({"type": "reasoning", "id": "r", "summary": []})), 400);

    let tools = json!([{"name": "f", "input_schema": {"type": "object"}}]);
    let post = |messages: Value| {
        let body = json!({"model": "acme/a", "messages": messages, "tools": tools});
        t.post("/messages", body)
    };
    let (_, first) = post(json!([user]));
    let result = json!({"type": "tool_result", "tool_use_id": "call_sandbox_01", "content": "done"});
    let answer = json!({"role": "user", "content": [result]});
    let ask = |content: &Value| post(json!([user, {"role": "assistant", "content": content}, answer])).0;
    assert_eq!(ask(&first["content"]), 200);
    assert_eq!(ask(&json!([first["content"][2]])), 400);
}

#[test]
fn every_form_answers_by_the_schema() {
    let t = Bench::new();
    let city = json!({"city": {"type": "string", "maxLength": 4}});
    let schema = json!({"type": "object", "properties": city, "required": ["city"], "additionalProperties": false});
    let named = json!({"name": "n", "schema": schema, "strict": true});
    let in_responses = json!({"format": {"type": "json_schema", "name": "n", "schema": schema}});
    for (path, mut body, text) in forms() {
        body["model"] = json!("openai/gpt-4o");
        match path {
            "/chat/completions" => body["response_format"] = json!({"type": "json_schema", "json_schema": named}),
            "/responses" => body["text"] = in_responses.clone(),
            "/messages" => body["output_config"] = json!({"format": {"type": "json_schema", "schema": schema}}),
            _ => continue,
        }
        let (_, reply) = t.post(path, body);
        assert_eq!(
            reply.pointer(text),
            Some(&json!("{\"city\":\"sand\"}")),
            "{path}: {reply}"
        );
    }
}

#[test]
fn requests_other_than_chat_are_answered_billed_and_remembered() {
    let t = Bench::new();
    let embed = json!({"model": "openai/text-embedding-3-small", "input": "a", "provider": {"only": ["azure"]}});
    assert_eq!(t.post("/embeddings", embed).1["provider"], json!("Azure"));
    let rerank = json!({"model": "cohere/rerank-v3.5", "query": "a", "documents": ["b", "a"], "top_n": 1});
    let (status, reply) = t.post("/rerank", rerank);
    assert_eq!(json!([status, reply["results"][0]["index"]]), json!([200, 1]));
    let speech = json!({"model": "openai/gpt-4o-mini-tts", "input": "one two", "voice": "alloy"});
    assert_eq!(t.post("/audio/speech", speech.clone()).0, 200);
    let (_, generation) = t.get("/generation?id=gen-sandbox-000003");
    let data = &generation["data"];
    let expected = json!(["tts", 0.000_001_2]);
    assert_eq!(json!([data["api_type"], data["total_cost"]]), expected);
    let (status, reply) = t.post("/rerank", speech);
    assert_eq!(json!([status, reply["error"]["code"]]), json!([400, 400]));
    let wrong = json!({"model": "openai/gpt-4o", "query": "a", "documents": ["b"]});
    let (_, reply) = t.post("/rerank", wrong);
    let message = "openai/gpt-4o is not a rerank model; use /api/v1/chat/completions";
    assert_eq!(reply["error"]["message"], message);
    let body = json!({"model": "sandbox/status-429", "query": "a", "documents": ["b"]});
    assert_eq!(t.post("/rerank", body).0, 429);
}

#[test]
fn tests_may_add_replace_and_set_all_entries() {
    let t = Bench::new();
    let entry = |id: &str| {
        let pricing = json!({"prompt": "0.5", "completion": "0.25"});
        json!({"id": id, "name": "Mine", "pricing": pricing, "architecture": {"output_modalities": ["text"]}, "new": 1})
    };
    t.service.add_entry(entry("acme/mine"));
    t.service.add_entry(entry("openai/gpt-4o"));
    let (_, list) = t.get("/models?q=mine");
    let ids = json!([list["data"][0]["id"], list["data"][1]["id"], list["data"][2]]);
    assert_eq!(ids, json!(["openai/gpt-4o", "acme/mine", null]));
    let (_, model) = t.get("/model/openai/gpt-4o");
    assert_eq!(model["data"]["new"], json!(1));
    let (status, reply) = t.chat(json!({"model": "acme/mine"}));
    assert_eq!(status, 200);
    let (prompt, completion) = (&reply["usage"]["prompt_tokens"], &reply["usage"]["completion_tokens"]);
    let expected = prompt.as_f64().expect("a number") * 0.5 + completion.as_f64().expect("a number") * 0.25;
    assert_eq!(reply["usage"]["cost"].as_f64(), Some(expected));

    t.service.set_entries(vec![entry("acme/only")]);
    let (_, list) = t.get("/models");
    assert_eq!(list["data"], json!([entry("acme/only")]));
    assert_eq!(t.chat(json!({"model": "openai/gpt-4o"})).0, 200);
}

#[test]
fn a_code_buys_the_key_once_and_only_with_its_verifier() {
    // Source: RFC 7636, appendix B.
    let (verifier, challenge) = (
        "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
    );
    let bench = Bench::new();
    let callback = "http://localhost:1/a";
    let asked = json!({"callback_url": callback, "code_challenge": challenge, "code_challenge_method": "S256"});
    let code = || bench.post("/auth/keys/code", asked.clone()).1["data"]["id"].clone();
    let exchanged = |code: &Value, verifier: &str, method: &str| {
        let body = json!({"code": code, "code_verifier": verifier, "code_challenge_method": method});
        let (status, answer) = bench.post("/auth/keys", body);
        (status, answer["key"].clone())
    };
    let first = code();
    assert_eq!(exchanged(&first, verifier, "S256"), (200, json!(DEFAULT_KEY)));
    assert_eq!(exchanged(&first, verifier, "S256").0, 403);
    assert_eq!(exchanged(&code(), "another", "S256").0, 403);
    assert_eq!(exchanged(&code(), verifier, "plain").0, 400);
    let elsewhere = json!({"callback_url": "http://example.com/a"});
    assert_eq!(bench.post("/auth/keys/code", elsewhere).0, 400);
}
