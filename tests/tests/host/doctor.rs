//! `agent-host doctor`: in a good state, and in every broken one.

use std::fs;

use plugin_api::VERSION;
use serde_json::{Value, json};
use tests::{Home, HostRun, Ran, second_plugin};

use crate::{Bench, profile};

/// What a run of `doctor --json` found: its exit code, whether all is well, and its checks.
struct Found {
    code: Option<i32>,
    ok: bool,
    checks: Vec<Value>,
}

fn found(run: HostRun) -> Found {
    let ran = run.run();
    let report: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("no JSON: {ran:?}"));
    assert_eq!(report["schemaVersion"], 1);
    Found {
        code: ran.code,
        ok: report["ok"].as_bool().expect("a truth value"),
        checks: report["checks"].as_array().expect("a list").clone(),
    }
}

impl Found {
    #[track_caller]
    fn check(&self, id: &str) -> &Value {
        let check = self.checks.iter().find(|check| check["id"] == id);
        check.unwrap_or_else(|| panic!("no `{id}` in {:#?}", self.checks))
    }

    /// The ids of what failed.
    fn failed(&self) -> Vec<&str> {
        let failed = self.checks.iter().filter(|check| check["status"] == "failed");
        failed.filter_map(|check| check["id"].as_str()).collect()
    }

    /// The groups, each once.
    fn groups(&self) -> Vec<&str> {
        let mut groups: Vec<&str> = self.checks.iter().filter_map(|check| check["group"].as_str()).collect();
        groups.dedup();
        groups
    }

    /// Something is wrong, which is said with what to do about it, and the program says so with its code.
    #[track_caller]
    fn is_broken(&self) {
        assert_eq!((self.code, self.ok), (Some(2), false), "{:#?}", self.checks);
        for check in self.checks.iter().filter(|check| check["status"] == "failed") {
            assert!(check["remedy"].as_str().is_some_and(|text| !text.is_empty()), "{check}");
        }
    }
}

/// What people see, with every run of blanks as one: the columns are as wide as they have to be.
fn shown(ran: &Ran) -> String {
    let lines = ran.stdout.lines();
    let words = lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    words.collect::<Vec<_>>().join("\n")
}

