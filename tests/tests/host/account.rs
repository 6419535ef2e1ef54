//! `agent-host key` and `credits --watch`: what the service says about the key, once and again.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use tests::Typist;

use crate::{Bench, assert_fails, assert_has, assert_starts, home_with_parrot, json_of};

#[test]
fn a_good_key_is_shown_with_its_credit() {
    let bench = Bench::new();
    let shown = bench.ok(&["key"]).stdout;
    assert_starts(&shown, "credit       ● enough: more than $5\n");
    for line in [
        "from         environment variable `OPENROUTER_API_KEY`\n",
        "limit        $10",
        "balance      ",
    ] {
        assert_has(&shown, line);
    }
    let json = json_of(&bench.ok(&["key", "--json"]));
    assert_eq!(
        (&json["plugin"], &json["supply"]),
        (&"openrouter".into(), &"enough".into())
    );
    assert!(json["remaining_usd"].is_string(), "{json}");
}

#[test]
fn a_refused_key_and_a_missing_one_have_exit_codes_of_their_own() {
    let bench = Bench::new();
    let run = bench.without_key(&["key"]);
    assert_fails(&run.env("OPENROUTER_API_KEY", "sk-or-v1-wrong").run(), 4, "\nhint: ");
    assert_fails(&bench.without_key(&["key"]).run(), 2, "\nhint: ");
}

#[test]
fn a_plugin_that_cannot_ask_about_its_key_is_an_error() {
    let home = home_with_parrot();
    let ran = home.host(&["key"]).env("PARROT_KEY", "parrot-1").run();
    assert_fails(&ran, 2, "error: the plugin `parrot` cannot report on its key\n");
}

#[test]
fn a_watch_prints_a_line_for_each_change_and_ends_with_ctrl_c() {
    let bench = Bench::new();
    let mut host = bench.host(&["credits", "--watch=1", "--json"]).into_command();
    let host = host.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut host = host.spawn().expect("the host starts");
    let mut lines = BufReader::new(host.stdout.take().expect("a pipe")).lines();
    let mut balance = || {
        let line = lines.next()?.expect("text");
        let credits: serde_json::Value = serde_json::from_str(&line).expect("JSON on one line");
        credits["balance_usd"].as_str().map(str::to_owned)
    };
    let before = balance();
    bench.ok(&["chat", "Hello"]);
    let after = balance();
    assert!(
        before.is_some() && after.is_some() && before != after,
        "{before:?}, {after:?}"
    );
    let id = rustix::process::Pid::from_child(&host);
    rustix::process::kill_process(id, rustix::process::Signal::INT).expect("it was started here");
    assert_eq!(balance(), None, "an unchanged balance is not printed again");
    assert_eq!(host.wait().expect("it was started here").code(), Some(0));
}

#[test]
fn on_a_terminal_a_watch_writes_over_its_line() {
    let bench = Bench::new();
    let mut typist = Typist::at(bench.host(&["credits", "--watch=1"]).into_command());
    typist.sees("● enough: more than $5 · balance $10.00 · spent $0.00");
    bench.ok(&["chat", "Hello"]);
    typist.sees("balance $9.99");
    typist.presses(b"\x03");
    assert_eq!(typist.leaves(), Some(0));
}
