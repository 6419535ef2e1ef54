//! The profile file, seen from the command line.

use std::fs;

use serde_json::{Value, json};
use tests::HostRun;

use crate::{Bench, profile};

#[test]
fn five_mistakes_are_five_reports_with_their_places() {
    let bench = Bench::with_profile(
        r#"{
  // Five mistakes.
  "auth": { "profiles": { "default": {
    "provider": "openrouter",
    "modle": "a/b",
    "tiers": { "TEXT_SMALL": 7 },
    "providerPreferences": { "sort": "fastest" },
    "timeouts": { "idleMs": 0 },
    "baseUrl": "http://example.com",
  } } }
}
"#,
    );
    let ran = bench.host(&["profile", "check"]).run();
    assert_eq!(ran.code, Some(3));
    let file = bench.home.profile().display().to_string();
    let places: Vec<&str> = ran
        .stderr
        .lines()
        .filter_map(|line| line.strip_prefix(file.as_str()))
        .collect();
    let expected = [
        ":5:5: at /auth/profiles/default/modle: unknown option",
        ":6:30: at /auth/profiles/default/tiers/TEXT_SMALL: expected",
        ":7:38: at /auth/profiles/default/providerPreferences/sort: expected one of",
        ":8:29: at /auth/profiles/default/timeouts/idleMs: expected a whole number from 1 to 3600000, found `0`",
        ":9:16: at /auth/profiles/default/baseUrl: `http://` would send the key unencrypted",
    ];
    assert_eq!(places.len(), expected.len(), "{}", ran.stderr);
    for (place, expected) in places.iter().zip(expected) {
        assert!(place.starts_with(expected), "{place}");
    }
    assert!(
        ran.stderr
            .starts_with(&format!("error: profile `{file}` has 5 problems\n")),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("hint: did you mean `model`?"), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("5 |     \"modle\": \"a/b\",\n  |     ^^^^^^^"),
        "{}",
        ran.stderr
    );
    let json = bench.host(&["profile", "check", "--json"]).run();
    let report: Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!(
        (json.code, report["problems"].as_array().map(Vec::len)),
        (Some(3), Some(5))
    );
    let chat = bench.host(&["chat", "Hello"]).run();
    assert_eq!((chat.code, chat.stderr), (Some(3), ran.stderr));
    assert_eq!(bench.service.requests().len(), 0);
}

#[test]
fn a_milady_file_with_other_sections_is_fine() {
    let bench = Bench::with_profile(
        r#"{
  "agents": { "list": [ { "id": "main", "anything": null } ] },
  "plugins": { "entries": { "telegram": { "enabled": true } } },
  "auth": { "profiles": { "default": { "provider": "openrouter", "fallback_models": ["openai/gpt-4o"], } }, "order": {} },
}"#,
    );
    let ran = bench.host(&["profile", "check"]).run().expect_success();
    assert_eq!(
        ran.stdout,
        format!(
            "{} is valid, with 1 profile: `default`\n",
            bench.home.profile().display()
        )
    );
    bench.host(&["chat", "Hello"]).run().expect_success();
    assert_eq!(bench.bodies()[0]["models"], json!(["openai/gpt-4o"]));
}

#[test]
fn both_spellings_of_an_option_mean_the_same() {
    let bench = Bench::new();
    for options in [
        r#""providerPreferences": {"allowFallbacks": false, "maxPrice": {"prompt": 1.5}, "only": ["Together AI"]}"#,
        r#""provider_preferences": {"allow_fallbacks": false, "max_price": {"prompt": "1.5"}, "only": ["together"]}"#,
    ] {
        bench.home.write_profile(&profile(options));
        bench
            .host(&["chat", "-m", "meta-llama/llama-3.3-70b-instruct", "Hello"])
            .run();
    }
    let bodies = bench.bodies();
    let expected = json!({"only": ["together"], "allow_fallbacks": false, "max_price": {"prompt": "1.5"}});
    assert_eq!((&bodies[0]["provider"], &bodies[1]["provider"]), (&expected, &expected));
}

