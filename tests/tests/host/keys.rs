//! Where the key may come from, and where it never goes.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::{Bench, profile};

#[test]
fn a_missing_key_is_a_matter_of_setting_up() {
    let bench = Bench::new();
    let ran = bench.without_key(&["chat", "Hello"]).run();
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.stderr
            .starts_with("error: no key for the plugin `openrouter`: `OPENROUTER_API_KEY` is not set\nhint: set it: "),
        "{}",
        ran.stderr
    );
    let blank = bench
        .without_key(&["chat", "Hello"])
        .env("OPENROUTER_API_KEY", "  ")
        .run();
    assert_eq!(blank.code, Some(2));
    assert!(
        blank.stderr.contains("`OPENROUTER_API_KEY` is set, but blank"),
        "{}",
        blank.stderr
    );
}

#[test]
fn the_environment_wins_over_dot_env_and_dot_env_over_a_named_file() {
    let bench = Bench::new();
    let work = bench.home.path().join("work");
    let named = bench.home.path().join("named.env");
    fs::write(&named, format!("OPENROUTER_API_KEY={}\n", bench.service.key())).expect("writable");
    let flag = ["--env-file", named.to_str().expect("text"), "chat", "Hello"];
    bench.without_key(&flag).run().expect_success();
    fs::write(
        work.join(".env"),
        "# a comment\nexport OPENROUTER_API_KEY=\"sk-or-v1-wrong\"\n",
    )
    .expect("writable");
    assert_eq!(bench.without_key(&flag).run().code, Some(4));
    bench.host(&flag).run().expect_success();
}

#[test]
fn quotes_and_blanks_around_a_key_are_taken_off() {
    let bench = Bench::new();
    let quoted = format!("OPENROUTER_API_KEY='  {}  '\r\n", bench.service.key());
    fs::write(bench.home.path().join("work/.env"), quoted).expect("writable");
    bench.without_key(&["chat", "Hello"]).run().expect_success();
}

#[test]
fn a_file_of_variables_cannot_send_somebody_elses_key_elsewhere() {
    let bench = Bench::new();
    let elsewhere = Bench::new();
    let url = format!("OPENROUTER_BASE_URL={}\n", elsewhere.service.base_url());
    fs::write(bench.home.path().join("work/.env"), &url).expect("writable");
    let shown = bench
        .host(&["profile", "show", "--resolved"])
        .without("OPENROUTER_BASE_URL")
        .run()
        .expect_success();
    assert!(
        shown
            .stderr
            .contains("a file may move the service only if the key comes from the same file"),
        "{}",
        shown.stderr
    );
    assert!(!shown.stdout.contains("OPENROUTER_BASE_URL"), "{}", shown.stdout);
    let both = format!("{url}OPENROUTER_API_KEY={}\n", elsewhere.service.key());
    fs::write(bench.home.path().join("work/.env"), both).expect("writable");
    bench
        .without_key(&["chat", "Hello"])
        .without("OPENROUTER_BASE_URL")
        .run()
        .expect_success();
    assert_eq!(elsewhere.service.requests().len(), 1);
}

#[test]
fn a_file_of_variables_cannot_take_a_key_out_of_the_environment() {
    let bench = Bench::new();
    let elsewhere = Bench::new();
    let url = format!("OPENROUTER_BASE_URL={}\n", elsewhere.service.base_url());
    for value in ["${MY_SECRET}", "\"$MY_SECRET\"", "'${MY_SECRET}'"] {
        let text = format!("{url}OPENROUTER_API_KEY={value}\n");
        fs::write(bench.home.path().join("work/.env"), text).expect("writable");
        // The secret is the key of the other service, which answers whoever brings it.
        let ran = bench
            .without_key(&["chat", "--allow-any-key", "Hello"])
            .without("OPENROUTER_BASE_URL")
            .env("MY_SECRET", elsewhere.service.key())
            .run();
        assert_eq!(ran.code, Some(4), "{value}: {}", ran.stderr);
    }
    assert_eq!(elsewhere.service.requests().len(), 3);
}

#[test]
fn odd_lines_and_odd_files_of_variables_are_skipped_unless_they_were_asked_for() {
    let bench = Bench::new();
    let here = bench.home.path().join("work/.env");
    let key = bench.service.key();
    fs::write(&here, format!("sk-or-v1-lost\nOPENROUTER_API_KEY={key} # mine\n")).expect("writable");
    let ran = bench.without_key(&["chat", "-q", "Hello"]).run().expect_success();
    assert!(
        ran.stderr
            .contains("the file of variables `.env`, line 1: expected `NAME=value`; the line is skipped"),
        "{}",
        ran.stderr
    );
    assert!(!ran.stderr.contains("lost"), "{}", ran.stderr);
    fs::write(&here, b"\xff\xfe").expect("writable");
    let unreadable = bench.host(&["chat", "-q", "Hello"]).run().expect_success();
    assert!(
        unreadable
            .stderr
            .contains("the file of variables `.env`: it cannot be read: "),
        "{}",
        unreadable.stderr
    );
    let named = bench.host(&["--env-file", ".env", "chat", "Hello"]).run();
    assert_eq!(named.code, Some(2), "{}", named.stderr);
    assert!(
        named
            .stderr
            .contains("error: the file of variables `.env`: it cannot be read: "),
        "{}",
        named.stderr
    );
    fs::remove_file(&here).expect("ours");
    fs::create_dir(&here).expect("writable");
    let folder = bench.host(&["chat", "-q", "Hello"]).run().expect_success();
    assert_eq!(folder.stderr, "");
}

