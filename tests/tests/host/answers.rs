//! How an answer ends, and what comes with its text: pictures, sounds, sources, costs, and why another model gave it.

use std::fs;

use sandbox::Script;
use serde_json::{Map, Value, json};
use tests::faultd::{self, Faultd, chunk, sse_head};
use tests::{HostRun, Ran};

use crate::{
    Bench, assert_fails, assert_has, assert_lacks, conversation, home_with_openrouter, host_at, json_of, profile,
};

/// A service whose every answer has this delta, finish reason, provider's own reason and usage.
fn ending(delta: &Value, reason: &str, native: Option<&str>, usage: &Value) -> Faultd {
    let last = json!({
        "choices": [{"index": 0, "delta": {}, "finish_reason": reason, "native_finish_reason": native}],
        "usage": usage,
    });
    let events = format!("{}data: {last}\n\n{}", faultd::delta_event(delta), faultd::DONE);
    let answer = [sse_head(), chunk(events), faultd::LAST_CHUNK.into()].concat();
    Faultd::playing([faultd::Script::new().send(answer)])
}

const COMMANDS: [&[&str]; 2] = [&["chat", "-q", "Hello"], &["agent", "-q", "Hello"]];

#[test]
fn an_answer_with_nothing_of_use_is_a_failure_that_names_its_end() {
    let home = home_with_openrouter();
    let thoughts = json!({"reasoning": "Let me see."});
    let usage = json!({"prompt_tokens": 9, "completion_tokens": 200, "total_tokens": 209,
        "completion_tokens_details": {"reasoning_tokens": 180}});
    for (reason, native, code, said) in [
        (
            "length",
            Some("MAX_TOKENS"),
            7,
            "error: the answer reached its token limit before it had any text (finish reason `length`, the provider's \
             `MAX_TOKENS`); 180 of its 200 tokens went into reasoning\nhint: allow more with `--max-tokens N`",
        ),
        (
            "content_filter",
            None,
            7,
            "error: the answer was stopped by a content filter before it had any text (finish reason `content_filter`)",
        ),
        (
            "pondering",
            Some("PONDERING"),
            6,
            "error: the answer ended for an unknown reason before it had any text (finish reason `pondering`, the \
             provider's `PONDERING`)",
        ),
    ] {
        let service = ending(&thoughts, reason, native, &usage);
        for command in COMMANDS {
            let ran = host_at(&home, &service, command).run();
            assert_fails(&ran, code, said);
            assert_eq!(ran.stdout.trim(), "");
            let json = host_at(&home, &service, &[command, &["--json"]].concat()).run();
            assert_fails(&json, code, said);
            let reply = json_of(&json);
            let reasons = (&reply["finish_reason"], &reply["native_finish_reason"]);
            assert_eq!(reasons, (&json!(reason), &json!(native)), "{reply}");
        }
    }
}

#[test]
fn a_shortened_answer_is_printed_with_a_loud_warning() {
    let home = home_with_openrouter();
    for (reason, said) in [
        (
            "length",
            "warning: the answer reached its token limit (finish reason `length`); ",
        ),
        (
            "content_filter",
            "warning: the answer was stopped by a content filter (finish reason ",
        ),
        (
            "pondering",
            "warning: the answer ended for an unknown reason (finish reason `pondering`); ",
        ),
    ] {
        let service = ending(&json!({"content": "Half an answer"}), reason, None, &json!(null));
        for command in COMMANDS {
            let ran = host_at(&home, &service, command).run().expect_success();
            assert_eq!(ran.stdout, "Half an answer\n");
            assert_has(&ran.stderr, said);
        }
    }
    let complete = ending(&json!({"content": "Whole."}), "stop", Some("end_turn"), &json!(null));
    assert_eq!(host_at(&home, &complete, COMMANDS[0]).run().expect_success().stderr, "");
}

#[test]
fn a_question_whose_answer_is_of_no_use_can_be_asked_again() {
    let home = home_with_openrouter();
    let service = ending(&json!({"reasoning": "Hm."}), "length", None, &json!(null));
    let mut typist = conversation(host_at(&home, &service, &["chat"]));
    for _ in 0..2 {
        typist.types("Hello");
        typist.sees("error[refused]: the answer reached its token limit");
        typist.sees("\n> ");
    }
    let messages = service.requests()[1].json()["messages"].clone();
    assert_eq!(messages, json!([{"role": "user", "content": "Hello"}]));
}