#[test]
fn a_profile_that_is_not_there_is_named_with_the_nearest_one() {
    let bench = Bench::with_profile(&profile(r#""model": "a/b""#));
    let ran = bench.host(&["--profile", "defualt", "chat", "Hello"]).run();
    assert_eq!(ran.code, Some(3));
    let file = bench.home.profile().display().to_string();
    assert_eq!(
        ran.stderr,
        format!("error: profile file `{file}` has no profile `defualt`\nhint: did you mean `default`?\n")
    );
    let missing = bench.host(&["--config", "/nowhere.json", "chat", "Hello"]).run();
    assert_eq!(missing.code, Some(3));
    assert_eq!(
        missing.stderr,
        "error: profile file `/nowhere.json` does not exist\nhint: write one with `agent-host profile init`\n"
    );
}

#[test]
fn a_profile_chosen_by_flag_or_variable_is_the_one_that_holds() {
    let bench = Bench::with_profile(
        r#"{"auth": {"profiles": {"default": {"provider": "openrouter"},
            "work": {"provider": "openrouter", "model": "openai/gpt-4o", "privacy": "strict"}}}}"#,
    );
    bench.host(&["--profile", "work", "chat", "Hello"]).run();
    bench.host(&["chat", "Hello"]).env("AGENT_HOST_PROFILE", "work").run();
    for body in bench.bodies() {
        assert_eq!(body["model"], "openai/gpt-4o");
        assert_eq!(body["provider"], json!({"data_collection": "deny", "zdr": true}));
    }
    assert_eq!(bench.bodies().len(), 2);
}

#[test]
fn a_new_profile_is_valid_as_written_and_has_its_schema_beside_it() {
    let bench = Bench::new();
    let config = bench.home.path().join(".config/agent-host/profile.json");
    let host = |arguments: &[&str]| bench.host(arguments).without("AGENT_HOST_CONFIG");
    host(&["profile", "init"]).run().expect_success();
    let text = fs::read_to_string(&config).expect("a new profile");
    assert!(text.contains("\"$schema\": \"./profile.schema.json\""), "{text}");
    let schema = fs::read_to_string(config.with_file_name("profile.schema.json")).expect("its schema");
    assert_eq!(schema, host(&["profile", "schema"]).run().expect_success().stdout);
    host(&["profile", "check"]).run().expect_success();
    let again = host(&["profile", "init"]).run();
    assert_eq!(again.code, Some(2));
    assert!(again.stderr.contains("`--force` replaces it"), "{}", again.stderr);
}

#[test]
fn everything_that_holds_is_shown_with_its_origin() {
    let bench = Bench::with_profile(
        "{\"auth\": {\"profiles\": {\"default\": {\"provider\": \"openrouter\",\n  \"timeouts\": {\"idle_ms\": 30000}}}}}",
    );
    let ran = bench
        .host(&["profile", "show", "--resolved", "--json"])
        .env("SMALL_MODEL", "acme/small")
        .run();
    let held: Value = serde_json::from_str(&ran.expect_success().stdout).expect("JSON");
    let of = |name: &str| {
        (
            held[name]["value"].clone(),
            held[name]["origin"].as_str().unwrap_or_default().to_owned(),
        )
    };
    let file = bench.home.profile().display().to_string();
    assert_eq!(of("timeouts.idleMs"), (json!(30000), format!("{file}:2:27")));
    assert_eq!(of("timeouts.totalMs"), (json!(600_000), "built-in default".to_owned()));
    assert_eq!(
        of("TEXT_SMALL"),
        (json!("acme/small"), "variable `SMALL_MODEL`".to_owned())
    );
    assert_eq!(
        of("key"),
        (json!("(set)"), "environment `OPENROUTER_API_KEY`".to_owned())
    );
    assert_eq!(of("OPENROUTER_BASE_URL").1, "environment `OPENROUTER_BASE_URL`");
}

