//! A plugin that is shut down ends, and its calls don't disturb each other. Dropped calls are in `faults/host.rs`.

use std::fs;

use plugin_api::{ChatEvent, Error, ErrorKind, EventStream, Plugin};
use sandbox::{Sandbox, Script};
use serde_json::{Value, json};
use tests::{Child, LIMIT, Service, block_on, eventually, openrouter, openrouter_config, poll_once, request, service};
use tokio::runtime;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::bench::{opened, streamed};

/// Timeouts far beyond [`LIMIT`]: a connection that closes within the limit was closed by the drop.
fn patient() -> Value {
    const HOUR_MS: u64 = 3_600_000;
    json!({"timeouts": {"firstTokenMs": HOUR_MS, "idleMs": HOUR_MS, "progressMs": HOUR_MS, "totalMs": HOUR_MS}})
}

fn patient_openrouter(sandbox: &Sandbox) -> Plugin {
    openrouter(&openrouter_config(sandbox, patient()))
}

/// A sandbox whose model `acme/silent` stalls after `n_pieces`, and whose `acme/model-a` says `one two three`.
fn falling_silent(n_pieces: usize) -> Service {
    let sandbox = service();
    let silent = Script {
        stall_after_chunks: Some(n_pieces),
        ..Script::words(50)
    };
    sandbox.script("acme/silent", silent);
    let counting = Script {
        chunk_delay_ms: 1,
        ..Script::text("one two three")
    };
    sandbox.script("acme/model-a", counting);
    sandbox
}

/// Reads `n` pieces of text.
async fn texts(events: &mut EventStream, n: usize) {
    let mut seen = 0;
    while seen < n {
        let event = events.next().await.expect("an event").expect("no error");
        seen += usize::from(matches!(event, ChatEvent::Text(_)));
    }
}

#[test]
fn a_dropped_stream_leaves_the_plugins_other_streams_alone() {
    let sandbox = falling_silent(3);
    let plugin = patient_openrouter(&sandbox);
    let mut dropped = opened(&plugin, &request("acme/silent", "hello"));
    let other = opened(&plugin, &request("acme/model-a", "hello"));
    block_on(texts(&mut dropped, 1));
    drop(dropped);
    assert_eq!(block_on(other.collect()).expect("an answer").text, "one two three");
}

#[test]
fn a_dropped_plugin_leaves_its_streams_alive() {
    let sandbox = falling_silent(3);
    let plugin = patient_openrouter(&sandbox);
    let events = opened(&plugin, &request("acme/model-a", "hello"));
    drop(plugin);
    assert_eq!(block_on(events.collect()).expect("an answer").text, "one two three");
}

#[test]
fn shutdown_ends_the_plugins_threads_and_fails_its_calls() {
    // In a process of its own, because the plugins of other tests have threads of the same name.
    Child::new().run(|| {
        let sandbox = falling_silent(3);
        let plugin = patient_openrouter(&sandbox);
        let asked = request("acme/silent", "hello");
        let mut call = Box::pin(plugin.chat(&asked));
        let mut events = opened(&plugin, &asked);
        block_on(async {
            texts(&mut events, 3).await;
            assert!(poll_once(call.as_mut()).is_pending());
        });
        assert!(threads_named("openrouter") > 0);

        // It ends long before its deadline, which is far beyond the test's own limit.
        block_on(plugin.shutdown(100 * LIMIT)).expect("it ends");
        // A joined thread stays in the kernel's list for a moment, and nothing reports its end.
        eventually(|| match threads_named("openrouter") {
            0 => Ok(()),
            n_left => Err(n_left),
        });

        for error in [block_on(plugin.chat(&asked)), streamed(&plugin, &asked)] {
            let expected = Error::new(ErrorKind::SHUT_DOWN, "the plugin was shut down");
            assert_eq!(error.expect_err("it was shut down"), expected);
        }
        // Calls in flight end too, and say why.
        for error in [block_on(call), block_on(events.collect())] {
            let error = error.expect_err("its connection is gone");
            let kinds = [ErrorKind::SHUT_DOWN, ErrorKind::CONNECT, ErrorKind::INTERRUPTED];
            assert!(kinds.contains(&error.kind), "{error:?}");
        }
        sandbox
            .wait_for_open_connections(0, LIMIT)
            .expect("the connection is closed");
        block_on(plugin.shutdown(LIMIT)).expect("a second time changes nothing");
    });
}

fn threads_named(name: &str) -> usize {
    let tasks = fs::read_dir("/proc/self/task").expect("Linux lists the threads");
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|found| found.trim() == name).count()
}

#[test]
fn many_calls_at_once_all_get_their_own_answer() {
    let sandbox = service();
    let echo = Script {
        echo: true,
        ..Script::default()
    };
    sandbox.script("acme/echo", echo);
    let plugin = patient_openrouter(&sandbox);
    block_on(async {
        let mut calls = JoinSet::new();
        for number in 0..64 {
            let asked = request("acme/echo", &format!("number <{number}>"));
            let plugin = plugin.clone();
            calls.spawn(async move {
                let reply = match number % 2 {
                    0 => plugin.stream(&asked).await?.collect().await?,
                    _ => plugin.chat(&asked).await?,
                };
                Ok::<_, Error>((number, reply.text))
            });
        }
        for answer in calls.join_all().await {
            let (number, text) = answer.expect("an answer");
            assert!(text.contains(&format!("<{number}>")), "number {number} got `{text}`");
        }
    });
    assert_eq!(sandbox.requests().len(), 64);
}

#[test]
fn a_stream_may_move_between_the_threads_of_another_runtime() {
    let sandbox = falling_silent(0);
    let mut events = opened(&patient_openrouter(&sandbox), &request("acme/model-a", "hello"));
    let hosts = runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .expect("two threads are free");
    let (sender, answer) = oneshot::channel();
    hosts.spawn(async move {
        let mut text = String::new();
        // A task of its own waits for each event, so the stream is polled on more than one thread.
        loop {
            let next = tokio::spawn(async move { (events.next().await, events) });
            let (event, rest) = next.await.expect("it does not panic");
            events = rest;
            match event {
                Some(Ok(ChatEvent::Text(piece))) => text.push_str(&piece),
                Some(event) => drop(event.expect("no error")),
                None => break,
            }
        }
        sender.send(text)
    });
    assert_eq!(block_on(answer).expect("an answer"), "one two three");
}

#[test]
fn later_calls_reuse_the_connections_of_earlier_ones() {
    let sandbox = service();
    let plugin = patient_openrouter(&sandbox);
    // A connection returns to the pool a moment after the answer's last event, so a quick call may still open another;
    // a plugin that never reuses one opens one for every call.
    let is_reused = (1..=1000).any(|n_calls| {
        streamed(&plugin, &request("sandbox/hello", "hello")).expect("an answer");
        sandbox.accepted_connections() < n_calls
    });
    assert!(is_reused, "1000 calls opened 1000 connections");
}
