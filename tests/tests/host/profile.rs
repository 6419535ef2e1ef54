//! The profile file, seen from the command line.

use std::fs;

use sandbox::Script;
use serde_json::{Map, Value, json};
use tests::{Home, HostRun};

use crate::{Bench, assert_fails, assert_has, assert_lacks, assert_starts, home_with_parrot, json_of, profile};

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
    let ran = bench.run(&["profile", "check"]);
    let file = bench.home.profile().display().to_string();
    assert_eq!(ran.code, Some(3));
    assert_starts(&ran.stderr, &format!("error: profile `{file}` has 5 problems\n"));
    let places: Vec<&str> = ran.stderr.lines().filter_map(|line| line.strip_prefix(&file)).collect();
    let expected = [
        ":5:5: at /auth/profiles/default/modle: unknown option",
        ":6:30: at /auth/profiles/default/tiers/TEXT_SMALL: expected",
        ":7:38: at /auth/profiles/default/providerPreferences/sort: expected one of",
        ":8:29: at /auth/profiles/default/timeouts/idleMs: expected a whole number from 1 to 3600000, found `0`",
        ":9:16: at /auth/profiles/default/baseUrl: `http://` would send the key unencrypted",
    ];
    assert_eq!(places.len(), expected.len(), "{}", ran.stderr);
    for (place, expected) in places.iter().zip(expected) {
        assert_starts(place, expected);
    }
    assert_has(&ran.stderr, "hint: did you mean `model`?");
    assert_has(&ran.stderr, "5 |     \"modle\": \"a/b\",\n  |     ^^^^^^^");
    let json = bench.run(&["profile", "check", "--json"]);
    let n_problems = json_of(&json)["problems"].as_array().map(Vec::len);
    assert_eq!((json.code, n_problems), (Some(3), Some(5)));
    let chat = bench.run(&["chat", "Hello"]);
    let next = "hint: correct the file, then check it with `agent-host profile check`\n";
    assert_eq!((chat.code, chat.stderr), (Some(3), ran.stderr + next));
    assert_eq!(bench.n_requests(), 0);
}

#[test]
fn plugins_are_asked_about_the_selected_profile_and_a_few_others() {
    let bad = json!({"provider": "openrouter", "baseUrl": "http://example.com"});
    let others = (0..300).map(|n| (format!("p{n}"), bad.clone()));
    let profiles: Map<String, Value> = others.chain([("default".to_owned(), bad.clone())]).collect();
    let bench = Bench::with_profile(&json!({"auth": {"profiles": profiles}}).to_string());
    let ran = bench.run(&["profile", "check", "--json"]);
    let found = json_of(&ran);
    let pointers: Vec<&str> = found["problems"]
        .as_array()
        .expect("problems")
        .iter()
        .filter_map(|problem| problem["pointer"].as_str())
        .collect();
    // The last of them says that the others are checked in part.
    assert_eq!((ran.code, pointers.len()), (Some(3), 101));
    assert_eq!(pointers[99], "/auth/profiles/p99");
    assert_eq!(pointers[100], "/auth/profiles/default/baseUrl");
}

#[test]
fn a_missing_profile_or_file_is_named_with_a_hint() {
    let bench = Bench::with_model("a/b");
    let file = bench.home.profile().display().to_string();
    let misspelt = format!("error: profile file `{file}` has no profile `defualt`\nhint: did you mean `default`?\n");
    assert_fails(&bench.run(&["--profile", "defualt", "chat", "Hello"]), 3, &misspelt);
    assert_fails(
        &bench.run(&["--config", "/nowhere.json", "chat", "Hello"]),
        3,
        "error: profile file `/nowhere.json` does not exist\nhint: create one with `agent-host profile init`\n",
    );
}

#[test]
fn a_flag_or_variable_chooses_the_profile() {
    let bench = Bench::with_profile(
        r#"{"auth": {"profiles": {"default": {"provider": "openrouter"},
            "work": {"provider": "openrouter", "model": "openai/gpt-4o", "privacy": "strict"}}}}"#,
    );
    bench.run(&["--profile", "work", "chat", "Hello"]);
    bench.host(&["chat", "Hello"]).env("AGENT_HOST_PROFILE", "work").run();
    let bodies = bench.bodies();
    assert_eq!(bodies.len(), 2);
    for body in bodies {
        assert_eq!(body["model"], "openai/gpt-4o");
        assert_eq!(body["provider"], json!({"data_collection": "deny", "zdr": true}));
    }
}

