//! One answer.

use std::fs;
use std::io;
use std::process::Stdio;

use sandbox::{Failure, Script};
use serde_json::{Value, json};
use tests::{Home, second_plugin};

use crate::{Bench, profile};

#[test]
fn the_answer_goes_to_stdout_and_everything_else_to_stderr() {
    let bench = Bench::new();
    bench.service.script(
        "acme/one",
        Script {
            text: Some("Good day.".to_owned()),
            ..Script::default()
        },
    );
    let ran = bench
        .host(&["chat", "-m", "acme/one", "Hello", "there"])
        .run()
        .expect_success();
    assert_eq!(ran.stdout, "Good day.\n");
    assert!(
        ran.stderr.starts_with("acme/one via Sandbox · first token "),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains(" tokens · $"), "{}", ran.stderr);
    assert_eq!(
        bench.bodies()[0]["messages"],
        json!([{"role": "user", "content": "Hello there"}])
    );
}

#[test]
fn nothing_is_on_the_wire_that_nobody_set() {
    let bench = Bench::new();
    bench.host(&["chat", "Hello"]).run().expect_success();
    assert_eq!(
        bench.service.requests()[0].body_text,
        r#"{"model":"anthropic/claude-sonnet-4.5","messages":[{"role":"user","content":"Hello"}],"stream":true}"#
    );
}

#[test]
fn the_documented_profile_works_as_it_stands() {
    let bench = Bench::with_profile(
        r#"{ "auth": { "profiles": { "default": {
    "provider": "openrouter",
    "model": "anthropic/claude-sonnet-4-5",
    "providerPreferences": { "order": ["Anthropic", "AWS Bedrock"], "allowFallbacks": true } } } } }"#,
    );
    bench.host(&["chat", "Hello"]).run().expect_success();
    let sent = &bench.service.requests()[0].body_text;
    assert!(sent.contains(r#""model":"anthropic/claude-sonnet-4.5""#), "{sent}");
    assert!(
        sent.contains(r#""provider":{"order":["anthropic","amazon-bedrock"],"allow_fallbacks":true}"#),
        "{sent}"
    );
}

#[test]
fn standard_input_joins_the_prompt() {
    let bench = Bench::new();
    bench
        .host(&["chat", "Summarise:"])
        .stdin("a long text\n")
        .run()
        .expect_success();
    bench.host(&["chat"]).stdin("only this\n").run().expect_success();
    let said: Vec<Value> = bench
        .bodies()
        .iter()
        .map(|body| body["messages"][0]["content"].clone())
        .collect();
    assert_eq!(said, ["Summarise:\n\na long text", "only this"]);
    let nothing = bench.host(&["chat"]).run();
    assert_eq!(nothing.code, Some(2));
    assert!(nothing.stderr.contains("there is nothing to ask"), "{}", nothing.stderr);
}

#[test]
fn a_tier_is_asked_for_by_its_short_or_its_full_name() {
    let bench = Bench::with_profile(&profile(
        r#""tiers": {"TEXT_SMALL": "openai/gpt-4o-mini", "TEXT_REASONING_LARGE": {"model": "openai/gpt-5",
            "parameters": {"reasoning": {"effort": "high"}}}}"#,
    ));
    for tier in ["small", "TEXT_SMALL", "large", "reasoning", "REASONING_LARGE"] {
        bench.host(&["chat", "-t", tier, "Hello"]).run().expect_success();
    }
    let bodies = bench.bodies();
    let models: Vec<_> = bodies
        .iter()
        .map(|body| body["model"].as_str().unwrap_or_default())
        .collect();
    let expected = [
        "openai/gpt-4o-mini",
        "openai/gpt-4o-mini",
        "anthropic/claude-sonnet-4.5",
        "openai/gpt-5",
        "openai/gpt-5",
    ];
    assert_eq!(models, expected);
    assert_eq!(bodies[4]["reasoning"], json!({"effort": "high"}));
    assert_eq!(bodies[0].get("reasoning"), None);
    let unknown = bench.host(&["chat", "-t", "huge", "Hello"]).run();
    assert_eq!(
        (unknown.code, unknown.stderr.lines().next()),
        (Some(2), Some("error: there is no tier `huge`"))
    );
}

