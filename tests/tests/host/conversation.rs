//! A conversation on a terminal.

use std::fs;
use std::process::Command;

use sandbox::Script;
use serde_json::{Value, json};
use tests::faultd::{self, Faultd};
use tests::{LIMIT, Typist};

use crate::{
    Bench, assert_fails, assert_has, assert_lacks, conversation, home_with_openrouter, host_at, profile,
    profile_of_model,
};

/// Asks something of `sandbox/echo`, and waits for the answer and the next prompt.
#[track_caller]
fn asks(typist: &mut Typist, question: &str) {
    typist.types(question);
    typist.sees(&format!("heard: {question}"));
    typist.sees("\n> ");
}

#[track_caller]
fn quits(mut typist: Typist) {
    typist.types("/quit");
    assert_eq!(typist.leaves(), Some(0));
}

#[test]
fn a_conversation_keeps_its_context() {
    let bench = Bench::with_model("sandbox/echo");
    let mut typist = bench.conversation();
    asks(&mut typist, "My name is Ada.");
    asks(&mut typist, "What is my name?");
    quits(typist);
    let last = bench.bodies().pop().expect("two requests");
    let messages = last["messages"].as_array().expect("messages").iter();
    let said: Vec<(&Value, bool)> = messages
        .map(|message| {
            let has_name = message["content"].as_str().is_some_and(|text| text.contains("Ada"));
            (&message["role"], has_name)
        })
        .collect();
    assert_eq!(
        said,
        [
            (&json!("user"), true),
            (&json!("assistant"), true),
            (&json!("user"), false)
        ]
    );
}

#[test]
fn an_edit_of_the_profile_applies_from_the_next_message_on() {
    let bench = Bench::with_model("sandbox/echo");
    let mut typist = bench.conversation();
    asks(&mut typist, "one");
    let edited = r#""model": "sandbox/hello", "timeouts": {"idleMs": 50000}"#;
    bench.home.write_profile(&profile(edited));
    typist
        .sees("profile reloaded: TEXT_LARGE sandbox/echo → sandbox/hello, timeouts.idleMs (from the next message on)");
    typist.types("two");
    typist.sees("sandbox/hello via Sandbox");
    bench.home.write_profile(&profile(&format!("/* new */ {edited}")));
    typist.sees("profile reloaded: nothing changed");
    let models: Vec<Value> = bench.bodies().iter().map(|body| body["model"].clone()).collect();
    assert_eq!(models, ["sandbox/echo", "sandbox/hello"]);
}

