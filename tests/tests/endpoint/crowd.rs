//! Many clients at once: none loses anything or blocks another, and those that leave leave nothing behind.

use std::sync::mpsc::{Receiver, channel};
use std::thread;

use sandbox::{Outcome, Sandbox};
use tests::canary::CANARY;
use tests::endpoint::{Client, Endpoint, Serve};
use tests::faultd::{self, DONE, Faultd, LAST_CHUNK, chunk, finish_event, sse_head, text_event};
use tests::{LIMIT, service_from};

use crate::bench::{CHAT, patient, stalling, stream_body, until, wait_for_metric, without_comment};

/// Clients at once.
const N_CLIENTS: usize = 1000;

/// The most memory that the server may need for all of them; a debug build needs more than a release build.
const MEMORY_KIB: u64 = 512 << 10;

const IN_FLIGHT: &str = "agent_host_in_flight";

/// A service that repeats what it is sent: the first word at once, the rest when it is released.
fn echo() -> Faultd {
    Faultd::answering(|request| {
        let body = request.json();
        let text = body["messages"][0]["content"].as_str().unwrap_or_default();
        let words: Vec<_> = text
            .split(' ')
            .map(|word| chunk(text_event(&format!("{word} "))))
            .collect();
        let (first, rest) = words.split_first().expect("a word");
        let end = [chunk(finish_event("stop")), chunk(DONE), LAST_CHUNK.into()].concat();
        faultd::Script::new()
            .send([sse_head(), first.clone()].concat())
            .hold()
            .send([rest.concat(), end].concat())
    })
}

#[test]
fn a_thousand_streams_at_once_are_neither_lost_nor_mixed() {
    let faultd = echo();
    let endpoint = Serve::new().asking(&faultd).profile(&patient()).start();
    let text = |n: usize| format!("client-{n} says {} and once more client-{n} ", n * n);
    let clients: Vec<Client> = (0..N_CLIENTS)
        .map(|n| {
            let mut client = endpoint.connect();
            let body = stream_body("acme/echo", text(n).trim_end());
            client.send(endpoint.post(CHAT, &body).bytes()).expect("it is there");
            client
        })
        .collect();
    // Every answer begins before any ends.
    let mut replies: Vec<_> = clients.into_iter().map(Client::reply).collect();
    for (n, reply) in replies.iter_mut().enumerate() {
        reply.until(&format!("client-{n} "));
    }
    // The request for the metrics is in flight too.
    assert_eq!(endpoint.metric(IN_FLIGHT), (N_CLIENTS + 1) as f64);
    faultd.release();
    for (n, reply) in replies.into_iter().enumerate() {
        let answer = reply.whole().expect(200);
        assert_eq!(answer.streamed(), text(n));
        assert_eq!(answer.events().last().map(String::as_str), Some("[DONE]"), "{n}");
    }
    let asked = faultd.requests();
    let n_chats = asked.iter().filter(|request| request.method == "POST").count();
    assert_eq!(n_chats, N_CLIENTS, "each question is asked once");
    let memory_kib = endpoint.status_kib("VmHWM");
    assert!(memory_kib < MEMORY_KIB, "{memory_kib} KiB");
    let ok = "agent_host_requests_total{route=\"chat\",outcome=\"ok\"}";
    wait_for_metric(&endpoint, ok, N_CLIENTS as f64);
    wait_for_metric(&endpoint, IN_FLIGHT, 1.0);
}

#[test]
fn a_slow_reader_gets_everything_and_blocks_nobody() {
    // Far more than socket buffers hold, so that the server has to wait for its reader.
    const N_EVENTS: usize = 1600;
    let event = |n: usize| text_event(&format!("{n}:{}", "x".repeat(64 << 10)));
    let events: Vec<String> = (0..N_EVENTS)
        .map(event)
        .chain([finish_event("stop"), DONE.to_owned()])
        .collect();
    let all = events.concat();
    let faultd = Faultd::answering(move |request| {
        let is_large = request.json()["model"] == "acme/large";
        if is_large {
            faultd::Script::stream(&events)
        } else {
            faultd::Script::answer("quick")
        }
    });
    let endpoint = Serve::new().asking(&faultd).profile(&patient()).start();
    endpoint.chat("acme/quick", "Hello").expect(200);
    let before_kib = endpoint.status_kib("VmRSS");
    let slow = Client::with_little_room(endpoint.address());
    let mut slow = slow.ask(&endpoint.post(CHAT, &stream_body("acme/large", "Hello")));
    slow.until("0:x");
    // It reads no further, while others get their answers.
    for _ in 0..200 {
        let answer = endpoint.chat("acme/quick", "Hello").expect(200);
        assert_eq!(answer.content(), "quick");
    }
    let grown_kib = endpoint.status_kib("VmHWM").saturating_sub(before_kib);
    let all_kib = (all.len() >> 10) as u64;
    assert!(
        grown_kib < all_kib / 2,
        "what nobody reads has to wait at the service: the server holds {grown_kib} KiB of {all_kib} KiB"
    );
    let answer = without_comment(slow.whole().expect(200));
    assert!(
        answer.body == all.as_bytes(),
        "{} bytes of {}",
        answer.body.len(),
        all.len()
    );
}

