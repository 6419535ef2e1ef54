//! Profiles, good and bad, against a small schema of the kind that a plugin gives.

mod acme;
mod bad_entries;
mod files;
mod profiles;
mod reports;
mod schemas;

use self::acme::acme;
use self::bad_entries::BAD_ENTRIES;
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
    let told = problems.iter().map(|problem| {
        (
            (problem.line, problem.column),
            problem.pointer.as_str(),
            problem.message.as_str(),
        )
    });
    assert_eq!(told.collect::<Vec<_>>(), [(place, pointer, message)], "{text}");
    let given = problems[0].hint.as_deref().unwrap_or_default();
    assert!(
        given.contains(hint) && hint.is_empty() == given.is_empty(),
        "{given:?} for {text}"
    );
}

#[test]
fn a_text_that_is_not_json_is_reported_where_it_breaks() {
    let deep = format!("{}§[{}", "[".repeat(64), "]".repeat(65));
    let bomb = format!("{}§[", "[".repeat(64)) + &"[".repeat(9_936);
    let rows = [
        ("§", "expected an object, found nothing", ""),
        ("§// only a comment", "expected an object, found nothing", ""),
        ("{ \"a\": 1§ \"b\": 2 }", "expected `,` before the next item", ""),
        ("[1§ 2]", "expected `,` before the next item", ""),
        ("{ \"a\": 0§1 }", "expected `,` before the next item", ""),
        ("§{ \"a\": 1", "this `{` is never closed, expected `}`", ""),
        ("{ \"a\": §[1, 2", "this `[` is never closed, expected `]`", ""),
        ("{ \"a\" §1 }", "expected `:` after the key, found `1`", ""),
        ("{ \"a\": §}", "expected a value, found `}`", ""),
        ("{ \"a\": 1 §]", "expected a key or `}`, found `]`", ""),
        (
            "{ §a: 1 }",
            "expected a key in double quotes, found a bare word",
            "double quotes",
        ),
        (
            "{ \"a\": §yes }",
            "expected a value, found a bare word",
            "double quotes",
        ),
        (
            "{ \"a\": §'b' }",
            "expected double quotes, found a single quote",
            "double quotes",
        ),
        (
            "{ \"a\": §\"b,\n \"c\": 1 }",
            "this string is not closed, expected `\"` on the same line",
            "",
        ),
        (
            "{ \"a\": §\"b",
            "this string is not closed, expected `\"` on the same line",
            "",
        ),
        ("{ \"a\": 1 } §/* b", "this comment is never closed, expected `*/`", ""),
        ("{ \"a\": 1 }\n§{}", "expected the end of the file, found `{`", ""),
        (
            "{ \"a\": §+1 }",
            "expected a number such as `12`, `-3` or `0.5`, found another notation",
            "",
        ),
        (
            "{ \"a\": §0x10 }",
            "expected a number such as `12`, `-3` or `0.5`, found another notation",
            "",
        ),
        (
            "{ \"a\": \"b§\tc\" }",
            "expected `\\u0009`, found the control character itself",
            "",
        ),
        (&deep, "expected at most 64 levels of nesting, found more", ""),
        (&bomb, "expected at most 64 levels of nesting, found more", ""),
    ];
    for (text, message, hint) in rows {
        let (place, text) = unmarked(text);
        let report = Document::parse("agent.json", text.clone()).expect_err("the text is not JSON");
        let [problem] = report.problems.as_slice() else {
            panic!("one problem in {text}")
        };
        assert_eq!(problem.message, message, "{text}");
        assert_eq!(problem.pointer, "");
        assert_eq!((problem.line, problem.column), place, "{text}");
        assert!(problem.hint.as_deref().unwrap_or_default().contains(hint), "{text}");
    }
}

#[test]
fn a_bad_envelope_is_reported_at_its_place() {
    let no_auth = "missing section `auth`, which holds the profiles";
    let no_profiles = "missing section `profiles`, which holds the profiles by name";
    gives_exactly("§[]", "", "expected an object, found an array", "");
    gives_exactly("§\"text\"", "", "expected an object, found `\"text\"`", "");
    gives_exactly("§{ \"models\": {} }", "", no_auth, "");
    let hint = "did you mean `auth` instead of `auht`?";
    gives_exactly("{ §\"auht\": {} }", "/auht", no_auth, hint);
    gives_exactly("{ \"auth\": §5 }", "/auth", "expected an object, found `5`", "");
    gives_exactly("{ §\"auth\": { \"order\": {} } }", "/auth", no_profiles, "");
    let hint = "did you mean `profiles` instead of `profile`?";
    gives_exactly("{ \"auth\": { §\"profile\": {} } }", "/auth/profile", no_profiles, hint);
    let message = "expected an object with the profiles by name, found an array";
    gives_exactly("{ \"auth\": { \"profiles\": §[] } }", "/auth/profiles", message, "");
    let message = "expected an object with `provider` and its options, found `\"acme\"`";
    let text = "{ \"auth\": { \"profiles\": { \"a/b\": §\"acme\" } } }";
    gives_exactly(text, "/auth/profiles/a~1b", message, "");
}

