//! Options that commands change: `config` and `tiers set`, and `tiers try`.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use serde_json::json;

use crate::{Bench, assert_fails, assert_has, assert_lacks, assert_starts, json_of, row};

const PROFILE: &str = r#"// Mine.
{
  "auth": { "profiles": { "default": {
    "provider": "openrouter", // the plugin
    "model": "sandbox/hello",
    "tiers": {
      "small": { "model": "sandbox/echo" }, // cheap
    },
  } } },
}
"#;

fn text(bench: &Bench) -> String {
    fs::read_to_string(bench.home.profile()).expect("it is there")
}

#[test]
fn a_tier_is_set_where_the_file_has_it() {
    let bench = Bench::with_profile(PROFILE);
    let ran = bench.ok(&["tiers", "set", "small", "sandbox/words-50"]);
    let change = ": /auth/profiles/default/tiers/small/model: \"sandbox/echo\" → \"sandbox/words-50\"\n";
    assert_has(&ran.stdout, change);
    assert_eq!(text(&bench), PROFILE.replace("sandbox/echo", "sandbox/words-50"));
    bench.ok(&["tiers", "set", "large", "sandbox/echo"]);
    assert_has(
        &text(&bench),
        "// cheap\n      \"TEXT_LARGE\": \"sandbox/echo\",\n    },\n",
    );
    assert_has(row(&bench.ok(&["tiers"]).stdout, "TEXT_LARGE"), "sandbox/echo");
    let unknown = bench.run(&["tiers", "set", "smal", "a/b"]);
    assert_fails(&unknown, 2, "error: unknown tier `smal`\nhint: did you mean `small`?\n");
}

