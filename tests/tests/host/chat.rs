//! One answer.

use std::fs;
use std::io;
use std::process::{Output, Stdio};

use sandbox::{Failure, Script};
use serde_json::{Value, json};
use tests::faultd::{self, Faultd};
use tests::{Home, HostRun};

use crate::{
    Bench, assert_fails, assert_has, assert_lacks, assert_starts, home_with_openrouter, home_with_parrot, host_at,
    json_of, profile,
};

#[test]
fn the_answer_goes_to_stdout_and_everything_else_to_stderr() {
    let bench = Bench::new();
    bench.script("acme/one", Script::text("Good day."));
    let ran = bench.ok(&["chat", "-m", "acme/one", "Hello", "there"]);
    assert_eq!(ran.stdout, "Good day.\n");
    assert_has(&ran.stderr, "\nacme/one via Sandbox · first token ");
    assert_has(&ran.stderr, " tokens · $");
    // Only the fields that somebody set are sent.
    assert_eq!(
        bench.service.requests()[0].body_text,
        r#"{"model":"acme/one","messages":[{"role":"user","content":"Hello there"}],"stream":true}"#
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
    bench.ok(&["chat", "Hello"]);
    let sent = &bench.bodies()[0];
    assert_eq!(sent["model"], "anthropic/claude-sonnet-4.5");
    assert_eq!(
        sent["provider"],
        json!({"order": ["anthropic", "amazon-bedrock"], "allow_fallbacks": true})
    );
}

#[test]
fn standard_input_joins_the_prompt() {
    let bench = Bench::new();
    let piped = |words: &[&str], text: &str| bench.host(words).stdin(text).run().expect_success();
    piped(&["chat", "Summarise:"], "a long text\n");
    piped(&["chat"], "only this\n");
    let bodies = bench.bodies().into_iter();
    let said: Vec<Value> = bodies.map(|body| body["messages"][0]["content"].clone()).collect();
    assert_eq!(said, ["Summarise:\n\na long text", "only this"]);
}

#[test]
fn a_blank_prompt_or_model_is_refused_and_a_blank_setting_ignored() {
    let bench = Bench::new();
    for words in [&["chat"][..], &["chat", ""], &["chat", "  ", " "]] {
        assert_fails(
            &bench.run(words),
            2,
            "error: no prompt on the command line or on standard input\n",
        );
    }
    assert_eq!(bench.run(&["chat", "-m", "", "Hello"]).code, Some(2));
    assert_eq!(bench.n_requests(), 0);
    let run = bench.host(&["chat", "Hello"]).env("AGENT_HOST_PROFILE", "");
    run.env("AGENT_HOST_CONFIG", " ").run().expect_success();
}

#[test]
fn a_tier_is_chosen_by_its_short_or_its_full_name() {
    let bench = Bench::with_profile(&profile(
        r#""tiers": {"TEXT_SMALL": "openai/gpt-4o-mini", "TEXT_REASONING_LARGE": {"model": "openai/gpt-5",
            "parameters": {"reasoning": {"effort": "high"}}}}"#,
    ));
    for (tier, model, reasoning) in [
        ("small", "openai/gpt-4o-mini", Value::Null),
        ("TEXT_SMALL", "openai/gpt-4o-mini", Value::Null),
        ("large", "anthropic/claude-sonnet-4.5", Value::Null),
        ("reasoning", "openai/gpt-5", json!({"effort": "high"})),
        ("REASONING_LARGE", "openai/gpt-5", json!({"effort": "high"})),
    ] {
        bench.ok(&["chat", "-t", tier, "Hello"]);
        let sent = bench.bodies().pop().expect("a request");
        assert_eq!(
            (&sent["model"], &sent["reasoning"]),
            (&json!(model), &reasoning),
            "{tier}"
        );
    }
    assert_fails(
        &bench.run(&["chat", "-t", "huge", "Hello"]),
        2,
        "error: unknown tier `huge`\n",
    );
}