#[test]
fn where_all_is_well_every_row_says_so() {
    let bench = Bench::with_profile(&profile(r#""model": "sandbox/hello""#));
    let found = found(bench.host(&["doctor", "--json"]));
    assert_eq!((found.code, found.ok), (Some(0), true), "{:#?}", found.checks);
    assert_eq!(found.groups()[..2], ["Host", "Plugins"]);
    assert!(found.groups().len() > 2, "the plugin looked too: {:#?}", found.checks);
    assert_eq!(found.check("profile")["status"], "ok");
    assert_eq!(
        found.check("plugin:openrouter")["summary"],
        format!("{VERSION}, enabled: by environment `OPENROUTER_API_KEY`")
    );
    for check in &found.checks {
        assert!(check["duration_ms"].is_u64() && check["summary"].is_string(), "{check}");
    }
    let ran = bench.host(&["doctor"]).run().expect_success();
    let text = shown(&ran);
    assert!(text.starts_with("Host\n✓ version agent-host "), "{text}");
    assert!(
        text.contains(&format!(
            "\nPlugins\n✓ plugin openrouter {VERSION}, enabled: by environment `OPENROUTER_API_KEY`\n"
        )),
        "{text}"
    );
    let last = text.lines().last().unwrap_or_default();
    assert!(last.contains(" ok, ") && last.contains(", 0 failed, "), "{last}");
    assert!(!ran.stdout.contains('\u{1b}') && ran.stderr.is_empty(), "{ran:?}");
}

#[test]
fn an_empty_plugin_folder_is_a_row_with_its_remedy() {
    let home = Home::new();
    let run = || home.host(&["doctor", "--json"]).without("AGENT_HOST_CONFIG");
    let found = found(run());
    found.is_broken();
    assert_eq!(found.failed(), ["plugin_chosen"]);
    assert_eq!(
        found.check("plugin_chosen")["remedy"],
        "copy one there with `agent-host plugins install PATH`"
    );
    assert_eq!(found.check("profile")["status"], "skipped");
    let ran = home.host(&["doctor"]).without("AGENT_HOST_CONFIG").run();
    let text = shown(&ran);
    assert!(text.contains("\n✗ plugin chosen there is no plugin in "), "{text}");
    assert!(
        text.contains("\n→ copy one there with `agent-host plugins install PATH`\n"),
        "{text}"
    );
}

#[test]
fn a_missing_key_is_a_row_with_its_remedy_and_the_rest_is_looked_at() {
    let bench = Bench::new();
    let found = found(bench.without_key(&["doctor", "--json"]));
    found.is_broken();
    let row = found.check("plugin:openrouter");
    assert_eq!(
        (&row["status"], &row["summary"]),
        (
            &json!("failed"),
            &json!(format!("{VERSION}, idle: `OPENROUTER_API_KEY` is not set"))
        )
    );
    assert!(
        row["remedy"]
            .as_str()
            .is_some_and(|remedy| remedy.starts_with("set it: export OPENROUTER_API_KEY=sk-or-…")),
        "{row}"
    );
    assert!(found.groups().len() > 2, "{:#?}", found.checks);
}

#[test]
fn a_wrong_key_is_found_by_asking_the_service() {
    let bench = Bench::new();
    let run = bench
        .without_key(&["doctor", "--json"])
        .env("OPENROUTER_API_KEY", "sk-or-v1-wrong");
    let found = found(run);
    found.is_broken();
    assert_eq!(found.check("plugin:openrouter")["status"], "ok");
    let failed = found.checks.iter().find(|check| check["status"] == "failed");
    assert_eq!(
        failed.map(|check| &check["group"]),
        Some(&json!("Key")),
        "{:#?}",
        found.checks
    );
}

#[test]
fn a_key_that_cannot_be_one_is_a_row() {
    let bench = Bench::new();
    let found = found(
        bench
            .without_key(&["doctor", "--json"])
            .env("OPENROUTER_API_KEY", "proxy-key-1"),
    );
    found.is_broken();
    let row = found.check("plugin_start");
    assert!(
        row["summary"]
            .as_str()
            .is_some_and(|text| text.starts_with("the key in `OPENROUTER_API_KEY` cannot be one")),
        "{row}"
    );
    assert!(bench.service.requests().is_empty());
}

#[test]
fn a_typo_in_the_profile_is_a_row_and_the_rest_of_the_profile_holds() {
    let bench = Bench::with_profile(&profile(r#""modle": "sandbox/echo", "apiKey": {"env": "MY_KEY"}"#));
    let run = bench
        .without_key(&["doctor", "--json"])
        .env("MY_KEY", bench.service.key());
    let found = found(run);
    found.is_broken();
    assert_eq!(found.failed(), ["profile"]);
    let row = found.check("profile");
    let file = bench.home.profile();
    assert_eq!(
        (&row["summary"], &row["remedy"]),
        (
            &json!(format!(
                "{} has 1 problem: unknown option at /auth/profiles/default/modle, line 1",
                file.display()
            )),
            &json!("did you mean `model`? `agent-host profile check` shows it in its place")
        )
    );
    assert_eq!(
        found.check("plugin:openrouter")["summary"],
        format!("{VERSION}, enabled: by profile `default`, its `apiKey`")
    );
    assert!(found.groups().contains(&"Key"), "{:#?}", found.checks);
    assert!(
        bench.bodies().iter().all(|body| body.get("messages").is_none()),
        "with a part of the profile nothing is sent that may be billed"
    );
}

#[test]
fn a_profile_that_cannot_be_read_sends_no_key_anywhere() {
    let texts = [
        r#"{"auth": {"profiles": {"default": {"provider": "openrouter" "#.to_owned(),
        profile(r#""apiKey": {"nv": "MY_KEY"}"#),
    ];
    for text in texts {
        let bench = Bench::with_profile(&text);
        let found = found(bench.host(&["doctor", "--json"]));
        found.is_broken();
        assert_eq!(found.failed(), ["profile"], "{:#?}", found.checks);
        assert_eq!(found.check("plugin_checks")["status"], "skipped");
        assert!(bench.service.requests().is_empty());
    }
}

#[test]
fn a_closed_port_is_a_row_with_its_remedy() {
    let bench = Bench::new();
    let found = found(
        bench
            .host(&["doctor", "--json"])
            .env("OPENROUTER_BASE_URL", "http://127.0.0.1:9/api/v1"),
    );
    found.is_broken();
    assert_eq!(found.check("plugin:openrouter")["status"], "ok");
    let is_told = found.checks.iter().any(|check| {
        check["status"] == "failed"
            && check["summary"]
                .as_str()
                .is_some_and(|text| text.contains("127.0.0.1:9"))
    });
    assert!(is_told, "{:#?}", found.checks);
}

#[test]
fn a_variable_file_and_a_plugin_folder_that_cannot_be_read_are_rows() {
    let bench = Bench::new();
    fs::write(bench.home.plugins().join("plugins.json"), "no JSON").expect("writable");
    let found = found(bench.host(&["--env-file", "/nowhere", "doctor", "--json"]));
    found.is_broken();
    assert_eq!(found.failed(), ["variables", "plugin_folder"]);
    assert_eq!(found.check("version")["status"], "ok");
}

#[test]
fn a_file_that_is_no_plugin_and_a_plugin_that_is_not_in_use_are_no_failures() {
    let bench = Bench::with_profile(&profile(r#""model": "sandbox/hello""#));
    fs::write(bench.home.plugins().join("text.so"), "no library").expect("writable");
    bench.home.install(&second_plugin());
    let found = found(bench.host(&["doctor", "--json"]));
    assert_eq!(found.code, Some(0), "{:#?}", found.checks);
    assert_eq!(found.check("plugin:text.so")["status"], "warning");
    assert_eq!(found.check("plugin:parrot")["status"], "skipped");
}

#[test]
fn a_plugin_that_is_off_is_a_row_and_is_not_asked() {
    let bench = Bench::new();
    bench.host(&["plugins", "disable", "openrouter"]).run().expect_success();
    let found = found(bench.host(&["doctor", "--json"]));
    found.is_broken();
    assert_eq!(
        found.check("plugin:openrouter")["remedy"],
        "switch it on with `agent-host plugins enable openrouter`"
    );
    assert!(bench.service.requests().is_empty());
}

#[test]
fn a_plugin_that_does_not_look_at_itself_is_no_failure() {
    let home = Home::new();
    home.install(&second_plugin());
    let run = home.host(&["doctor", "--json"]).without("AGENT_HOST_CONFIG");
    let found = found(run.env("PARROT_KEY", "parrot-1"));
    assert_eq!(found.code, Some(0), "{:#?}", found.checks);
    assert_eq!(
        found.check("plugin_checks")["summary"],
        "parrot does not look at its key, service and settings"
    );
    assert_eq!(found.check("plugin_checks")["status"], "skipped");
}

#[test]
fn nothing_is_billed_with_free_and_nothing_is_sent_offline() {
    let bench = Bench::with_profile(&profile(r#""model": "sandbox/hello""#));
    let n_chats = || {
        let bodies = bench.bodies();
        bodies.iter().filter(|body| body.get("messages").is_some()).count()
    };
    bench.host(&["doctor", "--offline"]).run().expect_success();
    assert_eq!(bench.service.requests().len(), 0);
    bench.host(&["doctor", "--free"]).run().expect_success();
    assert_eq!(n_chats(), 0);
    bench.host(&["doctor"]).run().expect_success();
    assert_eq!(n_chats(), 1);
}

#[test]
fn a_key_file_that_others_can_read_is_a_warning() {
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::with_profile(&profile(r#""apiKey": {"file": "~/key"}"#));
    let file = bench.home.path().join("key");
    fs::write(&file, bench.service.key()).expect("writable");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("ours");
    let found = found(bench.without_key(&["doctor", "--json", "--offline"]));
    let row = found.check("key_source");
    assert_eq!(row["status"], "warning");
    assert_eq!(row["remedy"], format!("chmod 600 {}", file.display()));
}
