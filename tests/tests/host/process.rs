//! The process itself: what others can see of it, and what its log says.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use sandbox::Script;
use tests::{Typist, second_plugin};

use crate::{Bench, profile};

#[cfg(target_os = "linux")]
#[test]
fn a_running_host_leaves_no_core_file() {
    let bench = Bench::new();
    bench.service.script(
        "acme/slow",
        Script {
            start_delay_ms: 60_000,
            ..Script::text("At last.")
        },
    );
    let mut host = bench.host(&["chat", "-m", "acme/slow", "Hello"]).into_command();
    let host = host.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut host = host.spawn().expect("the host starts");
    bench.service.wait_for_requests(1, tests::LIMIT).expect("the request");
    let limits = fs::read_to_string(format!("/proc/{}/limits", host.id()));
    host.kill().expect("it was started here");
    host.wait().expect("it was started here");
    let limits = limits.expect("Linux has it");
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .expect("the limit");
    let words: Vec<&str> = core.split_whitespace().skip(4).collect();
    assert_eq!(words[..2], ["0", "0"], "{core}");
}

#[test]
fn the_log_shows_the_details_of_the_plugins_that_debug_names() {
    let bench = Bench::new();
    bench.home.install(&second_plugin());
    bench
        .home
        .write_profile(r#"{"auth": {"profiles": {"default": {"provider": "parrot"}}}}"#);
    let stderr = |variables: &[(&str, &str)], flags: &[&str]| {
        let command = [flags, &["chat", "-q", "-m", "log", "Hello"]].concat();
        let mut run = bench
            .without_key(&command)
            .with_a_log_of_its_own()
            .env("PARROT_KEY", "parrot-1");
        for (name, value) in variables {
            run = run.env(name, value);
        }
        run.run().expect_success().stderr
    };
    let has = |text: &str, words: [bool; 4]| {
        let found = ["an error", "a warning", "an information", "a detail"].map(|word| text.contains(word));
        assert_eq!(found, words, "{text}");
    };
    has(&stderr(&[], &[]), [true, true, false, false]);
    has(&stderr(&[("LOG_LEVEL", "ERROR")], &[]), [true, false, false, false]);
    has(&stderr(&[("LOG_LEVEL", "info")], &[]), [true, true, true, false]);
    has(&stderr(&[("DEBUG", "parrot:*")], &[]), [true, true, true, true]);
    has(&stderr(&[("DEBUG", "*")], &[]), [true, true, true, true]);
    has(&stderr(&[("DEBUG", "openrouter:*")], &[]), [true, true, false, false]);
    has(&stderr(&[("DEBUG", "*")], &["-v"]), [true, true, true, false]);
    has(&stderr(&[("RUST_LOG", "error")], &["-v"]), [true, false, false, false]);
    let warned = stderr(&[("LOG_LEVEL", "loud")], &[]);
    let warning = "`LOG_LEVEL` is ignored: expected `error`, `warn`, `info`, `debug` or `trace`, found `loud`";
    assert_eq!(warned.matches(warning).count(), 1, "{warned}");
}

#[test]
fn the_log_may_go_to_a_file_of_its_owners_own_and_warnings_are_printed_all_the_same() {
    let bench = Bench::new();
    bench.home.install(&second_plugin());
    bench
        .home
        .write_profile(r#"{"auth": {"profiles": {"default": {"provider": "parrot"}}}}"#);
    let file = bench.home.path().join("work/host.log");
    let named = file.to_str().expect("text");
    let chat = |flags: &[&str]| {
        let command = [flags, &["chat", "-q", "-m", "log", "Hello"]].concat();
        let run = bench.without_key(&command).with_a_log_of_its_own();
        run.env("PARROT_KEY", "parrot-1")
    };
    let ran = chat(&["-vvv", "--log-file", named]).run().expect_success();
    let printed = ["an error", "a warning", "an information", "a detail"].map(|word| ran.stderr.contains(word));
    assert_eq!(printed, [true, true, false, false], "{}", ran.stderr);
    let mode = fs::metadata(&file).expect("the log").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let log = || fs::read_to_string(&file).expect("the log");
    let first = log();
    for word in [
        "an error",
        "a warning",
        "an information",
        "a detail",
        " TRACE plugin: parrot: a trace",
    ] {
        assert!(first.contains(word), "{word}: {first}");
    }
    chat(&[]).env("AGENT_HOST_LOG_FILE", named).run().expect_success();
    let both = log();
    assert!(both.starts_with(&first), "{both}");
    assert!(
        both[first.len()..].contains("a warning") && !both[first.len()..].contains("a detail"),
        "{both}"
    );
    let blank = chat(&["-vv"]).env("AGENT_HOST_LOG_FILE", " ").run().expect_success();
    assert!(blank.stderr.contains("a detail"), "{}", blank.stderr);
    assert_eq!(log(), both);
}

#[test]
fn a_log_file_that_cannot_be_written_is_an_error_of_the_command_line() {
    let bench = Bench::new();
    let folder = bench.home.path().to_str().expect("text");
    let ran = bench.host(&["--log-file", folder, "chat", "Hello"]).run();
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""));
    assert_eq!(
        ran.stderr,
        format!(
            "error: the log file `{folder}` cannot be written: Is a directory (os error 21)\nhint: name another with \
             `--log-file` or `AGENT_HOST_LOG_FILE`, or none\n"
        )
    );
    assert_eq!(bench.service.requests().len(), 0);
}

