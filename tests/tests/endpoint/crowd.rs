//! Many clients at once: none loses anything, none holds another up, and whoever leaves leaves nothing behind.

use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use sandbox::{Outcome, Sandbox, Script};
use serde_json::{Value, json};
use tests::canary::CANARY;
use tests::endpoint::{Client, Endpoint, Serve, chat_body};
use tests::faultd::{self, DONE, Faultd, LAST_CHUNK, chunk, finish_event, sse_head, text_event};
use tests::{LIMIT, service, service_from};

const CHAT: &str = "/v1/chat/completions";

/// Clients at once.
const N_CLIENTS: usize = 1000;

/// What the server may need at most for all of them; a build for tests needs more than a good one.
const MEMORY_KIB: u64 = 512 << 10;

/// A request for a stream.
fn stream_body(model: &str, text: &str) -> Value {
    let mut body = chat_body(model, text);
    body["stream"] = json!(true);
    body
}

/// Looks again and again, with a request to the endpoint in between, until it is so.
#[track_caller]
fn until(endpoint: &Endpoint, what: &str, is_so: impl Fn() -> bool) {
    let late = Instant::now() + LIMIT;
    while !is_so() {
        let files = endpoint.open_files();
        assert!(
            Instant::now() < late,
            "waited in vain for {what}: {files} files are open"
        );
        endpoint.answer(&endpoint.get("/health"));
    }
}

