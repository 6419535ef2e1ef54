//! MCP servers of agents: over pipes and over HTTP, and what they never get.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use sandbox::Script;
use serde_json::json;

use super::SERVER;
use crate::{Bench, assert_fails, assert_has, assert_lacks, assert_starts, json_of};

/// An MCP server on a port of this machine, until it is dropped.
struct Remote {
    process: Child,
    url: String,
}

impl Remote {
    fn start() -> Self {
        let mut command = Command::new(SERVER);
        let mut process = command
            .arg("--http")
            .stdout(Stdio::piped())
            .spawn()
            .expect("it was built");
        let mut port = String::new();
        let out = process.stdout.take().expect("it is piped");
        BufReader::new(out).read_line(&mut port).expect("it prints its port");
        Self {
            url: format!("http://127.0.0.1:{}/mcp", port.trim()),
            process,
        }
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn tools_of_mcp_servers_are_used_over_pipes_and_over_http() {
    let remote = Remote::start();
    let turn = vec![
        ("near_echo", json!({"text": "bees"})),
        ("far_echo", json!({"text": "hives"})),
        ("near_refuse", json!({})),
        ("near_environment", json!({})),
    ];
    let agent = json!({
        "tools": ["mcp:far/echo"], "approval": "always",
        "mcpServers": {"near": {"command": SERVER, "env": {"OWN": "${HOME}"}, "autoApprove": []}},
    });
    let bench = Bench::working(Script::tool_turns([turn]), agent);
    bench.keep(
        "mcp.json",
        &json!({"mcpServers": {"far": {"url": remote.url, "headers": {"Authorization": "Bearer ${TOKEN}"}}}}),
    );
    let ran = bench
        .host(&["agent", "run", "worker", "Go", "--json"])
        .env("TOKEN", "t-1")
        .run()
        .expect_success();
    let calls = json_of(&ran)["calls"].clone();
    assert_eq!(
        json!([calls[0]["result"], calls[1]["result"]]),
        json!(["bees", "hives"])
    );
    assert_eq!(
        json!([calls[2]["is_error"], calls[2]["result"]]),
        json!([true, "{\"error\":\"refused\"}"])
    );
    let variables: Vec<&str> = calls[3]["result"].as_str().expect("names").split(' ').collect();
    assert!(
        variables.contains(&"OWN") && variables.contains(&"PATH"),
        "{variables:?}"
    );
    assert!(
        !variables
            .iter()
            .any(|name| name.contains("KEY") || name.contains("OPENROUTER")),
        "{variables:?}"
    );
    let offered = bench
        .bodies()
        .into_iter()
        .find(|body| body["messages"].is_array())
        .expect("a request")["tools"]
        .clone();
    let names: Vec<&str> = offered
        .as_array()
        .expect("tools")
        .iter()
        .filter_map(|tool| tool["function"]["name"].as_str())
        .collect();
    assert_eq!(
        names.iter().filter(|name| name.starts_with("far_")).collect::<Vec<_>>(),
        [&"far_echo"]
    );
    assert!(
        names.contains(&"near_ignore_all_rules___2J") || names.iter().any(|name| name.starts_with("near_ignore")),
        "{names:?}"
    );
    assert!(
        names.iter().all(|name| name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))),
        "{names:?}"
    );
}

#[test]
fn an_mcp_server_that_hangs_or_floods_ends_only_its_call() {
    let turn = vec![("near_flood", json!({})), ("near_hang", json!({}))];
    let agent = json!({"approval": "always", "mcpServers": {"near": {"command": SERVER, "timeout": 2000}}});
    let bench = Bench::working(Script::tool_turns([turn]), agent);
    let results = bench.results();
    assert!(
        results[0].len() < 61_000 && results[0].ends_with("[cut after 60000 characters]"),
        "{}",
        results[0].len()
    );
    assert_eq!(results[1], "{\"error\":\"no answer within 2 s\"}");
}

