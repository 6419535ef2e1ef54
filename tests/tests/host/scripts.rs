//! What scripts read: events of `--jsonl`, structured answers, files of `--output`.

use std::fs;

use sandbox::Script;
use serde_json::{Value, json};
use tests::{Home, Ran};

use crate::{Bench, assert_fails, assert_has, assert_lacks, profile};

/// The lines of a run, each of which fits the published schema.
fn events(ran: &Ran) -> Vec<Value> {
    let schema = Home::new().host(&["schema", "events"]).run().expect_success().stdout;
    let schema: Value = serde_json::from_str(&schema).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let lines = ran.stdout.lines();
    let lines = lines.map(|line| serde_json::from_str(line).unwrap_or_else(|cause| panic!("{line}: {cause}")));
    lines
        .inspect(|event| assert!(validator.is_valid(event), "{event}"))
        .collect()
}

fn types(events: &[Value]) -> Vec<&str> {
    let mut types: Vec<&str> = events.iter().filter_map(|event| event["type"].as_str()).collect();
    types.dedup();
    types
}

fn of<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["type"] == kind).collect()
}

#[test]
fn events_of_an_answer_end_with_its_text_and_its_cost() {
    let bench = Bench::with_model("sandbox/words-50");
    let ran = bench.ok(&["chat", "--jsonl", "-q", "Hello"]);
    let events = events(&ran);
    assert_eq!(types(&events), ["start", "text", "usage", "end"]);
    let pieces = of(&events, "text");
    assert!(pieces.len() > 1, "they come as they are written");
    let text: String = pieces.iter().filter_map(|piece| piece["text"].as_str()).collect();
    let end = &events[events.len() - 1];
    assert_eq!(
        json!([end["v"], end["exit"], end["text"], end["done"]["finish_reason"]]),
        json!([1, 0, text, "stop"])
    );
    assert!(of(&events, "usage")[0]["cost_usd"].is_string());
}

#[test]
fn retries_fallbacks_and_errors_are_events_too() {
    let bench = Bench::with_profile(&profile(
        r#""model": "sandbox/status-503", "fallbackModels": ["sandbox/status-502"],
           "retry": {"attempts": 2}"#,
    ));
    let ran = bench.run(&["chat", "--jsonl", "Hello"]);
    let found = events(&ran);
    assert_eq!(ran.code, Some(6));
    assert_eq!(types(&found)[0], "start");
    assert!(!of(&found, "retry").is_empty(), "{}", ran.stdout);
    let [.., error, end] = found.as_slice() else {
        panic!("{}", ran.stdout)
    };
    assert_eq!(json!([error["type"], error["code"]]), json!(["error", "unavailable"]));
    assert_eq!(*end, json!({"v": 1, "type": "end", "exit": 6}));

    let keyless = Bench::new().without_key(&["chat", "--jsonl", "Hello"]).run();
    let found = events(&keyless);
    assert_eq!((types(&found), keyless.code), (vec!["error", "end"], Some(2)));
    assert!(found[0]["hint"].is_string(), "{}", found[0]);
}

#[test]
fn an_agents_events_have_its_calls_and_their_results() {
    let bench = Bench::with_model("sandbox/tools");
    let ran = bench.ok(&["agent", "--jsonl", "What time is it?"]);
    let found = events(&ran);
    let calls = of(&found, "tool");
    assert_eq!(calls.len(), 2, "{}", ran.stdout);
    assert!(
        calls[0]["result"].is_null() && calls[1]["result"].is_string(),
        "{calls:?}"
    );
    assert_eq!(calls[0]["id"], calls[1]["id"]);
    let end = of(&found, "end")[0];
    assert_eq!(end["steps"], json!(2));
    assert_eq!(of(&found, "start").len(), 2);
    assert_has(&ran.stderr, "⚙ ");
}

#[test]
fn the_text_goes_to_the_named_file_too() {
    let bench = Bench::with_model("sandbox/hello");
    let file = bench.home.path().join("work/answer.md");
    fs::write(&file, "old").expect("writable");
    for form in [&[][..], &["--json"], &["--jsonl"]] {
        let ran = bench.ok(&[&["chat", "-o", "answer.md", "Hello"], form].concat());
        let text = fs::read_to_string(&file).expect("it is there");
        assert!(text.ends_with('\n') && text.len() > 4, "{text}");
        assert_has(&ran.stdout, text.trim_end());
        assert_lacks(&ran.stderr, "not written");
        fs::remove_file(&file).expect("it is there");
    }
    let agent = bench.ok(&["agent", "-o", "answer.md", "Hello"]);
    assert_eq!(fs::read_to_string(&file).expect("it is there"), agent.stdout);
}