#[test]
fn a_change_that_breaks_the_file_is_refused_with_its_problems() {
    let bench = Bench::with_profile(PROFILE);
    for (option, value, problem) in [
        ("modle", "a/b", "at /auth/profiles/default/modle: unknown option"),
        (
            "timeouts.idleMs",
            "0",
            "expected a whole number from 1 to 3600000, found `0`",
        ),
        (
            "baseUrl",
            "http://example.com",
            "`http://` would send the key unencrypted",
        ),
        ("provider", "nobody", "at /auth/profiles/default/provider: "),
    ] {
        let ran = bench.run(&["config", "set", option, value]);
        assert_eq!(ran.code, Some(3), "{}", ran.stderr);
        assert_has(&ran.stderr, problem);
        assert_has(
            &ran.stderr,
            "profile.json` would have 1 problem\nwith this change: at /",
        );
        assert_has(&ran.stderr, "is unchanged; give another value\n");
    }
    let ran = bench.run(&["config", "set", "model/deep", "1", "--json"]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    let inside = bench.run(&["config", "set", "provider.name", "x"]);
    assert_fails(
        &inside,
        2,
        "error: cannot set `provider.name`: there is no /auth/profiles/default/provider/name\n",
    );
    assert_eq!(text(&bench), PROFILE);
    assert_eq!(bench.n_requests(), 0);
}

#[test]
fn a_problem_that_the_file_has_already_stops_no_other_change() {
    let broken = PROFILE.replacen("\"model\"", "\"modle\": 3,\n    \"model\"", 1);
    let bench = Bench::with_profile(&broken);
    let ran = bench.ok(&["config", "set", "retry.attempts", "2"]);
    assert_has(&ran.stderr, "at /auth/profiles/default/modle: unknown option");
    let worse = bench.run(&["config", "set", "retry.attempts", "many"]);
    assert_fails(&worse, 3, "would have 1 problem\n");
    assert_lacks(&worse.stderr, "modle");
    assert_eq!(bench.ok(&["config", "unset", "modle"]).stderr, "");
    assert_eq!(bench.ok(&["config", "get", "retry.attempts"]).stdout, "2\n");
}

#[test]
fn tiers_are_listed_and_set_without_the_key_of_the_profile() {
    let bench =
        Bench::with_profile(&PROFILE.replace("\"model\": \"sandbox/hello\"", "\"apiKey\": {\"env\": \"UNSET\"}"));
    assert_has(
        row(
            &bench.without_key(&["tiers"]).run().expect_success().stdout,
            "TEXT_SMALL",
        ),
        "sandbox/echo",
    );
    bench
        .without_key(&["tiers", "set", "small", "a/b"])
        .run()
        .expect_success();
    assert_fails(
        &bench.without_key(&["tiers", "try"]).run(),
        2,
        "`UNSET`, which is not set",
    );
}

#[test]
fn options_are_read_set_and_removed_one_by_one() {
    let bench = Bench::with_profile(PROFILE);
    assert_eq!(bench.ok(&["config", "get", "model"]).stdout, "sandbox/hello\n");
    let default = bench.ok(&["config", "get", "/retry/attempts"]);
    assert_has(&default.stderr, "this is the built-in default\n");
    let set = bench.ok(&["config", "set", "retry.attempts", "2", "--json"]);
    let pointer = "/auth/profiles/default/retry/attempts";
    let file = bench.home.profile().display().to_string();
    assert_eq!(
        json_of(&set),
        json!({"file": file, "pointer": pointer, "before": null, "after": 2})
    );
    assert_eq!(bench.ok(&["config", "get", "retry.attempts"]).stdout, "2\n");
    bench.ok(&["config", "set", "model", "openrouter/auto"]);
    assert_has(row(&bench.ok(&["tiers"]).stdout, "TEXT_LARGE"), "openrouter/auto");
    let removed = bench.ok(&["config", "unset", "model"]);
    assert_has(&removed.stdout, "/model: \"openrouter/auto\" → not set\n");
    let unset = bench.run(&["config", "get", "model"]);
    assert_starts(&unset.stderr, "error: `model` is not set and has no default\n");
    for command in ["get", "unset"] {
        for (option, near) in [("modle", "model"), ("retry.atempts", "retry.attempts")] {
            let unknown = bench.run(&["config", command, option]);
            let message = format!("error: `{option}` is no option of the profile\nhint: did you mean `{near}`?\n");
            assert_fails(&unknown, 2, &message);
        }
    }
    let nothing = bench.ok(&["config", "unset", "budget"]);
    assert_has(&nothing.stdout, "/budget: nothing to remove: it is not set\n");
    assert_has(&text(&bench), "// the plugin\n");
}

#[test]
fn links_and_rights_of_the_file_stay() {
    let bench = Bench::with_profile(PROFILE);
    let real = bench.home.path().join("real.json");
    fs::rename(bench.home.profile(), &real).expect("the home is writable");
    fs::set_permissions(&real, fs::Permissions::from_mode(0o600)).expect("it is ours");
    symlink(&real, bench.home.profile()).expect("the home is writable");
    bench.ok(&["config", "set", "model", "sandbox/echo"]);
    let found = fs::symlink_metadata(bench.home.profile()).expect("it is there");
    assert!(found.is_symlink());
    assert_eq!(
        fs::metadata(&real).expect("it is there").permissions().mode() & 0o777,
        0o600
    );
    assert_has(&fs::read_to_string(&real).expect("it is there"), "sandbox/echo");
}

#[test]
fn trying_a_tier_is_one_small_request() {
    let bench = Bench::with_profile(PROFILE);
    let tried = json_of(&bench.ok(&["tiers", "try", "small", "--json"]));
    let model = &tried["models"][0];
    assert_eq!(
        json!([tried["tier"], tried["ok"], model["model"], model["provider"]]),
        json!(["TEXT_SMALL", true, "sandbox/echo", "Sandbox"])
    );
    assert!(
        model["time_to_first_token_ms"].is_u64() && model["cost_usd"].is_string(),
        "{tried}"
    );
    assert_eq!(bench.n_requests(), 1);
    assert_eq!(bench.bodies()[0]["max_tokens"], json!(16));
    let failing = Bench::with_model("sandbox/status-401").run(&["tiers", "try"]);
    assert_eq!(failing.code, Some(4));
    assert_has(&failing.stdout, "✗ failed");
}