#[test]
fn a_thousand_streams_at_once_are_neither_lost_nor_mixed() {
    // Every answer begins, and none ends before all have begun.
    let faultd = Faultd::answering(|request| {
        let text = request.json()["messages"][0]["content"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let words = text
            .split(' ')
            .map(|word| chunk(text_event(&format!("{word} "))))
            .collect::<Vec<_>>();
        let (first, rest) = words.split_first().expect("a word");
        let end = [
            rest.concat(),
            chunk(finish_event("stop")),
            chunk(DONE),
            LAST_CHUNK.into(),
        ]
        .concat();
        faultd::Script::new()
            .send([sse_head(), first.clone()].concat())
            .hold()
            .send(end)
    });
    let endpoint = Serve::new().asking(&faultd).start();
    let text = |n: usize| format!("client-{n} says {} and once more client-{n} ", n * n);
    let mut replies = Vec::new();
    for n in 0..N_CLIENTS {
        let mut client = endpoint.connect();
        let request = endpoint.post(CHAT, &stream_body("acme/echo", text(n).trim_end()));
        client.send(request.bytes()).expect("it is there");
        replies.push(client);
    }
    let mut replies: Vec<_> = replies.into_iter().map(Client::reply).collect();
    for (n, reply) in replies.iter_mut().enumerate() {
        reply.until(&format!("client-{n} "));
    }
    // The request that asks counts as well.
    assert_eq!(endpoint.metric("agent_host_in_flight"), (N_CLIENTS + 1) as f64);
    let files = endpoint.open_files();
    faultd.release();
    for (n, reply) in replies.into_iter().enumerate() {
        let answer = reply.whole().expect(200);
        assert_eq!(answer.streamed(), text(n));
        assert_eq!(answer.events().last().map(String::as_str), Some("[DONE]"), "{n}");
    }
    let n_asked = faultd
        .requests()
        .iter()
        .filter(|request| request.method == "POST")
        .count();
    assert_eq!(n_asked, N_CLIENTS, "each was asked once");
    let memory_kib = endpoint.status_kib("VmHWM");
    println!("{N_CLIENTS} streams at once: at most {memory_kib} KiB, {files} files");
    assert!(memory_kib < MEMORY_KIB, "{memory_kib} KiB");
    until(&endpoint, "no request in flight", || {
        endpoint.metric("agent_host_in_flight") == 1.0
    });
}

#[test]
fn a_thousand_echoes_of_the_stand_in_come_back_to_whom_they_belong() {
    let service = service();
    let echo = Script {
        echo: true,
        comments: 1,
        chunk_chars: Some(3),
        ..Script::default()
    };
    service.script("acme/echo", echo);
    let endpoint = Serve::before(service).start();
    let clients: Vec<Client> = (0..N_CLIENTS)
        .map(|n| {
            let mut client = endpoint.connect();
            let request = endpoint.post(CHAT, &stream_body("acme/echo", &format!("only for client {n}.")));
            client.send(request.bytes()).expect("it is there");
            client
        })
        .collect();
    for (n, client) in clients.into_iter().enumerate() {
        let answer = client.reply().whole().expect(200);
        let text = answer.streamed();
        assert!(text.ends_with(&format!("only for client {n}.")), "{n}: {text}");
    }
    assert_eq!(endpoint.service.requests().len(), N_CLIENTS);
    assert_eq!(
        endpoint.metric("agent_host_requests_total{route=\"chat\",outcome=\"ok\"}"),
        N_CLIENTS as f64
    );
}

#[test]
fn a_slow_reader_gets_everything_and_holds_nobody_up() {
    // Far more than the system takes off a server's hands, so that the server has to wait for its reader.
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
    let endpoint = Serve::new().asking(&faultd).start();
    endpoint.chat("acme/quick", "Hello").expect(200);
    let before_kib = endpoint.status_kib("VmRSS");
    let mut slow = Client::with_little_room(endpoint.address());
    slow.send(endpoint.post(CHAT, &stream_body("acme/large", "Hello")).bytes())
        .expect("it is there");
    let mut read = Vec::new();
    // One byte and a whole answer for somebody else, by turns.
    for _ in 0..200 {
        read.extend(slow.read(1));
        let answer = endpoint.chat("acme/quick", "Hello").expect(200);
        assert_eq!(answer.content(), "quick");
    }
    assert_eq!(read.len(), 200);
    let grown_kib = endpoint.status_kib("VmHWM").saturating_sub(before_kib);
    let whole_kib = (all.len() >> 10) as u64;
    println!("a slow reader of {whole_kib} KiB: the server grew by {grown_kib} KiB");
    assert!(
        grown_kib < whole_kib / 2,
        "what is not read waits at the service: {grown_kib} KiB of {whole_kib} KiB"
    );
    loop {
        let more = slow.read(64 << 10);
        if more.is_empty() {
            break;
        }
        read.extend(more);
        if read.ends_with(LAST_CHUNK.as_bytes()) {
            break;
        }
    }
    let body = unchunked(&read);
    assert!(body == all.as_bytes(), "{} bytes of {}", body.len(), all.len());
}

/// The body of an answer in chunks, out of everything that came.
fn unchunked(answer: &[u8]) -> Vec<u8> {
    let end = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .expect("a head")
        + 4;
    let mut rest = &answer[end..];
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|window| window == b"\r\n").expect("a size");
        let size = std::str::from_utf8(&rest[..line])
            .ok()
            .and_then(|size| usize::from_str_radix(size, 16).ok());
        let size = size.expect("a size");
        if size == 0 {
            return body;
        }
        body.extend_from_slice(&rest[line + 2..line + 2 + size]);
        rest = &rest[line + 2 + size + 2..];
    }
}

/// An endpoint before a service whose model never ends its answer, and the times at which the service saw its clients leave.
fn never_ending() -> (Endpoint, std::sync::mpsc::Receiver<(Instant, Outcome)>) {
    let (told, left) = channel();
    let stalls = Script {
        stall_after_chunks: Some(1),
        ..Script::words(10)
    };
    let builder = Sandbox::builder().key(CANARY).script("acme/stalls", stalls);
    let builder = builder.on_finished(move |recorded| {
        if recorded.path.ends_with("/chat/completions") {
            let _ = told.send((Instant::now(), recorded.outcome));
        }
    });
    (Serve::before(service_from(builder)).start(), left)
}

