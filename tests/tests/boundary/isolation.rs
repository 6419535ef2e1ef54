//! A call that is given up stops, a plugin that is shut down ends, and whoever polls it needs no runtime.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use plugin_api::{ChatEvent, Config, ErrorKind, EventStream, Plugin, loader};
use sandbox::{Sandbox, Script};
use serde_json::json;
use tests::{
    LIMIT, Service, block_on, in_a_process_of_its_own, openrouter_config, openrouter_plugin, poll_once, request,
    service, wait_for,
};
use tokio::task::JoinSet;

use crate::loading::created;
use crate::service::RawService;

/// The longest time that a connection may stay open after its call was given up.
const SOON: Duration = Duration::from_millis(100);

/// Tries to meet [`SOON`]: one of them must, since a loaded machine may be late by itself, but not always.
const TRIES: usize = 10;

fn openrouter(sandbox: &Sandbox) -> Plugin {
    let module = loader::load(&openrouter_plugin()).expect("it fits");
    created(&module, &openrouter_config(sandbox, json!({})))
}

/// A stand-in whose model `acme/silent` falls silent after `n_pieces`.
fn falling_silent(n_pieces: usize) -> Service {
    let sandbox = service();
    let script = Script {
        stall_after_chunks: Some(n_pieces),
        ..Script::words(50)
    };
    sandbox.script("acme/silent", script);
    sandbox
}

/// A stand-in whose model `acme/model-a` says `one two three`, piece by piece.
fn speaking_slowly() -> Service {
    let sandbox = service();
    let script = Script {
        chunk_delay_ms: 1,
        ..Script::text("one two three")
    };
    sandbox.script("acme/model-a", script);
    sandbox
}

/// Gives up a call that `begin` made, again and again, until the service saw the connection closed soon enough.
#[track_caller]
fn assert_closes_soon<T>(begin: impl Fn() -> T, give_up_and_wait: impl Fn(T)) {
    let took = (0..TRIES).map(|_| {
        let begun = begin();
        let given_up = Instant::now();
        give_up_and_wait(begun);
        given_up.elapsed()
    });
    let slow: Vec<Duration> = took.take_while(|took| *took > SOON).collect();
    assert!(slow.len() < TRIES, "{slow:?}");
}

#[test]
fn a_call_given_up_before_its_answer_began_closes_its_connection() {
    let sandbox = falling_silent(0);
    let plugin = openrouter(&sandbox);
    let begin = || {
        let asked_before = sandbox.requests().len();
        let mut call = Box::pin(plugin.chat(&request("acme/silent", "hello")));
        assert!(poll_once(call.as_mut()).is_pending());
        // The plugin's own thread asks; nobody needs to poll for that.
        sandbox
            .wait_for_requests(asked_before + 1, LIMIT)
            .expect("the service is asked");
        call
    };
    assert_closes_soon(begin, |call| {
        drop(call);
        sandbox
            .wait_for_open_connections(0, LIMIT)
            .expect("the connection is closed");
    });
}

#[test]
fn a_call_given_up_while_its_answer_arrives_in_one_piece_closes_its_connection() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{\"id\":";
    let module = loader::load(&openrouter_plugin()).expect("it fits");
    let begin = || {
        let service = RawService::answering(head.to_owned());
        let plugin = created(&module, &config_for(&service.base_url()));
        let mut call = Box::pin(plugin.chat(&request("acme/any", "hello")));
        assert!(poll_once(call.as_mut()).is_pending());
        service.wait_until_answered();
        (service, call)
    };
    assert_closes_soon(begin, |(service, call)| {
        drop(call);
        service.wait_until_closed();
    });
}

#[test]
fn a_stream_given_up_in_the_middle_closes_its_connection() {
    let sandbox = falling_silent(3);
    let plugin = openrouter(&sandbox);
    let begin = || {
        let events = block_on(async {
            let mut events = plugin.stream(&request("acme/silent", "hello")).await.expect("it opens");
            texts(&mut events, 3).await;
            events
        });
        assert_eq!(sandbox.open_connections(), 1);
        events
    };
    assert_closes_soon(begin, |events| {
        drop(events);
        sandbox
            .wait_for_open_connections(0, LIMIT)
            .expect("the connection is closed");
    });
}

#[test]
fn a_stream_given_up_leaves_the_other_streams_of_the_plugin_alone() {
    let sandbox = falling_silent(3);
    sandbox.script("acme/model-a", Script::text("one two three"));
    let plugin = openrouter(&sandbox);
    let text = block_on(async {
        let mut given_up = plugin.stream(&request("acme/silent", "hello")).await.expect("it opens");
        let other = plugin
            .stream(&request("acme/model-a", "hello"))
            .await
            .expect("it opens");
        texts(&mut given_up, 1).await;
        drop(given_up);
        other.collect().await.expect("an answer").text
    });
    assert_eq!(text, "one two three");
}

async fn texts(events: &mut EventStream, n: usize) {
    let mut seen = 0;
    while seen < n {
        let event = events.next().await.expect("an event").expect("no error");
        seen += usize::from(matches!(event, ChatEvent::Text(_)));
    }
}

fn config_for(base_url: &str) -> Config {
    let environment = [
        ("OPENROUTER_API_KEY", "sk-or-v1-abc"),
        ("OPENROUTER_BASE_URL", base_url),
    ];
    Config {
        options: json!({}),
        environment: environment
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
    }
}

