//! Codes in all their spellings, and the document of errors.

use plugin_api::ServiceError;

use super::*;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/errors.md");

fn of<'a>(entries: &'a [Entry], words: &str) -> Vec<(&'a str, &'a str)> {
    let found = found(entries, &folded(words)).into_iter();
    found
        .map(|entry| (entry.source.as_str(), entry.code.as_str()))
        .collect()
}

fn service() -> Manifest {
    let error = |code: &str, kind: &str| ServiceError {
        code: code.to_owned(),
        kind: kind.to_owned(),
        meaning: "It means this.".to_owned(),
        remedy: "do that".to_owned(),
    };
    Manifest {
        plugin_api: "1.0.0".to_owned(),
        id: "acme".to_owned(),
        name: "Acme".to_owned(),
        version: "1.0.0".to_owned(),
        description: String::new(),
        environment: Vec::new(),
        tiers: Vec::new(),
        methods: Vec::new(),
        options_schema: None,
        errors: vec![
            error("Context_Length_Exceeded", "too_large"),
            error("402", "payment"),
            error("x", "of_a_later_version"),
        ],
    }
}

#[test]
fn a_code_is_found_however_it_is_written() {
    let entries = entries(&[service()]);
    assert_eq!(of(&entries, " Rate-Limit "), [("plugin-api", "rate_limit")]);
    assert_eq!(of(&entries, "exit 6"), [("agent-host", "unavailable")]);
    assert_eq!(of(&entries, "exit code 6"), [("agent-host", "unavailable")]);
    assert_eq!(of(&entries, "6"), [("agent-host", "unavailable")]);
    assert_eq!(of(&entries, "402"), [("acme", "402")]);
    assert_eq!(
        of(&entries, "context length exceeded"),
        [("acme", "Context_Length_Exceeded")]
    );
    // The same word for a plugin's error and for the way in which the program ends.
    assert_eq!(of(&entries, "payment"), [("plugin-api", "payment")]);
    assert_eq!(of(&entries, "usage"), [("agent-host", "usage")]);
    assert_eq!(of(&entries, "exit payment"), [("agent-host", "payment")]);
    assert_eq!(of(&entries, "exit 77"), []);
    assert_eq!(of(&entries, "8"), [("agent-host", "mismatch")]);
    assert_eq!(of(&entries, "10"), []);
}

#[test]
fn an_entry_says_what_happened_whose_fault_it_is_and_what_to_do() {
    let entries = entries(&[service()]);
    let text = text_of(found(&entries, "402")[0]);
    assert_eq!(
        text,
        "402: It means this.\n  kind       payment\n  cause      the set-up\n  retry      no: repeating the request \
         does not help, or is not safe\n  remedy     Do that.\n  exit code  5\n  source     the service of plugin \
         `acme`\n"
    );
    // An error kind of a later version has no explanation.
    let later = found(&entries, "x")[0];
    assert_eq!((later.fault, later.retryable, later.exit_codes.len()), (None, None, 0));
    assert_eq!(found(&entries, "auth")[0].exit_codes, [4, 2]);
}

#[test]
fn an_unknown_code_is_an_error_with_the_nearest_one() {
    let failure = unknown(&entries(&[]), "rate_limt");
    assert_eq!(
        failure.to_string(),
        "error: unknown code `rate_limt`\nhint: did you mean `rate_limit`? `agent-host explain` lists all codes"
    );
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
        text.push_str(&format!(
            "| `{}` | {} | {} | {} | {} | {} |\n",
            entry.code,
            entry.meaning,
            entry.fault.unwrap_or("-"),
            if entry.retryable == Some(true) { "yes" } else { "no" },
            entry.remedy,
            exits_shown(&entry.exit_codes)
        ));
    }
    text.push_str(
        "\nWhere two exit codes are listed, the second is for an error found before a request was sent.\n\n## Exit \
         codes\n\n| exit code | code in JSON | meaning | remedy |\n|---|---|---|---|\n",
    );
    for entry in host {
        text.push_str(&format!(
            "| {} | `{}` | {} | {} |\n",
            exits_shown(&entry.exit_codes),
            entry.code,
            entry.meaning,
            entry.remedy
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