/// A service that answers this, one after the other.
fn answering(answers: &[&str]) -> Bench {
    let bench = Bench::with_model("acme/writer");
    bench.script("acme/writer", Script::text(answers[0]));
    bench
}

const PERSON: &str = "name, age int, tags [string], address {street, zip?}";
const ADA: &str = r#"{"name": "Ada", "age": 36, "tags": [], "address": {"street": "St James's Square", "zip": null}}"#;

#[test]
fn a_schema_may_be_short_inline_or_a_file() {
    let bench = answering(&[ADA]);
    let inline = r#"{"type": "object", "required": ["name"]}"#;
    fs::write(bench.home.path().join("work/person.json"), inline).expect("writable");
    for given in [PERSON, inline, "person.json"] {
        bench.ok(&["chat", "--schema", given, "Who?"]);
    }
    let bodies = bench.bodies();
    let sent = |n: usize| &bodies[n]["response_format"]["json_schema"];
    assert_eq!(sent(0)["schema"]["required"], json!(["name", "age", "tags", "address"]));
    assert_eq!(sent(0)["schema"]["properties"]["age"], json!({"type": "integer"}));
    assert_eq!(
        sent(2),
        &json!({"name": "person", "strict": true, "schema": {"type": "object", "required": ["name"]}})
    );
    for (given, message) in [
        (
            "nowhere.json",
            "error: cannot read schema `nowhere.json`: no such file\n",
        ),
        (
            "name, age integre",
            "error: the short schema is unclear: expected `string`, `int`, ",
        ),
        (
            "a,, b",
            "error: the short schema is unclear: expected the name of a field at character 3, found `, b`\n",
        ),
        ("{\"type\": 1}", "error: the schema: not a valid JSON Schema: "),
        ("{", "error: the schema: expected JSON: "),
    ] {
        assert_fails(&bench.run(&["chat", "--schema", given, "Who?"]), 2, message);
    }
}

