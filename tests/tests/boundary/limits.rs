//! Every wait of a call has a limit, the key stays where it belongs, and a redirect is not followed.

use std::io::ErrorKind as IoErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use plugin_api::{ChatReply, Config, Error, ErrorKind, Plugin, loader};
use sandbox::{Failure, Sandbox, Script};
use serde_json::{Value, json};
use tests::canary::CANARY;
use tests::{LIMIT, ask, block_on, openrouter_config, openrouter_plugin, request, service, service_from};

use crate::loading::created;
use crate::service::RawService;

fn openrouter(config: &Config) -> Plugin {
    created(&loader::load(&openrouter_plugin()).expect("it fits"), config)
}

/// Asks a model that does as `script` says, in both ways, with these limits.
fn asked_within(timeouts: Value, script: Script) -> [Result<ChatReply, Error>; 2] {
    let sandbox = service();
    sandbox.script("acme/slow", script);
    let plugin = openrouter(&openrouter_config(
        &sandbox,
        json!({"timeouts": timeouts, "retry": {"attempts": 1}}),
    ));
    let asked = request("acme/slow", "hello");
    let begun = Instant::now();
    let answers = [
        block_on(async { plugin.stream(&asked).await?.collect().await }),
        block_on(plugin.chat(&asked)),
    ];
    // The limits that were not set are a minute and more.
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    if answers.iter().all(Result::is_err) {
        sandbox
            .wait_for_open_connections(0, LIMIT)
            .expect("the connections of late calls are closed");
    }
    answers
}

#[track_caller]
fn assert_timed_out(answer: &Result<ChatReply, Error>, message: &str, option: &str) {
    let error = answer.as_ref().expect_err("it is late");
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::TIMEOUT, message));
    assert!(error.is_retryable());
    let hint = error.hint().expect("advice");
    assert!(hint.contains(&format!("`timeouts.{option}`")), "{hint}");
}

#[test]
fn an_answer_that_does_not_begin_ends_with_the_time_to_its_first_token() {
    let silent = Script {
        stall_after_chunks: Some(0),
        ..Script::words(5)
    };
    let [streamed, whole] = asked_within(json!({"firstTokenMs": 500, "totalMs": 1_000}), silent);
    assert_timed_out(&streamed, "no first token came within 500 ms", "firstTokenMs");
    // An answer in one piece begins when it is complete, so only the time of the whole call counts.
    assert_timed_out(&whole, "the service did not begin to answer within 1000 ms", "totalMs");
}

#[test]
fn an_answer_that_falls_silent_ends_with_the_time_of_silence() {
    let silent = Script {
        stall_after_chunks: Some(3),
        ..Script::words(5)
    };
    let [streamed, whole] = asked_within(json!({"idleMs": 500, "totalMs": 2_000}), silent);
    assert_timed_out(&whole, "the service did not begin to answer within 2000 ms", "totalMs");
    assert_timed_out(&streamed, "the service sent nothing within 500 ms", "idleMs");
    let partial = streamed
        .expect_err("it is late")
        .details
        .partial_text
        .expect("what had arrived");
    assert!(!partial.is_empty());
}

#[test]
fn an_answer_that_only_shows_signs_of_life_ends_with_the_time_of_the_whole_call() {
    let busy = Script {
        comments_forever: true,
        stall_after_chunks: Some(1),
        ..Script::words(5)
    };
    let [streamed, whole] = asked_within(json!({"totalMs": 1_000}), busy);
    assert_timed_out(&streamed, "the answer was not complete within 1000 ms", "totalMs");
    assert_eq!(whole.expect_err("it is late").kind, ErrorKind::TIMEOUT);
}

#[test]
fn a_tool_call_that_is_being_written_counts_as_a_beginning() {
    let long = "x".repeat(400);
    let writing = Script {
        chunk_chars: Some(4),
        chunk_delay_ms: 10,
        ..Script::tool_call("note", json!({"text": long}))
    };
    let [streamed, _] = asked_within(json!({"firstTokenMs": 400}), writing);
    let reply = streamed.expect("data arrives all the time");
    assert_eq!(reply.tool_calls.len(), 1);
    assert!(reply.done.time_to_first_token_ms.is_some());
}

#[test]
fn the_time_of_the_whole_call_holds_while_there_is_always_something_to_read() {
    let endless = Script {
        chunk_delay_ms: 1,
        ..Script::words(3_000)
    };
    let [streamed, _] = asked_within(json!({"totalMs": 500}), endless);
    assert_timed_out(&streamed, "the answer was not complete within 500 ms", "totalMs");
}

