//! `agent-host doctor`: in a good state, and in every broken one.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use plugin_api::VERSION;
use serde_json::{Value, json};
use tests::{Home, HostRun, Ran, compiled, hasty_source, second_plugin};

use crate::{Bench, assert_has, assert_starts, home_with_parrot, json_of, profile};

const DOCTOR: [&str; 2] = ["doctor", "--json"];

/// What a run of `doctor --json` found.
struct Found {
    code: Option<i32>,
    ok: bool,
    checks: Vec<Value>,
}

fn found(run: HostRun) -> Found {
    let ran = run.run();
    let report = json_of(&ran);
    assert_eq!(report["schemaVersion"], 1);
    Found {
        code: ran.code,
        ok: report["ok"].as_bool().expect("a truth value"),
        checks: report["checks"].as_array().expect("a list").clone(),
    }
}

/// Finds something wrong, each failure with its remedy, and the exit code says so.
#[track_caller]
fn found_broken(run: HostRun) -> Found {
    let found = found(run);
    assert_eq!((found.code, found.ok), (Some(2), false), "{:#?}", found.checks);
    for check in found.failures() {
        assert_ne!(check["remedy"].as_str().unwrap_or_default(), "", "{check}");
    }
    found
}

impl Found {
    #[track_caller]
    fn check(&self, id: &str) -> &Value {
        let check = self.checks.iter().find(|check| check["id"] == id);
        check.unwrap_or_else(|| panic!("no `{id}` in {:#?}", self.checks))
    }

    /// Asserts that this member of a check contains a text.
    #[track_caller]
    fn assert_check(&self, id: &str, member: &str, part: &str) {
        assert_has(self.check(id)[member].as_str().unwrap_or_default(), part);
    }

    fn failures(&self) -> impl Iterator<Item = &Value> {
        self.checks.iter().filter(|check| check["status"] == "failed")
    }

    #[track_caller]
    fn assert_failed(&self, ids: &[&str]) {
        assert!(self.failures().map(|check| &check["id"]).eq(ids), "{:#?}", self.checks);
    }

    /// Asserts that the plugin made checks of its own.
    #[track_caller]
    fn assert_plugin_looked(&self) {
        let mut groups = self.checks.iter().map(|check| &check["group"]);
        assert!(groups.any(|group| group == "Key"), "{:#?}", self.checks);
    }
}

/// What people see, with every run of blanks as one: the columns are as wide as they have to be.
fn shown(ran: &Ran) -> String {
    let words = ran
        .stdout
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    words.collect::<Vec<_>>().join("\n")
}

#[test]
fn where_all_is_well_every_row_says_so() {
    let bench = Bench::with_model("sandbox/hello");
    let found = found(bench.host(&DOCTOR));
    assert_eq!((found.code, found.ok), (Some(0), true), "{:#?}", found.checks);
    found.assert_plugin_looked();
    assert_eq!(found.check("profile")["status"], "ok");
    let enabled = format!("{VERSION}, enabled: by environment variable `OPENROUTER_API_KEY`");
    assert_eq!(found.check("plugin:openrouter")["summary"], enabled);
    for check in &found.checks {
        assert!(check["duration_ms"].is_u64() && check["summary"].is_string(), "{check}");
    }
    let ran = bench.ok(&["doctor"]);
    let text = shown(&ran);
    assert_starts(&text, "Host\n✓ version agent-host ");
    assert_has(&text, &format!("\nPlugins\n✓ plugin openrouter {enabled}\n"));
    let last = text.lines().last().unwrap_or_default();
    assert!(last.contains(" ok, ") && last.contains(", 0 failed, "), "{last}");
    assert!(!ran.stdout.contains('\u{1b}') && ran.stderr.is_empty(), "{ran:?}");
}

#[test]
fn an_empty_plugin_folder_is_a_row_with_its_remedy() {
    let home = Home::new();
    let found = found_broken(home.host(&DOCTOR));
    found.assert_failed(&["plugin_chosen"]);
    let remedy = "install one with `agent-host plugins install PATH`";
    found.assert_check("plugin_chosen", "remedy", remedy);
    assert_eq!(found.check("profile")["status"], "skipped");
    let text = shown(&home.host(&["doctor"]).run());
    assert_has(&text, "\n✗ plugin chosen there is no plugin in ");
    assert_has(&text, &format!(" — {remedy}\n"));
}

