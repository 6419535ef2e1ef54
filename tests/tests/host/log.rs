//! Conversations that are kept: they go on later, are found, exported and forgotten.

use std::fs;

use sandbox::Script;
use serde_json::{Value, json};
use tests::{HostRun, LIMIT, Typist};

use crate::{Bench, assert_fails, assert_has, assert_lacks, conversation, json_of, profile};

const STORE: &str = ".local/state/agent-host/store.db";

/// Says something to a model that answers, and waits for the next prompt.
#[track_caller]
fn says(typist: &mut Typist, text: &str) {
    typist.types(text);
    typist.sees("via Sandbox");
    typist.sees("> ");
}

#[track_caller]
fn quits(mut typist: Typist) {
    typist.types("/quit");
    assert_eq!(typist.leaves(), Some(0));
}

fn list(bench: &Bench) -> Vec<Value> {
    let listed = json_of(&bench.ok(&["log", "--json"]));
    listed.as_array().expect("a list").clone()
}

/// What is kept of the only conversation.
fn kept(bench: &Bench) -> Value {
    let listed = list(bench);
    assert_eq!(listed.len(), 1, "{listed:?}");
    let id = listed[0]["id"].as_str().expect("an id");
    json_of(&bench.ok(&["log", "show", id, "--json"]))
}

fn contents(messages: &Value) -> Vec<&str> {
    let messages = messages.as_array().expect("messages").iter();
    messages
        .map(|message| message["content"].as_str().expect("text"))
        .collect()
}

/// A model that reasons in several ways.
fn thinking() -> Script {
    Script {
        reasoning_details: vec![
            json!({"type": "reasoning.text", "text": "at length, \"so\"", "signature": "sig/+==", "index": 0}),
            json!({"type": "reasoning.encrypted", "data": "AAEC/+==", "id": "e", "index": 1}),
        ],
        ..Script::text("It is 21 degrees.")
    }
}

#[test]
fn a_conversation_goes_on_exactly_as_it_was_left() {
    let bench = Bench::with_model("sandbox/hello");
    bench.script("acme/thinking", thinking());
    let begun = [
        "chat",
        "-s",
        "Be brief.",
        "--temperature",
        "0.25",
        "-m",
        "acme/thinking",
    ];
    let mut typist = conversation(bench.host(&begun));
    says(&mut typist, "How warm is it?");
    says(&mut typist, "And there?");
    quits(typist);
    let mut typist = Typist::at(bench.host(&["chat", "-c"]).into_command());
    typist.sees("continuing \"How warm is it?\" · 4 messages · ");
    typist.sees("acme/thinking> ");
    says(&mut typist, "And tomorrow?");
    quits(typist);
    let bodies = bench.bodies();
    let [_, second, third] = bodies.as_slice() else {
        panic!("{} requests", bodies.len());
    };
    let (before, after) = (second["messages"].as_array(), third["messages"].as_array());
    let (before, after) = (before.expect("messages"), after.expect("messages"));
    assert_eq!(after[..before.len()], before[..]);
    assert_eq!(after.len(), 6);
    assert_eq!(after[4]["reasoning_details"], before[2]["reasoning_details"]);
    assert_eq!(before[2]["reasoning_details"].as_array().map(Vec::len), Some(2));
    for member in ["model", "temperature", "session_id"] {
        assert_eq!(third[member], second[member], "{member}");
    }
    let id = list(&bench)[0]["id"].as_str().expect("an id").to_owned();
    let named = format!("--continue={}", &id[..12]);
    bench.ok(&["chat", &named, "-t", "large", "Now?"]);
    let last = bench.bodies().pop().expect("a request");
    assert_eq!(
        (&last["model"], last["messages"].as_array().map(Vec::len)),
        (&json!("sandbox/hello"), Some(8))
    );
    assert_eq!(kept(&bench)["n_messages"], 8);
}

#[test]
fn a_session_goes_on_with_each_call() {
    let bench = Bench::with_model("sandbox/echo");
    assert_fails(
        &bench.run(&["chat", "-c", "Hi"]),
        2,
        "there is no conversation to continue",
    );
    bench.ok(&["chat", "Not kept"]);
    bench.ok(&["chat", "--session", "bees", "One"]);
    bench.ok(&["chat", "--session", "wasps", "Another one"]);
    bench.ok(&["chat", "--session", "bees", "--json", "Two"]);
    let ran = bench.ok(&["chat", "--session", "bees", "--no-history", "Three"]);
    assert_lacks(&ran.stderr, "warning");
    let bodies = bench.bodies();
    let last = &bodies[4];
    assert_eq!(last["session_id"], "bees");
    let said = contents(&last["messages"]);
    assert_eq!([said[0], said[2], said[4]], ["One", "Two", "Three"]);
    assert_has(said[1], "heard: One");
    let listed = list(&bench);
    let rows: Vec<(&Value, &Value)> = listed.iter().map(|row| (&row["title"], &row["n_messages"])).collect();
    assert_eq!(rows, [(&json!("bees"), &json!(4)), (&json!("wasps"), &json!(2))]);
}

