//! `agent-host explain`: what a code means.

use serde_json::Value;
use tests::Home;

use crate::Bench;

#[test]
fn a_code_of_a_plugin_is_explained() {
    let home = Home::new();
    let ran = home.host(&["explain", "Rate-Limit"]).run().expect_success();
    assert_eq!(
        ran.stdout,
        "rate_limit: Too many requests for this key, this model or this provider.\n  cause in   the service\n  try again  yes: \
         the same request may succeed later\n  what to do Wait as long as `retry_after_ms` says, ask less often, or name \
         fallback models.\n  exit code  6\n  told by    every plugin\n"
    );
}

#[test]
fn an_exit_code_is_explained() {
    let home = Home::new();
    for words in [
        &["explain", "6"][..],
        &["explain", "exit", "6"],
        &["explain", "exit code 6"],
    ] {
        let ran = home.host(words).run().expect_success();
        assert!(
            ran.stdout.starts_with(
                "exit 6 (unavailable): The service cannot answer now, or the answer broke off: trying again may help.\n"
            ),
            "{words:?}: {}",
            ran.stdout
        );
    }
}

#[test]
fn a_services_own_word_and_status_are_explained() {
    let bench = Bench::new();
    let told = |code: &str| {
        let ran = bench.without_key(&["explain", "--json", code]).run().expect_success();
        let told: Value = serde_json::from_str(&ran.stdout).expect("JSON");
        told["explanations"][0].clone()
    };
    let status = told("402");
    assert_eq!(
        (&status["source"], &status["kind"], &status["exit_codes"]),
        (&"openrouter".into(), &"payment".into(), &serde_json::json!([5]))
    );
    let word = told("Context_Length_Exceeded");
    assert_eq!(word["source"], "openrouter");
    assert!(
        word["remedy"].as_str().is_some_and(|remedy| !remedy.is_empty()),
        "{word}"
    );
}

#[test]
fn an_unknown_code_names_the_nearest_one() {
    let home = Home::new();
    let ran = home.host(&["explain", "rate_limt"]).run();
    assert_eq!(ran.code, Some(2));
    assert_eq!(
        ran.stderr,
        "error: nothing is known about the code `rate_limt`\nhint: did you mean `rate_limit`? `agent-host explain` shows all \
         codes\n"
    );
}

#[test]
fn without_a_code_all_are_listed() {
    let bench = Bench::new();
    let ran = bench.without_key(&["explain"]).run().expect_success();
    let first = ran.stdout.lines().next().unwrap_or_default();
    let head: Vec<&str> = first
        .split("  ")
        .filter(|cell| !cell.is_empty())
        .map(str::trim)
        .collect();
    assert_eq!(head, ["CODE", "TOLD BY", "EXIT", "TRY AGAIN", "MEANING"]);
    for code in ["rate_limit ", "spend_limit ", "exit 130 (stopped) "] {
        assert!(ran.stdout.contains(&format!("\n{code}")), "{code}: {}", ran.stdout);
    }
}

#[test]
fn an_error_says_where_more_is_told_unless_that_is_not_wanted() {
    let bench = Bench::new();
    let stderr = |flags: &[&str]| {
        let command = [&["chat", "-m", "sandbox/status-402", "Hello"], flags].concat();
        bench.host(&command).run().stderr
    };
    assert!(
        stderr(&[]).ends_with("\nmore: agent-host explain payment\n"),
        "{}",
        stderr(&[])
    );
    assert!(!stderr(&["-q"]).contains("explain"), "{}", stderr(&["-q"]));
    // What is the host's own failure has its remedy in the hint.
    assert!(!bench.without_key(&["chat", "Hello"]).run().stderr.contains("explain"));
}