#[test]
fn a_plugin_that_is_shut_down_ends_its_threads_and_answers_that_it_was() {
    // In a process of its own, because the plugins of other tests have threads of the same name.
    in_a_process_of_its_own(
        "isolation::a_plugin_that_is_shut_down_ends_its_threads_and_answers_that_it_was",
        || {
            let sandbox = falling_silent(3);
            let plugin = openrouter(&sandbox);
            let mut call = Box::pin(plugin.chat(&request("acme/silent", "hello")));
            let mut events = block_on(async {
                let mut events = plugin.stream(&request("acme/silent", "hello")).await.expect("it opens");
                texts(&mut events, 3).await;
                assert!(poll_once(call.as_mut()).is_pending());
                events
            });
            assert!(threads_named("openrouter") > 0);

            let begun = Instant::now();
            block_on(plugin.shutdown(Duration::from_secs(30))).expect("it ends");
            assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
            // A thread that has been joined stands in the kernel's list for a moment longer.
            while threads_named("openrouter") > 0 {
                assert!(begun.elapsed() < LIMIT, "its threads are still there");
                thread::yield_now();
            }

            let later = block_on(plugin.chat(&request("acme/silent", "hello"))).expect_err("it was shut down");
            assert_eq!(
                (later.kind, later.message.as_str()),
                (ErrorKind::SHUT_DOWN, "the plugin was shut down")
            );
            let later = block_on(plugin.stream(&request("acme/silent", "hello")))
                .err()
                .expect("it was shut down");
            assert_eq!(later.kind, ErrorKind::SHUT_DOWN);
            // What was under way ends too, and says why it did not end well.
            let called = block_on(call).expect_err("its connection is gone");
            let streamed = block_on(async {
                loop {
                    if let Err(error) = events.next().await.expect("an error comes before the end") {
                        return error;
                    }
                }
            });
            println!("under way: {called:?}, {streamed:?}");
            for error in [called, streamed] {
                assert!(
                    [ErrorKind::SHUT_DOWN, ErrorKind::CONNECT, ErrorKind::INTERRUPTED].contains(&error.kind),
                    "{error:?}"
                );
            }
            drop(events);
            sandbox
                .wait_for_open_connections(0, LIMIT)
                .expect("its connections are closed");
            block_on(plugin.shutdown(Duration::from_secs(1))).expect("a second time changes nothing");
        },
    );
}

fn threads_named(name: &str) -> usize {
    let tasks = fs::read_dir("/proc/self/task").expect("Linux lists the threads");
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|found| found.trim() == name).count()
}

#[test]
fn a_plugin_that_is_dropped_leaves_its_streams_alive() {
    let sandbox = speaking_slowly();
    let plugin = openrouter(&sandbox);
    let text = block_on(async {
        let events = plugin
            .stream(&request("acme/model-a", "hello"))
            .await
            .expect("it opens");
        drop(plugin);
        events.collect().await.map(|reply| reply.text)
    });
    assert_eq!(text, Ok("one two three".to_owned()));
}

#[test]
fn many_calls_at_once_all_get_their_own_answer() {
    let sandbox = service();
    let script = Script {
        echo: true,
        ..Script::text("")
    };
    sandbox.script("acme/echo", script);
    let plugin = openrouter(&sandbox);
    block_on(async {
        let mut calls = JoinSet::new();
        for number in 0..64 {
            let asked = request("acme/echo", &format!("number <{number}>"));
            let (plugin, streamed) = (plugin.clone(), number % 2 == 0);
            calls.spawn(async move {
                let reply = match streamed {
                    true => plugin.stream(&asked).await?.collect().await?,
                    false => plugin.chat(&asked).await?,
                };
                Ok::<_, plugin_api::Error>((number, reply.text))
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
fn a_thread_without_any_runtime_can_call_a_plugin() {
    let sandbox = service();
    sandbox.script("acme/model-a", Script::text("one two three"));
    let plugin = openrouter(&sandbox);
    let whole = wait_for(plugin.chat(&request("acme/model-a", "hello"))).expect("an answer");
    let opening = async { plugin.stream(&request("acme/model-a", "hello")).await?.collect().await };
    let streamed = wait_for(opening).expect("an answer");
    assert_eq!(
        (whole.text, streamed.text),
        ("one two three".to_owned(), "one two three".to_owned())
    );
}

#[test]
fn a_task_of_another_runtime_can_call_a_plugin_and_move_between_its_threads() {
    let sandbox = speaking_slowly();
    let plugin = openrouter(&sandbox);
    let hosts = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .expect("threads are to be had");
    let (told, answer) = tokio::sync::oneshot::channel();
    hosts.spawn(async move {
        let mut events = plugin
            .stream(&request("acme/model-a", "hello"))
            .await
            .expect("it opens");
        let mut text = String::new();
        // Each event is waited for by a task of its own, so the stream is polled on more than one thread.
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
        told.send(text)
    });
    assert_eq!(block_on(answer).expect("an answer"), "one two three");
}

#[test]
fn answers_one_after_another_share_connections() {
    let sandbox = service();
    let plugin = openrouter(&sandbox);
    for _ in 0..20 {
        let asked = request("sandbox/hello", "hello");
        block_on(async { plugin.stream(&asked).await?.collect().await }).expect("an answer");
        sandbox.wait_until_idle(LIMIT).expect("the service has said everything");
    }
    // A connection goes back to where the next call takes it from a moment after an answer's last event; a call that is
    // quicker than that makes another.
    let accepted = sandbox.accepted_connections();
    assert!(accepted <= 10, "{accepted} connections for 20 answers");
}