#[test]
fn a_connection_that_does_not_come_ends_with_the_time_to_connect() {
    let (address, _holding) = a_service_that_accepts_nobody();
    let mut config = config_for(&format!("http://{address}/api/v1"));
    config.options = json!({"timeouts": {"connectMs": 200}});
    let begun = Instant::now();
    let error = ask(&openrouter(&config), "acme/any", "hello").expect_err("nobody accepts");
    assert_eq!(error.kind, ErrorKind::CONNECT, "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}

/// An address whose queue of new connections is full, so that a further one is neither accepted nor refused.
fn a_service_that_accepts_nobody() -> (SocketAddr, (TcpListener, Vec<TcpStream>)) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("an event queue");
    let listener = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket
            .bind((Ipv4Addr::LOCALHOST, 0).into())
            .expect("there is a free port");
        socket
            .listen(1)
            .and_then(tokio::net::TcpListener::into_std)
            .expect("it listens")
    });
    let address = listener.local_addr().expect("it listens");
    let mut queued = Vec::new();
    while let Ok(connection) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        queued.push(connection);
    }
    (address, (listener, queued))
}

#[test]
fn a_redirect_is_not_followed() {
    let elsewhere = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
    let target = elsewhere.local_addr().expect("it listens");
    for status in [301, 302, 303, 307, 308] {
        let service = RawService::answering(format!(
            "HTTP/1.1 {status} Elsewhere\r\nlocation: http://{target}/api/v1/chat/completions\r\ncontent-length: 0\r\n\r\n"
        ));
        let plugin = openrouter(&config_for(&service.base_url()));
        let error = ask(&plugin, "acme/any", "hello").expect_err("a redirect is no answer");
        assert_eq!(
            (error.kind, error.details.status),
            (ErrorKind::PROTOCOL, Some(status)),
            "{error:?}"
        );
        assert!(error.hint().expect("advice").contains("redirects are not followed"));
    }
    elsewhere.set_nonblocking(true).expect("it listens");
    let visit = elsewhere.accept().expect_err("nobody came");
    assert_eq!(visit.kind(), IoErrorKind::WouldBlock);
}

#[test]
fn the_key_never_appears_in_an_error() {
    const KEY: &str = CANARY;
    let quoting = Failure::status(500).message(format!("the key {KEY} made us stumble"));
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
        body: Some(format!("<title>{KEY} is not welcome</title>")),
        ..Failure::status(403)
    };
    let sandbox = service_from(
        Sandbox::builder()
            .key(KEY)
            .script("acme/quoting", Script::fail(quoting))
            .script("acme/late", late)
            .script("acme/in-200", in_200)
            .script("acme/page", Script::fail(page)),
    );
    let refusing = service_from(Sandbox::builder().key("sk-or-v1-another"));
    let config = openrouter_config(&sandbox, json!({}));
    let mut refused = openrouter_config(&refusing, json!({}));
    refused
        .environment
        .insert("OPENROUTER_API_KEY".to_owned(), KEY.to_owned());

    let mut printed = format!("{config:?}");
    for (config, model) in [
        (&config, "acme/quoting"),
        (&config, "acme/late"),
        (&config, "acme/in-200"),
        (&config, "acme/page"),
        (&refused, "acme/any"),
        (&config_with(KEY, "http://127.0.0.1:1/api/v1"), "acme/any"),
    ] {
        let plugin = openrouter(config);
        let asked = request(model, "hello");
        let errors = [
            block_on(plugin.chat(&asked)).err(),
            block_on(async { plugin.stream(&asked).await?.collect().await }).err(),
        ];
        for error in errors.into_iter().flatten() {
            printed += &format!("\n{error} {error:?} {}", json!(*error.details));
        }
    }
    assert_eq!(printed.lines().count(), 1 + 12, "every call fails: {printed}");
    assert_eq!(tests::canary::hits(printed.as_bytes()), []);
}

fn config_for(base_url: &str) -> Config {
    config_with("sk-or-v1-abc", base_url)
}

fn config_with(key: &str, base_url: &str) -> Config {
    let environment = [("OPENROUTER_API_KEY", key), ("OPENROUTER_BASE_URL", base_url)];
    Config {
        options: json!({}),
        environment: environment
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
    }
}
