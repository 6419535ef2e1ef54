//! Agents in files: their tools, their limits, who approves, and what they never reach.

mod mcp;
mod strangers;

use std::fs;

use sandbox::Script;
use serde_json::{Value, json};
use tests::Ran;

use crate::{Bench, Typist, assert_fails, assert_has, assert_lacks, json_of, profile_of_model};

const MODEL: &str = "acme/worker";
const SERVER: &str = env!("CARGO_BIN_EXE_mcp_server");

impl Bench {
    /// With an agent `worker` of the model that follows this script.
    fn working(script: Script, agent: Value) -> Self {
        let bench = Self::new();
        bench.script(MODEL, script);
        let mut whole = json!({"model": MODEL});
        for (name, value) in agent.as_object().expect("an object") {
            whole[name.as_str()] = value.clone();
        }
        bench.keep("agents/worker.json", &whole);
        bench
    }

    /// Writes a file beside the profile.
    fn keep(&self, name: &str, value: &Value) {
        let file = self.home.path().join(".config/agent-host").join(name);
        fs::create_dir_all(file.parent().expect("it has one")).expect("the home is writable");
        fs::write(file, value.to_string()).expect("the home is writable");
    }

    fn work(&self, options: &[&str]) -> Ran {
        self.run(&[&["agent", "run", "worker", "Go"], options].concat())
    }

