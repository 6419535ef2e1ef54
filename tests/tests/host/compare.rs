//! `agent-host compare`, and tiers that are split between models.

use std::collections::BTreeMap;

use sandbox::Script;
use serde_json::{Value, json};

use crate::{Bench, assert_fails, assert_has, json_of, profile, row};

/// The first answer of the sandbox's `good` is better, says its judge.
fn bench() -> Bench {
    let bench = Bench::with_profile(&profile(r#""tiers": {"TEXT_SMALL": "sandbox/echo"}"#));
    bench.script("test/good", Script::text(r#"{"name": "Ada"}"#));
    let grades = r#"{"grades": [{"answer": 1, "grade": 4}, {"answer": 2, "grade": 9.5}]}"#;
    bench.script("test/judge", Script::text(format!("Gladly:\n```json\n{grades}\n```")));
    bench
}

#[test]
fn each_contender_gets_the_same_prompt_and_a_row() {
    let bench = bench();
    let ran = bench.ok(&[
        "compare",
        "-t",
        "small",
        "-m",
        "test/good",
        "--runs",
        "3",
        "Who wrote it?",
    ]);
    assert_has(&ran.stderr, "note: sending 6 requests, billed as usual\n");
    assert_has(&ran.stdout, "─── small\n");
    assert_has(&ran.stdout, "─── test/good\n{\"name\": \"Ada\"}\n");
    for (name, served) in [("small ", "sandbox/echo via "), ("test/good ", "test/good via ")] {
        let row = row(&ran.stdout, name);
        assert_has(row, served);
        assert_has(row, "$");
    }
    let bodies = bench.bodies();
    let n_asked = |model: &str| bodies.iter().filter(|body| body["model"] == model).count();
    assert_eq!((n_asked("sandbox/echo"), n_asked("test/good")), (3, 3));
    assert!(bodies.iter().all(|body| body["messages"] == bodies[0]["messages"]));
}

#[test]
fn a_schema_and_a_judge_score_the_answers() {
    let bench = bench();
    let ran = bench.ok(&[
        "compare",
        "-m",
        "sandbox/hello",
        "-m",
        "test/good",
        "--schema",
        "name",
        "--judge",
        "test/judge",
        "--json",
        "Who?",
    ]);
    let report = json_of(&ran);
    let scores: Vec<Value> = report["contenders"]
        .as_array()
        .expect("contenders")
        .iter()
        .map(|one| json!([one["name"], one["answers"][0]["matches"], one["grade"]]))
        .collect();
    // The second one comes first for the judge.
    assert_eq!(
        json!(scores),
        json!([["sandbox/hello", false, 9.5], ["test/good", true, 4.0]])
    );
    let judged = bench
        .bodies()
        .into_iter()
        .find(|body| body["model"] == "test/judge")
        .expect("a judge");
    let question = judged["messages"][1]["content"].as_str().expect("a text");
    assert_has(question, "<answer number=\"1\">\n{\"name\": \"Ada\"}\n</answer>");
    assert!(
        !question.contains("test/good") && !question.contains("sandbox/hello"),
        "{question}"
    );
}

#[test]
fn a_contender_that_fails_is_a_row_and_the_others_are_still_compared() {
    let bench = bench();
    let ran = bench.run(&["compare", "-q", "-m", "sandbox/status-400", "-m", "test/good", "Who?"]);
    assert_eq!(ran.code, Some(7), "{ran:?}");
    assert_has(row(&ran.stdout, "sandbox/status-400 "), "1 of 1");
    assert_has(row(&ran.stdout, "test/good "), "0 of 1");
    assert_has(&ran.stderr, "sandbox/status-400: error: ");
    let alone = bench.run(&["compare", "-m", "test/good", "Who?"]);
    assert_fails(
        &alone,
        2,
        "error: expected at least two tiers or models to compare\nhint: ",
    );
    let bad_judge = bench.run(&[
        "compare",
        "-m",
        "test/good",
        "-t",
        "small",
        "--judge",
        "sandbox/hello",
        "Who?",
    ]);
    assert_fails(
        &bad_judge,
        8,
        "error: the judge `sandbox/hello` did not answer with grades\n",
    );
    assert_has(&bad_judge.stdout, "─── test/good\n");
    let unknown = bench.run(&["compare", "-t", "smal", "-m", "test/good", "Who?"]);
    assert_fails(&unknown, 2, "error: unknown tier `smal`\nhint: did you mean `small`?\n");
}

#[test]
fn a_split_tier_keeps_a_session_on_one_model_and_says_which() {
    let bench = Bench::with_profile(&profile(
        r#""tiers": {"TEXT_SMALL": {"split": {"sandbox/echo": 80, "sandbox/hello": 20}}}"#,
    ));
    assert_has(&bench.ok(&["tiers"]).stdout, "sandbox/echo 80 %, sandbox/hello 20 %");
    let mut arms: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for session in ["s-1", "s-2", "s-3", "s-4", "s-5", "s-1", "s-2", "s-3", "s-4", "s-5"] {
        let ran = bench.ok(&["chat", "-t", "small", "--session", session, "--json", "Hello"]);
        let answer = json_of(&ran);
        assert_eq!(answer["arm"], answer["requested_model"]);
        arms.entry(session.to_owned()).or_default().push(answer["arm"].clone());
    }
    assert!(arms.values().all(|arms| arms[0] == arms[1]), "{arms:?}");
}