#[test]
fn a_missing_key_is_a_row_and_the_rest_is_checked() {
    let bench = Bench::new();
    let found = found_broken(bench.without_key(&DOCTOR));
    let id = "plugin:openrouter";
    found.assert_failed(&["key_present"]);
    assert_eq!(found.check(id)["status"], "skipped");
    found.assert_check(id, "summary", ", idle: `OPENROUTER_API_KEY` is not set");
    found.assert_check(id, "remedy", "create a key at https://openrouter.ai/settings/keys; store it with `agent-host keys set`, or set it: export OPENROUTER_API_KEY=sk-or-…");
    found.assert_plugin_looked();
    let offline = found_broken(bench.without_key(&["doctor", "--json", "--offline"]));
    offline.assert_failed(&[id]);
}

#[test]
fn a_wrong_key_is_found_by_asking_the_service() {
    let bench = Bench::new();
    let found = found_broken(bench.host(&DOCTOR).env("OPENROUTER_API_KEY", "sk-or-v1-wrong"));
    assert_eq!(found.check("plugin:openrouter")["status"], "ok");
    let first = found.failures().next().expect("a failure");
    assert_eq!(first["group"], "Key");
}

#[test]
fn a_key_of_the_wrong_form_is_a_row_and_is_not_sent() {
    let bench = Bench::new();
    let found = found_broken(bench.host(&DOCTOR).env("OPENROUTER_API_KEY", "proxy-key-1"));
    found.assert_check("plugin_start", "summary", "the key is malformed: ");
    assert_eq!(bench.n_requests(), 0);
}