#[test]
fn one_json_object_says_everything_about_the_answer() {
    let bench = Bench::new();
    for flags in [&["--json"][..], &["--json", "--no-stream"]] {
        let ran = bench
            .host(&[&["chat", "-m", "sandbox/reasoning", "Hello"], flags].concat())
            .run()
            .expect_success();
        let reply: Value = serde_json::from_str(&ran.stdout).expect("one JSON object");
        assert_eq!(
            (&reply["finish_reason"], &reply["model"]),
            (&json!("stop"), &json!("sandbox/reasoning"))
        );
        for known in ["text", "reasoning", "provider", "generation_id"] {
            assert!(
                reply[known].as_str().is_some_and(|text| !text.is_empty()),
                "{known} in {reply}"
            );
        }
        assert!(
            reply["usage"]["cost_usd"].is_string() && reply["duration_ms"].is_u64(),
            "{reply}"
        );
    }
}

#[test]
fn an_answer_in_one_piece_asks_for_no_stream() {
    let bench = Bench::new();
    bench.service.script("acme/one", Script::text("At once."));
    let ran = bench
        .host(&["chat", "--no-stream", "-m", "acme/one", "Hello"])
        .run()
        .expect_success();
    assert_eq!(ran.stdout, "At once.\n");
    assert_eq!(bench.bodies()[0].get("stream"), None);
}

#[test]
fn an_error_in_the_middle_is_no_success_and_keeps_what_had_arrived() {
    let bench = Bench::new();
    let failed = bench.host(&["chat", "-m", "sandbox/mid-stream-error", "Hello"]).run();
    assert_eq!(failed.code, Some(6));
    assert!(!failed.stdout.is_empty());
    assert!(
        failed.stderr.contains("the answer above is not complete"),
        "{}",
        failed.stderr
    );
    let cut = bench.host(&["chat", "--json", "-m", "sandbox/cut", "Hello"]).run();
    assert_eq!(cut.code, Some(6));
    let told: Value = serde_json::from_str(&cut.stdout).expect("one JSON object");
    assert_eq!(told["error"]["code"], "interrupted");
    assert!(told["error"]["partial_text"].is_string(), "{told}");
}

