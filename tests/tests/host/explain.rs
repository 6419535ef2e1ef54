//! `agent-host explain`: what a code means.

use serde_json::json;
use tests::Home;

use crate::{Bench, assert_fails, assert_has, assert_lacks, assert_starts, cells, json_of, row};

#[test]
fn a_code_or_exit_code_is_explained() {
    let home = Home::new();
    let explained = |words: &[&str]| {
        let command = [&["explain"], words].concat();
        home.host(&command).run().expect_success().stdout
    };
    assert_starts(
        &explained(&["Rate-Limit"]),
        "rate_limit: Too many requests for this key, this model or this provider.\n  cause      the service\n  retry      yes: ",
    );
    assert_starts(
        &explained(&["exit", "6"]),
        "exit 6 (unavailable): The service is unavailable, or the answer broke off; a retry may help.\n",
    );
}

#[test]
fn an_installed_plugins_own_codes_are_explained() {
    let bench = Bench::new();
    let explained = |code: &str| {
        let ran = bench.without_key(&["explain", "--json", code]).run().expect_success();
        json_of(&ran)["explanations"][0].clone()
    };
    let status = explained("402");
    assert_eq!(
        (&status["source"], &status["kind"], &status["exit_codes"]),
        (&json!("openrouter"), &json!("payment"), &json!([5]))
    );
    let word = explained("Context_Length_Exceeded");
    assert_eq!(word["source"], "openrouter");
    assert_ne!(word["remedy"].as_str().unwrap_or_default(), "", "{word}");
}

#[test]
fn without_a_code_all_codes_are_listed() {
    let bench = Bench::new();
    let list = bench.without_key(&["explain"]).run().expect_success().stdout;
    let head = list.lines().next().unwrap_or_default();
    assert_eq!(cells(head), ["CODE", "SOURCE", "EXIT", "RETRY", "MEANING"]);
    for code in ["rate_limit ", "spend_limit ", "exit 130 (stopped) "] {
        assert_has(&list, &format!("\n{code}"));
    }
}

#[test]
fn an_error_points_to_its_explanation_unless_quiet() {
    let bench = Bench::new();
    let stderr = bench.run(&["chat", "-m", "sandbox/status-402", "Hello"]).stderr;
    assert!(stderr.ends_with("\nmore: agent-host explain payment\n"), "{stderr}");
    let quiet = bench.run(&["chat", "-q", "-m", "sandbox/status-402", "Hello"]).stderr;
    assert_lacks(&quiet, "explain");
    // The host's own failures have their remedy in the hint.
    assert_lacks(&bench.without_key(&["chat", "Hello"]).run().stderr, "explain");
}

#[test]
fn several_codes_topics_and_the_services_sentences_are_explained() {
    let bench = Bench::new();
    let explained = |words: &[&str]| {
        let command = [&["explain", "--json"], words].concat();
        let report = json_of(&bench.without_key(&command).run().expect_success());
        let entries = report["explanations"].as_array().expect("entries").iter();
        let codes: Vec<String> = entries
            .map(|entry| entry["code"].as_str().unwrap_or_default().to_owned())
            .collect();
        codes.join(" ")
    };
    for (words, codes) in [
        (&["402", "exit", "6", "rate_limit"][..], "402 unavailable rate_limit"),
        (
            &["credits", "streaming", "fallback", "caching"],
            "credits streaming fallback caching",
        ),
        (&["You requested up to 65536 tokens, but can only afford 1234."], "402"),
        (
            &["No endpoints found matching your data policy (Free model publication)."],
            "privacy_restricted",
        ),
        (
            &["No", "endpoints", "found", "that", "support", "tool", "use."],
            "no_endpoints",
        ),
        (&["acme/none is not a valid model ID"], "model_not_found"),
        (&["MALFORMED_FUNCTION_CALL"], "tool_call"),
    ] {
        assert_eq!(explained(words), codes, "{words:?}");
    }
    let unknown = bench.without_key(&["explain", "402", "nonsense"]).run();
    assert_fails(&unknown, 2, "error: unknown code `nonsense`\n");
}

#[test]
fn the_pages_of_the_service_are_listed() {
    let bench = Bench::new();
    let ran = bench.without_key(&["links"]).run().expect_success();
    let status = row(&ran.stdout, "openrouter  status");
    assert_eq!(cells(status), ["openrouter", "status", "https://status.openrouter.ai"]);
    let links = json_of(&bench.ok(&["links", "--json"]));
    let names: Vec<_> = links
        .as_array()
        .expect("a list")
        .iter()
        .map(|link| &link["name"])
        .collect();
    assert!(
        names.contains(&&json!("support")) && names.contains(&&json!("activity")),
        "{links}"
    );
    assert_eq!(bench.n_requests(), 0);
}
