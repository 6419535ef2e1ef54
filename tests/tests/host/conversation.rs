//! A conversation on a terminal.

use std::fs;
use std::process::Command;

use sandbox::Script;
use serde_json::{Value, json};
use tests::Typist;

use crate::{Bench, profile};

/// Somebody in a conversation, at the first prompt.
fn conversation(bench: &Bench) -> Typist {
    let mut typist = Typist::at(bench.host(&["chat"]).into_command());
    typist.sees("/help");
    typist.sees("> ");
    typist
}

#[test]
fn a_conversation_keeps_its_context() {
    let bench = Bench::with_profile(&profile(r#""model": "sandbox/echo""#));
    let mut typist = conversation(&bench);
    typist.types("My name is Ada.");
    typist.sees("heard: My name is Ada.");
    typist.sees("\n> ");
    typist.types("What is my name?");
    typist.sees("heard: What is my name?");
    typist.sees("\n> ");
    typist.types("/quit");
    assert_eq!(typist.leaves(), Some(0));
    let last = bench.bodies().pop().expect("two requests");
    let said: Vec<(&str, bool)> = last["messages"]
        .as_array()
        .expect("messages")
        .iter()
        .map(|message| {
            let text = message["content"].as_str().unwrap_or_default();
            (message["role"].as_str().unwrap_or_default(), text.contains("Ada"))
        })
        .collect();
    assert_eq!(said, [("user", true), ("assistant", true), ("user", false)]);
}

#[test]
fn an_edit_of_the_profile_holds_from_the_next_message_on() {
    let bench = Bench::with_profile(&profile(r#""model": "sandbox/echo""#));
    let mut typist = conversation(&bench);
    typist.types("one");
    typist.sees("heard: one");
    // As vim does it: a new file takes the place of the old one.
    bench.home.write_profile(&profile(r#""model": "sandbox/hello""#));
    typist.sees("profile reloaded: TEXT_LARGE sandbox/echo → sandbox/hello");
    typist.types("two");
    typist.sees("sandbox/hello via Sandbox");
    // As other editors do it: the file is written in place.
    fs::write(bench.home.profile(), profile(r#""model": "sandbox/words-50""#)).expect("writable");
    typist.sees("profile reloaded: TEXT_LARGE sandbox/hello → sandbox/words-50");
    typist.types("three");
    typist.sees("sandbox/words-50 via Sandbox");
    let models: Vec<Value> = bench.bodies().iter().map(|body| body["model"].clone()).collect();
    assert_eq!(models, ["sandbox/echo", "sandbox/hello", "sandbox/words-50"]);
}

#[test]
fn an_invalid_edit_is_reported_and_changes_nothing() {
    let bench = Bench::with_profile(&profile(r#""model": "sandbox/echo""#));
    let mut typist = conversation(&bench);
    bench.home.write_profile(&profile(r#""modle": "sandbox/hello""#));
    typist.sees("the edit was not taken, the former profile still holds");
    typist.sees("unknown option");
    typist.sees("did you mean `model`?");
    typist.types("still there?");
    typist.sees("heard: still there?");
    assert_eq!(bench.bodies()[0]["model"], "sandbox/echo");
}

#[test]
fn a_profile_made_during_a_conversation_is_noticed_and_so_is_its_end() {
    let bench = Bench::new();
    let mut typist = conversation(&bench);
    let file = bench.home.path().join(".config/agent-host/profile.json");
    let new = file.with_file_name("new");
    fs::write(&new, profile(r#""model": "sandbox/echo""#)).expect("the folder was made");
    fs::rename(new, &file).expect("writable");
    typist.sees("profile reloaded: ");
    typist.types("one");
    typist.sees("heard: one");
    fs::remove_file(&file).expect("ours");
    typist.sees("is gone; the former profile still holds");
    typist.types("two");
    typist.sees("heard: two");
    typist.sees("\n> ");
    typist.types("/quit");
    let screen = typist.screen();
    assert!(!screen.contains("will not be noticed"), "{screen}");
    assert_eq!(typist.leaves(), Some(0));
}

#[test]
fn what_was_typed_is_kept_unless_that_is_not_wanted() {
    let bench = Bench::with_profile(&profile(r#""model": "sandbox/echo""#));
    let history = bench.home.path().join(".local/state/agent-host/history");
    for (flags, is_kept) in [(&["chat", "--no-history"][..], false), (&["chat"], true)] {
        let mut typist = Typist::at(bench.host(flags).into_command());
        typist.sees("/help");
        typist.sees("> ");
        typist.types("A private matter");
        typist.sees("heard: A private matter");
        typist.sees("\n> ");
        typist.types("/quit");
        assert_eq!(typist.leaves(), Some(0));
        assert_eq!(history.exists(), is_kept);
    }
    let kept = fs::read_to_string(history).expect("text");
    assert!(kept.contains("A private matter"), "{kept}");
}

#[test]
fn an_answer_in_flight_keeps_the_profile_that_it_began_with() {
    let bench = Bench::with_profile(&profile(r#""model": "acme/slow""#));
    let slow = Script {
        words: Some(40),
        chunk_delay_ms: 25,
        ..Script::default()
    };
    bench.service.script("acme/slow", slow);
    let mut typist = conversation(&bench);
    typist.types("Hello");
    bench.service.wait_for_requests(1, tests::LIMIT).expect("the request");
    bench
        .home
        .write_profile(&profile(r#""model": "sandbox/echo", "timeouts": {"totalMs": 1}"#));
    typist.sees("acme/slow via Sandbox");
    typist.sees("profile reloaded: TEXT_LARGE acme/slow → sandbox/echo");
}

#[test]
fn ctrl_c_stops_the_answer_and_not_the_conversation() {
    let bench = Bench::with_profile(&profile(r#""model": "sandbox/echo""#));
    let endless = Script {
        words: Some(100_000),
        chunk_delay_ms: 5,
        ..Script::default()
    };
    bench.service.script("acme/endless", endless);
    let mut typist = conversation(&bench);
    typist.types("/model acme/endless");
    typist.sees("acme/endless> ");
    typist.types("Go on");
    bench.service.wait_for_requests(1, tests::LIMIT).expect("the request");
    typist.sees("\n");
    typist.presses(b"\x03");
    typist.sees("stopped");
    bench
        .service
        .wait_until_idle(tests::LIMIT)
        .expect("the service was told");
    typist.sees("acme/endless> ");
    typist.types("/model");
    typist.sees("\n> ");
    typist.types("Still there?");
    typist.sees("heard: Still there?");
    typist.sees("\n> ");
    typist.presses(b"\x04");
    assert_eq!(typist.leaves(), Some(0));
    assert_eq!(
        bench.bodies()[1]["messages"],
        json!([{"role": "user", "content": "Still there?"}])
    );
}

#[test]
fn a_failed_question_can_be_asked_again() {
    let bench = Bench::with_profile(&profile(r#""model": "sandbox/fails-once", "retry": {"attempts": 1}"#));
    let mut typist = conversation(&bench);
    typist.types("Hello");
    typist.sees("error: the service answered");
    typist.sees("> ");
    typist.types("Hello again");
    typist.sees("via Sandbox");
    assert_eq!(bench.bodies()[1]["messages"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_tier_is_chosen_by_name() {
    let bench = Bench::with_profile(&profile(r#""tiers": {"TEXT_SMALL": "sandbox/echo"}"#));
    let mut typist = conversation(&bench);
    typist.types("/tier small");
    typist.sees("TEXT_SMALL is sandbox/echo");
    typist.sees("TEXT_SMALL> ");
    typist.types("Hello");
    typist.sees("heard: Hello");
    typist.types("/tier huge");
    typist.sees("there is no tier `huge`; /tiers shows them");
    typist.types("/nonsense");
    typist.sees("there is no command `/nonsense`; /help shows them");
}

#[test]
fn a_long_wait_is_told_and_taken_back() {
    let bench = Bench::with_profile(&profile(r#""model": "acme/slow""#));
    let slow = Script {
        start_delay_ms: 900,
        ..Script::text("At last.")
    };
    bench.service.script("acme/slow", slow);
    let mut typist = conversation(&bench);
    typist.types("Hello");
    typist.sees("… waiting for the model");
    typist.sees("At last.");
    typist.sees("acme/slow via Sandbox");
}

#[test]
fn a_reload_names_everything_that_it_changed() {
    let bench = Bench::with_profile(&profile(r#""model": "sandbox/echo""#));
    let mut typist = conversation(&bench);
    bench
        .home
        .write_profile(&profile(r#""model": "sandbox/hello", "timeouts": {"idleMs": 5000}"#));
    typist
        .sees("profile reloaded: TEXT_LARGE sandbox/echo → sandbox/hello, timeouts.idleMs (from the next message on)");
    bench.home.write_profile(&profile(
        r#""model": "sandbox/hello", /* new */ "timeouts": {"idleMs": 5000}"#,
    ));
    typist.sees("profile reloaded: nothing changed");
    bench.home.write_profile(&profile(r#""modle": 1"#));
    let before = typist.sees("has 1 problem");
    assert!(!before.contains("error: error:"), "{before}");
}

#[test]
fn commands_are_told_from_questions() {
    let bench = Bench::with_profile(&profile(r#""model": "sandbox/echo""#));
    let mut typist = conversation(&bench);
    typist.types("/Model acme/x");
    typist.sees("there is no command `/Model`");
    typist.types("/model acme/x");
    typist.sees("acme/x answers");
    typist.types("/model");
    typist.sees("the usual tier answers");
    typist.types("/etc/hosts is what?");
    typist.sees("heard: /etc/hosts is what?");
    assert_eq!(bench.bodies().len(), 1);
}

#[test]
fn the_demo_shows_what_it_promises() {
    // What it builds is built here, so that the limit is for what it shows.
    tests::openrouter_plugin();
    tests::agent_host();
    let demo = Command::new(env!("CARGO_BIN_EXE_demo"));
    let ran = tests::run(demo, None, tests::LIMIT).expect_success();
    for shown in [
        "enabled  by environment `OPENROUTER_API_KEY`",
        "anthropic/claude-sonnet-4.5 via Sandbox",
        "profile reloaded: TEXT_SMALL anthropic/claude-haiku-4.5 → google/gemini-2.5-flash",
        "5 requests went to the stand-in on this machine.",
    ] {
        assert!((ran.stdout.clone() + &ran.stderr).contains(shown), "{shown}: {ran:?}");
    }
    let live = Command::new(env!("CARGO_BIN_EXE_demo"));
    let live = tests::run(without_key(live), None, tests::LIMIT);
    assert_eq!(live.code, Some(2));
    assert!(
        live.stderr.starts_with("error: `--live` needs a key"),
        "{}",
        live.stderr
    );
}

/// The demo, told to go to the real service, with nothing to pay it with.
fn without_key(mut demo: Command) -> Command {
    demo.arg("--live").env_remove("OPENROUTER_API_KEY");
    demo
}
