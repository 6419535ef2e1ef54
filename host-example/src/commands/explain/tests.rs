//! Codes in all their spellings, and the document of errors.

use serde_json::json;

use super::*;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/errors.md");

fn of(entries: &[Entry], words: &str) -> String {
    let found = found(entries, &folded(words)).into_iter();
    let found: Vec<_> = found.map(|entry| format!("{} {}", entry.source, entry.code)).collect();
    found.join(", ")
}

fn service() -> Manifest {
    let error = |code, kind| json!({"code": code, "kind": kind, "meaning": "It means this.", "remedy": "do that"});
    let errors = json!([
        error("Context_Length_Exceeded", "too_large"),
        error("402", "payment"),
        error("x", "of_a_later_version")
    ]);
    let manifest = json!({"plugin_api": "1.0.0", "id": "acme", "name": "Acme", "version": "1.0.0", "errors": errors});
    serde_json::from_value(manifest).expect("a manifest")
}

#[test]
fn a_code_is_found_however_it_is_written() {
    let entries = entries(&[service()]);
    for (words, expected) in [
        (" Rate-Limit ", "plugin-api rate_limit"),
        ("exit 6", "agent-host unavailable"),
        ("exit code 6", "agent-host unavailable"),
        ("6", "agent-host unavailable"),
        ("402", "acme 402"),
        ("context length exceeded", "acme Context_Length_Exceeded"),
        // The same word for a plugin's error and for the way in which the program ends.
        ("payment", "plugin-api payment"),
        ("usage", "agent-host usage"),
        ("exit payment", "agent-host payment"),
        ("exit 77", ""),
        ("8", "agent-host mismatch"),
        ("10", "agent-host limit"),
        ("11", ""),
    ] {
        assert_eq!(of(&entries, words), expected, "{words}");
    }
}

#[test]
fn several_codes_and_the_services_sentences_are_explained() {
    let entries = entries(&[service()]);
    for (words, expected) in [
        (&["402", "rate_limit"][..], "402, rate_limit"),
        (
            &["exit", "6", "context", "length", "exceeded"],
            "unavailable, Context_Length_Exceeded",
        ),
        (&["402", "402"], "402"),
        (
            &["This request requires more credits. You requested up to 900 tokens, but can only afford 200."],
            "402",
        ),
        (&["Rate", "limit", "exceeded:", "free-models-per-day."], "rate_limit"),
        (
            &["No endpoints found that support tool use.", "MALFORMED_FUNCTION_CALL"],
            "not_found, tool_call",
        ),
        (&["Function call failed with MALFORMED_FUNCTION_CALL"], "tool_call"),
        (&["caching"], "caching"),
        (&["Credits", "streaming"], "credits, streaming"),
        (&["MAX_TOKENS"], "length"),
        (&["SAFETY"], "content_filter"),
    ] {
        let found = all_found(&entries, words).unwrap_or_else(|word| panic!("{words:?}: `{word}` means nothing"));
        let found: Vec<&str> = found.into_iter().map(|entry| entry.code.as_str()).collect();
        assert_eq!(found.join(", "), expected, "{words:?}");
    }
    assert_eq!(all_found(&entries, &["402", "rate_limt"]), Err("rate_limt".to_owned()));
}

#[test]
fn an_entry_says_what_happened_whose_fault_it_is_and_what_to_do() {
    let entries = entries(&[service()]);
    let text = text_of(found(&entries, "402")[0], Page::PIPE);
    assert_eq!(
        text,
        "402: It means this.\n  kind       payment\n  cause      the set-up\n  retry      no: the same request will \
         fail again\n  remedy     Do that.\n  exit code  5\n  source     the service of plugin \
         `acme`\n"
    );
    // An error kind of a later version has no explanation.
    let later = found(&entries, "x")[0];
    assert_eq!((later.fault, later.retryable, later.exit_codes.len()), (None, None, 0));
    assert_eq!(found(&entries, "auth")[0].exit_codes, [4, 2]);
}

#[test]
fn explanations_and_exit_codes_agree_about_retries() {
    let entries = entries(&[]);
    let may_help = |entry: &Entry| retry(entry).map(|(word, _)| word != "no");
    for kind in entries.iter().filter(|entry| entry.source == "plugin-api") {
        let exit = kind.exit_codes[0];
        let of_exit = entries
            .iter()
            .find(|entry| entry.is_exit() && entry.exit_codes == [exit]);
        let of_exit = may_help(of_exit.expect("every exit code is explained"));
        assert!(
            of_exit.is_none() || of_exit == may_help(kind),
            "{} and exit code {exit}",
            kind.code
        );
        let asks_again = ["Send the request again", "Try again"]
            .iter()
            .any(|words| kind.remedy.contains(words));
        assert!(
            !asks_again || may_help(kind) == Some(true),
            "{}: {}",
            kind.code,
            kind.remedy
        );
    }
    assert_eq!(
        retry(found(&entries, "interrupted")[0]).map(|(word, _)| word),
        Some("by hand")
    );
}

#[test]
fn an_unknown_code_is_an_error_with_the_nearest_one() {
    let failure = unknown(&entries(&[]), "rate_limt");
    let expected =
        "error: unknown code `rate_limt`\nhint: did you mean `rate_limit`? `agent-host explain` lists all codes";
    assert_eq!(failure.to_string(), expected);
    assert_eq!(failure.exit, Exit::Usage);
}

fn document() -> String {
    let mut text = "\
# Errors

What each code means, and what to do. `agent-host explain CODE` prints the same, and also knows the error codes of the installed plugins' services.

<!-- Made from the code: UPDATE_EXPECTED=1 cargo test -p host-example errors -->

## Errors of plugins

| code | meaning | cause | retry | remedy | exit code |
|---|---|---|---|---|---|
"
    .to_owned();
    let entries = entries(&[]);
    let (plugins, host): (Vec<_>, Vec<_>) = entries.iter().partition(|entry| entry.source == "plugin-api");
    for entry in plugins {
        let (code, meaning, remedy) = (&entry.code, &entry.meaning, &entry.remedy);
        let (fault, exits) = (entry.fault.unwrap_or("-"), exits_shown(&entry.exit_codes));
        let retry = retry(entry).map_or("-", |(word, _)| word);
        text.push_str(&format!(
            "| `{code}` | {meaning} | {fault} | {retry} | {remedy} | {exits} |\n"
        ));
    }
    text.push_str(
        "\nWhere two exit codes are listed, the second is for an error found before a request was sent.\n\n## Exit \
         codes\n\n| exit code | code in JSON | meaning | remedy |\n|---|---|---|---|\n",
    );
    for entry in host.into_iter().filter(|entry| entry.is_exit()) {
        let (code, meaning, remedy) = (&entry.code, &entry.meaning, &entry.remedy);
        text.push_str(&format!(
            "| {} | `{code}` | {meaning} | {remedy} |\n",
            exits_shown(&entry.exit_codes)
        ));
    }
    text
}

#[test]
fn errors_md_matches_the_code() {
    let expected = document();
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(FILE, &expected).expect("the document is writable");
    }
    assert_eq!(
        std::fs::read_to_string(FILE).unwrap_or_default(),
        expected,
        "to rewrite it: UPDATE_EXPECTED=1 cargo test -p host-example errors"
    );
}
