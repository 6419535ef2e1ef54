//! The plugin folder and its verdicts.

use std::fs;
use std::path::Path;

use plugin_api::VERSION;
use serde_json::{Value, json};
use tests::{Home, LOCK_FILE, Ran, compiled, echo_plugin, hasty_source, openrouter_plugin, second_plugin};

use crate::{Bench, assert_fails, assert_has, assert_lacks, cells, json_of, profile, row};

/// The verdict on the OpenRouter plugin, and the reason.
fn verdict(bench: &Bench, has_key: bool) -> [Value; 2] {
    let list = ["plugins", "list", "--json"];
    let run = if has_key {
        bench.host(&list)
    } else {
        bench.without_key(&list)
    };
    let rows = json_of(&run.run().expect_success());
    assert_eq!(rows[0]["id"], "openrouter");
    ["verdict", "reason"].map(|member| rows[0][member].clone())
}

fn install(home: &Home, plugin: &Path) -> Ran {
    home.host(&["plugins", "install", plugin.to_str().expect("text")]).run()
}

#[test]
fn a_plugin_is_enabled_by_its_key_and_disabled_by_command() {
    let bench = Bench::new();
    assert_eq!(verdict(&bench, false), ["idle", "`OPENROUTER_API_KEY` is not set"]);
    assert_eq!(
        verdict(&bench, true),
        ["enabled", "by environment variable `OPENROUTER_API_KEY`"]
    );
    assert_eq!(
        bench.ok(&["plugins", "disable", "openrouter"]).stdout,
        "openrouter is disabled; `agent-host plugins enable openrouter` enables it again\n"
    );
    let disabled = ["disabled", "by `agent-host plugins disable openrouter`"];
    assert_eq!(verdict(&bench, true), disabled);
    assert_fails(
        &bench.run(&["chat", "Hello"]),
        2,
        "error: the plugin `openrouter` is disabled\n",
    );
    bench.ok(&["plugins", "enable", "openrouter"]);
    assert_eq!(verdict(&bench, true)[0], "enabled");
}

#[test]
fn the_list_is_a_table_for_people() {
    let bench = Bench::new();
    fs::write(bench.home.plugins().join("text.so"), "no library").expect("writable");
    let list = bench.without_key(&["plugins", "list"]).run().expect_success();
    let rows: Vec<Vec<&str>> = list.stdout.lines().map(cells).collect();
    assert_eq!(
        rows,
        [
            ["PLUGIN", "VERSION", "API", "VERDICT", "REASON"],
            [
                "openrouter",
                VERSION,
                VERSION,
                "idle",
                "`OPENROUTER_API_KEY` is not set"
            ],
            ["text.so", "-", "-", "refused", "it is not a shared library"],
        ]
    );
}

#[test]
fn a_plugin_that_cannot_work_is_a_row_and_not_a_crash() {
    let bench = Bench::new();
    let list = bench
        .host(&["plugins", "list"])
        .env("OPENROUTER_API_KEY", "Bearer x")
        .run()
        .expect_success();
    assert_has(&list.stdout, "failed   the key is malformed: ");
}

#[test]
fn installing_copies_a_plugin_and_says_what_it_needs() {
    let home = Home::new();
    let from = openrouter_plugin();
    let ran = install(&home, &from).expect_success();
    let to = home.plugins().join(from.file_name().expect("a file"));
    let expected = format!(
        "installed openrouter {VERSION} as {}\nit is idle: `OPENROUTER_API_KEY` is not set\n",
        to.display()
    );
    assert_eq!(ran.stdout, expected);
    assert!(fs::read(&to).expect("the copy") == fs::read(&from).expect("the original"));
    let info = home.host(&["plugins", "info", "openrouter", "--json"]).run();
    let info = json_of(&info.expect_success());
    assert_eq!(
        info["recorded"]["sha256"], info["sha256"],
        "what was installed is recorded"
    );
    let remove = home.host(&["plugins", "remove", "openrouter"]).run().expect_success();
    assert_eq!(
        (remove.stdout, to.exists()),
        (format!("deleted {}\n", to.display()), false)
    );
}