#[test]
fn every_kind_of_failure_has_its_exit_code() {
    let bench = Bench::with_profile(&profile(r#""retry": {"attempts": 1}"#));
    let codes = [
        (400, 7),
        (401, 4),
        (402, 5),
        (403, 7),
        (404, 7),
        (408, 6),
        (413, 7),
        (422, 7),
        (429, 6),
        (500, 6),
        (502, 6),
        (503, 6),
        (524, 6),
        (529, 6),
    ];
    for (status, code) in codes {
        let ran = bench
            .host(&["chat", "-m", &format!("sandbox/status-{status}"), "Hello"])
            .run();
        assert_eq!(ran.code, Some(code), "{status}: {}", ran.stderr);
        assert!(
            ran.stderr.contains(&format!("the service answered {status}: ")),
            "{}",
            ran.stderr
        );
        assert!(ran.stderr.contains("\nhint: "), "{}", ran.stderr);
        assert_eq!(ran.stdout, "");
    }
    let wrong_key = bench
        .without_key(&["chat", "Hello"])
        .env("OPENROUTER_API_KEY", "sk-or-v1-wrong")
        .run();
    assert_eq!(wrong_key.code, Some(4), "{}", wrong_key.stderr);
    let closed = bench
        .host(&["chat", "Hello"])
        .env("OPENROUTER_BASE_URL", "http://127.0.0.1:9/api/v1")
        .run();
    assert_eq!(closed.code, Some(6));
    assert!(
        closed.stderr.starts_with("error: no connection to 127.0.0.1:9: "),
        "{}",
        closed.stderr
    );
    let usage = bench.host(&["chat", "--no-such-flag"]).run();
    assert_eq!(usage.code, Some(2));
}

#[test]
fn a_wait_that_the_service_asks_for_is_told() {
    let bench = Bench::with_profile(&profile(r#""retry": {"attempts": 1}"#));
    let failure = Failure {
        retry_after_s: Some(7),
        ..Failure::status(429)
    };
    bench.service.script("acme/busy", Script::fail(failure));
    let ran = bench.host(&["chat", "-m", "acme/busy", "Hello"]).run();
    assert!(ran.stderr.contains("(the service asks to wait 7 s)"), "{}", ran.stderr);
}

#[test]
fn escape_sequences_of_a_model_never_reach_the_terminal() {
    let bench = Bench::new();
    bench.service.script(
        "acme/hostile",
        Script {
            text: Some("safe\u{1b}]0;owned\u{7} \u{1b}[2Jtext\u{9b}31m\u{8}\r\n".to_owned()),
            chunk_chars: Some(1),
            ..Script::default()
        },
    );
    let ran = bench
        .host(&["chat", "-m", "acme/hostile", "Hello"])
        .run()
        .expect_success();
    assert!(ran.stdout.starts_with("safe text"), "{:?}", ran.stdout);
    assert!(
        !ran.stdout
            .contains(|letter: char| letter.is_control() && letter != '\n'),
        "{:?}",
        ran.stdout
    );
}

#[test]
fn who_is_asking_is_told_to_the_service() {
    let bench = Bench::new();
    let run = bench.host(&["chat", "Hello"]);
    run.env("OPENROUTER_SITE_URL", "https://example.org")
        .env("OPENROUTER_SITE_NAME", "Example")
        .run()
        .expect_success();
    bench.home.write_profile(&profile(
        r#""attribution": {"appName": "From the profile", "categories": ["cli-agent"]}"#,
    ));
    bench
        .host(&["chat", "Hello"])
        .env("OPENROUTER_SITE_NAME", "Example")
        .run()
        .expect_success();
    let header = |request: usize, name: &str| {
        let headers = bench.service.requests().swap_remove(request).headers;
        headers
            .into_iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value)
    };
    assert_eq!(header(0, "http-referer").as_deref(), Some("https://example.org"));
    assert_eq!(header(0, "x-openrouter-title").as_deref(), Some("Example"));
    assert_eq!(header(1, "x-openrouter-title").as_deref(), Some("From the profile"));
    assert_eq!(header(1, "x-title").as_deref(), Some("From the profile"));
    assert_eq!(header(1, "x-openrouter-categories").as_deref(), Some("cli-agent"));
    assert_eq!(header(1, "http-referer"), None);
}

#[test]
fn another_model_than_the_one_asked_for_is_named() {
    let bench = Bench::new();
    bench.service.script(
        "acme/asked",
        Script {
            model_served: Some("acme/other".to_owned()),
            ..Script::text("Hello")
        },
    );
    let ran = bench
        .host(&["chat", "-m", "acme/asked", "Hello"])
        .run()
        .expect_success();
    assert!(
        ran.stderr.contains("acme/other via Sandbox · asked for acme/asked"),
        "{}",
        ran.stderr
    );
}

#[test]
fn escape_sequences_of_a_service_never_reach_the_terminal() {
    let bench = Bench::new();
    let failure = Failure {
        message: Some("no \u{1b}]0;x\u{7}room\u{9b}31m left".to_owned()),
        ..Failure::status(400)
    };
    bench.service.script("acme/hostile", Script::fail(failure));
    let is_obeyed = |letter: char| letter.is_control() && letter != '\n';
    let ran = bench.host(&["chat", "-m", "acme/hostile", "Hello"]).run();
    assert!(ran.stderr.contains("no room31m left"), "{:?}", ran.stderr);
    assert!(!ran.stderr.contains(is_obeyed), "{:?}", ran.stderr);
    let json = bench.host(&["chat", "--json", "-m", "acme/hostile", "Hello"]).run();
    assert!(!json.stdout.contains(is_obeyed), "{:?}", json.stdout);
    assert!(!json.stderr.contains(is_obeyed), "{:?}", json.stderr);
}

#[test]
fn json_has_no_escape_sequences_either() {
    let bench = Bench::new();
    let text = "safe \u{1b}]0;x\u{7} \u{7f}\u{9b}31m";
    bench.service.script("acme/hostile", Script::text(text));
    let ran = bench
        .host(&["chat", "--json", "-m", "acme/hostile", "Hello"])
        .run()
        .expect_success();
    assert!(
        ran.stdout.contains(r"safe \u001b]0;x\u0007 \u007f\u009b31m"),
        "{:?}",
        ran.stdout
    );
    let reply: Value = serde_json::from_str(&ran.stdout).expect("one JSON object");
    assert_eq!(reply["text"], text);
}

#[test]
fn a_reader_that_goes_away_ends_the_answer_quietly() {
    let bench = Bench::new();
    let commands: [&[&str]; 9] = [
        &["chat", "-m", "sandbox/pace-20ms", "Hello"],
        &["chat", "--no-stream", "Hello"],
        &["chat", "--json", "Hello"],
        &["plugins", "list"],
        &["plugins", "list", "--json"],
        &["tiers"],
        &["profile", "schema"],
        &["profile", "show", "--resolved"],
        &["completions", "bash"],
    ];
    for command in commands {
        let (reader, writer) = io::pipe().expect("a pipe");
        drop(reader);
        let mut host = bench.host(command).into_command();
        host.stdin(Stdio::null()).stdout(writer);
        let output = host.stderr(Stdio::piped()).output().expect("the host runs");
        assert_eq!(
            (output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()),
            (Some(0), ""),
            "{command:?}"
        );
    }
}

#[cfg(target_os = "linux")]
#[test]
fn an_answer_that_cannot_be_written_is_no_success() {
    let bench = Bench::new();
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .expect("Linux has one");
    let mut host = bench.host(&["chat", "Hello"]).into_command();
    host.stdin(Stdio::null()).stdout(full);
    let output = host.stderr(Stdio::piped()).output().expect("the host runs");
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        stderr.starts_with("error: the answer cannot be written to stdout: "),
        "{stderr}"
    );
}

#[test]
fn an_answer_that_never_says_it_is_complete_is_a_failure() {
    let home = Home::new();
    home.install(&second_plugin());
    let host = |arguments: &[&str]| {
        home.host(arguments)
            .without("AGENT_HOST_CONFIG")
            .env("PARROT_KEY", "parrot-1")
            .run()
    };
    for flags in [&["--no-stream"][..], &[]] {
        let ran = host(&[&["chat", "-m", "never-done", "Half an answer"], flags].concat());
        assert_eq!(ran.code, Some(6), "{flags:?}: {}", ran.stderr);
        assert_eq!(ran.stdout, "Half an answer\n");
        assert!(
            ran.stderr.starts_with("the answer above is not complete\nerror: "),
            "{}",
            ran.stderr
        );
    }
}

#[test]
fn a_folder_without_plugins_is_explained() {
    let home = Home::new();
    let ran = home.host(&["chat", "Hello"]).without("AGENT_HOST_CONFIG").run();
    assert_eq!(ran.code, Some(2));
    let first = format!("error: there is no plugin in `{}`\n", home.plugins().display());
    assert_eq!(
        ran.stderr,
        first + "hint: copy one there with `agent-host plugins install PATH`\n"
    );
}

#[test]
fn help_names_the_exit_codes_and_completions_exist_for_every_shell() {
    let home = Home::new();
    let help = home.host(&["--help"]).run().expect_success();
    for line in [
        "Exit codes:",
        "  3  the profile file is missing or has problems",
        "130  stopped by Ctrl-C",
    ] {
        assert!(help.stdout.contains(line), "{}", help.stdout);
    }
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = home.host(&["completions", shell]).run().expect_success();
        assert!(
            script.stdout.contains("agent-host") && script.stdout.contains("plugins"),
            "{shell}"
        );
    }
}

#[test]
fn every_failure_is_json_where_json_was_asked_for() {
    let bench = Bench::new();
    let told = |run: tests::HostRun| {
        let ran = run.run();
        let error: Value = serde_json::from_str(&ran.stdout).expect("one JSON object");
        let error = &error["error"];
        assert!(error["message"].is_string(), "{error}");
        (ran.code, error["code"].as_str().unwrap_or_default().to_owned())
    };
    let is = |code: i32, word: &str| (Some(code), word.to_owned());
    assert_eq!(told(bench.without_key(&["chat", "--json", "Hello"])), is(2, "usage"));
    assert_eq!(
        told(bench.host(&["chat", "--json", "-t", "huge", "Hello"])),
        is(2, "invalid_request")
    );
    assert_eq!(
        told(bench.host(&["chat", "--json", "-m", "sandbox/status-402", "Hello"])),
        is(5, "payment")
    );
    assert_eq!(
        told(bench.host(&["--config", "/nowhere.json", "tiers", "--json"])),
        is(3, "profile")
    );
    bench.home.write_profile(&profile(r#""modle": "a/b""#));
    assert_eq!(told(bench.host(&["chat", "--json", "Hello"])), is(3, "profile"));
}

#[test]
fn what_is_blank_is_not_asked() {
    let bench = Bench::new();
    for words in [&["chat", ""][..], &["chat", "  ", " "]] {
        let ran = bench.host(words).run();
        assert_eq!(ran.code, Some(2));
        assert!(
            ran.stderr.starts_with("error: there is nothing to ask"),
            "{}",
            ran.stderr
        );
    }
    assert_eq!(bench.host(&["chat", "-m", "", "Hello"]).run().code, Some(2));
    assert_eq!(
        bench
            .host(&["chat", "Hello"])
            .env("AGENT_HOST_PROFILE", "")
            .env("AGENT_HOST_CONFIG", " ")
            .run()
            .code,
        Some(0)
    );
    assert_eq!(bench.service.requests().len(), 1);
}