#[test]
fn what_is_undone_retried_or_continued_changes_what_is_kept() {
    let bench = Bench::with_model("sandbox/echo");
    let mut typist = bench.conversation();
    says(&mut typist, "One");
    says(&mut typist, "Two");
    let last = |bench: &Bench| {
        let kept = kept(bench);
        let contents = contents(&kept["messages"]);
        (contents.len(), contents[contents.len() - 1].to_owned())
    };
    typist.types("/retry sandbox/hello");
    typist.sees("via Sandbox");
    typist.sees("> ");
    assert_eq!(last(&bench), (4, "Hello from the sandbox, a local service.".to_owned()));
    typist.types("/continue");
    typist.sees("via Sandbox");
    typist.sees("> ");
    let (n_messages, text) = last(&bench);
    assert_eq!(n_messages, 4);
    assert_has(&text, "local service.The sandbox heard: Go on exactly");
    typist.types("/undo");
    typist.sees("dropped the last prompt");
    typist.sees("> Two");
    assert_eq!(last(&bench), (2, "The sandbox heard: One".to_owned()));
    typist.presses(b"\x15");
    typist.types("/undo");
    typist.sees("> One");
    assert_eq!(list(&bench), Vec::<Value>::new());
}

#[test]
fn nothing_is_kept_of_a_conversation_if_that_is_wanted() {
    let bench = Bench::with_model("sandbox/echo");
    let talks = |run: HostRun| {
        let mut typist = conversation(run);
        says(&mut typist, "A secret");
        typist.types("/title Mine");
        typist.sees("the title is now \"Mine\"");
        quits(typist);
        assert!(!bench.home.path().join(STORE).exists());
    };
    talks(bench.host(&["chat", "--no-history"]).without("AGENT_HOST_NO_TITLES"));
    talks(bench.host(&["chat"]).env("AGENT_HOST_NO_HISTORY", "1"));
    bench
        .home
        .write_profile(&profile(r#""model": "sandbox/echo", "history": false"#));
    talks(bench.host(&["chat"]).without("AGENT_HOST_NO_TITLES"));
    bench.ok(&["chat", "--session", "bees", "A secret"]);
    assert!(!bench.home.path().join(STORE).exists());
    assert_eq!(bench.bodies().len(), 4);
    assert_has(&bench.ok(&["log"]).stderr, "no conversation is kept");
}

#[test]
fn the_small_tier_finds_a_title_once() {
    let bench = Bench::with_profile(&profile(
        r#""model": "sandbox/echo", "tiers": {"TEXT_SMALL": "acme/titles"}"#,
    ));
    bench.script("acme/titles", Script::text("\"Bees and\u{1b}[31m wasps\"\n"));
    let mut typist = conversation(bench.host(&["chat"]).without("AGENT_HOST_NO_TITLES"));
    says(&mut typist, "What do bees eat?");
    says(&mut typist, "And wasps?");
    quits(typist);
    assert_eq!(list(&bench)[0]["title"], "Bees and wasps");
    let asked = bench.bodies();
    let titles: Vec<&Value> = asked.iter().filter(|body| body["model"] == "acme/titles").collect();
    let [title] = titles.as_slice() else {
        panic!("{titles:?}")
    };
    assert_eq!(title["max_tokens"], 24);
    let usage = json_of(&bench.ok(&["usage", "--by", "tier", "--json"]));
    let rows = usage["rows"].as_array().expect("rows");
    assert!(
        rows.iter().any(|row| row["tier"] == "small" && row["calls"] == 1),
        "{usage}"
    );
    let mut typist = conversation(bench.host(&["chat"]));
    says(&mut typist, "What do ants eat?");
    typist.types("/title");
    typist.sees("What do ants eat?");
    typist.sees("> ");
    typist.types("/title Ants");
    typist.sees("the title is now \"Ants\"");
    quits(typist);
    assert_eq!(list(&bench)[0]["title"], "Ants");
}

#[test]
fn conversations_are_searched_exported_renamed_and_deleted() {
    let bench = Bench::with_model("sandbox/echo");
    bench.ok(&["chat", "--session", "zoo", "-s", "Be kind.", "A question about zebras"]);
    bench.ok(&["chat", "--session", "other", "Something \u{1b}[31melse"]);
    let found = bench.ok(&["log", "search", "zeb"]).stdout;
    assert_eq!(found.matches("zebras").count(), 2, "{found}");
    assert_lacks(&found, "\u{2}");
    assert_eq!(bench.ok(&["log", "search", "lion"]).stdout, "");
    let shown = bench.ok(&["log", "show", "zoo"]);
    assert_has(&shown.stderr, "zoo · default tier · 2 messages · just now");
    let text = "## System\n\nBe kind.\n\n## You\n\nA question about zebras\n\n## Assistant\n\nThe sandbox heard: A question about zebras\n";
    assert_eq!(shown.stdout, text);
    assert_eq!(bench.ok(&["log", "export", "zoo"]).stdout, text);
    let file = bench.home.path().join("work/zoo.json").display().to_string();
    bench.ok(&["log", "export", "zoo", "-o", &file]);
    assert_fails(&bench.run(&["log", "export", "zoo", "-o", &file]), 2, "exists already");
    let exported: Value = serde_json::from_str(&fs::read_to_string(&file).expect("text")).expect("JSON");
    assert_eq!(exported, json_of(&bench.ok(&["log", "export", "zoo", "--json"])));
    assert_eq!(
        contents(&exported["messages"])[..2],
        ["Be kind.", "A question about zebras"]
    );
    fs::remove_file(&file).expect("ours");
    bench.ok(&["log", "rename", "zoo", "Striped", "animals"]);
    let table = bench.ok(&["log", "list"]).stdout;
    assert_has(&table, "Striped animals");
    assert_lacks(&bench.ok(&["log", "show", "other"]).stdout, "\u{1b}");
    assert_fails(
        &bench.run(&["log", "show", "lion"]),
        2,
        "no conversation has the id `lion`",
    );
    assert_has(
        &bench.ok(&["log", "delete", "zoo"]).stderr,
        "deleted \"Striped animals\"",
    );
    assert_eq!(bench.ok(&["log", "search", "zebras"]).stdout, "");
    for entry in fs::read_dir(bench.home.path().join(".local/state/agent-host")).expect("a folder") {
        let path = entry.expect("an entry").path();
        let bytes = fs::read(&path).expect("its bytes");
        assert!(!bytes.windows(6).any(|word| word == b"zebras"), "{}", path.display());
    }
    assert_has(
        &bench.ok(&["log", "prune", "--older", "30d"]).stderr,
        "deleted 0 conversations",
    );
    assert_has(
        &bench.ok(&["log", "prune", "--older", "2100-01-01"]).stderr,
        "deleted 1 conversation",
    );
    assert_eq!(list(&bench), Vec::<Value>::new());
    assert_eq!(json_of(&bench.ok(&["usage", "--json"]))["total"]["calls"], 2);
}

#[test]
fn a_killed_conversation_loses_only_the_turn_that_is_open() {
    let bench = Bench::with_model("sandbox/echo");
    let silent = Script {
        stall_after_chunks: Some(1),
        ..Script::words(50)
    };
    bench.script("acme/silent", silent);
    let mut typist = bench.conversation();
    says(&mut typist, "One");
    typist.types("/model acme/silent");
    typist.sees("acme/silent> ");
    typist.types("Two");
    bench.service.wait_for_requests(2, LIMIT).expect("the request");
    typist.is_killed();
    let kept = kept(&bench);
    assert_eq!(contents(&kept["messages"]), ["One", "The sandbox heard: One"]);
    assert_eq!(kept["model"], "acme/silent");
}

#[test]
fn two_programs_that_go_on_with_the_same_conversation_lose_nothing() {
    let bench = Bench::with_model("sandbox/echo");
    bench.ok(&["chat", "--session", "bees", "One"]);
    let mut typist = Typist::at(bench.host(&["chat", "-c"]).into_command());
    typist.sees("continuing \"bees\" · 2 messages");
    typist.sees("> ");
    bench.ok(&["chat", "--session", "bees", "Two"]);
    typist.types("Three");
    typist.sees("another program went on with this conversation; here it goes on as a copy, ");
    typist.sees("> ");
    says(&mut typist, "Four");
    quits(typist);
    let listed = list(&bench);
    let rows: Vec<(&Value, &Value)> = listed.iter().map(|row| (&row["session"], &row["n_messages"])).collect();
    assert_eq!(rows, [(&json!(""), &json!(6)), (&json!("bees"), &json!(4))]);
    let mut typist = bench.conversation();
    says(&mut typist, "Five");
    let id = list(&bench)[0]["id"].as_str().expect("an id").to_owned();
    bench.ok(&["log", "delete", &id]);
    typist.types("Six");
    typist.sees("this conversation was deleted, so it is no longer kept");
    typist.sees("> ");
    typist.types("/clear");
    typist.sees("conversation cleared");
    typist.sees("> ");
    says(&mut typist, "Seven");
    quits(typist);
    assert_eq!((list(&bench).len(), &list(&bench)[0]["title"]), (3, &json!("Seven")));
}

#[test]
fn a_conversation_that_cannot_be_kept_costs_one_warning() {
    let bench = Bench::with_model("sandbox/echo");
    fs::create_dir_all(bench.home.path().join(STORE)).expect("writable");
    let mut typist = bench.conversation();
    says(&mut typist, "One");
    says(&mut typist, "Two");
    let screen = typist.screen();
    assert_eq!(
        screen.matches("warning: the conversation is not kept: ").count(),
        1,
        "{screen}"
    );
    quits(typist);
}