#[test]
fn other_bytes_than_the_recorded_ones_are_refused_until_accepted() {
    let bench = Bench::new();
    let file = bench
        .home
        .plugins()
        .join(openrouter_plugin().file_name().expect("a file"));
    // Bytes behind the last section change nothing but the hash.
    let changed = [fs::read(&file).expect("the plugin"), b"changed".to_vec()].concat();
    fs::remove_file(&file).expect("writable");
    fs::write(&file, changed).expect("writable");
    let refused = bench.run(&["chat", "Hello"]);
    let start = format!(
        "error: plugin `libplugin_openrouter.so` was refused: its bytes are not those of {VERSION} that were recorded on "
    );
    assert_fails(&refused, 9, &start);
    assert_has(
        &refused.stderr,
        "hint: if you replaced it yourself: agent-host plugins accept openrouter\n",
    );
    let listed = &json_of(&bench.ok(&["plugins", "list", "--json"]))[0];
    assert_eq!(
        (&listed["verdict"], &listed["code"]),
        (&json!("refused"), &json!("changed"))
    );
    assert_has(
        &bench.ok(&["plugins", "accept", "openrouter"]).stdout,
        "recorded openrouter ",
    );
    bench.ok(&["chat", "Hello"]);

    // Another plugin in that file is no better.
    fs::copy(echo_plugin(), &file).expect("writable");
    let listed = &json_of(&bench.ok(&["plugins", "list", "--json"]))[0];
    assert_eq!((&listed["id"], &listed["code"]), (&json!("echo"), &json!("changed")));
}

#[test]
fn a_plugin_dropped_in_is_recorded_with_one_notice() {
    let bench = Bench::new();
    fs::remove_file(bench.home.path().join(LOCK_FILE)).expect("it was used before");
    let locked = bench.run(&["--locked", "chat", "Hello"]);
    assert_fails(
        &locked,
        9,
        "error: plugin `libplugin_openrouter.so` was refused: the plugin `openrouter` is not in the lock file",
    );
    let first = bench.ok(&["chat", "Hello"]);
    assert_has(&first.stderr, "note: the plugin openrouter ");
    let second = bench.ok(&["--locked", "chat", "Hello"]);
    assert_lacks(&second.stderr, "note:");
}

#[test]
fn a_checksum_beside_a_plugin_must_be_that_of_its_bytes() {
    let bench = Bench::new();
    let info = json_of(&bench.ok(&["plugins", "info", "openrouter", "--json"]));
    let [sum, file] = ["sha256", "file"].map(|member| info[member].as_str().expect("text").to_owned());
    let beside = format!("{file}.sha256");
    fs::write(&beside, format!("{sum}  libplugin_openrouter.so\n")).expect("writable");
    bench.ok(&["chat", "Hello"]);
    fs::write(&beside, "0".repeat(64)).expect("writable");
    let refused = bench.run(&["chat", "Hello"]);
    assert_fails(&refused, 9, "error: plugin `libplugin_openrouter.so` was refused: `");
    assert_has(&refused.stderr, "expected SHA-256 000000000000…, found ");
    assert_fails(
        &bench.run(&["plugins", "accept", "openrouter"]),
        9,
        "expected SHA-256 000000000000…",
    );
    // An installed file has its own record, and the old checksum goes.
    install(&bench.home, &openrouter_plugin()).expect_success();
    bench.ok(&["chat", "Hello"]);
}

#[test]
fn a_plugin_that_kills_its_process_is_named_and_kills_nothing_else() {
    let bench = Bench::new();
    for (name, constructor, reason) in [
        (
            "crash",
            "std::process::abort()",
            "its process ended while being loaded (signal: 6 (SIGABRT)",
        ),
        (
            "exit",
            "std::process::exit(0)",
            "its process ended while being loaded (exit status: 0)",
        ),
        ("print", "println!(\"hello\")", "it writes to standard output"),
        ("hang", "loop { std::thread::park() }", "it did not end within 1 s"),
    ] {
        let id = format!("{name}s");
        compiled(&bench.home.plugins(), name, &hasty_source(&id, constructor), &[]);
        // The others would not end before the usual limit on a busy machine.
        let limit = if name == "hang" { "1" } else { "60" };
        let list = bench.host(&["plugins", "list", "--json"]);
        let listed = json_of(&list.env("AGENT_HOST_TRIAL_SECONDS", limit).run().expect_success());
        let mut listed = listed.as_array().expect("a list").iter();
        let row = listed.rfind(|row| row["id"] == *id).expect("it is listed");
        assert_eq!(
            (&row["verdict"], &row["code"]),
            (&json!("refused"), &json!("trial")),
            "{row}"
        );
        assert_has(row["reason"].as_str().expect("text"), reason);
    }
    bench.ok(&["chat", "Hello"]);
}

