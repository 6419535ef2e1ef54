//! `agent-host run`: prompts that are kept in files.

use std::fs;

use serde_json::json;

use crate::{Bench, assert_fails, assert_has, profile};

fn bench() -> Bench {
    Bench::with_profile(&profile(r#""tiers": {"TEXT_SMALL": "sandbox/echo"}"#))
}

fn keep(bench: &Bench, name: &str, text: &str) {
    let file = bench
        .home
        .path()
        .join(".config/agent-host/templates")
        .join(format!("{name}.md"));
    fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
    fs::write(file, text).expect("a template");
}

#[test]
fn a_template_is_filled_in_and_says_who_is_asked() {
    let bench = bench();
    let head = "---\ntier: small\nsystem: Answer in {{ lang }}.\nparameters: {temperature: 0.25, top_p: 0.5}\n---\n";
    keep(
        &bench,
        "translate",
        &format!("{head}Translate into {{{{ lang }}}}: {{{{ input }}}}\n"),
    );
    assert_eq!(bench.ok(&["run"]).stdout, "translate\n");
    let ran = bench.host(&["run", "translate", "-p", "lang=German", "--temperature", "1", "Good"]);
    let ran = ran.stdin("morning").run().expect_success();
    assert_eq!(
        ran.stdout,
        "The sandbox heard: Translate into German: Good\n\nmorning\n"
    );
    let body = &bench.bodies()[0];
    assert_eq!(
        (&body["model"], &body["temperature"], &body["top_p"]),
        (&json!("sandbox/echo"), &json!(1.0), &json!(0.5))
    );
    assert_eq!(
        body["messages"][0],
        json!({"role": "system", "content": "Answer in German."})
    );
}

#[test]
fn what_is_missing_or_misspelt_is_named_and_nothing_is_asked() {
    let bench = bench();
    keep(&bench, "translate", "{{ lang }}: {{ input }}");
    let run = |arguments: &[&str]| bench.run(&[&["run"], arguments].concat());
    assert_fails(
        &run(&["translat"]),
        2,
        "error: no template `translat`: there is no file ",
    );
    assert_has(&run(&["translat"]).stderr, "hint: did you mean `translate`?\n");
    let missing = run(&["translate", "Hello"]);
    assert_fails(
        &missing,
        2,
        "error: template `translate`: no value for `lang`\nhint: fill a variable in with `-p NAME=TEXT`",
    );
    let unknown = run(&["translate", "-p", "lnag=x", "-p", "lang=x", "Hello"]);
    assert_has(
        &unknown.stderr,
        "it has no variable `lnag`; its variables are `input` and `lang`",
    );
    keep(&bench, "broken", "{% if %}");
    assert_has(&run(&["broken"]).stderr, "broken.md: ");
    assert_eq!(bench.n_requests(), 0);
}

#[test]
fn a_prompt_is_kept_as_a_template() {
    let bench = bench();
    let saved = bench.ok(&[
        "run",
        "--save",
        "short",
        "-t",
        "small",
        "--max-tokens",
        "50",
        "Summarize: {{ input }}",
    ]);
    assert_has(&saved.stderr, "ask with it: agent-host run short\n");
    let twice = bench.run(&["run", "--save", "short", "Other"]);
    assert_fails(
        &twice,
        2,
        "error: template `short` exists already\nhint: choose another name, or remove ",
    );
    assert_eq!(bench.n_requests(), 0);
    let ran = bench.ok(&["run", "short", "a long text"]);
    assert_eq!(ran.stdout, "The sandbox heard: Summarize: a long text\n");
    assert_eq!(bench.bodies()[0]["max_tokens"], 50);
}
