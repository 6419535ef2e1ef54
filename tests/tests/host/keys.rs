//! Where the key may come from, and where it never goes.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tests::faultd::{Faultd, Script};
use tests::{LIMIT, run};

use crate::{
    Bench, assert_fails, assert_has, assert_lacks, assert_starts, conversation, home_with_openrouter, profile, row,
};

/// The `.env` of the working directory.
fn dot_env(bench: &Bench) -> PathBuf {
    bench.home.path().join("work/.env")
}

fn write(file: &Path, text: &str) {
    fs::write(file, text).expect("the home is writable");
}

/// Writes a key file with this mode.
fn write_key(file: &Path, key: &str, mode: u32) {
    write(file, key);
    fs::set_permissions(file, fs::Permissions::from_mode(mode)).expect("ours");
}

#[test]
fn a_blank_key_is_a_missing_one() {
    let bench = Bench::new();
    let blank = bench.without_key(&["chat", "Hello"]).env("OPENROUTER_API_KEY", "  ");
    assert_fails(&blank.run(), 2, "`OPENROUTER_API_KEY` is set but blank");
}

#[test]
fn the_environment_beats_a_named_file_and_that_beats_dot_env() {
    let bench = Bench::new();
    let named = bench.home.path().join("named.env");
    write(
        &dot_env(&bench),
        &format!("OPENROUTER_API_KEY={}\n", bench.service.key()),
    );
    bench.without_key(&["chat", "Hello"]).run().expect_success();
    let missing = bench.run(&["--env-file", "nowhere", "chat", "Hello"]);
    let hint = "there is no such file\nhint: check the path; without `--env-file`, `.env` of this folder";
    assert_fails(&missing, 2, hint);
    let left_out = bench.without_key(&["--no-env-file", "chat", "Hello"]).run();
    assert_fails(&left_out, 2, "`OPENROUTER_API_KEY` is not set");
    write(&named, "OPENROUTER_KEY=sk-or-v1-wrong\n");
    let chat = ["--env-file", named.to_str().expect("text"), "chat", "Hello"];
    let refused = bench.without_key(&chat).run();
    assert_fails(
        &refused,
        4,
        &format!("the key came from `OPENROUTER_KEY` in `{}`", named.display()),
    );
    bench.ok(&chat);
}

#[test]
fn a_variable_file_cannot_send_somebody_elses_key_elsewhere() {
    let bench = Bench::new();
    let elsewhere = Bench::new();
    let url = format!("OPENROUTER_BASE_URL={}\n", elsewhere.service.base_url());
    write(&dot_env(&bench), &url);
    let shown = bench
        .host(&["profile", "show", "--resolved"])
        .without("OPENROUTER_BASE_URL")
        .run()
        .expect_success();
    let warning = "a file may change the service's address only if it also provides the key";
    assert_has(&shown.stderr, warning);
    assert_lacks(&shown.stdout, "OPENROUTER_BASE_URL");
    let key = elsewhere.service.key();
    write(&dot_env(&bench), &format!("{url}OPENROUTER_API_KEY={key}\n"));
    bench
        .without_key(&["chat", "Hello"])
        .without("OPENROUTER_BASE_URL")
        .run()
        .expect_success();
    assert_eq!(elsewhere.n_requests(), 1);
}

#[test]
fn a_bad_variable_file_is_skipped_with_a_warning_unless_it_was_named() {
    let bench = Bench::new();
    let here = dot_env(&bench);
    let key = bench.service.key();
    write(&here, &format!("sk-or-v1-lost\nOPENROUTER_API_KEY={key} # mine\n"));
    let odd_line = bench.without_key(&["chat", "-q", "Hello"]).run().expect_success();
    let warning = "`.env`, line 1: expected `NAME=value`; the line is ignored";
    assert_has(&odd_line.stderr, warning);
    assert_lacks(&odd_line.stderr, "lost");
    write(
        &here,
        &format!("OPENROUTER_API_KEY={key}\n{}", "nonsense\n".repeat(10_000)),
    );
    let odd_lines = bench.without_key(&["chat", "-q", "Hello"]).run().expect_success();
    assert_has(
        &odd_lines.stderr,
        "`.env`: 9997 more lines without `NAME=value` are ignored",
    );
    assert_eq!(odd_lines.stderr.lines().count(), 4, "{}", odd_lines.stderr);
    write(&here, &"#".repeat((1 << 20) + 1));
    let large = "cannot read variables from `.env`: expected at most 1048576 bytes, found 1048577; the file is ignored";
    assert_has(&bench.ok(&["chat", "-q", "Hello"]).stderr, large);
    fs::write(&here, b"\xff\xfe").expect("writable");
    let unreadable = "cannot read variables from `.env`: ";
    assert_has(&bench.ok(&["chat", "-q", "Hello"]).stderr, unreadable);
    let named = bench.run(&["--env-file", ".env", "chat", "Hello"]);
    assert_fails(&named, 2, &format!("error: {unreadable}"));
    fs::remove_file(&here).expect("ours");
    fs::create_dir(&here).expect("writable");
    assert_eq!(
        bench.ok(&["chat", "-q", "Hello"]).stderr,
        "",
        "a folder is no variable file"
    );
}