#[test]
fn a_file_that_would_not_be_a_plugin_of_its_own_is_not_installed() {
    let bench = Bench::new();
    let home = &bench.home;
    assert_fails(
        &install(home, Path::new("/etc/hostname")),
        9,
        "error: plugin `hostname` was refused: it is not a shared library\nhint: get the plugin again from its author, \
         or remove the file if it is not a plugin\n",
    );
    for (path, found) in [
        ("/nowhere/libother.so", "nothing"),
        ("/nowhere", "nothing"),
        ("/etc", "a folder"),
    ] {
        let message = format!("error: `{path}`: expected the file of a plugin, such as `libNAME.so`, found {found}\n");
        assert_fails(&install(home, Path::new(path)), 9, &message);
    }
    let twin = home.path().join("libother.so");
    fs::copy(openrouter_plugin(), &twin).expect("writable");
    assert_fails(
        &install(home, &twin),
        9,
        "error: the plugin `openrouter` is already installed as ",
    );
    let odd_name = home.path().join("parrot.plugin");
    fs::copy(second_plugin(), &odd_name).expect("writable");
    assert_fails(
        &install(home, &odd_name),
        9,
        "error: expected a file name ending in `.so`, found `parrot.plugin`: the plugin folder ignores other \
         files\nhint: rename it: mv parrot.plugin parrot.plugin.so\n",
    );
    let same_name = home.path().join("libplugin_openrouter.so");
    fs::rename(odd_name, &same_name).expect("ours");
    let held = home.plugins().join("libplugin_openrouter.so");
    let replacing = format!(
        "error: `{}` already holds another plugin, `openrouter`\nhint: ",
        held.display()
    );
    assert_fails(&install(home, &same_name), 9, &replacing);
    assert_eq!(verdict(&bench, true)[0], "enabled");
}

#[test]
fn of_two_files_with_one_plugin_only_the_recorded_one_is_used() {
    let bench = Bench::new();
    let other = bench.home.plugins().join("libother.so");
    let bytes = fs::read(openrouter_plugin()).expect("the plugin");
    fs::write(&other, &bytes).expect("writable");
    assert_has(
        &bench.ok(&["plugins", "list"]).stdout,
        "it is a copy of `libother.so`, which is used",
    );
    fs::write(&other, [&bytes[..], b"changed"].concat()).expect("writable");
    let reason = "it contains the plugin `openrouter` too, and `libplugin_openrouter.so` is the recorded one";
    assert_has(&bench.ok(&["plugins", "list"]).stdout, reason);
    bench.ok(&["chat", "Hello"]);

    fs::remove_file(bench.home.path().join(LOCK_FILE)).expect("it was used before");
    let list = bench.ok(&["plugins", "list"]).stdout;
    let reason = "libother.so and libplugin_openrouter.so contain the same plugin `openrouter`";
    assert_eq!(list.matches(reason).count(), 2, "{list}");
    bench.home.link(&second_plugin());
    let chat = bench.run(&["chat", "Hello"]);
    assert_fails(&chat, 9, reason);
    assert_lacks(&chat.stderr, "parrot");
    let again = install(&bench.home, &openrouter_plugin());
    assert_fails(&again, 9, "the plugin `openrouter` is already installed as ");
}

#[test]
fn two_plugins_of_different_providers_are_both_listed_and_both_answer() {
    let bench = Bench::new();
    bench.home.install(&second_plugin());
    bench.home.write_profile(
        r#"{"auth": {"profiles": {"default": {"provider": "openrouter"}, "bird": {"provider": "parrot"}}}}"#,
    );
    let ok = |arguments: &[&str]| {
        let ran = bench.host(arguments).env("PARROT_KEY", "seed").run();
        ran.expect_success().stdout
    };
    let list = ok(&["plugins", "list"]);
    assert_has(&list, "enabled  by environment variable `OPENROUTER_API_KEY`");
    assert_has(&list, "enabled  by environment variable `PARROT_KEY`");
    assert_has(&ok(&["chat", "Hello"]), "sandbox");
    assert_has(&ok(&["--profile", "bird", "chat", "Hello"]), "Hello");
    assert_eq!(bench.n_requests(), 1);
}

#[test]
fn tiers_show_what_is_configured_what_is_sent_and_why() {
    let bench = Bench::with_profile(&profile(
        r#""model": "acme/large", "tiers": {"TEXT_SMALL": "acme/small:free"}"#,
    ));
    let run = bench.without_key(&["tiers", "--json"]);
    let ran = run.env("OPENROUTER_REASONING_LARGE_MODEL", "auto").run();
    let tiers = json_of(&ran.expect_success());
    for (tier, configured, wire, origin) in [
        (
            "TEXT_NANO",
            "acme/small:free",
            "acme/small:free",
            "profile `tiers.TEXT_SMALL` through TEXT_SMALL",
        ),
        (
            "TEXT_REASONING_LARGE",
            "auto",
            "openrouter/auto",
            "variable `OPENROUTER_REASONING_LARGE_MODEL`",
        ),
    ] {
        let mut rows = tiers.as_array().expect("rows").iter();
        let row = rows.find(|row| row["tier"] == tier).expect("the tier");
        let found = json!([row["configured"], row["wire"], row["origin"]]);
        assert_eq!(found, json!([configured, wire, origin]), "{tier}");
    }
    let table = Bench::new().without_key(&["tiers"]).run().expect_success().stdout;
    let expected = [
        "TEXT_SMALL",
        "anthropic/claude-haiku-4",
        "anthropic/claude-haiku-4.5",
        "built-in default",
    ];
    assert_eq!(cells(row(&table, "TEXT_SMALL")), expected);
}
