//! The process itself: what others can see of it, its log, and the signals that it reacts to.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use sandbox::Script;
use tests::{HostRun, LIMIT, second_plugin};

use crate::{Bench, assert_has, conversation, profile};

/// The messages that Parrot logs for the model `log`, from error to trace.
const LOGGED: [&str; 5] = ["an error", "a warning", "an information", "a detail", "a trace"];

#[cfg(target_os = "linux")]
#[test]
fn a_running_host_leaves_no_core_file() {
    let bench = Bench::new();
    let silent = Script {
        stall_after_chunks: Some(0),
        ..Script::default()
    };
    bench.script("acme/silent", silent);
    let mut host = bench.host(&["chat", "-m", "acme/silent", "Hello"]).into_command();
    let host = host.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut host = host.spawn().expect("the host starts");
    bench.service.wait_for_requests(1, LIMIT).expect("the request");
    let limits = fs::read_to_string(format!("/proc/{}/limits", host.id()));
    host.kill().expect("it was started here");
    host.wait().expect("it was started here");
    let limits = limits.expect("Linux has it");
    let core = crate::row(&limits, "Max core file size");
    let words: Vec<&str> = core.split_whitespace().skip(4).collect();
    assert_eq!(words[..2], ["0", "0"], "{core}");
}