#[test]
fn tool_calls_that_nobody_runs_do_not_go_back_to_the_service() {
    let home = home_with_openrouter();
    let question = json!({"role": "user", "content": "Hello"});
    let said = json!({"role": "assistant", "content": "Let me look."});
    let thought = json!({"type": "reasoning.text", "text": "Hm.", "index": 0});
    let call = json!({"index": 0, "id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}});
    for (text, words, next) in [
        (
            "",
            ": the answer calls `look`, but `chat` runs no tools",
            vec![&question],
        ),
        (
            "Let me look.",
            "warning: the answer calls `look`, ",
            vec![&question, &said, &question],
        ),
    ] {
        let delta = json!({"content": text, "reasoning_details": [thought], "tool_calls": [call]});
        let service = ending(&delta, "tool_calls", None, &json!(null));
        let mut typist = conversation(host_at(&home, &service, &["chat"]));
        for _ in 0..2 {
            typist.types("Hello");
            typist.sees(words);
            typist.sees("\n> ");
        }
        assert_eq!(service.requests()[1].json()["messages"], json!(next));
        let ran = host_at(&home, &service, COMMANDS[0]).run();
        assert_eq!(ran.code, Some(if text.is_empty() { 2 } else { 0 }), "{ran:?}");
        assert_has(&ran.stderr, words);
        let reply = json_of(
            &host_at(&home, &service, &["chat", "--json", "Hello"])
                .run()
                .expect_success(),
        );
        assert_eq!(reply["tool_calls"][0]["name"], "look");
    }
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().expect("an object")
}

/// `GIF89a` and `ABC` in base64, and a picture that is only named.
fn pictures() -> Vec<Value> {
    let urls = [
        "data:image/png;base64,R0lGODlh",
        "data:image/webp;base64,QUJD",
        "https://pictures.example/a.png",
    ];
    urls.map(|url| json!({"type": "image_url", "image_url": {"url": url}}))
        .to_vec()
}

#[test]
fn pictures_are_saved_under_new_names_and_their_paths_printed() {
    let bench = Bench::new();
    let drawn = Script {
        images: pictures(),
        ..Script::text("Here they are.")
    };
    bench.script("acme/painter", drawn);
    let work = bench.home.path().join("work");
    fs::write(work.join("picture-1.gif"), "mine").expect("writable");
    let ran = bench.ok(&["chat", "-m", "acme/painter", "Draw"]);
    assert_eq!(
        ran.stdout,
        "Here they are.\npicture-2.gif\npicture-1.webp\nhttps://pictures.example/a.png\n"
    );
    let content = |name: &str| fs::read(work.join(name)).expect("a file");
    assert_eq!(content("picture-1.gif"), b"mine");
    assert_eq!(
        (content("picture-2.gif"), content("picture-1.webp")),
        (b"GIF89a".to_vec(), b"ABC".to_vec())
    );

    fs::write(work.join("out.gif"), "replaced").expect("writable");
    for command in ["chat", "agent"] {
        let ran = bench.ok(&[command, "-m", "acme/painter", "-o", "out.gif", "Draw"]);
        assert_has(&ran.stdout, "\nout.gif\nout-");
        assert_eq!(content("out.gif"), b"GIF89a");
    }
    let n_files = || fs::read_dir(&work).expect("readable").count();
    let before = n_files();
    let reply = json_of(&bench.ok(&["chat", "--json", "-m", "acme/painter", "Draw"]));
    assert_eq!((&reply["extras"]["images"], n_files()), (&json!(pictures()), before));
}

#[test]
fn a_picture_that_cannot_be_saved_does_not_stop_the_rest() {
    let bench = Bench::new();
    let empty = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,"}});
    let drawn = Script {
        images: [vec![empty], pictures()].concat(),
        ..Script::text("Here they are.")
    };
    bench.script("acme/painter", drawn);
    let work = bench.home.path().join("work");
    for command in ["chat", "agent"] {
        let full = format!("{command}-full");
        std::os::unix::fs::symlink("/dev/full", work.join(&full)).expect("writable");
        let ran = bench.run(&[command, "-m", "acme/painter", "-o", &full, "Draw"]);
        assert_fails(
            &ran,
            1,
            &format!("error: the picture cannot be saved: cannot write `{full}`: "),
        );
        assert_has(
            &ran.stderr,
            "warning: a picture is not saved: expected its bytes in base64, found none\n",
        );
        let printed = format!("Here they are.\n{full}-1.webp\nhttps://pictures.example/a.png\n");
        assert_eq!(ran.stdout, printed);
        let json = bench.run(&[command, "--json", "-m", "acme/painter", "-o", &full, "Draw"]);
        assert_fails(&json, 1, "cannot write `");
        assert_eq!(json_of(&json)["text"], "Here they are.");
    }
}

#[test]
fn a_file_that_cannot_be_written_is_found_before_the_call() {
    let bench = Bench::new();
    for command in ["chat", "agent"] {
        for (file, why) in [
            ("/nowhere/x", "there is no folder `/nowhere`"),
            (".", "expected a file, found a folder"),
        ] {
            let ran = bench.run(&[command, "-o", file, "Hello"]);
            assert_fails(&ran, 2, &format!("error: `{file}` cannot be written: {why}\nhint: "));
        }
    }
    assert_eq!(bench.n_requests(), 0);
}

#[test]
fn a_picture_for_a_model_that_reads_none_is_refused_before_the_call() {
    let bench = Bench::new();
    let url = "https://pictures.example/a.png";
    let ran = bench.run(&["chat", "--image", url, "-m", "openai/gpt-4", "What is it?"]);
    assert_fails(&ran, 2, "error: `openai/gpt-4` cannot read pictures\n");
    assert_has(hint(&ran), "choose one that can, such as `");
    assert_has(hint(&ran), " (tier ");
    assert_has(hint(&ran), "--model ID");
    assert_eq!(bench.bodies(), Vec::<Value>::new());
}

#[test]
fn an_answer_without_pictures_leaves_the_named_file_alone() {
    let bench = Bench::new();
    let kept = bench.home.path().join("work/kept.png");
    fs::write(&kept, "mine").expect("writable");
    let drawn = Script {
        images: pictures().split_off(2),
        ..Script::text("There.")
    };
    bench.script("acme/linker", drawn);
    for (model, found) in [
        ("sandbox/hello", "nothing to save"),
        ("acme/linker", "only URLs, which are not fetched"),
    ] {
        let ran = bench.ok(&["chat", "-m", model, "-o", "kept.png", "Hello"]);
        let note = format!("note: the answer has {found}, so `kept.png` is not written\n");
        assert_has(&ran.stderr, &note);
    }
    assert_eq!(fs::read(&kept).expect("a file"), b"mine");
}

#[test]
fn a_sound_is_saved_and_its_transcript_is_the_text() {
    let home = home_with_openrouter();
    let audio = json!({"audio": {"id": "a-1", "data": "UklGRgAAAABXQVZF", "transcript": "Good day."}});
    let service = ending(
        &audio,
        "stop",
        None,
        &json!({"prompt_tokens": 1, "completion_tokens": 4}),
    );
    for (n, command) in ["chat", "agent"].into_iter().enumerate() {
        let ran = host_at(&home, &service, &[command, "Speak"]).run().expect_success();
        assert_eq!(ran.stdout, format!("Good day.\nsound-{}.wav\n", n + 1));
    }
    let saved = fs::read(home.path().join("work/sound-1.wav")).expect("a file");
    assert_eq!(saved, b"RIFF\0\0\0\0WAVE");
}

#[test]
fn sources_are_a_numbered_list_below_the_answer() {
    let bench = Bench::new();
    let cited = |url: &str, title: &str| json!({"type": "url_citation", "url_citation": {"url": url, "title": title}});
    let searched = Script {
        annotations: vec![cited("https://a.example/1", "Bees"), cited("https://b.example/2", "")],
        ..Script::text("Bees dance.")
    };
    bench.script("acme/search", searched);
    let ran = bench.ok(&["chat", "-m", "acme/search", "Do bees dance?"]);
    assert_eq!(
        ran.stdout,
        "Bees dance.\n\n1. Bees: https://a.example/1\n2. https://b.example/2\n"
    );
}

#[test]
fn with_a_key_of_ones_own_the_line_shows_both_costs() {
    let bench = Bench::new();
    let own_key = Script {
        usage: object(
            json!({"is_byok": true, "cost": 0.0005, "cost_details": {"upstream_inference_cost": 0.01,
            "upstream_inference_prompt_cost": 0.004, "upstream_inference_completions_cost": 0.006}}),
        ),
        ..Script::text("Hi")
    };
    bench.script("acme/own", own_key);
    let ran = bench.ok(&["chat", "-m", "acme/own", "Hello"]);
    assert_has(&ran.stderr, " · $0.0005 + $0.01 on your own key\n");
}

#[test]
fn a_fallback_inside_one_request_is_told_with_its_reason() {
    let home = home_with_openrouter();
    home.write_profile(&profile(
        r#""model": "acme/large", "fallbackModels": ["acme/medium", "acme/small"]"#,
    ));
    let last = json!({"model": "acme/small", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
    "openrouter_metadata": {"attempts": [
        {"model": "acme/large", "provider": "Acme", "status": 503, "message": "no capacity"},
        {"model": "acme/medium", "provider": "Acme", "status": 429},
        {"model": "acme/small", "provider": "Acme", "status": 200},
    ]}});
    let first = json!({"model": "acme/small", "choices": [{"index": 0, "delta": {"content": "Hi"}}]});
    let events = format!("data: {first}\n\ndata: {last}\n\n{}", faultd::DONE);
    let answer = [sse_head(), chunk(events), faultd::LAST_CHUNK.into()].concat();
    let service = Faultd::playing([faultd::Script::new().send(answer)]);
    let ran = host_at(&home, &service, &["chat", "-q", "Hello"])
        .run()
        .expect_success();
    let told = "acme/large via Acme: 503 unavailable, no capacity → acme/medium via Acme: 429 rate_limit → acme/small \
                answered\n";
    assert_has(&ran.stderr, told);
    assert_eq!(service.requests().len(), 1);
}

/// The hint of a command that must fail.
#[track_caller]
fn hint(ran: &Ran) -> &str {
    assert_ne!(ran.code, Some(0), "{ran:?}");
    let hint = ran.stderr.lines().find_map(|line| line.strip_prefix("hint: "));
    hint.unwrap_or_else(|| panic!("no hint: {ran:?}"))
}

#[test]
fn a_refusal_for_want_of_credit_names_the_tokens_that_fit() {
    let bench = Bench::new();
    let poor = Script {
        affordable_tokens: Some(200),
        ..Script::default()
    };
    bench.script("acme/dear", poor);
    for command in ["chat", "agent"] {
        let ran = bench.run(&[command, "-m", "acme/dear", "--max-tokens", "1000", "Hello"]);
        assert_eq!(ran.code, Some(5));
        assert_has(hint(&ran), "`--max-tokens 200`");
    }
    bench.ok(&["chat", "-m", "acme/dear", "--max-tokens", "200", "Hello"]);
}

#[test]
fn an_unknown_tier_or_model_is_answered_with_the_nearest_one() {
    let bench = Bench::with_profile(&profile(
        r#""model": "anthropic/claude-sonet-4.5", "retry": {"attempts": 1}"#,
    ));
    for (command, near) in [
        (&["chat", "-t", "lage", "Hello"][..], "did you mean `large`?"),
        (&["agent", "-t", "TEXT_SMAL", "Hello"], "did you mean `TEXT_SMALL`?"),
        (&["fallback", "test", "-t", "lage"], "did you mean `large`?"),
        (&["models", "show", "lage"], "did you mean `large`?"),
        (&["models", "show", "claude-sonet-4.5"], "`anthropic/claude-sonnet-4.5`"),
        (&["agent", "-m", "sonet", "Hello"], "-sonnet-"),
        (&["chat", "-m", "opus", "Hello"], "/claude-opus"),
        // The profile's own model.
        (&["chat", "Hello"], "`anthropic/claude-sonnet-4.5`"),
        (
            &["agent", "-m", "anthropic/claude-sonet-4.5", "Hello"],
            "`anthropic/claude-sonnet-4.5`",
        ),
    ] {
        assert_has(hint(&bench.run(command)), near);
    }
    let tested = bench.run(&["fallback", "test"]);
    assert_fails(&tested, 7, "`anthropic/claude-sonnet-4.5`");
}

#[test]
fn quotes_around_the_values_of_our_variables_are_taken_off_with_a_warning() {
    let bench = Bench::new();
    let quoted = |run: HostRun| {
        run.env("OPENROUTER_API_KEY", &format!("\"{}\"", bench.service.key()))
            .env("SMALL_MODEL", "'sandbox/echo'")
            .env("HTTPS_PROXY", "\"\"")
            .env("GREETING", "\"hello\"")
    };
    let ran = quoted(bench.without_key(&["chat", "-q", "-t", "small", "Hello"]))
        .run()
        .expect_success();
    assert_eq!(bench.bodies()[0]["model"], "sandbox/echo");
    for names in ["`HTTPS_PROXY`", "`OPENROUTER_API_KEY` and `SMALL_MODEL`"] {
        let warning =
            format!("the quotes around the value of {names} are ignored: remove them where the variable is set");
        assert_eq!(ran.stderr.matches(&warning).count(), 1, "{}", ran.stderr);
    }
    assert_lacks(&ran.stderr, "GREETING");
    assert_lacks(&bench.ok(&["chat", "-q", "Hello"]).stderr, "quotes");
}

#[test]
fn what_turns_text_round_is_visible_in_errors_and_stays_in_answers() {
    let home = home_with_openrouter();
    let turned = "\u{202e}live\u{202c} and \u{200b}well";
    let service = Faultd::playing([faultd::Script::answer(turned)]);
    let answer = host_at(&home, &service, &["chat", "-q", "-m", "acme/model", "Hello"])
        .run()
        .expect_success();
    assert_eq!(answer.stdout.trim_end(), turned);
    let body = serde_json::json!({"error": {"code": 400, "message": format!("bad {turned}")}});
    let service = Faultd::playing([faultd::Script::reply(400, &[], &body)]);
    let refused = host_at(&home, &service, &["chat", "-m", "acme/model", "Hello"]).run();
    assert_has(&refused.stderr, "bad \\u{202e}live\\u{202c} and \\u{200b}well");
}