/// An endpoint whose model never ends its answers, and what becomes of each chat at the service.
///
/// Only the client's leaving can end a chat within the limit of a test, because the profile's timeouts are far longer.
fn never_ending() -> (Endpoint, Receiver<Outcome>) {
    let (sender, outcomes) = channel();
    let builder = Sandbox::builder().key(CANARY).script("acme/stalls", stalling());
    let builder = builder.on_finished(move |recorded| {
        if recorded.path.ends_with("/chat/completions") {
            let _ = sender.send(recorded.outcome);
        }
    });
    let serve = Serve::before(service_from(builder)).profile(&patient());
    (serve.start(), outcomes)
}

#[test]
fn two_hundred_clients_that_vanish_leave_nothing_behind() {
    let (endpoint, outcomes) = never_ending();
    endpoint.chat("sandbox/hello", "Hello").expect(200);
    outcomes.recv_timeout(LIMIT).expect("it was answered");
    // The metrics look at the credit, for which the plugin may keep one more connection.
    endpoint.metric(IN_FLIGHT);
    let n_files = endpoint.open_files();
    let mut replies = Vec::new();
    for n in 0..200 {
        let body = stream_body("acme/stalls", &format!("client {n}"));
        let mut reply = endpoint.open(&endpoint.post(CHAT, &body));
        reply.until("data: ");
        replies.push(reply);
    }
    assert_eq!(endpoint.metric(IN_FLIGHT), 201.0);
    let n_open = endpoint.open_files();
    assert!(n_open >= n_files + 390, "{n_open} files, {n_files} before");
    let ways: [fn(Client); 2] = [drop, Client::reset];
    for (n, reply) in replies.into_iter().enumerate() {
        ways[n % 2](reply.into_client());
    }
    for _ in 0..200 {
        let outcome = outcomes.recv_timeout(LIMIT).expect("the service sees it");
        assert!(matches!(outcome, Outcome::ClientLeft { .. }), "{outcome:?}");
    }
    let left = "agent_host_requests_total{route=\"chat\",outcome=\"client_left\"}";
    wait_for_metric(&endpoint, left, 200.0);
    wait_for_metric(&endpoint, IN_FLIGHT, 1.0);
    // The connection of the last look may still be among them.
    until(&endpoint, "files as before", || endpoint.open_files() <= n_files + 1);
    endpoint.chat("sandbox/hello", "Hello").expect(200);
}

#[test]
fn silent_connections_keep_no_request_out() {
    let endpoint = Serve::new().arguments(&["--max-connections", "8"]).start();
    let half = "POST /v1/chat/completions HTTP/1.1\r\nhost: ";
    let mut silent: Vec<Client> = (0..1100)
        .map(|_| {
            let mut client = endpoint.connect();
            let _ = client.send(half);
            client
        })
        .collect();
    endpoint.chat("sandbox/hello", "Hello").expect(200);
    endpoint.answer(&endpoint.get("/health")).expect(200);
    assert!(silent[0].is_closed(), "the oldest gives way");
}

#[test]
fn clients_without_the_token_take_no_place_of_those_with_it() {
    let endpoint = Serve::new().arguments(&["--max-connections", "8"]).start();
    let anonymous = endpoint.get("/v1/models").without("authorization");
    let mut guests: Vec<Client> = (0..1100)
        .map(|_| {
            let (answer, mut guest) = endpoint.connect().ask(&anonymous).whole_and_client();
            answer.expect(200);
            // It may have had to give way already.
            let _ = guest.send("GET /v1/models HTTP/1.1\r\nhost: ");
            guest
        })
        .collect();
    // Each on a new connection, which nobody knows yet.
    for _ in 0..20 {
        endpoint.chat("sandbox/hello", "Hello").expect(200);
    }
    assert!(guests[0].is_closed(), "the oldest gives way");
}

#[test]
fn clients_that_leave_at_any_byte_harm_nobody() {
    let endpoint = Endpoint::start();
    let request = endpoint.post(CHAT, &stream_body("sandbox/words-500", "Hello")).bytes();
    endpoint.answer(&endpoint.get("/health")).expect(200);
    let n_files = endpoint.open_files();
    for end in (0..request.len()).step_by(request.len() / 20) {
        let mut client = endpoint.connect();
        client.send(&request[..end]).expect("it is there");
    }
    until(&endpoint, "files as before", || endpoint.open_files() <= n_files);
    let asked = endpoint.service.requests();
    assert!(
        asked.iter().all(|asked| asked.path != "/api/v1/chat/completions"),
        "{asked:?}"
    );
    thread::scope(|scope| {
        for thread in 0..4_usize {
            let (endpoint, request) = (&endpoint, &request);
            scope.spawn(move || {
                for n in 0..40_usize {
                    let mut client = endpoint.connect();
                    if n % 4 == 3 {
                        let text = format!("{thread} {n}");
                        let answer = endpoint.chat("sandbox/echo", &text).expect(200);
                        assert!(answer.content().ends_with(&text));
                    }
                    client.send(request).expect("it is there");
                    // Somewhere in the head or body of the answer, or at its end.
                    client.read(1 + (n * 7919 + thread * 104_729) % 60_000);
                    if n % 2 == 0 { drop(client) } else { client.reset() }
                }
            });
        }
    });
    let idle = endpoint.service.wait_until_idle(LIMIT);
    idle.expect("nobody waits for it any more");
    wait_for_metric(&endpoint, IN_FLIGHT, 1.0);
}