#[test]
fn the_command_of_a_key_is_run_once() {
    let bench = Bench::new();
    let runs = bench.home.path().join("runs");
    let script = format!("echo run >> '{}'; echo {}", runs.display(), bench.service.key());
    let source = json!({"command": ["sh", "-c", script]});
    bench.home.write_profile(&profile(&format!(r#""apiKey": {source}"#)));
    let commands: [&[&str]; 4] = [
        &["chat", "Hello"],
        &["plugins", "list"],
        &["tiers"],
        &["profile", "show", "--resolved"],
    ];
    for command in commands {
        bench.without_key(command).run().expect_success();
        assert_eq!(fs::read_to_string(&runs).expect("it ran"), "run\n", "{command:?}");
        fs::remove_file(&runs).expect("ours");
    }
}

#[test]
fn a_key_file_that_others_can_read_is_used_with_a_warning() {
    let bench = Bench::new();
    let file = bench.home.path().join("key");
    fs::write(&file, format!("{}\n", bench.service.key())).expect("writable");
    let run = |mode: u32| {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("ours");
        let run = bench
            .without_key(&["chat", "Hello"])
            .env("OPENROUTER_API_KEY_FILE", file.to_str().expect("text"));
        run.run().expect_success().stderr
    };
    assert!(!run(0o600).contains("can be read by others"));
    let warned = run(0o644);
    assert!(
        warned.contains("can be read by others (mode 644): chmod 600"),
        "{warned}"
    );
}

#[test]
fn the_profile_says_where_the_key_comes_from_and_never_what_it_is() {
    let bench = Bench::new();
    let key = bench.service.key().to_owned();
    let file = bench.home.path().join("key");
    fs::write(&file, &key).expect("writable");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("ours");
    let sources = [
        json!({"env": "MY_KEY"}),
        json!({"file": file}),
        json!({"file": "~/key"}),
        json!({"command": ["sh", "-c", format!("echo {key}")]}),
    ];
    for source in sources {
        bench.home.write_profile(&profile(&format!(r#""apiKey": {source}"#)));
        bench
            .without_key(&["chat", "Hello"])
            .env("MY_KEY", &key)
            .run()
            .expect_success();
        let list = bench
            .without_key(&["plugins", "list"])
            .env("MY_KEY", &key)
            .run()
            .expect_success();
        assert!(
            list.stdout.contains("enabled  by profile `default`, its `apiKey`"),
            "{}",
            list.stdout
        );
    }
    let failures = [
        (
            json!({"env": "MY_KEY"}),
            "no key: the profile takes it from `MY_KEY`, which is not set",
        ),
        (
            json!({"file": "/nowhere"}),
            "no key: the key file `/nowhere` does not exist",
        ),
        (
            json!({"command": ["false"]}),
            "no key: the command `false` failed: exit status: 1",
        ),
        (
            json!({"command": ["/no/such"]}),
            "no key: the command `/no/such` cannot be run: ",
        ),
        (
            json!({"command": ["true"]}),
            "no key: the command `true` printed nothing",
        ),
    ];
    for (source, message) in failures {
        bench.home.write_profile(&profile(&format!(r#""apiKey": {source}"#)));
        let ran = bench.without_key(&["chat", "Hello"]).run();
        assert_eq!(ran.code, Some(2), "{}", ran.stderr);
        assert!(ran.stderr.starts_with(&format!("error: {message}")), "{}", ran.stderr);
    }
    bench
        .home
        .write_profile(&profile(r#""apiKey": {"command": ["echo", "hello"]}"#));
    let odd = bench.without_key(&["chat", "Hello"]).run();
    assert_eq!(odd.code, Some(2));
    assert!(
        odd.stderr.contains("(it came from profile `default`, its `apiKey`)"),
        "{}",
        odd.stderr
    );
    bench.home.write_profile(&profile(&format!(r#""apiKey": "{key}""#)));
    let literal = bench.host(&["chat", "Hello"]).run();
    assert_eq!(literal.code, Some(3));
    assert!(
        literal
            .stderr
            .contains("expected where the key comes from, found the key itself"),
        "{}",
        literal.stderr
    );
    assert!(!literal.stderr.contains(&key), "{}", literal.stderr);
}

#[test]
fn a_key_of_another_form_needs_to_be_allowed() {
    let bench = Bench::new();
    let run = |arguments: &[&str]| {
        bench
            .without_key(arguments)
            .env("OPENROUTER_API_KEY", "proxy-key-1")
            .run()
    };
    let refused = run(&["chat", "Hello"]);
    assert_eq!(refused.code, Some(2));
    assert!(
        refused
            .stderr
            .contains("the key in `OPENROUTER_API_KEY` cannot be one: expected it to begin with `sk-or-`"),
        "{}",
        refused.stderr
    );
    assert!(!refused.stderr.contains("proxy-key-1"), "{}", refused.stderr);
    assert_eq!(
        run(&["chat", "--allow-any-key", "Hello"]).code,
        Some(4),
        "it was sent, and refused by the service"
    );
}

#[test]
fn the_key_never_appears_in_any_output() {
    let bench = Bench::with_profile(&profile(r#""timeouts": {"totalMs": 60000}"#));
    let key = bench.service.key().to_owned();
    let commands: [&[&str]; 8] = [
        &["-vvv", "chat", "Hello"],
        &["-vvv", "chat", "--json", "Hello"],
        &["-vvv", "chat", "-m", "sandbox/status-401", "Hello"],
        &["-vvv", "chat", "-m", "sandbox/mid-stream-error", "Hello"],
        &["-vvv", "plugins", "list", "--json"],
        &["-vvv", "tiers"],
        &["-vvv", "profile", "show", "--resolved"],
        &["-vvv", "profile", "check"],
    ];
    for command in commands {
        let ran = bench.host(command).run();
        assert!(
            !(ran.stdout.clone() + &ran.stderr).contains(&key),
            "{command:?}: {ran:?}"
        );
    }
}
