//! Profiles, good and bad, against a small schema of the kind that a plugin gives.

mod acme;
mod bad_entries;
mod files;
mod profiles;
mod reports;
mod schemas;

use self::acme::acme;
use self::bad_entries::{BAD_ENTRIES, BAD_TEXTS};
use super::pointer::join;
use super::*;

/// Parts of a file that holds the entry of the profile `default`.
const HEAD: &str = "{ \"auth\": { \"profiles\": { \"default\": {";
const TAIL: &str = "} } } }";
/// Stands in a test's text where the problem is expected, and is taken out before parsing.
const MARK: char = '§';

fn entry(inner: &str) -> String {
    format!("{HEAD}{inner}{TAIL}")
}

/// An entry of the provider `acme` with these options.
fn acme_entry(options: &str) -> String {
    entry(&format!("\"provider\": \"acme\", {options}"))
}

/// The profile `default` of a good text.
#[track_caller]
fn profile_of(text: &str, provider: ProviderSchema) -> Profile {
    let document = Document::parse("agent.json", text.to_owned()).expect("it is JSON");
    profile_from(&document, "default", &[provider]).expect("it is a good profile")
}

/// Place, pointer and message of each problem, as one line each.
fn lines_of(text: &str) -> Vec<String> {
    let line = |problem: &Problem| {
        let Problem {
            line,
            column,
            pointer,
            message,
            ..
        } = problem;
        format!("{line}:{column} {pointer}: {message}")
    };
    problems_of(text).iter().map(line).collect()
}

fn problems_of(text: &str) -> Vec<Problem> {
    match Document::parse("agent.json", text.to_owned()) {
        Ok(document) => check(&document, &[acme()]),
        Err(report) => report.problems,
    }
}

/// Line and column of the mark, and the text without it.
fn unmarked(text: &str) -> ((usize, usize), String) {
    let before = text.split(MARK).next().expect("split gives at least one part");
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
    ((line, column), text.replace(MARK, ""))
}

/// Checks that the text has one problem, at its mark, with this message and a part of this hint.
fn gives_exactly(text: &str, pointer: &str, message: &str, hint: &str) {
    let (place, text) = unmarked(text);
    let problems = problems_of(&text);
    let [problem] = problems.as_slice() else {
        panic!("one problem in {text}, not {problems:?}")
    };
    let told = (problem.line, problem.column, &problem.pointer[..], &problem.message[..]);
    assert_eq!(told, (place.0, place.1, pointer, message), "{text}");
    let given = problem.hint.as_deref().unwrap_or_default();
    assert!(
        given.contains(hint) && hint.is_empty() == given.is_empty(),
        "{given:?} for {text}"
    );
}

#[test]
fn a_text_that_is_not_json_is_reported_where_it_breaks() {
    for case in cases(BAD_TEXTS) {
        let text = case.inner.replace('⏎', "\n").replace('⇥', "\t");
        gives_exactly(&text, case.pointer, case.message, case.hint);
    }
    let open = "[".repeat(64);
    for text in [
        format!("{open}§[{}", "]".repeat(65)),
        format!("{open}§[{}", "[".repeat(9_936)),
    ] {
        gives_exactly(&text, "", "expected at most 64 levels of nesting, found more", "");
    }
    let text = format!("§{{\"{}\": [{}1]}}", "k".repeat(500_000), "1,".repeat(200_000));
    gives_exactly(&text, "", "expected shorter keys, or fewer values below them", "");
}

#[test]
fn a_bad_entry_is_reported_in_plain_words() {
    for case in cases(BAD_ENTRIES) {
        let mut text = entry(&case.inner.replace('@', "\"provider\": \"acme\""));
        if !text.contains(MARK) {
            text = text.replace("\"default\"", "§\"default\"");
        }
        let pointer = format!("/auth/profiles/default{}", case.pointer);
        gives_exactly(&text, &pointer, case.message, case.hint);
    }
}

/// One case of [`bad_entries`].
#[derive(Default)]
struct Case {
    inner: &'static str,
    pointer: &'static str,
    message: &'static str,
    hint: &'static str,
}

fn cases(text: &'static str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let Some(told) = line.strip_prefix("  at ") else {
            cases.push(Case {
                inner: line,
                ..Case::default()
            });
            continue;
        };
        let (told, hint) = told.split_once("  hint: ").unwrap_or((told, ""));
        let (pointer, message) = told.split_once(": ").expect("a pointer and a message");
        let case = cases.last_mut().expect("a text before its message");
        (case.pointer, case.message, case.hint) = (pointer.trim_end_matches('/'), message, hint);
    }
    assert!(cases.len() >= 25);
    cases
}

#[test]
fn five_mistakes_are_five_problems_in_order() {
    let text = r#"{
  // my profile
  "auth": { "profiles": {
    "default": {
      "provider": "acme",
      "modle": "a/b",
      "tiers": { "TEXT_SMALL": { "model": "a b", "parameters": { "temperature": 3, } } },
      "timeouts": { "connect_ms": "30s" },
    },
    "spare": {},
  } },
}"#;
    let lines = lines_of(text);
    let places: Vec<&str> = lines.iter().filter_map(|line| Some(line.split_once(": ")?.0)).collect();
    let expected = [
        "6:7 /auth/profiles/default/modle",
        "7:43 /auth/profiles/default/tiers/TEXT_SMALL/model",
        "7:81 /auth/profiles/default/tiers/TEXT_SMALL/parameters/temperature",
        "8:35 /auth/profiles/default/timeouts/connect_ms",
        "10:5 /auth/profiles/spare",
    ];
    assert_eq!(places, expected);
}

#[test]
fn columns_are_the_same_with_a_byte_order_mark_and_with_crlf() {
    let text =
        "\u{feff}{\r\n  \"auth\": { \"profiles\": {\r\n    \"ü\": { \"provider\": \"acme\", \"modle\": 1 }\r\n} } }";
    for (text, place) in [(text, (3, 32)), ("\u{feff}{ \"a\" 1 }", (1, 7))] {
        let problems = problems_of(text);
        assert_eq!((problems[0].line, problems[0].column), place, "{text}");
    }
}

#[test]
fn a_duplicate_key_is_reported_with_both_places() {
    let text = acme_entry("\n\"model\": \"a/b\",\n  \"model\": \"a/c\", \"tiers\": { \"x\": \"a/b\", \"x\": \"a/b\" }");
    let expected = [
        "3:3 /auth/profiles/default/model: duplicate key, first used at line 2, column 1",
        "3:42 /auth/profiles/default/tiers/x: duplicate key, first used at line 3, column 30",
    ];
    assert_eq!(lines_of(&text), expected);
}

#[test]
fn sections_of_other_programs_are_left_alone() {
    let text = r#"{
      "$schema": "./milady.schema.json", "env": { "A": "sk-acme-1", "A": 1e999 }, "model": 5,
      "auth": {
        "order": { "acme": ["default"] },
        "profiles": { "default": { "provider": "acme", "model": "a/b" } },
      },
      "agents": { "list": [{ "name": "x" }] } }"#;
    assert_eq!(problems_of(text), []);
}

#[test]
fn pointers_with_odd_keys_lead_back_to_their_places() {
    let text = "{ \"a/b~c\": [ { \"\": 5 } ] }";
    let document = Document::parse("agent.json", text.to_owned()).expect("it is JSON");
    let pointer = join(&format!("{}/0", join("", "a/b~c")), "");
    assert_eq!(document.value_range(&pointer), Some(19..20));
    assert_eq!(document.key_range(&pointer), Some(15..17));
    assert_eq!(document.value_range("/a"), None);
}