#[test]
fn an_answer_that_does_not_match_is_asked_for_once_more() {
    let bench = answering(&[r#"{"name": "Ada", "age": "36"}"#]);
    let ran = bench.run(&["chat", "-q", "--schema", "name, age int", "--repair", "Who?"]);
    assert_fails(
        &ran,
        8,
        "error: the answer does not match the schema `answer`\n  at /age: ",
    );
    assert_has(
        &ran.stderr,
        "note: the answer does not match its schema in 1 place; asking once more\n",
    );
    // The first answer costs something too.
    assert_eq!(ran.stderr.matches("session $").count(), 0, "{ran:?}");
    let shown = bench.run(&["chat", "--schema", "name, age int", "--repair", "Who?"]);
    assert_has(&shown.stderr, " · session $");
    assert_eq!(
        ran.stdout.matches("Ada").count(),
        1,
        "only the last answer is printed: {}",
        ran.stdout
    );
    let bodies = bench.bodies();
    assert_eq!(bodies.len(), 4);
    let messages = bodies[1]["messages"].as_array().expect("messages");
    assert_eq!(messages[1]["role"], "assistant");
    let asked = messages[2]["content"].as_str().expect("text");
    assert_has(asked, "\n- at /age: \"36\" is not of type \"integer\"\n");

    let lines = bench.run(&["chat", "--jsonl", "--schema", "name, age int", "--repair", "Who?"]);
    let found = events(&lines);
    assert_eq!(
        types(&found),
        [
            "start", "text", "usage", "notice", "start", "text", "usage", "error", "end"
        ]
    );
    let end = &found[found.len() - 1];
    assert_eq!(
        (&end["exit"], &end["mismatches"][0]["pointer"]),
        (&json!(8), &json!("/age"))
    );

    let good = answering(&[ADA]);
    let ran = good.ok(&["chat", "-q", "--schema", PERSON, "--repair", "Who?"]);
    assert_eq!(
        (ran.stdout, ran.stderr, good.n_requests()),
        (format!("{ADA}\n"), String::new(), 1)
    );
}

/// What a shell offers for the last of these words.
fn offered(bench: &Bench, words: &[&str]) -> Vec<String> {
    let line = [&["--", "agent-host"], words].concat();
    let ran = bench.without_key(&line).env("AGENT_HOST_COMPLETE", "fish").run();
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{words:?}");
    let lines = ran.stdout.lines().filter_map(|line| line.split('\t').next());
    lines.map(str::to_owned).collect()
}

#[test]
fn shells_complete_names_from_the_disk_alone() {
    let bench = Bench::with_profile(&profile(r#""model": "sandbox/hello""#).replace("\"default\"", "\"work\""));
    assert_eq!(
        offered(&bench, &["chat", "-m", "sandbox/he"]),
        [""; 0],
        "no list was fetched yet"
    );
    bench.ok(&["--profile", "work", "models", "--ids"]);
    let n_requests = bench.n_requests();
    for (words, expected) in [
        (&["chat", "-m", "sandbox/hel"][..], "sandbox/hello"),
        (&["models", "show", "sandbox/hel"], "sandbox/hello"),
        (&["chat", "-t", "sm"], "small"),
        (&["tiers", "set", "TEXT_N"], "TEXT_NANO"),
        (&["--profile", "w"], "work"),
        (&["plugins", "info", "open"], "openrouter"),
        (&["explain", "rate_l"], "rate_limit"),
        (&["config", "set", "fallback"], "fallbackModels"),
        (&["fall"], "fallback"),
        (&["chat", "--jso"], "--json"),
    ] {
        let found = offered(&bench, words);
        assert!(found.iter().any(|name| name == expected), "{words:?}: {found:?}");
    }
    assert_eq!(bench.n_requests(), n_requests);
    let empty = Bench::new();
    empty.home.write_profile("{");
    assert_eq!(offered(&empty, &["--profile", ""]), [""; 0]);
}

#[test]
fn manual_pages_are_printed_or_written_for_every_command() {
    let home = Home::new();
    let page = home.host(&["man"]).run().expect_success().stdout;
    assert!(
        page.contains(".TH agent-host 1") && page.contains("Exit codes"),
        "{page}"
    );
    let ran = home.host(&["man", "../man/man1"]).run().expect_success();
    assert_has(&ran.stdout, "next: man ./../man/man1/agent-host.1\n");
    for name in ["agent-host", "agent-host-chat", "agent-host-plugins-install"] {
        let file = home.path().join(format!("man/man1/{name}.1"));
        assert!(file.is_file(), "{}", file.display());
    }
}

#[test]
fn paths_say_what_each_file_is_for_and_what_moves_it() {
    let bench = Bench::with_model("sandbox/hello");
    let places: Value = serde_json::from_str(&bench.ok(&["paths", "--json"]).stdout).expect("JSON");
    let place = |name: &str| {
        let all = places.as_array().into_iter().flatten();
        let found: Vec<&Value> = all.filter(|place| place["name"] == name).collect();
        assert_eq!(found.len(), 1, "{name} in {places}");
        found[0].clone()
    };
    let path = |file: &str| json!(bench.home.path().join(file).display().to_string());
    for (name, file, exists, moved_by) in [
        ("profile", "profile.json", true, "AGENT_HOST_CONFIG"),
        ("plugins", "plugins", true, "--plugins"),
        ("lock", "plugins/plugins.lock.json", true, "XDG_DATA_HOME"),
        ("switches", "plugins/plugins.json", false, "--plugins"),
        ("token", ".local/state/agent-host/token", false, "AGENT_HOST_TOKEN"),
        ("history", ".local/state/agent-host/history", false, "XDG_STATE_HOME"),
    ] {
        let place = place(name);
        assert_eq!(
            (&place["path"], &place["exists"]),
            (&path(file), &json!(exists)),
            "{name}"
        );
        let all = place["moved_by"].as_array().expect("a list");
        assert!(all.contains(&json!(moved_by)), "{place}");
    }
    assert_eq!(place("log")["moved_by"], json!(["--log-file", "AGENT_HOST_LOG_FILE"]));
    let moved = bench.ok(&["paths", "--config", "/elsewhere/p.json"]).stdout;
    assert_has(&moved, "/elsewhere/p.json");
    assert_eq!(bench.n_requests(), 0);
}

#[test]
fn a_help_begins_with_the_commands_own_options() {
    let help = Home::new().host(&["models", "-h"]).run().expect_success().stdout;
    let place = |text: &str| help.find(text).unwrap_or_else(|| panic!("no {text} in {help}"));
    assert!(place("--free") < place("Options of every command:"));
    assert!(place("Options of every command:") < place("--config"));
}