#[test]
fn without_a_profile_the_provider_is_on_or_merely_there() {
    let bench = Bench::new();
    let shown = |run: HostRun| {
        let held: Value = serde_json::from_str(&run.run().expect_success().stdout).expect("JSON");
        held["provider"]["origin"].as_str().unwrap_or_default().to_owned()
    };
    let arguments = ["profile", "show", "--resolved", "--json"];
    assert_eq!(shown(bench.host(&arguments)), "no profile; the only plugin that is on");
    assert_eq!(
        shown(bench.without_key(&arguments)),
        "no profile; the plugin in the folder"
    );
}

#[test]
fn a_plugin_that_is_off_is_not_asked_about_a_profile() {
    // Only the plugin itself knows what is wrong with this address.
    let bench = Bench::with_profile(&profile(r#""baseUrl": "http://example.com""#));
    let check = || bench.host(&["profile", "check"]).run();
    assert_eq!(check().code, Some(3));
    bench.host(&["plugins", "disable", "openrouter"]).run().expect_success();
    let ran = check().expect_success();
    assert!(
        ran.stdout.ends_with(" is valid, with 1 profile: `default`\n"),
        "{}",
        ran.stdout
    );
}

#[test]
fn a_report_shows_no_escape_sequence_of_the_profile() {
    let bench = Bench::with_profile(&profile(
        "\"mo\u{9b}31mdle\": 1, \"privacy\": \"\\u001b]0;x\\u0007\u{9b}31m\", \"baseUrl\": \"http://\\u001b]0;x\\u0007\"",
    ));
    for arguments in [&["profile", "check"][..], &["profile", "check", "--json"]] {
        let ran = bench.host(arguments).run();
        assert_eq!(ran.code, Some(3));
        let all = ran.stdout + &ran.stderr;
        assert!(
            !all.contains(|letter: char| letter.is_control() && letter != '\n'),
            "{all:?}"
        );
    }
}

#[test]
fn a_profile_is_begun_under_the_name_that_was_asked_for() {
    let bench = Bench::new();
    let file = bench.home.path().join("mine.json");
    let file = file.to_str().expect("text");
    bench
        .host(&["--config", file, "--profile", "work", "profile", "init"])
        .run()
        .expect_success();
    let check = bench.host(&["profile", "check", file]).run().expect_success();
    assert_eq!(check.stdout, format!("{file} is valid, with 1 profile: `work`\n"));
    assert_eq!(
        check.stderr,
        "note: it has no profile `default`, which is used unless `--profile` names another\n"
    );
}

#[test]
fn a_schema_of_somebody_else_is_not_replaced() {
    let bench = Bench::new();
    let schema = bench.home.path().join("profile.schema.json");
    fs::write(&schema, "mine").expect("writable");
    let file = bench.home.path().join("mine.json");
    let ran = bench
        .host(&["--config", file.to_str().expect("text"), "profile", "init"])
        .run();
    assert_eq!(ran.code, Some(2));
    assert_eq!(fs::read_to_string(&schema).expect("still there"), "mine");
    assert!(!file.exists());
}

#[test]
fn a_password_or_a_key_inside_an_address_is_never_shown() {
    for address in [
        "https://user:open-sesame@example.com/v1",
        "https://example.com/v1?token=open-sesame",
        "ftp://example.com/sk-or-v1-open-sesame",
    ] {
        let bench = Bench::with_profile(&profile(&format!(r#""baseUrl": "{address}""#)));
        for arguments in [&["profile", "check"][..], &["chat", "Hello"], &["doctor", "--offline"]] {
            let ran = bench.host(arguments).run();
            let all = format!("{}{}", ran.stdout, ran.stderr);
            assert!(!all.contains("open-sesame"), "{arguments:?}: {all}");
            assert!(all.contains("baseUrl"), "{arguments:?}: {all}");
        }
    }
}
