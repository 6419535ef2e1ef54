//! The plugin folder and its verdicts.

use std::fs;
use std::path::Path;

use plugin_api::VERSION;
use serde_json::{Value, json};
use tests::{Home, second_plugin};

use crate::{Bench, profile};

/// The row of a plugin in the list: its verdict and the reason.
fn verdict(bench: &Bench, with_key: bool) -> (String, String) {
    let arguments = ["plugins", "list", "--json"];
    let run = if with_key {
        bench.host(&arguments)
    } else {
        bench.without_key(&arguments)
    };
    let rows: Value = serde_json::from_str(&run.run().expect_success().stdout).expect("JSON");
    assert_eq!(rows[0]["id"], "openrouter");
    let text = |field: &str| rows[0][field].as_str().unwrap_or_default().to_owned();
    (text("verdict"), text("reason"))
}

#[test]
fn a_plugin_switches_itself_on_when_its_key_is_there() {
    let bench = Bench::new();
    let told = |word: &str, reason: &str| (word.to_owned(), reason.to_owned());
    assert_eq!(verdict(&bench, false), told("idle", "`OPENROUTER_API_KEY` is not set"));
    assert_eq!(
        verdict(&bench, true),
        told("enabled", "by environment `OPENROUTER_API_KEY`")
    );
    let disabled = bench.host(&["plugins", "disable", "openrouter"]).run().expect_success();
    assert_eq!(
        disabled.stdout,
        "openrouter is disabled; `agent-host plugins enable openrouter` takes that back\n"
    );
    assert_eq!(
        verdict(&bench, true),
        told("disabled", "by `agent-host plugins disable openrouter`")
    );
    let chat = bench.host(&["chat", "Hello"]).run();
    assert_eq!(
        (chat.code, chat.stderr.lines().next()),
        (Some(2), Some("error: the plugin `openrouter` is disabled"))
    );
    bench.host(&["plugins", "enable", "openrouter"]).run().expect_success();
    assert_eq!(verdict(&bench, true).0, "enabled");
}

#[test]
fn the_list_is_a_table_for_people() {
    let bench = Bench::new();
    fs::write(bench.home.plugins().join("text.so"), "no library").expect("writable");
    let list = bench.without_key(&["plugins", "list"]).run().expect_success();
    let rows: Vec<Vec<&str>> = list
        .stdout
        .lines()
        .map(|line| {
            line.split("  ")
                .filter(|cell| !cell.is_empty())
                .map(str::trim)
                .collect()
        })
        .collect();
    assert_eq!(
        rows,
        [
            vec!["PLUGIN", "VERSION", "API", "VERDICT", "REASON"],
            vec![
                "openrouter",
                VERSION,
                VERSION,
                "idle",
                "`OPENROUTER_API_KEY` is not set"
            ],
            vec!["text.so", "-", "-", "refused", "it is not a shared library"],
        ]
    );
}

#[test]
fn a_plugin_that_cannot_work_is_a_row_and_not_a_crash() {
    let bench = Bench::new();
    let list = bench
        .without_key(&["plugins", "list"])
        .env("OPENROUTER_API_KEY", "Bearer x")
        .run()
        .expect_success();
    assert!(
        list.stdout
            .contains("failed   the key in `OPENROUTER_API_KEY` cannot be one"),
        "{}",
        list.stdout
    );
}

#[test]
fn installing_copies_a_plugin_and_says_what_it_needs() {
    let home = Home::new();
    let from = tests::openrouter_plugin();
    let ran = home
        .host(&["plugins", "install", from.to_str().expect("text")])
        .without("AGENT_HOST_CONFIG")
        .run();
    let to = home.plugins().join(from.file_name().expect("a file"));
    assert_eq!(
        ran.expect_success().stdout,
        format!(
            "installed openrouter {VERSION} as {}\nit is idle: `OPENROUTER_API_KEY` is not set\n",
            to.display()
        )
    );
    assert_eq!(fs::read(&to).expect("the copy"), fs::read(&from).expect("the original"));
    let manifest = to.with_extension("manifest.json");
    let text = fs::read_to_string(&manifest).expect("the manifest");
    assert!(text.contains(&format!("\"plugin_api\": \"{VERSION}\"")), "{text}");
    fs::write(
        &manifest,
        text.replacen(&format!("\"version\": \"{VERSION}\""), "\"version\": \"0.9.0\"", 1),
    )
    .expect("writable");
    let list = home
        .host(&["plugins", "list"])
        .without("AGENT_HOST_CONFIG")
        .run()
        .expect_success();
    assert!(
        list.stdout.contains("; replaced since 0.9.0 was installed"),
        "{}",
        list.stdout
    );
    let other_name = home.path().join("libother.so");
    fs::copy(&from, &other_name).expect("writable");
    let twin = home
        .host(&["plugins", "install", other_name.to_str().expect("text")])
        .without("AGENT_HOST_CONFIG")
        .run();
    assert_eq!(twin.code, Some(9));
    assert!(
        twin.stderr
            .starts_with("error: the plugin `openrouter` is there already: "),
        "{}",
        twin.stderr
    );
    let nothing = home.host(&["plugins", "install", "/etc/hostname"]).run();
    assert_eq!(nothing.code, Some(9));
    assert_eq!(
        nothing.stderr,
        "error: plugin `hostname` was refused: it is not a shared library\nhint: get the plugin again from its author; a \
         file that is no plugin does not belong into the folder\n"
    );
}