#[test]
fn a_client_that_vanishes_ends_its_request_at_the_service_within_a_tenth_of_a_second() {
    let (endpoint, left) = never_ending();
    let mut waits = Vec::new();
    for n in 0..12 {
        let is_stream = n % 2 == 0;
        let mut client = endpoint.connect();
        let body = if is_stream {
            stream_body("acme/stalls", "Hello")
        } else {
            chat_body("acme/stalls", "Hello")
        };
        client.send(endpoint.post(CHAT, &body).bytes()).expect("it is there");
        endpoint.service.wait_for_requests(n + 1, LIMIT).expect("it is asked");
        let client = if is_stream {
            let mut reply = client.reply();
            reply.until("data: ");
            reply.into_client()
        } else {
            client
        };
        let gone = Instant::now();
        // Some close their connection, some break it.
        if n % 4 < 2 {
            drop(client)
        } else {
            client.reset()
        }
        let (seen, outcome) = left.recv_timeout(LIMIT).expect("the service sees it");
        assert!(matches!(outcome, Outcome::ClientLeft { .. }), "{outcome:?}");
        waits.push(seen.saturating_duration_since(gone));
    }
    waits.sort_unstable();
    println!("a client that vanishes is gone at the service after {waits:?}");
    // A machine that is busy with other tests may be late now and then, not as a rule.
    assert!(waits[waits.len() / 2] < Duration::from_millis(100), "{waits:?}");
}

#[test]
fn two_hundred_clients_that_vanish_leave_nothing_behind() {
    let (endpoint, left) = never_ending();
    endpoint.chat("sandbox/hello", "Hello").expect(200);
    left.recv_timeout(LIMIT).expect("it was answered");
    // It looks at the credit, for which the plugin may keep a connection of its own.
    endpoint.metric("agent_host_in_flight");
    let n_files = endpoint.open_files();
    let mut clients = Vec::new();
    for n in 0..200 {
        let body = stream_body("acme/stalls", &format!("client {n}"));
        let mut reply = endpoint.open(&endpoint.post(CHAT, &body));
        reply.until("data: ");
        clients.push(reply);
    }
    assert_eq!(endpoint.metric("agent_host_in_flight"), 201.0);
    assert!(
        endpoint.open_files() >= n_files + 390,
        "{} files",
        endpoint.open_files()
    );
    drop(clients);
    for _ in 0..200 {
        let (_, outcome) = left.recv_timeout(LIMIT).expect("the service sees it");
        assert!(matches!(outcome, Outcome::ClientLeft { .. }), "{outcome:?}");
    }
    until(&endpoint, "no request in flight", || {
        endpoint.metric("agent_host_in_flight") == 1.0
    });
    // The connection of the last look may still be among them.
    until(&endpoint, "files as before", || endpoint.open_files() <= n_files + 1);
    let n_left = endpoint.metric("agent_host_requests_total{route=\"chat\",outcome=\"client_left\"}");
    assert_eq!(n_left, 200.0);
    endpoint.chat("sandbox/hello", "Hello").expect(200);
}

#[test]
fn clients_that_come_and_go_at_random_places_harm_nobody() {
    let endpoint = Endpoint::start();
    let request = endpoint.post(CHAT, &stream_body("sandbox/words-500", "Hello")).bytes();
    std::thread::scope(|scope| {
        for thread in 0..4_usize {
            let (endpoint, request) = (&endpoint, &request);
            scope.spawn(move || {
                for n in 0..40_usize {
                    let mut client = endpoint.connect();
                    if n % 4 == 3 {
                        let text = format!("{thread} {n}");
                        assert!(
                            endpoint
                                .chat("sandbox/echo", &text)
                                .expect(200)
                                .content()
                                .ends_with(&text)
                        );
                    }
                    client.send(request).expect("it is there");
                    // Somewhere in the head, in the middle, or at its end.
                    client.read(1 + (n * 7919 + thread * 104_729) % 60_000);
                    if n % 2 == 0 { drop(client) } else { client.reset() }
                }
            });
        }
    });
    endpoint
        .service
        .wait_until_idle(LIMIT)
        .expect("nobody waits for it any more");
    until(&endpoint, "no request in flight", || {
        endpoint.metric("agent_host_in_flight") == 1.0
    });
}