    /// The results of all calls of a run that succeeds.
    fn results(&self) -> Vec<String> {
        let ran = self.work(&["--json"]).expect_success();
        let calls = json_of(&ran)["calls"].as_array().cloned().unwrap_or_default();
        calls
            .iter()
            .map(|call| call["result"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    fn n_chats(&self) -> usize {
        self.bodies().iter().filter(|body| body["messages"].is_array()).count()
    }
}

fn calc(expression: &str) -> (&'static str, Value) {
    ("calc", json!({"expression": expression}))
}

#[test]
fn an_agent_of_three_tools_takes_five_steps_with_its_reasoning_in_each() {
    let script = Script {
        reasoning: Some("I need a tool.".to_owned()),
        require_reasoning_details: true,
        ..Script::tool_turns([
            vec![("clock", json!({})), calc("2+2")],
            vec![("files_list", json!({"path": "."}))],
            vec![
                ("files_read", json!({"path": "bees.txt"})),
                calc("1/0"),
                ("rm", json!({})),
            ],
            vec![("files_search", json!({"text": "hive"}))],
        ])
    };
    let agent = json!({
        "system_prompt": "Be brief.", "tools": ["clock", "calc", {"files": {"folder": "."}}],
        "parameters": {"temperature": 0.5},
    });
    let bench = Bench::working(script, agent);
    fs::write(bench.home.path().join("work/bees.txt"), "A hive.\n").expect("writable");
    let ran = bench.work(&["--json"]).expect_success();
    let found = json_of(&ran);
    assert_eq!(found["steps"], 5);
    let calls: Vec<Value> = found["calls"]
        .as_array()
        .expect("calls")
        .iter()
        .map(|call| json!([call["step"], call["name"], call["result"]]))
        .collect();
    let rest = json!([
        [1, "calc", "4"],
        [2, "files_list", "bees.txt (8 bytes)"],
        [3, "files_read", "A hive.\n"],
        [3, "calc", "{\"error\":\"division by zero\"}"],
        [
            3,
            "rm",
            "{\"error\":\"unknown tool `rm`; available: clock, calc, files_list, files_read, files_search\"}"
        ],
        [4, "files_search", "bees.txt:1: A hive."],
    ]);
    assert_eq!((&calls[0][1], &json!(calls[1..])), (&json!("clock"), &rest));
    let chats: Vec<Value> = bench
        .bodies()
        .into_iter()
        .filter(|body| body["messages"].is_array())
        .collect();
    assert_eq!(chats.len(), 5);
    let last = &chats[4];
    assert_eq!(last["messages"][0], json!({"role": "system", "content": "Be brief."}));
    assert_eq!(json!([last["model"], last["temperature"]]), json!([MODEL, 0.5]));
    let turns = last["messages"]
        .as_array()
        .expect("messages")
        .iter()
        .filter(|message| message["role"] == "assistant");
    assert!(
        turns.into_iter().all(|turn| turn["reasoning_details"].is_array()),
        "{last}"
    );
    assert_has(&ran.stderr, "⚙ calc({\"expression\":\"2+2\"}) ✓ ");
    assert_has(&ran.stderr, "⚙ calc({\"expression\":\"1/0\"}) ✗ ");
    let ascii = bench.work(&["--ascii"]).expect_success();
    assert_has(&ascii.stderr, "* calc({\"expression\":\"2+2\"}) [ok] ");
}

/// A model that calls a tool in each of ten answers, each for a cent.
fn busy() -> Script {
    let expressions = ["1+1", "1+2", "1+3", "1+4", "1+5", "1+6", "1+7", "1+8", "1+9"];
    Script {
        usage: json!({"cost": 0.01}).as_object().expect("an object").clone(),
        ..Script::tool_turns(expressions.map(|expression| vec![calc(expression)]))
    }
}

#[test]
fn a_limit_stops_the_work_and_says_how_far_it_went() {
    let bench = Bench::working(busy(), json!({"tools": ["calc"], "max_cost_usd": 0.025}));
    let ran = bench.work(&["--json"]);
    assert_fails(
        &ran,
        10,
        "the limit of $0.025 is reached: $0.03 spent; 3 steps · 2 tool calls · ",
    );
    let error = &json_of(&ran)["error"];
    assert_eq!(
        json!([error["code"], error["steps"], error["usage"]["cost_usd"]]),
        json!(["max_cost_usd", 3, "0.03"])
    );
    assert_eq!(bench.n_chats(), 3);
    assert_has(
        &ran.stderr,
        "hint: allow more: --max-cost 0.05, or `max_cost_usd` of the agent",
    );
    let more = bench.work(&["--max-cost", "0.05"]);
    assert_fails(&more, 10, "$0.05 spent; 5 steps · 4 tool calls");

    let steps = bench.work(&["--max-cost", "1", "--max-steps", "2", "--json"]);
    assert_fails(&steps, 10, "the model still calls tools; 2 steps · 1 tool call · ");
    assert_eq!(json_of(&steps)["error"]["code"], "max_steps");

    let slow = Script {
        start_delay_ms: 60_000,
        ..Script::text("late")
    };
    let bench = Bench::working(slow, json!({"max_seconds": 1}));
    let ran = bench.work(&["--json"]);
    assert_fails(
        &ran,
        10,
        "the limit of 1 s is reached; 1 step · 0 tool calls · tokens unknown · cost unknown in total",
    );
    let error = json_of(&ran)["error"].clone();
    assert_eq!(json!([error["code"], error["usage"]]), json!(["max_seconds", null]));
}

#[test]
fn the_same_call_again_and_again_gets_an_error() {
    let bench = Bench::working(
        Script::tool_turns([(); 5].map(|()| vec![calc("2+2")])),
        json!({"tools": ["calc"]}),
    );
    let again = "{\"error\":\"this call was made 3 times already; use its result, or answer without it\"}";
    assert_eq!(bench.results(), ["4", "4", "4", again, again]);
}

/// A model that writes a file, and an agent that lets it.
fn writing() -> Bench {
    let write = vec![("files_write", json!({"path": "new.txt", "text": "Hi"}))];
    let tools = json!([{"files": {"folder": ".", "write": true}}]);
    Bench::working(Script::tool_turns([write]), json!({"tools": tools}))
}

#[test]
fn without_a_terminal_a_call_that_needs_approval_ends_the_work() {
    let bench = writing();
    let file = bench.home.path().join("work/new.txt");
    let ran = bench.work(&["--json"]);
    assert_fails(
        &ran,
        7,
        "the call of `files_write` needs approval, and standard input is not a terminal",
    );
    assert_has(
        &ran.stderr,
        "`\"approval\": {\"files_write\": \"always\"}` in the agent, or `--tools-approve always`",
    );
    assert_eq!(json_of(&ran)["error"]["code"], "approval");
    let denied = bench.work(&["--tools-approve", "never"]).expect_success();
    assert_has(&denied.stderr, "the user denied this call");
    assert!(!file.exists());
    bench.work(&["--tools-approve", "always"]).expect_success();
    assert_eq!(fs::read_to_string(&file).expect("it was written"), "Hi");
}

#[test]
fn at_a_terminal_the_user_says_which_calls_run() {
    let bench = writing();
    let file = bench.home.path().join("work/new.txt");
    for (answer, is_written) in [("n", false), ("y", true)] {
        let mut typist = Typist::at(bench.host(&["agent", "run", "worker", "Go"]).into_command());
        typist.sees("⚙ files_write({");
        typist.sees("run it? [y]es, [n]o, [a]lways: ");
        typist.types(answer);
        typist.sees("in total");
        assert_eq!(typist.leaves(), Some(0));
        assert_eq!(file.exists(), is_written, "{answer}");
    }
}

#[test]
fn who_approves_a_long_call_sees_its_size_its_end_and_on_request_all_of_it() {
    let text = format!("{}MIDDLE{}THE END", "a ".repeat(1500), "b ".repeat(1500));
    let write = vec![("files_write", json!({"path": "new.txt", "text": text}))];
    let tools = json!([{"files": {"folder": ".", "write": true}}]);
    let bench = Bench::working(Script::tool_turns([write]), json!({"tools": tools}));
    let mut typist = Typist::at(bench.host(&["agent", "run", "worker", "Go"]).into_command());
    typist.sees(" bytes …]");
    typist.sees("THE END");
    typist.sees("run it? [y]es, [n]o, [a]lways, [v]iew all: ");
    assert_lacks(&typist.screen(), "MIDDLE");
    typist.types("v");
    typist.sees("MIDDLE");
    typist.sees("run it? ");
    typist.types("n");
    typist.sees("in total");
    assert_eq!(typist.leaves(), Some(0));
}

#[test]
fn a_check_finds_what_this_machine_does_not_have() {
    let bench = Bench::new();
    let file = bench.home.path().join("work/my agent.json");
    let agent = |value: &Value| fs::write(&file, value.to_string()).expect("the home is writable");
    agent(&json!({
        "provider": "openruter", "tools": [{"files": {"folder": "./gone"}}, "clock"],
    }));
    let ran = bench.run(&["agent", "check", "./my agent.json"]);
    assert_fails(&ran, 3, "has 2 problems");
    for part in [
        "at /provider: there is no plugin `openruter`",
        "hint: did you mean `openrouter`?",
        "at /tools/0/files/folder: there is no folder `./gone`",
    ] {
        assert_has(&ran.stderr, part);
    }
    agent(&json!({"tools": [{"fetch": {"hosts": ["docs.rs", "https://docs.rs/x", "*.rs"]}}]}));
    let ran = bench.run(&["agent", "check", "./my agent.json"]);
    assert_fails(&ran, 3, "has 2 problems");
    assert_has(
        &ran.stderr,
        "expected the name of a host, such as `docs.rs`, found `https://docs.rs/x`",
    );
    agent(&json!({"tools": ["clock"]}));
    let ran = bench.ok(&["agent", "check", "./my agent.json"]);
    assert_has(&ran.stdout, "is valid: agent-host agent run './my agent.json'");
}

#[test]
fn a_new_agent_teaches_and_runs_as_it_is() {
    let bench = Bench::with_profile(&profile_of_model("sandbox/tools"));
    assert_has(&bench.ok(&["agent", "list"]).stderr, "there is no agent yet");
    let ran = bench.ok(&["agent", "new", "sums"]);
    assert_has(&ran.stdout, ".config/agent-host/agents/sums.json");
    assert_fails(
        &bench.run(&["agent", "new", "sums"]),
        2,
        "there is an agent `sums` already",
    );
    assert_fails(
        &bench.run(&["agent", "new", "../sums"]),
        2,
        "expected a name of letters",
    );
    assert_has(&bench.ok(&["agent", "check", "sums"]).stdout, "is valid");
    assert_has(
        &bench.ok(&["agent", "list"]).stdout,
        "sums  large  Answers questions with a clock and a calculator",
    );
    let ran = bench.ok(&["agent", "run", "sums", "What time is it?"]);
    assert_has(&ran.stderr, "⚙ clock(");
    assert_fails(
        &bench.run(&["agent", "run", "sumz", "Go"]),
        2,
        "hint: did you mean `sums`?",
    );
    assert_fails(
        &bench.run(&["agent", "run", "./no.json", "Go"]),
        2,
        "there is no agent `./no.json`",
    );
}

#[test]
fn every_problem_of_an_agent_is_found_before_a_call() {
    let bench = Bench::new();
    bench.keep(
        "agents/bad.json",
        &json!({
            "model": "acme/worker", "tier": "large",
            "tools": ["code_interpreter", "web_search", "files", "mcp:none", "clock", "clock"],
            "mcpServers": {"both": {"command": "x", "url": "https://example.org"}},
            "approval": {"clok": "always"}, "parameters": {"tools": []},
        }),
    );
    let ran = bench.run(&["agent", "run", "bad", "Go"]);
    assert_fails(&ran, 3, "bad.json` has 9 problems");
    for part in [
        "at /tier: expected `model` or `tier`, found both",
        "at /tools/0: unknown tool `code_interpreter`",
        "hint: the nearest is `calc`; there are `clock`, `calc`, `files` and `fetch`, and `mcp:NAME` for the MCP servers `both`",
        "at /tools/1: unknown tool `web_search`",
        "hint: tools that the service runs are objects, such as {\"type\": \"…\"}",
        "at /tools/2: expected the folder of `files`, found its name alone",
        "at /tools/3: unknown MCP server `none`",
        "at /tools/5: duplicate tool `clock`",
        "at /mcpServers/both: expected `command` or `url`, found both",
        "at /approval/clok: unknown tool `clok`",
        "at /parameters/tools: not allowed here",
    ] {
        assert_has(&ran.stderr, part);
    }
    assert_eq!(bench.n_requests(), 0);
    bench.keep(
        "agents/bad.json",
        &json!({"max_step": 3, "max_seconds": "1", "tools": [{"flies": {}}], "approval": "sometimes"}),
    );
    let ran = bench.run(&["agent", "check", "bad"]);
    assert_fails(&ran, 3, "error: agent `");
    for part in [
        "at /max_step: unknown option",
        "did you mean `max_steps`?",
        "at /max_seconds: expected a whole number",
        "at /tools/0",
        "at /approval",
    ] {
        assert_has(&ran.stderr, part);
    }
}

#[test]
fn a_model_without_tools_is_refused_before_the_call() {
    let bench = Bench::new();
    let ran = bench.run(&["agent", "-m", "sao10k/l3-stheno-8b", "Go"]);
    assert_fails(
        &ran,
        7,
        "error: `sao10k/l3-stheno-8b` cannot use tools\nhint: choose one that can, such as ",
    );
    assert_eq!(bench.n_chats(), 0);
}

#[test]
fn an_agent_fetches_nothing_from_this_machine() {
    let urls = [
        "https://127.0.0.1/",
        "https://localhost/",
        "http://example.org/",
        "https://[::1]/",
        "https://169.254.169.254/",
    ];
    let turn = urls.map(|url| ("fetch", json!({"url": url}))).to_vec();
    let bench = Bench::working(
        Script::tool_turns([turn]),
        json!({"tools": ["fetch"], "approval": "always"}),
    );
    let results = bench.results();
    assert_eq!(results.len(), 5);
    for (url, result) in urls.iter().zip(&results) {
        let expected = if url.starts_with("http:") {
            "expected an address with https://"
        } else {
            "is not a public address"
        };
        assert_has(result, expected);
    }
}

#[test]
fn tools_of_the_service_go_to_it_as_they_are() {
    let tool = json!({"type": "openrouter:web_search", "parameters": {"max_results": 3}});
    let bench = Bench::working(Script::text("found"), json!({"tools": [tool, "clock"]}));
    bench.work(&[]).expect_success();
    let bodies = bench.bodies();
    let tools = bodies
        .iter()
        .find(|body| body["messages"].is_array())
        .map(|body| body["tools"].clone());
    let tools = tools.expect("a request");
    assert_eq!((tools.as_array().map(Vec::len), &tools[1]), (Some(2), &tool));
}
