//! The commands of a conversation.

use std::fs;

use sandbox::Script;
use serde_json::{Value, json};
use tests::Typist;

use crate::{Bench, assert_has, assert_lacks, conversation, profile};

/// Types a line, and waits for this and the next prompt.
#[track_caller]
fn gets(typist: &mut Typist, line: &str, shown: &str) {
    typist.types(line);
    typist.sees(shown);
    typist.sees("> ");
}

/// The texts of the messages of a request.
fn said(body: &Value) -> Vec<&str> {
    let messages = body["messages"].as_array().expect("messages").iter();
    messages.filter_map(|message| message["content"].as_str()).collect()
}

/// A profile whose default model echoes, and whose small one greets.
fn bench() -> Bench {
    Bench::with_profile(&profile(
        r#""model": "sandbox/echo", "tiers": {"TEXT_SMALL": "sandbox/hello"}, "retry": {"attempts": 1}"#,
    ))
}

#[test]
fn a_model_is_checked_before_it_is_chosen() {
    let bench = bench();
    let mut typist = bench.conversation();
    gets(
        &mut typist,
        "/model anthropic/claude-opus-4.9",
        "did you mean `anthropic/claude-opus-4.",
    );
    gets(&mut typist, "/model gemini", "`gemini` may be ");
    assert_lacks(&typist.screen(), "using");
    gets(&mut typist, "/model grok", "using x-ai/grok-4");
    gets(
        &mut typist,
        "/model ANTHROPIC/claude-opus-4.1:nitro",
        "using anthropic/claude-opus-4.1:nitro",
    );
    gets(
        &mut typist,
        "/model acme/unlisted",
        "note: no model `acme/unlisted` is listed",
    );
    gets(&mut typist, "/models grok", "x-ai/grok-4 ");
    gets(&mut typist, "/models", "the first 30 of ");
    assert_eq!(bench.bodies().len(), 0);
}

#[test]
fn a_prompt_is_asked_again_and_once_by_another() {
    let bench = bench();
    let mut typist = bench.conversation();
    gets(&mut typist, "/retry", "there is no prompt to ask again");
    gets(&mut typist, "Hello", "heard: Hello");
    gets(&mut typist, "/retry", "heard: Hello");
    gets(&mut typist, "/retry small", "sandbox/hello via Sandbox");
    gets(&mut typist, "/retry grok", "x-ai/grok-4 via ");
    gets(&mut typist, "More", "heard: More");
    let bodies = bench.bodies();
    let models: Vec<&Value> = bodies.iter().map(|body| &body["model"]).collect();
    let echo = "sandbox/echo";
    assert_eq!(models, [echo, echo, "sandbox/hello", "x-ai/grok-4", echo]);
    assert_eq!(said(&bodies[3]), ["Hello"]);
    assert_eq!(bodies[4]["messages"].as_array().map(Vec::len), Some(3));
}