#[test]
fn a_new_profile_is_valid_and_has_its_schema_beside_it() {
    let bench = Bench::new();
    let config = bench.home.path().join(".config/agent-host/profile.json");
    bench.ok(&["profile", "init"]);
    let text = fs::read_to_string(&config).expect("a new profile");
    assert_has(&text, "\"$schema\": \"./profile.schema.json\"");
    let schema = fs::read_to_string(config.with_file_name("profile.schema.json")).expect("its schema");
    assert!(schema == bench.ok(&["profile", "schema"]).stdout);
    bench.ok(&["profile", "check"]);
    assert_fails(&bench.run(&["profile", "init"]), 2, "replace it with `--force`");
    fs::write(&config, "{\"mine\": 1}").expect("the home is writable");
    let kept = config.with_file_name("profile.json.bak1");
    let ran = bench.run(&["profile", "init", "--force"]);
    assert_has(
        &ran.stderr,
        &format!("note: the previous file is kept as {}", kept.display()),
    );
    assert_eq!(fs::read_to_string(&kept).expect("a copy"), "{\"mine\": 1}");
}

#[test]
fn a_new_profile_stays_valid_with_all_its_examples() {
    let bench = Bench::new();
    bench.ok(&["profile", "init"]);
    let config = bench.home.path().join(".config/agent-host/profile.json");
    let text = fs::read_to_string(&config).expect("a new profile");
    let (before, examples) = text.split_once("such as these:\n").expect("examples");
    for option in ["tiers", "fallbackModels", "providerPreferences", "budget"] {
        assert_has(examples, &format!("// \"{option}\": "));
    }
    // Lines of JSON, not of prose.
    let begins = ["// \"", "// {", "// }", "// [", "// ]", "//  "];
    let lines = examples
        .lines()
        .map(|line| match begins.iter().any(|begin| line.trim().starts_with(begin)) {
            true => line.replacen("// ", "", 1),
            false => line.to_owned(),
        });
    let enabled: Vec<String> = lines.collect();
    fs::write(&config, format!("{before}\n{}", enabled.join("\n"))).expect("the home is writable");
    assert_eq!(bench.ok(&["profile", "check"]).stderr, "");
    assert_has(&bench.ok(&["config", "get", "budget"]).stdout, "\"perDayUsd\": \"5\"");
}

#[test]
fn a_new_profile_may_have_another_name_and_place() {
    let bench = Bench::new();
    let file = bench.home.path().join("mine.json");
    let file = file.to_str().expect("text");
    bench.ok(&["--config", file, "--profile", "work", "profile", "init"]);
    let check = bench.ok(&["profile", "check", file]);
    assert_eq!(check.stdout, format!("{file} is valid, with 1 profile: `work`\n"));
    assert_eq!(
        check.stderr,
        "note: it has no profile `default`; choose another one with `--profile`\n"
    );
}

#[test]
fn a_schema_of_somebody_else_is_not_replaced() {
    let bench = Bench::new();
    let schema = bench.home.path().join("profile.schema.json");
    fs::write(&schema, "mine").expect("writable");
    let file = bench.home.path().join("mine.json");
    let ran = bench.run(&["--config", file.to_str().expect("text"), "profile", "init"]);
    assert_eq!(ran.code, Some(2));
    assert_eq!(fs::read_to_string(&schema).expect("still there"), "mine");
    assert!(!file.exists());
}

#[test]
fn every_resolved_value_is_shown_with_its_origin() {
    let bench = Bench::with_profile(
        "{\"auth\": {\"profiles\": {\"default\": {\"provider\": \"openrouter\",\n  \"timeouts\": {\"idle_ms\": 30000}}}}}",
    );
    let run = bench.host(&["profile", "show", "--resolved", "--json"]);
    let resolved = json_of(&run.env("SMALL_MODEL", "acme/small").run().expect_success());
    let in_file = format!("{}:2:27", bench.home.profile().display());
    for (name, value, origin) in [
        ("timeouts.idleMs", json!(30_000), in_file.as_str()),
        ("timeouts.totalMs", json!(600_000), "built-in default"),
        ("TEXT_SMALL", json!("acme/small"), "variable `SMALL_MODEL`"),
        ("key", json!("(set)"), "environment variable `OPENROUTER_API_KEY`"),
        (
            "OPENROUTER_BASE_URL",
            json!(bench.service.base_url()),
            "environment variable `OPENROUTER_BASE_URL`",
        ),
    ] {
        let found = (&resolved[name]["value"], &resolved[name]["origin"]);
        assert_eq!(found, (&value, &json!(origin)), "{name}");
    }
}