#[test]
fn a_typo_in_the_profile_is_a_row_and_the_rest_of_it_applies() {
    let bench = Bench::with_profile(&profile(r#""timeouts": {"totlMs": 9000}, "apiKey": {"env": "MY_KEY"}"#));
    let found = found_broken(bench.without_key(&DOCTOR).env("MY_KEY", bench.service.key()));
    found.assert_failed(&["profile"]);
    let summary = "profile.json has 1 problem: unknown option at /auth/profiles/default/timeouts/totlMs, line 1";
    found.assert_check("profile", "summary", summary);
    let remedy = "did you mean `totalMs`? `agent-host profile check` shows the line";
    found.assert_check("profile", "remedy", remedy);
    found.assert_check(
        "plugin:openrouter",
        "summary",
        "enabled: by `apiKey` of profile `default`",
    );
    found.assert_plugin_looked();
    let budget = "unknown: without the invalid part of the profile, none is set";
    found.assert_check("budget", "summary", budget);
    assert_eq!(found.check("budget")["status"], "skipped");
    let is_billed = |body: &Value| body.get("messages").is_some();
    assert!(
        !bench.bodies().iter().any(is_billed),
        "with half a profile nothing is sent that may be billed"
    );
}

#[test]
fn a_profile_that_cannot_be_read_sends_no_key_anywhere() {
    for text in [
        r#"{"auth": {"profiles": {"default": {"provider": "openrouter" "#.to_owned(),
        profile(r#""apiKey": {"nv": "MY_KEY"}"#),
    ] {
        let bench = Bench::with_profile(&text);
        let found = found_broken(bench.host(&DOCTOR));
        found.assert_failed(&["profile"]);
        assert_eq!(found.check("plugin_checks")["status"], "skipped");
        assert_eq!(bench.n_requests(), 0);
    }
}

#[test]
fn a_variable_file_and_a_plugin_folder_that_cannot_be_read_are_rows() {
    let bench = Bench::new();
    fs::write(bench.home.plugins().join("plugins.json"), "no JSON").expect("writable");
    let found = found_broken(bench.host(&["--env-file", "/nowhere", "doctor", "--json"]));
    found.assert_failed(&["variables", "plugin_folder"]);
    assert_eq!(found.check("version")["status"], "ok");
}

#[test]
fn a_bad_file_and_an_unused_plugin_are_no_failures() {
    let bench = Bench::with_model("sandbox/hello");
    fs::write(bench.home.plugins().join("text.so"), "no library").expect("writable");
    bench.home.install(&second_plugin());
    let found = found(bench.host(&DOCTOR));
    assert_eq!(found.code, Some(0), "{:#?}", found.checks);
    assert_eq!(found.check("plugin:text.so")["status"], "warning");
    assert_eq!(found.check("plugin:parrot")["status"], "skipped");
}

#[test]
fn a_plugin_that_fails_its_trial_is_a_warning_and_not_chosen() {
    let bench = Bench::new();
    compiled(
        &bench.home.plugins(),
        "crash",
        &hasty_source("crash", "std::process::abort()"),
        &[],
    );
    let found = found(bench.host(&DOCTOR));
    assert_eq!(found.code, Some(0), "{:#?}", found.checks);
    assert_eq!(found.check("plugin:libcrash.so")["status"], "warning");
    found.assert_check("plugin:libcrash.so", "summary", "refused: it failed its trial: ");
    found.assert_check("plugin:libcrash.so", "remedy", "agent-host plugins accept crash");
    assert_eq!(found.check("plugin:openrouter")["status"], "ok");
}

#[test]
fn a_disabled_plugin_is_a_row_and_is_not_asked() {
    let bench = Bench::new();
    bench.ok(&["plugins", "disable", "openrouter"]);
    let found = found_broken(bench.host(&DOCTOR));
    let remedy = "enable it with `agent-host plugins enable openrouter`";
    found.assert_check("plugin:openrouter", "remedy", remedy);
    assert_eq!(bench.n_requests(), 0);
}

#[test]
fn a_plugin_without_checks_of_its_own_is_no_failure() {
    let home = home_with_parrot();
    let found = found(home.host(&DOCTOR).env("PARROT_KEY", "parrot-1"));
    assert_eq!(found.code, Some(0), "{:#?}", found.checks);
    let summary = "parrot has no checks for key, service and settings";
    found.assert_check("plugin_checks", "summary", summary);
    assert_eq!(found.check("plugin_checks")["status"], "skipped");
}

#[test]
fn free_bills_nothing_and_offline_sends_nothing() {
    let bench = Bench::with_model("sandbox/hello");
    let n_chats = || {
        let bodies = bench.bodies();
        bodies.iter().filter(|body| body.get("messages").is_some()).count()
    };
    bench.ok(&["doctor", "--offline"]);
    assert_eq!(bench.n_requests(), 0);
    bench.ok(&["doctor", "--free"]);
    assert_eq!(n_chats(), 0);
    bench.ok(&["doctor"]);
    assert_eq!(n_chats(), 1);
}

#[test]
fn a_key_file_that_others_can_read_is_a_warning() {
    let bench = Bench::with_profile(&profile(r#""apiKey": {"file": "~/key"}"#));
    let file = bench.home.path().join("key");
    fs::write(&file, bench.service.key()).expect("writable");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("ours");
    let found = found(bench.without_key(&["doctor", "--json", "--offline"]));
    let row = found.check("key_source");
    let remedy = format!("chmod 600 {}", file.display());
    assert_eq!((&row["status"], &row["remedy"]), (&json!("warning"), &json!(remedy)));
}

#[test]
fn every_item_of_the_troubleshooting_list_is_a_row() {
    let bench = Bench::with_profile(&profile(
        r#""model": "sandbox/hello", "fallbackModels": ["openai/gpt-4o-mini"], "parameters": {"temperature": 0.5}"#,
    ));
    let found = found(bench.host(&DOCTOR));
    let key = ["key_present", "key_form", "key_valid", "credit"];
    let service = ["service_reachable", "base_url", "clock", "streaming", "models_listed"];
    let models = [
        "model_known:TEXT_LARGE",
        "model_known:openai/gpt-4o-mini",
        "fallbacks_auto",
        "fallback_chain",
    ];
    let settings = ["cache_models", "cache_credits", "background_refresh"];
    for id in [&key[..], &service, &models, &settings, &["plugin:openrouter"]].concat() {
        assert_eq!(found.check(id)["status"], "ok", "{:#?}", found.checks);
    }
    found.assert_check("base_url", "summary", "http://127.0.0.1");
    found.assert_check("base_url", "summary", "OPENROUTER_BASE_URL");
    // Both models of the chain are looked up.
    found.assert_check(
        "model_able:TEXT_LARGE",
        "summary",
        "supports everything configured for it",
    );
}

#[test]
fn the_selftest_sees_the_credit_fall_a_fallback_and_the_cache() {
    let bench = Bench::new();
    let ran = bench.ok(&["selftest", "--json"]);
    let report = json_of(&ran);
    let checks = report["checks"].as_array().expect("a list");
    for (id, part) in [
        ("provider", "OpenRouter is listed as `openrouter`"),
        ("cache", "saved a request for each of the model list and the credit"),
        ("credit_update", "the balance fell by the cost, $"),
        ("fallback", "no-such-author/no-such-model-0"),
    ] {
        let check = checks.iter().find(|check| check["id"] == id).expect("the row is there");
        assert_eq!(check["status"], "ok", "{check}");
        assert_has(check["summary"].as_str().unwrap_or_default(), part);
    }
}

#[test]
fn the_log_names_the_start_the_fetches_and_the_cache() {
    let bench = Bench::new();
    let run = bench.host(&["selftest", "--free"]).with_a_log_of_its_own();
    let log = run.env("LOG_LEVEL", "debug").run().expect_success().stderr;
    for line in [
        "initialised",
        "fetching models",
        "models from cache",
        "credits from cache",
    ] {
        assert_has(&log, line);
    }
    assert_has(&log, "base_url=\"http://127.0.0.1");
}