#[test]
fn a_prompt_without_an_answer_is_asked_again_by_name() {
    let bench = Bench::with_profile(&profile(r#""model": "sandbox/fails-once", "retry": {"attempts": 1}"#));
    let mut typist = bench.conversation();
    gets(
        &mut typist,
        "Hello",
        "no longer part of the conversation; /retry sends it again",
    );
    gets(&mut typist, "/retry", "via Sandbox");
    assert_eq!(said(&bench.bodies()[1]), ["Hello"]);
}

#[test]
fn an_answer_that_broke_off_is_continued_as_one() {
    let bench = bench();
    let breaks = Script {
        fail_after_chunks: Some(2),
        ..Script::text("One two three four five")
    };
    bench.script("acme/breaks", breaks);
    let mut typist = conversation(bench.host(&["chat", "-m", "acme/breaks"]));
    gets(&mut typist, "/continue", "there is no answer to continue");
    gets(&mut typist, "Count", "the part above stays in the conversation");
    gets(&mut typist, "/model sandbox/hello", "using sandbox/hello");
    gets(&mut typist, "/continue", "sandbox/hello via Sandbox");
    gets(&mut typist, "/model sandbox/echo", "using sandbox/echo");
    gets(&mut typist, "Thanks", "heard: Thanks");
    let bodies = bench.bodies();
    let (second, third) = (said(&bodies[1]), said(&bodies[2]));
    assert_eq!(second[0], "Count");
    assert!(
        second[1].starts_with("One") && !second[1].contains("five"),
        "{second:?}"
    );
    assert_has(second[2], "Go on exactly where");
    assert_eq!((third.len(), third[0], third[2]), (3, "Count", "Thanks"));
    assert!(
        third[1].starts_with(second[1]) && third[1].len() > second[1].len(),
        "{third:?}"
    );
}

#[test]
fn a_dropped_prompt_can_be_edited() {
    let bench = bench();
    let mut typist = bench.conversation();
    gets(&mut typist, "/undo", "there is nothing to undo");
    gets(&mut typist, "One", "heard: One");
    gets(&mut typist, "Two", "heard: Two");
    typist.types("/undo");
    typist.sees("dropped the last prompt");
    typist.sees("> Two");
    typist.types(" and a half");
    typist.sees("heard: Two and a half");
    let bodies = bench.bodies();
    let last = said(bodies.last().expect("three"));
    assert_eq!((last.len(), last[0], last[2]), (3, "One", "Two and a half"));
}

#[test]
fn the_session_is_added_up() {
    let bench = bench();
    let unpriced = Script {
        usage: json!({"cost": null}).as_object().expect("an object").clone(),
        ..Script::text("Gratis?")
    };
    bench.script("acme/unpriced", unpriced);
    let mut typist = bench.conversation();
    gets(&mut typist, "/cost", "no call yet");
    gets(&mut typist, "One", "heard: One");
    typist.types("Two");
    typist.sees(" · session $0.");
    gets(&mut typist, "/retry acme/unpriced", " + 1 call of unknown cost");
    typist.types("/cost");
    typist.sees("3 calls · ");
    typist.sees(" tokens · $0.");
    typist.sees(" + 1 call of unknown cost");
    gets(&mut typist, "/credits", "balance ");
}

#[test]
fn attachments_go_to_models_that_can_read_them() {
    let bench = bench();
    let work = bench.home.path().join("work");
    fs::write(work.join("cat.png"), b"\x89PNG\r\n\x1a\n\0\0").expect("writable");
    fs::write(work.join("notes.txt"), "Bees dance.").expect("writable");
    let mut typist = bench.conversation();
    gets(&mut typist, "/model llama-3.3-70b-instruct", "using meta-llama/");
    let refused = "`meta-llama/llama-3.3-70b-instruct` cannot read pictures";
    gets(&mut typist, "/attach cat.png", refused);
    typist.types("What is in @cat.png?");
    typist.sees(refused);
    typist.sees("choose one that can, such as `");
    typist.sees(" or `");
    typist.sees("nothing was sent; /retry sends it again");
    assert_eq!(bench.bodies().len(), 0);
    gets(&mut typist, "/retry gemini-2.5-pro", "google/gemini-2.5-pro via ");
    gets(
        &mut typist,
        "Sum up @notes.txt, not @gone.txt or @ada",
        "`@gone.txt` is sent as text",
    );
    let bodies = bench.bodies();
    let parts = |at: usize| {
        bodies[at]["messages"]
            .as_array()
            .expect("messages")
            .last()
            .expect("one")["content"]
            .clone()
    };
    assert_eq!(parts(0)[0]["text"], json!("What is in @cat.png?"));
    assert_eq!(parts(0)[1]["type"], json!("image_url"));
    assert_has(parts(1)[1]["text"].as_str().expect("text"), "Bees dance.");
}

#[test]
fn the_conversation_is_saved_and_no_file_is_replaced_unasked() {
    let bench = bench();
    let work = bench.home.path().join("work");
    let read = |name: &str| fs::read_to_string(work.join(name)).expect("it was saved");
    let mut typist = bench.conversation();
    gets(&mut typist, "/system", "there is no system message");
    gets(&mut typist, "/system Be brief.", "system message replaced");
    gets(&mut typist, "Hello", "heard: Hello");
    gets(&mut typist, "/save talk.md", "saved in `talk.md`");
    assert_has(
        &read("talk.md"),
        "## System\n\nBe brief.\n\n## You\n\nHello\n\n## Assistant\n\n",
    );
    gets(&mut typist, "/save talk.json", "saved in `talk.json`");
    let json: Value = serde_json::from_str(&read("talk.json")).expect("JSON");
    assert_eq!(said(&json)[..2], ["Be brief.", "Hello"]);
    fs::write(work.join("talk.md"), "mine").expect("writable");
    for (answer, shown, is_replaced) in [("n", "nothing was saved", false), ("y", "saved in `talk.md`", true)] {
        typist.types("/save talk.md");
        typist.sees("`talk.md` exists. Replace it? [y]es, [n]o: ");
        gets(&mut typist, answer, shown);
        assert_eq!(read("talk.md") != "mine", is_replaced);
    }
    gets(&mut typist, "/system -", "system message removed");
    gets(&mut typist, "/clear", "conversation cleared");
    gets(&mut typist, "Again", "heard: Again");
    assert_eq!(said(bench.bodies().last().expect("two")), ["Again"]);
}

#[test]
fn tab_completes_commands_names_and_files() {
    let bench = bench();
    fs::write(bench.home.path().join("work/notes.txt"), "Bees dance.").expect("writable");
    let mut typist = bench.conversation();
    gets(&mut typist, "/und\t", "there is nothing to undo");
    gets(&mut typist, "/tier sm\t", "using small → sandbox/hello");
    typist.presses(b"/model gro\t");
    typist.sees("Tab now completes their ids");
    typist.presses(b"\t");
    gets(&mut typist, "", "using x-ai/grok-4");
    gets(&mut typist, "/attach no\t", "1 attachment for the next message");
    typist.types("Read @no\t");
    typist.sees("attached: notes.txt");
    typist.sees("via ");
}

#[test]
fn a_prompt_may_have_several_lines() {
    let bench = bench();
    let mut typist = bench.conversation();
    typist.types("One\\");
    gets(&mut typist, "two", "heard: One");
    typist.presses(b"\x1b[200~a \\\n  b\n\x1b[201~");
    gets(&mut typist, "end", "via ");
    let bodies = bench.bodies();
    assert_eq!(said(&bodies[0]), ["One\ntwo"]);
    assert_eq!(said(&bodies[1]).last(), Some(&"a \\\n  b\nend"));
}

#[test]
fn the_banner_names_who_answers_and_the_profile() {
    let bench = bench();
    for (flags, who) in [
        (&[][..], " · large → sandbox/echo · profile /"),
        (&["-t", "small"], " · small → sandbox/hello · profile /"),
        (&["-m", "acme/x"], " · acme/x · profile /"),
    ] {
        let mut typist = Typist::at(bench.host(&[&["chat"], flags].concat()).into_command());
        typist.sees(who);
        typist.types("/quit");
        assert_eq!(typist.leaves(), Some(0));
    }
}