#[test]
fn a_bad_entry_is_reported_in_plain_words() {
    let mut cases = Vec::new();
    for line in BAD_ENTRIES
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        match (line.strip_prefix("  at "), line.strip_prefix("  hint: ")) {
            (Some(told), _) => {
                let (pointer, message) = told.split_once(": ").expect("a pointer and a message");
                let case = cases.last_mut().expect("an entry before its message");
                *case = Case {
                    pointer: pointer.trim_end_matches('/'),
                    message,
                    ..*case
                };
            }
            (_, Some(hint)) => cases.last_mut().expect("an entry before its hint").hint = hint,
            _ => cases.push(Case {
                inner: line,
                pointer: "",
                message: "",
                hint: "",
            }),
        }
    }
    assert!(cases.len() >= 40);
    for Case {
        inner,
        pointer,
        message,
        hint,
    } in cases
    {
        let text = entry(&inner.replace('@', "\"provider\": \"acme\""));
        let is_about_the_entry = !text.contains(MARK);
        let text = if is_about_the_entry {
            text.replace("\"default\"", "§\"default\"")
        } else {
            text
        };
        gives_exactly(&text, &format!("/auth/profiles/default{pointer}"), message, hint);
    }
}

/// One case of [`BAD_ENTRIES`].
struct Case {
    inner: &'static str,
    pointer: &'static str,
    message: &'static str,
    hint: &'static str,
}

#[test]
fn a_value_of_the_wrong_kind_is_quoted_briefly() {
    let long = "ä".repeat(100);
    let text = entry(&format!("\"provider\": \"acme\", \"model\": \"{long}\""));
    let message = &problems_of(&text)[0].message;
    assert!(
        message.ends_with(&format!("found `\"{}…`", "ä".repeat(59))),
        "{message}"
    );
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
    let places = problems_of(text)
        .into_iter()
        .map(|problem| (problem.line, problem.column, problem.pointer));
    assert_eq!(
        places.collect::<Vec<_>>(),
        [
            (6, 7, "/auth/profiles/default/modle".to_owned()),
            (7, 43, "/auth/profiles/default/tiers/TEXT_SMALL/model".to_owned()),
            (
                7,
                81,
                "/auth/profiles/default/tiers/TEXT_SMALL/parameters/temperature".to_owned()
            ),
            (8, 35, "/auth/profiles/default/timeouts/connect_ms".to_owned()),
            (10, 5, "/auth/profiles/spare".to_owned()),
        ]
    );
}

#[test]
fn columns_are_the_same_with_a_byte_order_mark_and_with_crlf() {
    let text =
        "\u{feff}{\r\n  \"auth\": { \"profiles\": {\r\n    \"ü\": { \"provider\": \"acme\", \"modle\": 1 }\r\n} } }";
    let problems = problems_of(text);
    assert_eq!((problems[0].line, problems[0].column), (3, 32));
    let broken = problems_of("\u{feff}{ \"a\" 1 }");
    assert_eq!((broken[0].line, broken[0].column), (1, 7));
}

#[test]
fn a_duplicate_key_is_reported_with_both_places() {
    let text = entry(
        "\"provider\": \"acme\",\n\"model\": \"a/b\",\n  \"model\": \"a/c\", \"tiers\": { \"x\": \"a/b\", \"x\": \"a/b\" }",
    );
    let told = problems_of(&text)
        .into_iter()
        .map(|problem| (problem.line, problem.column, problem.pointer, problem.message));
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            (
                3,
                3,
                "/auth/profiles/default/model".to_owned(),
                "duplicate key, first used at line 2, column 1".to_owned()
            ),
            (
                3,
                42,
                "/auth/profiles/default/tiers/x".to_owned(),
                "duplicate key, first used at line 3, column 30".to_owned()
            ),
        ]
    );
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