#[test]
fn mcp_servers_are_listed_tested_and_read() {
    let bench = Bench::new();
    assert_has(&bench.ok(&["mcp", "list"]).stderr, "there is no MCP server");
    bench.keep(
        "mcp.json",
        &json!({"mcpServers": {"near": {"command": SERVER}, "gone": {"command": "/nowhere/server"}}}),
    );
    assert_has(&bench.ok(&["mcp", "list"]).stdout, "gone  /nowhere/server");
    let ran = bench.ok(&["mcp", "test", "near"]);
    assert_starts(&ran.stdout, "✓ near: test server 1.0, 6 tools, ");
    let ran = bench.run(&["mcp", "test", "--json"]);
    assert_eq!((ran.code, &json_of(&ran)[1]["is_ok"]), (Some(2), &json!(true)));
    assert_has(
        json_of(&ran)[0]["error"].as_str().expect("an error"),
        "cannot start `/nowhere/server`",
    );
    assert_fails(&bench.run(&["mcp", "test", "nea"]), 2, "hint: did you mean `near`?");
    let tools = bench.ok(&["mcp", "tools", "near"]);
    assert_has(&tools.stdout, "mcp:near/echo");
    assert_lacks(&tools.stdout, "\u{1b}");
    bench.keep("agents/a.json", &json!({"tools": ["mcp:gone"]}));
    let ran = bench.run(&["agent", "run", "a", "Go"]);
    assert_fails(
        &ran,
        2,
        "the MCP server `gone` cannot be used: cannot start `/nowhere/server`",
    );
    assert_has(&ran.stderr, "hint: try it alone: agent-host mcp test gone");
    let silent = json!({"mcpServers": {"silent": {"command": "sh", "args": ["-c", "echo not ready >&2; exec sleep 60"], "timeout": 1000}}});
    bench.keep("mcp.json", &silent);
    let ran = bench.run(&["mcp", "test"]);
    assert_has(&ran.stdout, "✗ silent: no answer within 1 s; it wrote: not ready");
}

#[test]
fn no_part_of_an_address_but_its_host_is_shown_or_logged() {
    let bench = Bench::new();
    let far = json!({"url": "http://127.0.0.1:1/hidden?token=hidden"});
    let near = json!({"command": "false", "args": ["--token", "hidden"]});
    bench.keep("mcp.json", &json!({"mcpServers": {"far": far, "near": near}}));
    let list = bench.ok(&["mcp", "list"]);
    assert_has(&list.stdout, "http://127.0.0.1:1");
    assert_has(&list.stdout, "false (2 arguments)");
    let test = bench.run(&["-vvv", "--log-file", "log", "mcp", "test"]);
    assert_has(&test.stdout, "✗ far: no connection to it");
    assert_has(&test.stdout, "✗ near: it ended before it answered");
    bench.keep("agents/a.json", &json!({"tools": ["mcp:far"]}));
    let run = bench.run(&["-vvv", "agent", "run", "a", "Go"]);
    assert_fails(&run, 2, "the MCP server `far` cannot be used: no connection to it");
    let log = std::fs::read_to_string(bench.home.path().join("work/log")).expect("a log");
    for text in [
        &list.stdout,
        &list.stderr,
        &test.stdout,
        &test.stderr,
        &run.stdout,
        &run.stderr,
        &log,
    ] {
        assert_lacks(text, "hidden");
        assert_lacks(text, "rmcp");
        assert_lacks(text, "worker quit");
    }
}

#[test]
fn a_broken_list_of_servers_stops_only_agents_that_use_it() {
    let bench = Bench::working(Script::text("done"), json!({"tools": ["clock"]}));
    bench.keep("mcp.json", &json!({"mcpServers": {"near": {}}}));
    bench.keep("agents/user.json", &json!({"tools": ["mcp:near"]}));
    bench.work(&[]).expect_success();
    bench.ok(&["agent", "check", "worker"]);
    let list = bench.ok(&["agent", "list"]);
    assert_has(&list.stdout, "✗ has problems: agent-host agent check user");
    assert_lacks(&list.stdout, "agent check worker");
    let ran = bench.run(&["agent", "run", "user", "Go"]);
    assert_fails(&ran, 3, "mcp.json` has 1 problem");
    assert_has(&ran.stderr, "look at it with `agent-host mcp list`");
}

#[test]
fn functions_have_names_of_their_own_and_a_failing_server_is_tried_with_its_agent() {
    let turn = vec![
        ("x_y_echo", json!({"text": "one"})),
        ("x_y_echo_2", json!({"text": "two"})),
    ];
    let server = json!({"command": SERVER});
    let agent = json!({"approval": "always", "mcpServers": {"x y": server, "x_y": server}});
    let bench = Bench::working(Script::tool_turns([turn]), agent);
    assert_eq!(bench.results(), ["one", "two"]);
    bench.keep(
        "agents/bad.json",
        &json!({"mcpServers": {"my server": {"command": "/nowhere/server"}}}),
    );
    let ran = bench.run(&["agent", "run", "bad", "Go"]);
    assert_fails(
        &ran,
        2,
        "hint: try it alone: agent-host mcp test --agent bad 'my server'",
    );
}