/// Somebody in a conversation whose key comes from `key.env`.
fn conversation(bench: &Bench, file: &str) -> Typist {
    let mut typist = Typist::at(bench.without_key(&["--env-file", file, "chat"]).into_command());
    typist.sees("/help");
    typist.sees("> ");
    typist
}

#[cfg(target_os = "linux")]
#[test]
fn a_hangup_signal_and_reload_read_the_key_again() {
    let bench = Bench::with_profile(&profile(r#""model": "sandbox/echo""#));
    let file = bench.home.path().join("key.env");
    let write = |key: &str| fs::write(&file, format!("OPENROUTER_API_KEY={key}\n")).expect("writable");
    write(bench.service.key());
    let shown = file.to_str().expect("text").to_owned();
    let mut typist = conversation(&bench, &shown);
    write("sk-or-v1-revoked");
    typist.types("/reload");
    typist.sees("profile, variables and key reloaded: nothing changed");
    typist.types("one");
    typist.sees("error: ");
    typist.sees("\n> ");
    write(bench.service.key());
    hang_up(&shown);
    typist.sees("profile, variables and key reloaded: nothing changed");
    typist.types("two");
    typist.sees("heard: two");
    typist.sees("\n> ");
    fs::write(&file, "").expect("writable");
    typist.types("/reload");
    typist.sees("nothing was reloaded, the former profile and key still hold");
    typist.sees("error: no key for the plugin `openrouter`: `OPENROUTER_API_KEY` is not set");
    typist.sees("\n> ");
    typist.types("three");
    typist.sees("heard: three");
    typist.sees("\n> ");
    typist.types("/quit");
    assert_eq!(typist.leaves(), Some(0));
}

/// Sends SIGHUP to the host that was started with this argument.
#[cfg(target_os = "linux")]
fn hang_up(argument: &str) {
    let processes = fs::read_dir("/proc").expect("Linux has it").flatten();
    let is_meant = |command: Vec<u8>| {
        let words = String::from_utf8_lossy(&command).into_owned();
        words.split('\0').any(|word| word == argument)
    };
    let id = processes
        .filter(|process| fs::read(process.path().join("cmdline")).is_ok_and(is_meant))
        .map(|process| process.file_name())
        .next()
        .expect("the host runs");
    let status = Command::new("kill").arg("-HUP").arg(id).status();
    assert!(status.expect("there is a `kill`").success());
}

#[test]
fn an_edit_does_not_run_the_command_of_a_key_again_and_a_reload_does() {
    let bench = Bench::new();
    let runs = bench.home.path().join("runs");
    let script = format!("echo run >> '{}'; echo {}", runs.display(), bench.service.key());
    let with_model = |model: &str| {
        let source = serde_json::json!({"command": ["sh", "-c", script]});
        bench
            .home
            .write_profile(&profile(&format!(r#""apiKey": {source}, "model": "{model}""#)));
    };
    let n_runs = || fs::read_to_string(&runs).expect("it ran").lines().count();
    with_model("sandbox/echo");
    let mut typist = Typist::at(bench.without_key(&["chat"]).into_command());
    typist.sees("/help");
    typist.sees("> ");
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
