//! Reports for people and programs, and what they never contain.

use serde_json::json;

use super::super::*;
use super::acme::acme;
use super::{acme_entry, entry, problems_of};

#[test]
fn a_key_appears_in_no_message_and_no_picture() {
    let entries = [
        r#""provider": "acme", "apiKey": "SECRET", "modle": 5"#,
        r#""provider": "SECRET""#,
        r#""provider": "acme", "SECRET": 5, "model": "\u0073k-acme-0123456789abcdef""#,
        r#""provider": "acme", "apiKey": { "env": "SECRET" "file": 1 }"#,
        "\"provider\": \"acme\", \"modle\": 1, // SECRET\n",
        r#""provider": "acme", "SECRET": 1, "SECRET": 2"#,
    ];
    let files = [
        r#"{ "env": { "ACME_KEY": "SECRET" }, "auth": 5 }"#,
        r#"{ "env": { "ACME": "SECRET" }, "auth": "#,
        r#"{ "auth": { "profiles": { "SECRET": 5 } } }"#,
        r#"{ "auth": "SECRET" }"#,
    ];
    let texts = entries.map(entry).into_iter().chain(files.map(str::to_owned));
    for text in texts {
        let report = match Document::parse("agent.json", text.replace("SECRET", "sk-acme-0123456789abcdef")) {
            Ok(document) => document.report(&[acme()], check(&document, &[acme()])),
            Err(report) => report,
        };
        assert!(!report.problems.is_empty());
        let json = report.to_json().to_string();
        for printed in [report.render(true), report.to_string(), json, format!("{report:?}")] {
            assert!(!printed.contains("0123456789abcdef"), "{printed}");
        }
    }
}

#[test]
fn a_report_shows_the_place_and_the_remedy() {
    let text = r#"{ "auth": { "profiles": { "default": {
  "provider": "acme",
  "modle": "a/b",
  "timeouts": { "connectMs": "30s" },
} } } }"#;
    let document = Document::parse("agent.json", text.to_owned()).expect("it is JSON");
    let report = document.report(&[acme()], check(&document, &[acme()]));
    let expected = "error: profile `agent.json` has 2 problems
agent.json:3:3: at /auth/profiles/default/modle: unknown option
  |
3 |   \"modle\": \"a/b\",
  |   ^^^^^^^
hint: did you mean `model`?
agent.json:4:30: at /auth/profiles/default/timeouts/connectMs: expected a whole number from 1000 to 3600000, found `\"30s\"`
  |
4 |   \"timeouts\": { \"connectMs\": \"30s\" },
  |                              ^^^^^";
    assert_eq!(report.to_string(), expected);
    assert!(report.render(true).contains("\u{1b}["));
    assert_eq!(
        report.to_json(),
        json!({ "file": "agent.json", "problems": [
            { "pointer": "/auth/profiles/default/modle", "line": 3, "column": 3, "length": 7,
              "message": "unknown option", "hint": "did you mean `model`?", "severity": "error" },
            { "pointer": "/auth/profiles/default/timeouts/connectMs", "line": 4, "column": 30, "length": 5,
              "message": "expected a whole number from 1000 to 3600000, found `\"30s\"`", "hint": null,
              "severity": "error" } ] })
    );
}

#[test]
fn a_minified_file_is_pictured_only_around_the_place() {
    let other = "\"x\",".repeat(5_000);
    let text = format!("{{\"other\":[{other}],{}", &acme_entry("\"modle\":1")[1..]);
    let document = Document::parse("agent.json", text).expect("it is JSON");
    let printed = document.report(&[acme()], check(&document, &[acme()])).to_string();
    assert!(printed.contains("\"modle\"") && printed.len() < 1_000, "{printed}");
}

#[test]
fn more_than_a_hundred_problems_are_counted() {
    let keys: Vec<String> = (0..150).map(|number| format!("\"unknown{number}\": 1")).collect();
    let problems = problems_of(&acme_entry(&keys.join(",")));
    assert_eq!(problems.len(), 101);
    assert_eq!(problems[100].message, "50 more problems are not shown");
}
