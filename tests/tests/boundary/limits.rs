//! Every timeout of a call holds, and the key stays out of every error.

use std::thread;

use plugin_api::{Error, ErrorKind};
use sandbox::{Failure, Sandbox, Script};
use serde_json::json;
use tests::canary::{self, CANARY};
use tests::{
    LIMIT, LONG_LIMIT, block_on, block_on_for, config_at, openrouter, openrouter_config, request, service, service_from,
};

use crate::bench::streamed;

/// Timeouts that no call reaches: one that waits for them exceeds the test's own limit.
const HOUR_MS: u64 = 3_600_000;

/// The timeout under test; the next one where the machine was too busy for the answer to begin within it.
const TIMEOUTS_MS: [u64; 3] = [2_000, 10_000, 60_000];

/// A call that is late.
struct Late {
    what: &'static str,
    /// Options of half that timeout, which must not end the call, because they do not apply to it.
    inapplicable: &'static [&'static str],
    script: Script,
    is_streamed: bool,
    /// The option whose timeout ends it.
    option: &'static str,
    message: &'static str,
    /// Whether text had arrived by then.
    has_text: bool,
}

/// A stream that is late; all other timeouts are longer.
fn late(what: &'static str, script: Script, option: &'static str, message: &'static str, has_text: bool) -> Late {
    Late {
        what,
        inapplicable: &[],
        script,
        is_streamed: true,
        option,
        message,
        has_text,
    }
}

/// In each row `option` is one of [`TIMEOUTS_MS`].
fn late_calls() -> [Late; 6] {
    let stalling_after = |n_pieces: usize, script: Script| Script {
        stall_after_chunks: Some(n_pieces),
        ..script
    };
    let unbegun = stalling_after(0, Script::words(5));
    let silent = stalling_after(3, Script::words(5));
    let tool_call = stalling_after(3, Script::tool_call("note", json!({"text": "a long note"})));
    let comments = Script {
        comments_forever: true,
        ..stalling_after(1, Script::words(5))
    };
    let endless = Script {
        chunk_delay_ms: 1,
        ..Script::words(100_000)
    };
    let (nothing, incomplete) = ("the service sent nothing", "the answer was not complete");
    [
        late(
            "a stream that does not begin",
            unbegun.clone(),
            "firstTokenMs",
            "no first token arrived",
            false,
        ),
        late("a stream that falls silent", silent, "idleMs", nothing, true),
        Late {
            inapplicable: &["firstTokenMs"],
            ..late(
                "a tool call that falls silent: its fragments count as the first token",
                tool_call,
                "idleMs",
                nothing,
                false,
            )
        },
        Late {
            inapplicable: &["firstTokenMs", "idleMs"],
            is_streamed: false,
            ..late(
                "an answer in one piece: only the time of the whole call counts",
                unbegun,
                "totalMs",
                "the service did not begin to answer",
                false,
            )
        },
        late("a stream of keep-alive comments", comments, "totalMs", incomplete, true),
        late("an endless answer", endless, "totalMs", incomplete, true),
    ]
}

#[test]
fn each_timeout_ends_the_calls_it_applies_to() {
    let sandbox = service();
    thread::scope(|scope| {
        for (row, late) in late_calls().into_iter().enumerate() {
            let sandbox = &sandbox;
            scope.spawn(move || assert_times_out(sandbox, &format!("acme/late-{row}"), &late));
        }
    });
    sandbox
        .wait_for_open_connections(0, LIMIT)
        .expect("the connections of late calls are closed");
}

fn assert_times_out(sandbox: &Sandbox, model: &str, late: &Late) {
    let what = late.what;
    sandbox.script(model, late.script.clone());
    let mut timeout_ms = TIMEOUTS_MS[0];
    let mut error = late_call(sandbox, model, late, timeout_ms);
    for longer_ms in TIMEOUTS_MS {
        if error.message.starts_with(late.message) {
            break;
        }
        timeout_ms = longer_ms;
        error = late_call(sandbox, model, late, timeout_ms);
    }
    let message = format!("{} within {timeout_ms} ms", late.message);
    assert_eq!((error.kind, &error.message), (ErrorKind::TIMEOUT, &message), "{what}");
    assert!(error.is_retryable(), "{what}");
    let hint = error.hint().expect("advice");
    assert!(hint.contains(&format!("`timeouts.{}`", late.option)), "{what}: {hint}");
    assert_eq!(error.details.partial_text.is_some(), late.has_text, "{what}");
}

fn late_call(sandbox: &Sandbox, model: &str, late: &Late, timeout_ms: u64) -> Error {
    let mut timeouts = json!({"firstTokenMs": HOUR_MS, "idleMs": HOUR_MS, "progressMs": HOUR_MS, "totalMs": HOUR_MS});
    for option in late.inapplicable {
        timeouts[option] = json!(timeout_ms / 2);
    }
    timeouts[late.option] = json!(timeout_ms);
    let options = json!({"timeouts": timeouts, "retry": {"attempts": 1}});
    let plugin = openrouter(&openrouter_config(sandbox, options));
    let asked = request(model, "hello");
    let answer = async {
        match late.is_streamed {
            true => plugin.stream(&asked).await?.collect().await,
            false => plugin.chat(&asked).await,
        }
    };
    block_on_for(LONG_LIMIT, answer).expect_err(late.what)
}

#[test]
fn the_key_never_appears_in_an_error() {
    let quoting = Failure::status(500).message(format!("the key {CANARY} made us stumble"));
    let late = Script {
        fail: Some(quoting.clone()),
        fail_after_chunks: Some(2),
        ..Script::words(9)
    };
    let in_200 = Script {
        error_in_200_body: true,
        ..Script::fail(quoting.clone())
    };
    let page = Failure {
        body: Some(format!("<title>{CANARY} is not welcome</title>")),
        ..Failure::status(403)
    };
    let sandbox = service();
    let scripts = [
        ("acme/quoting", Script::fail(quoting)),
        ("acme/late", late),
        ("acme/in-200", in_200),
        ("acme/page", Script::fail(page)),
    ];
    let refusing = service_from(Sandbox::builder().key("sk-or-v1-another"));
    let config = |base_url: &str| config_at(base_url, CANARY, json!({}));
    let mut calls = vec![
        (config(&refusing.base_url()), "acme/any"),
        (config("http://127.0.0.1:1/api/v1"), "acme/any"),
    ];
    for (model, script) in scripts {
        sandbox.script(model, script);
        calls.push((config(&sandbox.base_url()), model));
    }
    let mut printed = String::new();
    for (config, model) in calls {
        let plugin = openrouter(&config);
        let asked = request(model, "hello");
        for answer in [block_on(plugin.chat(&asked)), streamed(&plugin, &asked)] {
            let error = answer.expect_err(model);
            printed += &format!("\n{config:?} {error} {error:?} {}", json!(*error.details));
        }
    }
    assert_eq!(canary::hits(printed.as_bytes()), []);
}