#[test]
fn the_command_of_a_key_runs_once() {
    let bench = Bench::new();
    let runs = bench.home.path().join("runs");
    let script = format!("echo run >> '{}'; echo {}", runs.display(), bench.service.key());
    let source = json!({"command": ["sh", "-c", script]});
    bench.home.write_profile(&profile(&format!(r#""apiKey": {source}"#)));
    let commands: [&[&str]; 3] = [
        &["chat", "Hello"],
        &["plugins", "list"],
        &["profile", "show", "--resolved"],
    ];
    for command in commands {
        bench.without_key(command).run().expect_success();
        assert_eq!(fs::read_to_string(&runs).expect("it ran"), "run\n", "{command:?}");
        fs::remove_file(&runs).expect("ours");
    }
    for command in [&["tiers"][..], &["tiers", "set", "small", "a/b"]] {
        bench.without_key(command).run().expect_success();
        assert!(!runs.exists(), "{command:?} needs no key");
    }
}

#[test]
fn a_key_file_that_others_can_read_is_used_with_a_warning() {
    let bench = Bench::new();
    let file = bench.home.path().join("key");
    let stderr = |mode: u32| {
        write_key(&file, bench.service.key(), mode);
        let run = bench.without_key(&["chat", "Hello"]);
        let run = run.env("OPENROUTER_API_KEY_FILE", file.to_str().expect("text"));
        run.run().expect_success().stderr
    };
    assert_lacks(&stderr(0o600), "readable by other users");
    assert_has(&stderr(0o644), "is readable by other users (mode 644); run: chmod 600");
}

#[test]
fn a_profile_may_name_the_source_of_the_key() {
    let bench = Bench::new();
    let key = bench.service.key();
    let file = bench.home.path().join("key");
    write_key(&file, key, 0o600);
    for source in [
        json!({"env": "MY_KEY"}),
        json!({"file": file}),
        json!({"file": "~/key"}),
        json!({"command": ["sh", "-c", format!("echo {key}")]}),
    ] {
        bench.home.write_profile(&profile(&format!(r#""apiKey": {source}"#)));
        let ok = |command: &[&str]| bench.without_key(command).env("MY_KEY", key).run().expect_success();
        ok(&["chat", "Hello"]);
        assert_has(
            &ok(&["plugins", "list"]).stdout,
            "enabled  by `apiKey` of profile `default`",
        );
    }
}

#[test]
fn a_source_without_a_key_says_why() {
    let bench = Bench::new();
    let chat_with = |source: &Value| {
        bench.home.write_profile(&profile(&format!(r#""apiKey": {source}"#)));
        bench.without_key(&["chat", "Hello"]).run()
    };
    for (source, message) in [
        (
            json!({"env": "MY_KEY"}),
            "the profile reads it from `MY_KEY`, which is not set",
        ),
        (json!({"file": "/nowhere"}), "the key file `/nowhere` does not exist"),
        (
            json!({"command": ["false"]}),
            "the command `false` failed: exit status: 1",
        ),
        (
            json!({"command": ["/no/such"]}),
            "the command `/no/such` cannot be run: ",
        ),
        (
            json!({"command": ["/no/such --password watchword-0815"]}),
            "the command `/no/such` cannot be run: ",
        ),
        (json!({"command": ["true"]}), "the command `true` printed nothing"),
    ] {
        let ran = chat_with(&source);
        assert_starts(&ran.stderr, &format!("error: no key: {message}"));
        assert_lacks(&ran.stderr, "watchword");
        assert_eq!(ran.code, Some(2));
    }
    let odd = chat_with(&json!({"command": ["echo", "hello"]}));
    assert_fails(&odd, 2, "(key from `apiKey` of profile `default`)");
    let literal = chat_with(&json!(bench.service.key()));
    assert_fails(&literal, 3, "expected the source of the key, found the key itself");
}

#[test]
fn a_key_of_another_form_needs_to_be_allowed() {
    let bench = Bench::new();
    let run = |arguments: &[&str]| {
        let run = bench.without_key(arguments);
        run.env("OPENROUTER_API_KEY", "proxy-key-1").run()
    };
    let refused = run(&["chat", "Hello"]);
    let expected = "the key is malformed: expected it to begin with `sk-or-` (key from environment variable";
    assert_fails(&refused, 2, expected);
    assert_lacks(&refused.stderr, "proxy-key-1");
    let sent = run(&["chat", "--allow-any-key", "Hello"]);
    assert_eq!(sent.code, Some(4), "it was sent, and refused by the service");
}

#[test]
fn the_key_never_appears_in_any_output() {
    let bench = Bench::with_profile(&profile(r#""timeouts": {"totalMs": 60000}"#));
    let commands: [&[&str]; 13] = [
        &["chat", "Hello"],
        &["chat", "--json", "Hello"],
        &["chat", "-m", "sandbox/status-401", "Hello"],
        &["chat", "-m", "sandbox/mid-stream-error", "Hello"],
        &["plugins", "list", "--json"],
        &["tiers"],
        &["profile", "show", "--resolved"],
        &["profile", "check"],
        &["key"],
        &["key", "--json"],
        &["doctor"],
        &["doctor", "--json"],
        &["fallback", "test"],
    ];
    for command in commands {
        let ran = bench.run(&[&["-vvv"], command].concat());
        assert_lacks(&(ran.stdout + &ran.stderr), bench.service.key());
    }
}

#[test]
fn another_secret_is_hidden_too_and_enables_nothing() {
    let bench = Bench::new();
    let run = |arguments: &[&str]| {
        let run = bench.without_key(arguments);
        let ran = run.env("OPENROUTER_SECONDARY_API_KEY", "second-secret").run();
        assert_lacks(&(ran.stdout.clone() + &ran.stderr), "second-secret");
        ran.stdout
    };
    assert_has(&run(&["plugins", "list"]), "idle     `OPENROUTER_API_KEY` is not set");
    let shown = run(&["-vvv", "profile", "show", "--resolved"]);
    assert_has(row(&shown, "OPENROUTER_SECONDARY_API_KEY"), "\"(set)\"");
    run(&["-vvv", "doctor"]);
    run(&["-vvv", "tiers"]);
}

#[test]
fn a_variable_that_is_not_utf_8_is_named() {
    let bench = Bench::new();
    for name in ["OPENROUTER_API_KEY", "OPENROUTER_BASE_URL", "OPENROUTER_API_KEY_FILE"] {
        let mut command = bench.host(&["chat", "Hello"]).into_command();
        command.env(name, OsStr::from_bytes(b"sk-or-v1-\xff"));
        let expected =
            format!("expected UTF-8 in the environment variable `{name}`, found bytes that are not\nhint: set");
        assert_fails(&run(command, None, LIMIT), 2, &expected);
    }
}

#[test]
fn a_key_file_may_begin_with_a_byte_order_mark() {
    let bench = Bench::new();
    let file = bench.home.path().join("key");
    let with_file = || {
        bench
            .without_key(&["chat", "Hello"])
            .env("OPENROUTER_API_KEY_FILE", file.to_str().expect("text"))
    };
    write_key(&file, &format!("\u{feff}{}\r\n", bench.service.key()), 0o600);
    with_file().run().expect_success();
    write_key(&file, "\u{feff}\n", 0o600);
    assert_fails(&with_file().run(), 2, "is empty");
    fs::write(&file, b"\xff\xfes\0k\0").expect("ours");
    assert_fails(&with_file().run(), 2, "is not UTF-8\nhint: store only the key");
}

#[test]
fn a_tilde_that_is_not_expanded_is_explained() {
    let bench = Bench::new();
    let run = bench
        .without_key(&["chat", "Hello"])
        .env("OPENROUTER_API_KEY_FILE", "~/key");
    let expected =
        "no key: the key file `~/key` does not exist\nhint: write the whole path: `~` is not expanded here\n";
    assert_fails(&run.run(), 2, expected);
}

#[test]
fn a_stored_key_is_before_a_folders_and_each_place_is_listed() {
    let bench = Bench::new();
    let stored = bench.home.path().join(".config/agent-host/keys/openrouter");
    let set = |run: tests::HostRun| run.stdin(&format!(" {}\n", bench.service.key())).run();
    let ran = set(bench.without_key(&["keys", "set"])).expect_success();
    assert_starts(&ran.stdout, "the service accepts the key …b7c0: label `");
    assert_has(&ran.stdout, &format!("stored in `{}`", stored.display()));
    let mode = fs::metadata(&stored).expect("it is stored").permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let by_stored = bench.without_key(&["plugins", "list"]).run().expect_success().stdout;
    assert_has(&by_stored, &format!("enabled  by file `{}`", stored.display()));
    write(&dot_env(&bench), "OPENROUTER_KEY=sk-or-v1-of-the-folder\n");
    let with_variable = |arguments: &[&str]| {
        bench
            .without_key(arguments)
            .env("OPENROUTER_API_KEY", bench.service.key())
    };
    let listed = with_variable(&["keys", "list"]).run().expect_success().stdout;
    let rows: Vec<_> = listed.lines().map(crate::cells).collect();
    let file = format!("file `{}`", stored.display());
    let expected: [&[&str]; 6] = [
        &["STATUS", "SOURCE", "KEY"],
        &["none", "`apiKey` of profile `default`"],
        &["used", "environment variable `OPENROUTER_API_KEY`", "…b7c0"],
        &["none", "environment variable `OPENROUTER_KEY`"],
        &["shadowed", &file, "…b7c0"],
        &["shadowed", "`OPENROUTER_KEY` in `.env`", "…lder"],
    ];
    assert_eq!(rows, expected);
    let ran = set(with_variable(&["keys", "set"])).expect_success();
    assert_has(
        &ran.stderr,
        "not used: environment variable `OPENROUTER_API_KEY` comes first",
    );
    let tested = with_variable(&["keys", "test", "--json"]).run().expect_success();
    let tested = crate::json_of(&tested);
    assert_eq!(tested["source"], "environment variable `OPENROUTER_API_KEY`");
    assert_eq!((&tested["ending"], &tested["accepted"]), (&json!("b7c0"), &json!(true)));
    fs::remove_file(dot_env(&bench)).expect("ours");
    bench.without_key(&["keys", "remove"]).run().expect_success();
    assert!(!stored.exists());
    assert_fails(
        &bench.without_key(&["keys", "remove"]).run(),
        2,
        "no key is stored in `",
    );
    assert_fails(
        &bench.without_key(&["keys", "test"]).run(),
        2,
        "no key for the plugin `openrouter`",
    );
}

#[test]
fn a_key_that_is_an_argument_is_not_repeated() {
    let bench = Bench::new();
    let ran = bench
        .without_key(&["keys", "set", "sk-or-v1-on-the-command-line"])
        .run();
    assert_fails(
        &ran,
        2,
        "no plugin has the id that was given, which is not repeated here",
    );
    assert_lacks(&ran.stderr, "on-the-command-line");
}

#[test]
fn a_key_that_is_refused_is_not_stored() {
    let bench = Bench::new();
    for (key, code, why) in [
        ("sk-or-v1-wrong", 4, "the service answered 401"),
        (
            "hello",
            2,
            "the key is malformed: expected it to begin with `sk-or-` (key from your input)",
        ),
        ("", 2, "expected a key on standard input, found nothing"),
    ] {
        assert_fails(&bench.without_key(&["keys", "set"]).stdin(key).run(), code, why);
    }
    assert!(!bench.home.path().join(".config/agent-host/keys").exists());
    let tested = bench
        .without_key(&["keys", "test"])
        .env("OPENROUTER_API_KEY", "sk-or-v1-wrong");
    assert_fails(
        &tested.run(),
        4,
        "the key came from environment variable `OPENROUTER_API_KEY`",
    );
}

#[test]
fn a_link_in_place_of_the_stored_key_is_not_written_through() {
    let bench = Bench::new();
    let folder = bench.home.path().join(".config/agent-host/keys");
    fs::create_dir_all(&folder).expect("writable");
    let elsewhere = bench.home.path().join("elsewhere");
    std::os::unix::fs::symlink(&elsewhere, folder.join("openrouter")).expect("writable");
    let ran = bench.host(&["keys", "set"]).stdin(bench.service.key()).run();
    assert_fails(&ran, 2, "it is a symbolic link, which is not followed");
    assert!(!elsewhere.exists());
}

#[test]
fn a_rotated_key_file_is_read_again_when_the_key_is_refused() {
    let home = home_with_openrouter();
    home.write_profile(&profile(r#""model": "acme/model""#));
    let answers = Faultd::answering(|asked| match asked.header("authorization") {
        Some("Bearer sk-or-v1-new") => Script::answer("welcome"),
        _ => Script::reply(401, &[], &json!({"error": {"code": 401, "message": "User not found."}})),
    });
    let file = home.path().join("key");
    write(&file, "sk-or-v1-old");
    let run = home.host(&["chat"]).env("OPENROUTER_BASE_URL", &answers.base_url());
    let mut typist = conversation(run.env("OPENROUTER_API_KEY_FILE", file.to_str().expect("text")));
    typist.types("one");
    typist.sees("the key came from `OPENROUTER_API_KEY_FILE`");
    assert_eq!(answers.requests().len(), 1, "the file is the same");
    write(&file, "sk-or-v1-new");
    typist.types("two");
    typist.sees("welcome");
    assert_eq!(answers.requests().len(), 3);
}