#[test]
fn one_json_object_says_everything_about_the_answer() {
    let bench = Bench::new();
    for flags in [&["--json"][..], &["--json", "--no-stream"]] {
        let command = [&["chat", "-m", "sandbox/reasoning", "Hello"], flags].concat();
        let reply = json_of(&bench.ok(&command));
        assert_eq!(
            (&reply["finish_reason"], &reply["model"]),
            (&json!("stop"), &json!("sandbox/reasoning"))
        );
        for known in ["text", "reasoning", "provider", "generation_id"] {
            assert_ne!(reply[known].as_str().unwrap_or_default(), "", "{known} in {reply}");
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
    bench.script("acme/one", Script::text("At once."));
    let ran = bench.ok(&["chat", "--no-stream", "-m", "acme/one", "Hello"]);
    assert_eq!(ran.stdout, "At once.\n");
    assert_eq!(bench.bodies()[0].get("stream"), None);
}

#[test]
fn an_error_in_the_middle_is_a_failure_that_keeps_the_text_so_far() {
    let bench = Bench::new();
    let failed = bench.run(&["chat", "-m", "sandbox/mid-stream-error", "Hello"]);
    assert_fails(&failed, 6, "the answer above is incomplete");
    assert_ne!(failed.stdout, "");
    let cut = bench.run(&["chat", "--json", "-m", "sandbox/cut", "Hello"]);
    assert_eq!(cut.code, Some(6));
    let error = &json_of(&cut)["error"];
    assert_eq!(error["code"], "interrupted");
    assert!(error["partial_text"].is_string(), "{error}");
}

#[test]
fn an_answer_that_never_says_it_is_complete_is_a_failure() {
    let home = home_with_parrot();
    for flags in [&["--no-stream"][..], &[]] {
        let command = [&["chat", "-m", "never-done", "Half an answer"], flags].concat();
        let ran = home.host(&command).env("PARROT_KEY", "parrot-1").run();
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (Some(6), "Half an answer\n"),
            "{flags:?}"
        );
        assert_starts(&ran.stderr, "the answer above is incomplete\nerror: ");
    }
}

#[test]
fn every_kind_of_failure_has_its_exit_code() {
    let bench = Bench::with_profile(&profile(r#""retry": {"attempts": 1}"#));
    for (status, code) in [
        (400, 7),
        (401, 4),
        (402, 5),
        (403, 7),
        (404, 7),
        (408, 6),
        (413, 7),
        (429, 6),
        (503, 6),
    ] {
        let ran = bench.run(&["chat", "-m", &format!("sandbox/status-{status}"), "Hello"]);
        assert_fails(&ran, code, &format!("the service answered {status}: "));
        assert_has(&ran.stderr, "\nhint: ");
        assert_eq!(ran.stdout, "");
    }
    let chat = || bench.host(&["chat", "Hello"]);
    assert_eq!(chat().env("OPENROUTER_API_KEY", "sk-or-v1-wrong").run().code, Some(4));
    let closed = chat().env("OPENROUTER_BASE_URL", "http://127.0.0.1:9/api/v1").run();
    assert_fails(&closed, 6, "error: cannot connect to 127.0.0.1:9: ");
    let hint = "\nhint: check the network, the proxy and the base URL (variable `OPENROUTER_BASE_URL`)\n";
    assert_has(&closed.stderr, hint);
    assert_eq!(bench.run(&["chat", "--no-such-flag"]).code, Some(2));
}

#[test]
fn every_failure_is_json_where_json_was_asked_for() {
    let bench = Bench::new();
    let assert_is = |run: HostRun, code: i32, word: &str| {
        let ran = run.run();
        let error = &json_of(&ran)["error"];
        assert!(error["message"].is_string(), "{error}");
        assert_eq!((ran.code, &error["code"]), (Some(code), &json!(word)));
    };
    assert_is(bench.without_key(&["chat", "--json", "Hello"]), 2, "usage");
    for (command, code, word) in [
        (&["chat", "--json", "-t", "huge", "Hello"][..], 2, "invalid_request"),
        (&["chat", "--json", "-m", "sandbox/status-402", "Hello"], 5, "payment"),
        (&["--config", "/nowhere.json", "tiers", "--json"], 3, "profile"),
    ] {
        assert_is(bench.host(command), code, word);
    }
    bench.home.write_profile(&profile(r#""modle": "a/b""#));
    assert_is(bench.host(&["chat", "--json", "Hello"]), 3, "profile");
}

#[test]
fn the_services_retry_after_wait_is_shown() {
    let bench = Bench::with_profile(&profile(r#""retry": {"attempts": 1}"#));
    let failure = Failure {
        retry_after_s: Some(7),
        ..Failure::status(429)
    };
    bench.script("acme/busy", Script::fail(failure));
    let ran = bench.run(&["chat", "-m", "acme/busy", "Hello"]);
    assert_has(&ran.stderr, "(retry after 7 s)");
}

#[test]
fn an_error_has_the_ids_that_its_services_support_asks_for() {
    let home = home_with_openrouter();
    let head = [
        ("x-request-id", "req-1"),
        ("x-generation-id", "gen-1"),
        ("cf-ray", "ray-1"),
    ];
    let body = json!({"error": {"code": 400, "message": "no"}});
    for (flag, expected) in [
        ("--quiet", "\ngeneration: gen-1\nrequest: req-1"),
        ("--json", "\"request_id\":\"req-1\""),
        ("--jsonl", "\"request_id\":\"req-1\""),
    ] {
        let service = Faultd::playing([faultd::Script::reply(400, &head, &body)]);
        let ran = host_at(&home, &service, &["chat", flag, "Hello"]).run();
        assert_has(&format!("{}{}", ran.stdout, ran.stderr), expected);
    }
}

#[test]
fn escape_sequences_of_a_service_never_reach_the_terminal() {
    let bench = Bench::new();
    let text = "safe\u{1b}]0;owned\u{7} \u{1b}[2Jtext\u{9b}31m\u{8}\u{7f}\r\n";
    let in_single_letters = Script {
        chunk_chars: Some(1),
        ..Script::text(text)
    };
    bench.script("acme/text", in_single_letters);
    let failure = Failure::status(400).message("no \u{1b}]0;x\u{7}room\u{9b}31m left");
    bench.script("acme/error", Script::fail(failure));
    for (command, shown) in [
        (&["chat", "-m", "acme/text", "Hello"][..], "safe text"),
        (
            &["chat", "--json", "-m", "acme/text", "Hello"],
            r"safe\u001b]0;owned\u0007 \u001b[2Jtext\u009b31m",
        ),
        (&["chat", "-m", "acme/error", "Hello"], "no room31m left"),
        (&["chat", "--json", "-m", "acme/error", "Hello"], "left"),
    ] {
        let ran = bench.run(command);
        let all = ran.stdout.clone() + &ran.stderr;
        assert_has(&all, shown);
        assert!(
            !all.contains(|letter: char| letter.is_control() && letter != '\n'),
            "{all:?}"
        );
        if command[1] == "--json" && shown != "left" {
            assert_eq!(json_of(&ran)["text"], text, "JSON keeps the text as it was");
        }
    }
}

#[test]
fn a_reader_that_goes_away_ends_the_program_quietly() {
    let bench = Bench::new();
    let commands: [&[&str]; 9] = [
        &["chat", "-q", "-m", "sandbox/pace-20ms", "Hello"],
        &["chat", "-q", "--no-stream", "Hello"],
        &["chat", "-q", "--json", "Hello"],
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
        let output = written_to(bench.host(command), writer);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), stderr.as_ref()), (Some(0), ""), "{command:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn an_answer_that_cannot_be_written_is_a_failure() {
    let full = fs::File::options().write(true).open("/dev/full");
    let output = written_to(
        Bench::new().host(&["chat", "-q", "Hello"]),
        full.expect("Linux has one"),
    );
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_starts(&stderr, "error: cannot write the answer to stdout: ");
}

/// Runs the binary with this stdout.
fn written_to(run: HostRun, stdout: impl Into<Stdio>) -> Output {
    let mut host = run.into_command();
    host.stdin(Stdio::null()).stdout(stdout);
    host.stderr(Stdio::piped()).output().expect("the host runs")
}

#[test]
fn a_folder_without_plugins_is_explained() {
    let home = Home::new();
    let ran = home.host(&["chat", "Hello"]).run();
    let folder = home.plugins();
    assert_eq!(
        (ran.code, ran.stderr),
        (
            Some(2),
            format!(
                "error: there is no plugin in `{}`\nhint: install one with `agent-host plugins install PATH`\n",
                folder.display()
            )
        )
    );
}

#[test]
fn a_hidden_command_is_never_suggested() {
    let home = Home::new();
    for typo in ["try-plug", "tryplugin"] {
        let ran = home.host(&[typo]).run();
        assert_fails(&ran, 2, "error: unrecognized subcommand");
        assert_lacks(&ran.stderr, "'try-plugin'");
    }
    assert_has(&home.host(&["modles"]).run().stderr, "'models'");
}

#[test]
fn help_names_the_exit_codes_and_every_shell_has_completions() {
    let home = Home::new();
    let help = home.host(&["--help"]).run().expect_success().stdout;
    for line in [
        "Exit codes:",
        "  3  the profile file is missing or invalid",
        "130  stopped by Ctrl-C",
    ] {
        assert_has(&help, line);
    }
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = home.host(&["completions", shell]).run().expect_success().stdout;
        assert!(
            script.contains("agent-host") && script.contains("AGENT_HOST_COMPLETE"),
            "{shell}"
        );
    }
}
