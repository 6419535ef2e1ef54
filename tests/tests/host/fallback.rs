//! Fallback chains: `agent-host fallback test`, and retries and fallbacks that are seen while they happen.

use serde_json::{Value, json};
use tests::Typist;

use crate::{Bench, profile};

/// A profile whose large tier has these models, the first one before the others; each is tried once.
fn chain(models: &[&str]) -> String {
    let (model, fallbacks) = models.split_first().expect("a model");
    profile(&format!(
        r#""model": "{model}", "fallbackModels": {}, "retry": {{"attempts": 1}}"#,
        json!(fallbacks)
    ))
}

#[test]
fn every_model_of_a_chain_is_asked_by_its_own_name() {
    let models = ["sandbox/hello", "sandbox/echo", "sandbox/words-50"];
    let bench = Bench::with_profile(&chain(&models));
    let ran = bench.host(&["fallback", "test"]).run().expect_success();
    assert!(
        ran.stderr
            .contains("note: 3 small requests to the service, billed as any other\n"),
        "{}",
        ran.stderr
    );
    let asked: Vec<(Value, Value, Value)> = bench
        .bodies()
        .into_iter()
        .map(|body| {
            (
                body["model"].clone(),
                body["models"].clone(),
                body["max_tokens"].clone(),
            )
        })
        .collect();
    assert_eq!(asked, models.map(|model| (json!(model), Value::Null, json!(16))));
    for model in models {
        let row = ran
            .stdout
            .lines()
            .find(|line| line.starts_with(model))
            .unwrap_or_default();
        assert!(
            row.contains("✓ answered") && row.contains("Sandbox") && row.contains('$'),
            "{row}"
        );
    }
}

#[test]
fn a_model_that_fails_is_told_with_its_error_and_the_others_are_asked_all_the_same() {
    let bench = Bench::with_profile(&chain(&["sandbox/hello", "sandbox/status-503", "sandbox/echo"]));
    let ran = bench.host(&["fallback", "test", "--json"]).run();
    assert_eq!(ran.code, Some(6), "{}", ran.stderr);
    let told: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!((&told["tier"], &told["ok"]), (&json!("TEXT_LARGE"), &json!(false)));
    let outcomes: Vec<(&Value, &Value)> = told["models"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| (&row["ok"], &row["code"]))
        .collect();
    assert_eq!(
        outcomes,
        [
            (&json!(true), &Value::Null),
            (&json!(false), &json!("unavailable")),
            (&json!(true), &Value::Null)
        ]
    );
    let table = bench.host(&["fallback", "test", "-t", "large"]).run();
    assert!(
        table.stdout.contains("✗ failed") && table.stdout.contains("unavailable"),
        "{}",
        table.stdout
    );
    assert!(table.stderr.contains("\nsandbox/status-503: "), "{}", table.stderr);
}

#[test]
fn a_tier_without_a_chain_is_tried_alone() {
    let bench = Bench::with_profile(&profile(r#""tiers": {"TEXT_SMALL": "sandbox/hello"}"#));
    let ran = bench
        .host(&["fallback", "test", "--tier", "small"])
        .run()
        .expect_success();
    assert!(
        ran.stderr
            .starts_with("TEXT_SMALL has no fallback models; its own model is tried alone\nnote: 1 small request "),
        "{}",
        ran.stderr
    );
    assert_eq!(bench.bodies().len(), 1);
    let unknown = bench.host(&["fallback", "test", "--tier", "huge"]).run();
    assert_eq!(unknown.code, Some(2));
    assert!(
        unknown
            .stderr
            .starts_with("error: there is no tier `huge`\nhint: there are `TEXT_NANO`, "),
        "{}",
        unknown.stderr
    );
}

#[test]
fn a_retry_is_seen_when_it_happens_and_once() {
    let bench = Bench::with_profile(&profile(r#""model": "sandbox/fails-once""#));
    let ran = bench.host(&["chat", "Hello"]).run().expect_success();
    assert_eq!(bench.bodies().len(), 2);
    let told: Vec<&str> = ran.stderr.lines().filter(|line| line.starts_with("… ")).collect();
    assert_eq!(told.len(), 1, "{}", ran.stderr);
    assert!(
        told[0].contains("503") && told[0].contains(" (in 1.") && told[0].ends_with(" s; attempt 1)"),
        "{}",
        ran.stderr
    );
    assert!(!ran.stderr.contains("note: "), "{}", ran.stderr);
    assert!(ran.stderr.contains(" · 2 attempts · "), "{}", ran.stderr);
}

#[test]
fn every_attempt_of_a_call_that_failed_is_listed() {
    let bench = Bench::with_profile(&profile(r#""model": "sandbox/status-503", "retry": {"attempts": 2}"#));
    let ran = bench.host(&["chat", "Hello"]).run();
    assert_eq!(ran.code, Some(6));
    let lines: Vec<&str> = ran.stderr.lines().filter(|line| line.starts_with("  ")).collect();
    assert_eq!(lines.len(), 2, "{}", ran.stderr);
    assert!(lines[0].starts_with("  1. sandbox/status-503"), "{}", ran.stderr);
    assert!(lines[1].starts_with("  2. sandbox/status-503"), "{}", ran.stderr);
}

#[test]
fn on_a_terminal_the_seconds_until_the_next_try_are_counted() {
    let bench = Bench::new();
    let command = bench
        .host(&["chat", "-m", "sandbox/fails-once", "Hello"])
        .into_command();
    let mut typist = Typist::at(command);
    typist.sees("attempt 1)");
    typist.sees("… trying again in 1 s; Ctrl-C stops");
    typist.sees("You said: “Hello”.");
    typist.sees(" · 2 attempts · ");
    assert_eq!(typist.leaves(), Some(0));
}