/// A bench whose profile names Parrot, which logs at every level.
fn logging() -> Bench {
    let bench = Bench::with_profile(r#"{"auth": {"profiles": {"default": {"provider": "parrot"}}}}"#);
    bench.home.install(&second_plugin());
    bench
}

/// A chat that makes Parrot log.
fn logging_chat(bench: &Bench, flags: &[&str]) -> HostRun {
    let command = [flags, &["chat", "-q", "-m", "log", "Hello"]].concat();
    let run = bench.without_key(&command).with_a_log_of_its_own();
    run.env("PARROT_KEY", "parrot-1")
}

/// Asserts that the first `n_levels` of the messages are in the text, and no others.
#[track_caller]
fn assert_logged(text: &str, n_levels: usize) {
    let found = LOGGED.map(|message| text.contains(message));
    let expected: [bool; 5] = std::array::from_fn(|level| level < n_levels);
    assert_eq!(found, expected, "{text}");
}

#[test]
fn flags_and_variables_choose_the_level_of_the_log() {
    let bench = logging();
    // Which of them wins is tested where it is decided, in `log.rs`.
    for (variable, value, flags, n_levels) in [
        ("LOG_LEVEL", " ", &[][..], 2),
        ("LOG_LEVEL", "ERROR", &[], 1),
        ("DEBUG", "parrot:*", &[], 4),
        ("DEBUG", "openrouter:*", &[], 2),
        ("DEBUG", "*", &["-v"], 3),
        ("RUST_LOG", "error", &["-v"], 1),
    ] {
        let ran = logging_chat(&bench, flags).env(variable, value).run();
        assert_logged(&ran.expect_success().stderr, n_levels);
    }
    let warned = logging_chat(&bench, &[]).env("LOG_LEVEL", "loud").run().stderr;
    assert_eq!(warned.matches("`LOG_LEVEL` is ignored: ").count(), 1, "{warned}");
}

#[test]
fn a_file_of_variables_may_choose_the_level_too() {
    let bench = logging();
    let write = |file: &str, text: &str| fs::write(bench.home.path().join("work").join(file), text).expect("writable");
    write(".env", "DEBUG=parrot:*\nLOG_LEVEL=error\n");
    write("named", "DEBUG=\nLOG_LEVEL=info\n");
    for (flags, n_levels) in [
        (&[][..], 4),
        (&["--no-env-file"], 2),
        (&["--env-file", "named", "--no-env-file"], 3),
        (&["--env-file", "named"], 4),
    ] {
        assert_logged(&logging_chat(&bench, flags).run().expect_success().stderr, n_levels);
    }
    let by_the_environment = logging_chat(&bench, &["--no-env-file"]).env("LOG_LEVEL", "error").run();
    assert_logged(&by_the_environment.expect_success().stderr, 1);
}

#[test]
fn a_log_file_is_private_and_warnings_are_still_printed() {
    let bench = logging();
    let file = bench.home.path().join("work/host.log");
    let named = file.to_str().expect("text");
    let log = || fs::read_to_string(&file).expect("the log");
    let ran = logging_chat(&bench, &["-vvv", "--log-file", named]).run();
    assert_logged(&ran.expect_success().stderr, 2);
    let mode = fs::metadata(&file).expect("the log").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let first = log();
    assert_logged(&first, 5);
    assert_has(&first, " TRACE plugin: parrot: a trace");
    let appending = logging_chat(&bench, &[]).env("AGENT_HOST_LOG_FILE", named);
    appending.run().expect_success();
    let both = log();
    assert_logged(both.strip_prefix(&first).expect("the log is appended to"), 2);
    let blank = logging_chat(&bench, &["-vv"]).env("AGENT_HOST_LOG_FILE", " ");
    assert_has(&blank.run().expect_success().stderr, "a detail");
    assert_eq!(log(), both);
}

#[test]
fn a_log_file_that_cannot_be_written_is_a_usage_error() {
    let bench = Bench::new();
    let folder = bench.home.path().to_str().expect("text");
    let ran = bench.run(&["--log-file", folder, "chat", "Hello"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""));
    assert_eq!(
        ran.stderr,
        format!(
            "error: the log file `{folder}` cannot be written: Is a directory (os error 21)\nhint: choose another file with \
             `--log-file` or `AGENT_HOST_LOG_FILE`, or remove the setting\n"
        )
    );
    assert_eq!(bench.n_requests(), 0);
}

#[cfg(target_os = "linux")]
#[test]
fn sighup_and_reload_read_the_key_again() {
    const RELOADED: &str = "profile, variables and key reloaded: nothing changed";
    let bench = Bench::with_model("sandbox/echo");
    let file = bench.home.path().join("key.env");
    let write = |key: &str| fs::write(&file, format!("OPENROUTER_API_KEY={key}\n")).expect("writable");
    write(bench.service.key());
    let shown = file.to_str().expect("text");
    let mut typist = conversation(bench.without_key(&["--env-file", shown, "chat"]));
    write("sk-or-v1-revoked");
    typist.types("/reload");
    typist.sees(RELOADED);
    typist.types("one");
    typist.sees("error[auth]: ");
    typist.sees("\n> ");
    write(bench.service.key());
    typist.hangs_up();
    typist.sees(RELOADED);
    typist.types("two");
    typist.sees("heard: two");
    typist.sees("\n> ");
    fs::write(&file, "").expect("writable");
    typist.types("/reload");
    typist.sees("reload failed; still using the previous profile and key");
    typist.sees("error: no key for the plugin `openrouter`: `OPENROUTER_API_KEY` is not set");
    typist.sees("\n> ");
    typist.types("three");
    typist.sees("heard: three");
}

#[test]
fn a_renamed_log_file_is_replaced_after_sighup() {
    let bench = Bench::with_model("sandbox/echo");
    let file = bench.home.path().join("work/host.log");
    let flags = ["-vv", "--log-file", file.to_str().expect("text"), "chat"];
    let mut typist = conversation(bench.host(&flags).with_a_log_of_its_own());
    typist.types("one");
    typist.sees("heard: one");
    let renamed = file.with_extension("1");
    fs::rename(&file, &renamed).expect("ours");
    typist.sees("\n> ");
    typist.hangs_up();
    typist.sees("profile, variables and key reloaded");
    let length = fs::metadata(&renamed).expect("the old log").len();
    typist.types("two");
    typist.sees("heard: two");
    typist.sees("\n> ");
    assert_ne!(fs::metadata(&file).expect("a new log").len(), 0);
    assert_eq!(fs::metadata(&renamed).expect("the old log").len(), length);
}

#[test]
fn a_reload_runs_the_keys_command_again_and_an_edit_does_not() {
    let bench = Bench::new();
    let runs = bench.home.path().join("runs");
    let script = format!("echo run >> '{}'; echo {}", runs.display(), bench.service.key());
    let source = serde_json::json!({"command": ["sh", "-c", script]});
    let with_model = |model: &str| {
        let options = format!(r#""apiKey": {source}, "model": "{model}""#);
        bench.home.write_profile(&profile(&options));
    };
    let n_runs = || fs::read_to_string(&runs).expect("it ran").lines().count();
    with_model("sandbox/echo");
    let mut typist = conversation(bench.without_key(&["chat"]));
    assert_eq!(n_runs(), 1);
    with_model("sandbox/hello");
    typist.sees("profile reloaded: TEXT_LARGE sandbox/echo → sandbox/hello");
    assert_eq!(n_runs(), 1);
    typist.types("/reload");
    typist.sees("profile, variables and key reloaded: nothing changed");
    assert_eq!(n_runs(), 2);
    typist.types("Hello");
    typist.sees("sandbox/hello via Sandbox");
}