#[test]
fn a_file_that_would_not_be_found_or_would_replace_another_plugin_is_not_installed() {
    let bench = Bench::new();
    let from = bench.home.path().join("parrot.plugin");
    fs::copy(second_plugin(), &from).expect("writable");
    let install = |path: &Path| bench.host(&["plugins", "install", path.to_str().expect("text")]).run();
    let odd_name = install(&from);
    assert_eq!(odd_name.code, Some(9));
    assert_eq!(
        odd_name.stderr,
        "error: expected a file whose name ends in `.so`, found `parrot.plugin`: it would not be found in the plugin \
         folder\nhint: rename it: mv parrot.plugin parrot.plugin.so\n"
    );
    let same_name = bench.home.path().join("libplugin_openrouter.so");
    fs::rename(from, &same_name).expect("ours");
    let replacing = install(&same_name);
    assert_eq!(replacing.code, Some(9));
    let held = bench.home.plugins().join("libplugin_openrouter.so");
    assert!(
        replacing.stderr.starts_with(&format!(
            "error: `{}` holds another plugin, `openrouter`, which it would replace\nhint: ",
            held.display()
        )),
        "{}",
        replacing.stderr
    );
    assert_eq!(verdict(&bench, true).0, "enabled");
}

#[test]
fn two_files_with_one_plugin_are_both_refused() {
    let bench = Bench::new();
    fs::copy(tests::openrouter_plugin(), bench.home.plugins().join("libother.so")).expect("writable");
    let list = bench.host(&["plugins", "list"]).run().expect_success();
    let reason = "libother.so and libplugin_openrouter.so hold the same plugin `openrouter`";
    assert_eq!(list.stdout.matches(reason).count(), 2, "{}", list.stdout);
    bench.home.install(&second_plugin());
    let chat = bench.host(&["chat", "Hello"]).run();
    assert_eq!(chat.code, Some(9));
    assert!(
        chat.stderr.contains(reason) && !chat.stderr.contains("parrot"),
        "{}",
        chat.stderr
    );
    let again = bench
        .host(&["plugins", "install", tests::openrouter_plugin().to_str().expect("text")])
        .run();
    assert_eq!(again.code, Some(9));
    assert!(
        again.stderr.contains("the plugin `openrouter` is there already: "),
        "{}",
        again.stderr
    );
}

#[test]
fn two_plugins_of_different_providers_are_both_listed_and_both_answer() {
    let bench = Bench::new();
    bench.home.install(&second_plugin());
    bench.home.write_profile(
        r#"{"auth": {"profiles": {"default": {"provider": "openrouter"}, "bird": {"provider": "parrot"}}}}"#,
    );
    let with_keys = |arguments: &[&str]| bench.host(arguments).env("PARROT_KEY", "seed").run().expect_success();
    let list = with_keys(&["plugins", "list"]);
    assert!(
        list.stdout.contains("enabled  by environment `OPENROUTER_API_KEY`"),
        "{}",
        list.stdout
    );
    assert!(
        list.stdout.contains("enabled  by environment `PARROT_KEY`"),
        "{}",
        list.stdout
    );
    assert!(with_keys(&["chat", "Hello"]).stdout.contains("sandbox"));
    let parrot = with_keys(&["--profile", "bird", "chat", "Hello"]);
    assert!(parrot.stdout.contains("Hello"), "{}", parrot.stdout);
    assert_eq!(bench.service.requests().len(), 1);
}

#[test]
fn tiers_say_what_is_configured_what_is_sent_and_why() {
    let bench = Bench::with_profile(&profile(
        r#""model": "acme/large", "tiers": {"TEXT_SMALL": "acme/small:free"}"#,
    ));
    let run = bench
        .without_key(&["tiers", "--json"])
        .env("OPENROUTER_REASONING_LARGE_MODEL", "auto");
    let tiers: Value = serde_json::from_str(&run.run().expect_success().stdout).expect("JSON");
    let row = |tier: &str| {
        let mut rows = tiers.as_array().expect("rows").iter();
        rows.find(|row| row["tier"] == tier).expect("the tier").clone()
    };
    assert_eq!(row("TEXT_SMALL")["origin"], "profile `tiers.TEXT_SMALL`");
    assert_eq!(
        row("TEXT_NANO")["origin"],
        "profile `tiers.TEXT_SMALL` through TEXT_SMALL"
    );
    assert_eq!(
        (&row("TEXT_LARGE")["wire"], &row("TEXT_LARGE")["origin"]),
        (&json!("acme/large"), &json!("profile `model`"))
    );
    let reasoning = row("TEXT_REASONING_LARGE");
    assert_eq!(
        (&reasoning["configured"], &reasoning["wire"]),
        (&json!("auto"), &json!("openrouter/auto"))
    );
    assert_eq!(reasoning["origin"], "variable `OPENROUTER_REASONING_LARGE_MODEL`");
    let table = Bench::new().without_key(&["tiers"]).run().expect_success().stdout;
    let small = table
        .lines()
        .find(|line| line.starts_with("TEXT_SMALL"))
        .expect("a row");
    let cells: Vec<&str> = small
        .split("  ")
        .filter(|cell| !cell.is_empty())
        .map(str::trim)
        .collect();
    assert_eq!(
        cells,
        [
            "TEXT_SMALL",
            "anthropic/claude-haiku-4",
            "anthropic/claude-haiku-4.5",
            "built-in default"
        ]
    );
}
