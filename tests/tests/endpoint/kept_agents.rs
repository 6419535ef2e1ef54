//! Requests that name an agent: the endpoint runs its tools and returns the last answer.

use std::fs;

use sandbox::Script;
use serde_json::{Value, json};
use tests::endpoint::{Endpoint, Serve};

use crate::bench::CHAT;

const MODEL: &str = "acme/worker";

/// An endpoint whose host keeps the agent `worker`, for a model that calls these tools.
fn endpoint(agent: &Value, turns: Vec<Vec<(&'static str, Value)>>) -> Endpoint {
    let serve = Serve::new();
    let folder = serve.home().path().join(".config/agent-host/agents");
    fs::create_dir_all(&folder).expect("the home is writable");
    let mut agent = agent.clone();
    agent["endpoint"] = json!(true);
    fs::write(folder.join("worker.json"), agent.to_string()).expect("the home is writable");
    fs::write(folder.join("broken.json"), "{\"tools\": [\"none\"]}").expect("the home is writable");
    fs::write(folder.join("own.json"), "{}").expect("the home is writable");
    let endpoint = serve.start();
    let script = Script {
        usage: json!({"cost": 0.01}).as_object().expect("an object").clone(),
        ..Script::tool_turns(turns)
    };
    endpoint.service.script(MODEL, script);
    endpoint
}

fn asking(agent: Value) -> Value {
    json!({"model": "small", "agent": agent, "temperature": 0.9, "messages": [{"role": "user", "content": "Go"}]})
}

fn chats(endpoint: &Endpoint) -> Vec<Value> {
    let requests = endpoint.service.requests().into_iter();
    requests
        .map(|request| request.body)
        .filter(|body| body["messages"].is_array())
        .collect()
}

#[test]
fn a_named_agent_works_with_its_prompt_its_model_and_the_tools_that_always_run() {
    let agent = json!({
        "model": MODEL, "system_prompt": "Be brief.", "parameters": {"top_p": 0.5, "temperature": 0.1},
        "tools": ["calc", {"files": {"folder": ".", "write": true}}, "fetch"],
    });
    let turns = vec![
        vec![
            ("calc", json!({"expression": "2+2"})),
            ("files_write", json!({"path": "x", "text": "x"})),
        ],
        vec![("files_list", json!({"path": "."}))],
    ];
    let endpoint = endpoint(&agent, turns);
    let answer = endpoint
        .answer(&endpoint.post(CHAT, &asking(json!("worker"))))
        .expect(200);
    let found = answer.json();
    assert_eq!(
        json!([found["model"], found["usage"]["cost"]]),
        json!([MODEL, 0.03]),
        "{found}"
    );
    assert!(answer.content().contains("got back from your tool"), "{found}");
    let chats = chats(&endpoint);
    assert_eq!(chats.len(), 3);
    let first = &chats[0];
    assert_eq!(json!([first["temperature"], first["top_p"]]), json!([0.9, 0.5]));
    assert_eq!(first["messages"][0], json!({"role": "system", "content": "Be brief."}));
    assert!(first.get("agent").is_none());
    let names: Vec<&Value> = first["tools"]
        .as_array()
        .expect("tools")
        .iter()
        .map(|tool| &tool["function"]["name"])
        .collect();
    assert_eq!(names, ["calc", "files_list", "files_read", "files_search"]);
    let results: Vec<&Value> = chats[1]["messages"]
        .as_array()
        .expect("messages")
        .iter()
        .filter(|message| message["role"] == "tool")
        .map(|message| &message["content"])
        .collect();
    assert_eq!(results[0], "4");
    assert!(
        results[1]
            .as_str()
            .is_some_and(|text| text.contains("unknown tool `files_write`")),
        "{results:?}"
    );
}

#[test]
fn a_stream_has_the_texts_of_all_answers_and_one_end() {
    let agent = json!({"model": MODEL, "tools": ["calc"]});
    let endpoint = endpoint(&agent, vec![vec![("calc", json!({"expression": "2+2"}))]]);
    let mut body = asking(json!("worker"));
    body["stream"] = json!(true);
    let answer = endpoint.answer(&endpoint.post(CHAT, &body)).expect(200);
    assert!(
        answer.streamed().contains("got back from your tool: “4”"),
        "{}",
        answer.text()
    );
    assert_eq!(answer.text().matches("data: [DONE]").count(), 1);
    assert_eq!(answer.text().matches("\"finish_reason\":\"stop\"").count(), 1);
    assert!(!answer.text().contains("tool_calls\":["), "{}", answer.text());
}

#[test]
fn an_agent_in_a_request_reaches_nothing_of_this_host() {
    let endpoint = endpoint(&json!({}), vec![vec![("calc", json!({"expression": "6*7"}))]]);
    let inline = json!({"model": MODEL, "tools": ["calc", "clock"]});
    let answer = endpoint.answer(&endpoint.post(CHAT, &asking(inline))).expect(200);
    assert!(answer.content().contains("“42”"), "{}", answer.text());
    for (agent, status, part) in [
        (
            json!({"tools": [{"files": {"folder": "/"}}]}),
            403,
            "nothing of this host",
        ),
        (
            json!({"tools": ["fetch"], "approval": "always"}),
            403,
            "nothing of this host",
        ),
        (
            json!({"mcpServers": {"x": {"command": "touch", "args": ["/tmp/x"]}}}),
            403,
            "nothing of this host",
        ),
        (
            json!({"tools": ["code_interpreter"]}),
            400,
            "at /tools/0: unknown tool `code_interpreter`",
        ),
        (json!({"modle": "x"}), 400, "at /modle: unknown option"),
        (
            json!({"provider": "other"}),
            400,
            "needs another provider than `openrouter`",
        ),
        (json!("none"), 404, "there is no agent of that name"),
        (json!("../profile"), 404, "there is no agent of that name"),
        (json!("own"), 403, "set `\\\"endpoint\\\": true` in the agent's file"),
        (json!("broken"), 422, "the agent's file has problems"),
        (
            json!(7),
            400,
            "expected `agent` to be the name of an agent, or an object",
        ),
    ] {
        let answer = endpoint
            .answer(&endpoint.post(CHAT, &asking(agent.clone())))
            .expect(status);
        assert!(answer.text().contains(part), "{agent}: {}", answer.text());
    }
    let mut with_tools = asking(json!("worker"));
    with_tools["tools"] = json!([]);
    let answer = endpoint.answer(&endpoint.post(CHAT, &with_tools)).expect(400);
    assert!(
        answer.text().contains("expected no `tools` beside `agent`"),
        "{}",
        answer.text()
    );
}

#[test]
fn the_limits_of_an_agent_hold_at_the_endpoint() {
    let expressions = ["1+1", "1+2", "1+3", "1+4"];
    let turns = expressions.map(|expression| vec![("calc", json!({"expression": expression}))]);
    let agent = json!({"model": MODEL, "tools": ["calc"], "max_cost_usd": 0.015});
    let endpoint = endpoint(&agent, turns.to_vec());
    let answer = endpoint
        .answer(&endpoint.post(CHAT, &asking(json!("worker"))))
        .expect(402);
    let error = &answer.json()["error"];
    assert_eq!(error["metadata"]["error_type"], "max_cost_usd", "{error}");
    assert!(
        error["message"]
            .as_str()
            .is_some_and(|text| text.contains("$0.02 spent; 2 steps")),
        "{error}"
    );
    assert_eq!(chats(&endpoint).len(), 2);
    let mut streamed = asking(json!("worker"));
    streamed["stream"] = json!(true);
    let answer = endpoint.answer(&endpoint.post(CHAT, &streamed)).expect(402);
    assert!(answer.text().contains("max_cost_usd"), "{}", answer.text());
}

#[test]
fn a_limit_of_steps_has_its_own_code_and_names_the_agents_file() {
    let turns = ["1+1", "1+2"].map(|expression| vec![("calc", json!({"expression": expression}))]);
    let agent = json!({"model": MODEL, "tools": ["calc"], "max_steps": 1});
    let endpoint = endpoint(&agent, turns.to_vec());
    let answer = endpoint
        .answer(&endpoint.post(CHAT, &asking(json!("worker"))))
        .expect(422);
    let error = &answer.json()["error"];
    assert_eq!(
        json!([
            error["type"],
            error["metadata"]["error_type"],
            error["metadata"]["hint"]
        ]),
        json!([
            "max_steps",
            "max_steps",
            "allow more on the host: `max_steps` in the agent's file"
        ])
    );
}

#[test]
fn why_a_tool_cannot_be_used_is_for_the_host_alone() {
    let servers = json!({"far": {"url": "http://127.0.0.1:1/mcp?token=hidden"}});
    let agent = json!({"model": MODEL, "approval": "always", "mcpServers": servers});
    let endpoint = endpoint(&agent, Vec::new());
    let answer = endpoint
        .answer(&endpoint.post(CHAT, &asking(json!("worker"))))
        .expect(422);
    assert!(
        answer.text().contains("a tool of the agent cannot be used"),
        "{}",
        answer.text()
    );
    for part in ["hidden", "127.0.0.1", "far"] {
        assert!(!answer.text().contains(part), "{}", answer.text());
    }
}

#[test]
fn only_chat_completions_run_agents() {
    let endpoint = endpoint(&json!({}), Vec::new());
    for (path, place) in [
        ("/v1/responses", "/error/message"),
        ("/v1/completions", "/error/message"),
        ("/v1/messages", "/error/message"),
    ] {
        let answer = endpoint
            .answer(&endpoint.post(path, &asking(json!("worker"))))
            .expect(400);
        let found = answer.json();
        let message = found.pointer(place).and_then(Value::as_str).unwrap_or_default();
        assert!(message.contains("only chat completions run agents"), "{found}");
        assert_eq!(found["type"] == "error", path == "/v1/messages", "{found}");
    }
    assert!(chats(&endpoint).is_empty());
}