#[test]
fn an_invalid_edit_is_reported_and_changes_nothing() {
    let bench = Bench::with_model("sandbox/echo");
    let mut typist = bench.conversation();
    bench.home.write_profile(&profile(r#""modle": "sandbox/hello""#));
    typist.sees("edit ignored; still using the previous profile");
    let before = typist.sees("has 1 problem");
    assert_lacks(&before, "error: error:");
    typist.sees("did you mean `model`?");
    asks(&mut typist, "still there?");
}

#[test]
fn a_profile_created_or_deleted_during_a_conversation_is_noticed() {
    let bench = Bench::new();
    let mut typist = bench.conversation();
    let file = bench.home.path().join(".config/agent-host/profile.json");
    let new = file.with_file_name("new");
    fs::write(&new, profile_of_model("sandbox/echo")).expect("the host made the folder");
    fs::rename(new, &file).expect("writable");
    typist.sees("profile reloaded: ");
    asks(&mut typist, "one");
    fs::remove_file(&file).expect("ours");
    typist.sees("is gone; still using the previous profile");
    asks(&mut typist, "two");
    let screen = typist.screen();
    assert_lacks(&screen, "will not be noticed");
    quits(typist);
}

#[test]
fn history_is_kept_unless_that_is_not_wanted() {
    let bench = Bench::with_model("sandbox/echo");
    let history = bench.home.path().join(".local/state/agent-host/history");
    for (flags, is_kept) in [(&["chat", "--no-history"][..], false), (&["chat"], true)] {
        let mut typist = conversation(bench.host(flags));
        asks(&mut typist, "A private matter");
        quits(typist);
        assert_eq!(history.exists(), is_kept);
    }
    assert_has(&fs::read_to_string(history).expect("text"), "A private matter");
}

#[test]
fn ctrl_c_stops_the_answer_and_not_the_conversation() {
    let bench = Bench::with_model("sandbox/echo");
    let endless = Script {
        text: Some("It begins.\n\n".to_owned()),
        chunk_delay_ms: 5,
        ..Script::words(100_000)
    };
    bench.script("acme/endless", endless);
    let silent = Script {
        comments_forever: true,
        stall_after_chunks: Some(0),
        ..Script::default()
    };
    bench.script("acme/silent", silent);
    let mut typist = bench.conversation();
    for (model, shown, kept) in [
        (
            "acme/endless",
            "It begins.",
            "the part above stays in the conversation: /continue",
        ),
        (
            "acme/silent",
            "queued at the provider",
            "no longer part of the conversation; /retry",
        ),
    ] {
        typist.types(&format!("/model {model}"));
        typist.sees(&format!("{model}> "));
        typist.types("Go on");
        typist.sees(shown);
        typist.presses(b"\x03");
        typist.sees("stopped");
        typist.sees(kept);
        bench.service.wait_until_idle(LIMIT).expect("the request is cancelled");
        typist.sees(&format!("{model}> "));
    }
    typist.types("/model");
    typist.sees("\n> ");
    asks(&mut typist, "Still there?");
    typist.presses(b"\x04");
    assert_eq!(typist.leaves(), Some(0));
    let messages = bench.bodies()[2]["messages"].clone();
    let part = messages[1]["content"].as_str().expect("text");
    assert_has(part, "It begins.");
    let contents = [&messages[0], &messages[2], &messages[3]].map(|message| &message["content"]);
    assert_eq!(contents, [&json!("Go on"), &json!("Still there?"), &json!(null)]);
}

#[test]
fn alt_enter_starts_a_new_line() {
    let bench = Bench::with_model("sandbox/echo");
    let mut typist = bench.conversation();
    typist.presses(b"one\x1b\r");
    typist.types("two");
    typist.sees("via Sandbox");
    assert_eq!(bench.bodies()[0]["messages"][0]["content"], "one\ntwo");
}

#[test]
fn a_conversation_is_saved_in_a_file_and_never_makes_a_folder() {
    let bench = Bench::with_model("sandbox/echo");
    let work = bench.home.path().join("work");
    fs::create_dir(work.join("notes")).expect("writable");
    let mut typist = bench.conversation();
    asks(&mut typist, "Hello");
    for (name, answer) in [
        ("notes", "`notes` cannot be written: expected a file, found a folder"),
        ("new/", "`new/` cannot be written: expected a file, found a folder"),
        (
            "new/talk.md",
            "`new/talk.md` cannot be written: there is no folder `new`",
        ),
        ("notes/talk.md", "saved in `notes/talk.md`"),
    ] {
        typist.types(&format!("/save {name}"));
        typist.sees(answer);
        typist.sees("> ");
    }
    assert!(!work.join("new").exists());
    let saved = fs::read_to_string(work.join("notes/talk.md")).expect("it is there");
    assert_has(&saved, "## You\n\nHello\n");
}

#[test]
fn a_failed_question_can_be_asked_again() {
    let bench = Bench::with_profile(&profile(r#""model": "sandbox/fails-once", "retry": {"attempts": 1}"#));
    let mut typist = bench.conversation();
    typist.types("Hello");
    typist.sees("error[unavailable]: the service answered");
    typist.sees("> ");
    typist.types("Hello again");
    typist.sees("via Sandbox");
    assert_eq!(bench.bodies()[1]["messages"].as_array().map(Vec::len), Some(1));
}

#[test]
fn slash_commands_choose_tier_and_model_and_other_slashes_are_text() {
    let bench = Bench::with_profile(&profile(
        r#""model": "sandbox/echo", "tiers": {"TEXT_SMALL": "sandbox/hello"}"#,
    ));
    let mut typist = bench.conversation();
    for (command, answer) in [
        ("/tier small", "using small → sandbox/hello"),
        ("/tier huge", "unknown tier `huge`; /tiers lists them"),
        ("/nonsense", "unknown command `/nonsense`; /help lists them"),
        ("/Model acme/x", "unknown command `/Model`"),
    ] {
        typist.types(command);
        typist.sees(answer);
        typist.sees("> ");
    }
    typist.types("Hello");
    typist.sees("sandbox/hello via Sandbox");
    typist.types("/model acme/x");
    typist.sees("using acme/x");
    typist.types("/tier large");
    typist.sees("using large → sandbox/echo");
    typist.types("/model");
    typist.sees("using the default tier");
    typist.sees("> ");
    typist.types("/etc/hosts is what?");
    typist.sees("heard: /etc/hosts is what?");
    assert_eq!(bench.bodies().len(), 2);
}

#[test]
fn a_long_wait_is_announced_until_the_answer_begins() {
    let home = home_with_openrouter();
    let answer = faultd::text_event("At last.") + &faultd::finish_event("stop") + faultd::DONE;
    let answer = [faultd::chunk(answer), faultd::LAST_CHUNK.into()].concat();
    let held = faultd::Script::new().send(faultd::sse_head()).hold().send(answer);
    let service = Faultd::playing([held]);
    let mut typist = conversation(host_at(&home, &service, &["chat"]));
    typist.types("Hello");
    typist.sees("… waiting for the model");
    service.release();
    typist.sees("At last.");
    typist.sees("\n> ");
}

#[test]
fn the_demo_shows_what_it_promises() {
    // The demo builds these too; built here, the time does not count against the limit.
    tests::openrouter_plugin();
    tests::agent_host();
    let demo = Command::new(env!("CARGO_BIN_EXE_demo"));
    let ran = tests::run(demo, None, LIMIT).expect_success();
    for shown in [
        "enabled  by environment variable `OPENROUTER_API_KEY`",
        "anthropic/claude-sonnet-4.5 via Sandbox",
        "profile reloaded: TEXT_SMALL anthropic/claude-haiku-4.5 → google/gemini-2.5-flash",
        "5 requests went to the ",
    ] {
        assert_has(&(ran.stdout.clone() + &ran.stderr), shown);
    }
    let mut live = Command::new(env!("CARGO_BIN_EXE_demo"));
    live.arg("--live").env_remove("OPENROUTER_API_KEY");
    assert_fails(&tests::run(live, None, LIMIT), 2, "error: `--live` needs a key");
}
