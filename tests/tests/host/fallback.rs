//! Fallback chains: `agent-host fallback test`, and retries that are shown while they happen.

use sandbox::{Failure, Script};
use serde_json::{Value, json};
use tests::Typist;

use crate::{Bench, assert_fails, assert_has, assert_lacks, json_of, profile, row};

/// A profile whose large tier has these models, the first one before the others; each gets one attempt.
fn chain(models: &[&str]) -> String {
    let (model, fallbacks) = models.split_first().expect("a model");
    profile(&format!(
        r#""model": "{model}", "fallbackModels": {}, "retry": {{"attempts": 1}}"#,
        json!(fallbacks)
    ))
}

#[test]
fn each_model_of_a_chain_is_asked_by_its_own_name() {
    let models = ["sandbox/hello", "sandbox/echo", "sandbox/words-50"];
    let bench = Bench::with_profile(&chain(&models));
    let ran = bench.ok(&["fallback", "test"]);
    assert_has(&ran.stderr, "note: sending 3 small requests, billed as usual\n");
    let bodies = bench.bodies();
    let asked: Vec<_> = bodies
        .iter()
        .map(|body| (&body["model"], &body["models"], &body["max_tokens"]))
        .collect();
    let expected = models.map(|model| (json!(model), Value::Null, json!(16)));
    assert!(
        asked.into_iter().eq(expected.iter().map(|(a, b, c)| (a, b, c))),
        "{bodies:#?}"
    );
    for model in models {
        let row = row(&ran.stdout, model);
        for part in ["✓ answered", "Sandbox", "$"] {
            assert_has(row, part);
        }
    }
}

#[test]
fn a_model_that_fails_is_shown_and_the_others_are_still_asked() {
    let bench = Bench::with_profile(&chain(&["sandbox/hello", "sandbox/status-503", "sandbox/echo"]));
    let ran = bench.run(&["fallback", "test", "--json"]);
    let report = json_of(&ran);
    assert_eq!(
        (ran.code, &report["tier"], &report["ok"]),
        (Some(6), &json!("TEXT_LARGE"), &json!(false))
    );
    let rows = report["models"].as_array().expect("rows").iter();
    let outcomes: Vec<Value> = rows.map(|row| json!([row["ok"], row["code"]])).collect();
    assert_eq!(
        json!(outcomes),
        json!([[true, null], [false, "unavailable"], [true, null]])
    );
    let table = bench.run(&["fallback", "test", "-t", "large"]);
    assert_has(row(&table.stdout, "sandbox/status-503"), "✗ failed");
    assert_has(row(&table.stdout, "sandbox/status-503"), "unavailable");
    assert_has(&table.stderr, "\nsandbox/status-503: ");
}

#[test]
fn a_tier_without_a_chain_is_tried_alone() {
    let bench = Bench::with_profile(&profile(r#""tiers": {"TEXT_SMALL": "sandbox/hello"}"#));
    let ran = bench.ok(&["fallback", "test", "--tier", "small"]);
    assert_has(
        &ran.stderr,
        "TEXT_SMALL has no fallback models; testing only its own model\nnote: sending 1 small request, ",
    );
    assert_eq!(bench.n_requests(), 1);
    let unknown = bench.run(&["fallback", "test", "--tier", "huge"]);
    assert_fails(
        &unknown,
        2,
        "error: unknown tier `huge`\nhint: known tiers: `TEXT_NANO`, ",
    );
}

#[test]
fn a_retry_is_shown_once_when_it_happens() {
    let bench = Bench::with_model("sandbox/fails-once");
    let ran = bench.ok(&["chat", "Hello"]);
    assert_eq!(bench.n_requests(), 2);
    assert_eq!(ran.stderr.matches("… ").count(), 1, "{}", ran.stderr);
    let line = row(&ran.stderr, "… ");
    assert!(line.contains("503") && line.ends_with(" s; attempt 2 of 3)"), "{line}");
    assert_lacks(&ran.stderr, "note: ");
    assert_has(&ran.stderr, " · 2 attempts · ");
}

#[test]
fn on_a_terminal_the_seconds_until_a_retry_count_down() {
    let bench = Bench::new();
    let failure = Failure {
        retry_after_s: Some(50),
        ..Failure::status(429)
    };
    bench.script("acme/busy", Script::fail(failure));
    let mut typist = Typist::at(bench.host(&["chat", "-m", "acme/busy", "Hello"]).into_command());
    let mut seconds = || {
        typist.sees("… retrying in ");
        let shown = typist.sees(" s (attempt 2 of 3, Ctrl-C to stop): `acme/busy`: the service answered 429");
        shown.parse::<u32>().expect("a number")
    };
    let first = seconds();
    while seconds() >= first {}
    // Nobody has to wait for the end.
    typist.presses(b"\x03");
    typist.sees("stopped by Ctrl-C");
    assert_eq!(typist.leaves(), Some(130));
}