#[test]
fn without_a_profile_the_origin_of_the_provider_is_the_folder() {
    let bench = Bench::new();
    let origin = |run: HostRun| json_of(&run.run().expect_success())["provider"]["origin"].clone();
    let show = ["profile", "show", "--resolved", "--json"];
    assert_eq!(origin(bench.host(&show)), "no profile; the only enabled plugin");
    assert_eq!(origin(bench.without_key(&show)), "no profile; the plugin in the folder");
}

#[test]
fn a_disabled_plugin_does_not_check_the_profile() {
    // Only the plugin itself knows what is wrong with this address.
    let bench = Bench::with_profile(&profile(r#""baseUrl": "http://example.com""#));
    assert_eq!(bench.run(&["profile", "check"]).code, Some(3));
    bench.ok(&["plugins", "disable", "openrouter"]);
    let ran = bench.ok(&["profile", "check"]);
    assert_has(&ran.stdout, " is valid, with 1 profile: `default`\n");
}

#[test]
fn a_report_shows_no_escape_sequence_of_the_profile() {
    let bench = Bench::with_profile(&profile(
        "\"mo\u{9b}31mdle\": 1, \"privacy\": \"\\u001b]0;x\\u0007\u{9b}31m\", \"baseUrl\": \"http://\\u001b]0;x\\u0007\"",
    ));
    for command in [&["profile", "check"][..], &["profile", "check", "--json"]] {
        let ran = bench.run(command);
        assert_eq!(ran.code, Some(3));
        let all = ran.stdout + &ran.stderr;
        assert!(
            !all.contains(|letter: char| letter.is_control() && letter != '\n'),
            "{all:?}"
        );
    }
}

#[test]
fn a_secret_inside_an_address_is_never_shown() {
    for address in [
        "https://user:open-sesame@example.com/v1",
        "https://example.com/v1?token=open-sesame",
        "ftp://example.com/sk-or-v1-open-sesame",
    ] {
        let bench = Bench::with_profile(&profile(&format!(r#""baseUrl": "{address}""#)));
        for command in [&["profile", "check"][..], &["chat", "Hello"], &["doctor", "--offline"]] {
            let ran = bench.run(command);
            let all = ran.stdout + &ran.stderr;
            assert_lacks(&all, "open-sesame");
            assert_has(&all, "baseUrl");
        }
    }
}

#[test]
fn keys_of_other_programs_come_with_the_right_one() {
    for (key, right) in [
        ("fallbacks", "`fallbackModels`"),
        ("models", "`fallbackModels`"),
        ("route", "`fallbackModels`"),
        ("preset", "`model`"),
        ("reasoning_effort", "`parameters.reasoning.effort`"),
        ("max_output_tokens", "`parameters.maxTokens`"),
        ("max_tokens", "`parameters.maxTokens`"),
        ("transforms", "`compress`"),
        ("headers", "`attribution`"),
        ("order", "`providerPreferences.order`"),
    ] {
        let bench = Bench::with_profile(&profile(&format!(r#""{key}": 1"#)));
        let ran = bench.run(&["profile", "check"]);
        assert_fails(&ran, 3, &format!("/{key}: unknown option"));
        let hint = ran
            .stderr
            .lines()
            .find(|line| line.contains("hint: did you mean"))
            .unwrap_or_default();
        assert_has(hint, right);
    }
}

#[test]
fn ids_with_quotes_blanks_or_separators_and_urls_are_refused() {
    for id in [
        r#"\"a/b\""#,
        "'a/b'",
        "`a/b`",
        "a/b c",
        "a/b;c/d",
        "https://models.example/a/b",
    ] {
        for options in [format!(r#""model": "{id}""#), format!(r#""fallbackModels": ["{id}"]"#)] {
            let bench = Bench::with_profile(&profile(&options));
            assert_fails(&bench.run(&["profile", "check"]), 3, "model id, found ");
        }
    }
}

#[test]
fn a_mistake_in_another_profile_is_one_line_and_stops_nothing() {
    for (options, found) in [
        (r#""limits": {"concurrency": "many"}"#, "/limits/concurrency: expected"),
        (r#""modle": "a/b""#, "/modle: unknown option"),
        (
            r#""tiers": {"TEXT_SMALL": 7}, "modle": 1"#,
            "(and 1 more; see `agent-host profile check`)",
        ),
        // Only the plugin itself knows what is wrong with these.
        (r#""baseUrl": "http://example.com""#, "/baseUrl: `http://` would send"),
        (r#""model": "a/b c""#, "/model: "),
    ] {
        let profiles = format!(
            r#"{{"work": {{"provider": "openrouter", {options}}}, "default": {{"provider": "openrouter", "model": "a/b"}}}}"#
        );
        let bench = Bench::with_profile(&format!(r#"{{"auth": {{"profiles": {profiles}}}}}"#));
        bench.script("a/b", Script::text("Hi"));
        let commands: [&[&str]; 4] = [&["chat", "Hello"], &["tiers"], &["models"], &["doctor", "--offline"]];
        for command in commands {
            let ran = bench.host(command).with_a_log_of_its_own().run().expect_success();
            let lines: Vec<&str> = ran
                .stderr
                .lines()
                .filter(|line| line.contains("/profiles/work"))
                .collect();
            assert!(
                matches!(lines[..], [line] if line.contains(found)),
                "{command:?}: {}",
                ran.stderr
            );
            assert_starts(lines[0], " WARN ");
        }
        assert_eq!(bench.run(&["profile", "check"]).code, Some(3), "{options}");
        assert_fails(&bench.run(&["--profile", "work", "tiers"]), 3, "/profiles/work/");
    }
}

#[test]
fn no_instance_is_created_with_options_that_the_check_refuses() {
    // Parrot panics if it is.
    let home = home_with_parrot();
    home.write_profile(r#"{"auth": {"profiles": {"default": {"provider": "parrot", "greeting": "refused"}}}}"#);
    let commands: [(&[&str], &str); 3] = [
        (&["chat", "Hello"], "parrot-1"),
        (&["tiers"], ""),
        (&["serve"], "parrot-1"),
    ];
    for (command, key) in commands {
        let ran = home.host(command).env("PARROT_KEY", key).run();
        assert_fails(&ran, 3, "at /auth/profiles/default/greeting: Parrot does not say that");
    }
    let doctor = home.host(&["doctor", "--offline"]).env("PARROT_KEY", "parrot-1").run();
    assert_has(&doctor.stdout, "Parrot does not say that");
}

#[test]
fn options_are_checked_before_a_command_for_the_key_runs() {
    let bench = Bench::new();
    let ran = bench.home.path().join("ran");
    let command = json!(["touch", ran]);
    bench.home.write_profile(&profile(&format!(
        r#""apiKey": {{"command": {command}}}, "baseUrl": "http://example.com""#
    )));
    assert_fails(&bench.without_key(&["chat", "Hello"]).run(), 3, "/baseUrl");
    assert!(!ran.exists());
}

#[test]
fn another_profile_is_added_beside_the_first() {
    let before = "{ \"auth\": { \"profiles\": {\n  \"default\": { \"provider\": \"openrouter\" }, // mine\n} } }\n";
    let bench = Bench::with_profile(before);
    let ran = bench.ok(&["profile", "add", "work"]);
    assert_has(
        &ran.stdout,
        "/auth/profiles/work: not set → {\"provider\":\"openrouter\"}\nnext: ",
    );
    let text = fs::read_to_string(bench.home.profile()).expect("it is there");
    assert_eq!(
        text,
        before.replace("// mine\n", "// mine\n  \"work\": { \"provider\": \"openrouter\" },\n")
    );
    bench.ok(&["--profile", "work", "config", "set", "model", "sandbox/hello"]);
    assert_has(
        &bench.ok(&["--profile", "work", "chat", "Hello"]).stderr,
        "sandbox/hello",
    );
    let again = bench.run(&["profile", "add", "work"]);
    assert_fails(
        &again,
        2,
        "has a profile `work` already\nhint: change it: agent-host --profile work ",
    );
    let missing = bench.run(&["--profile", "home", "config", "set", "model", "a/b"]);
    assert_fails(&missing, 3, "hint: add it with `agent-host profile add home`");
    let without = Bench::new().run(&["profile", "add", "work"]);
    assert_fails(&without, 3, "hint: create one with `agent-host profile init`");
}

#[test]
fn a_profile_without_plugins_gets_one_hint() {
    let home = Home::new();
    home.write_profile(&profile(r#""model": "a/b""#));
    let ran = home.host(&["plugins", "list"]).run().expect_success();
    assert_eq!(ran.stderr, "hint: install one with `agent-host plugins install PATH`\n");
}
