//! Starts: those that are refused, and the ports and plugins of those that are not.

use std::fs;
use std::net::TcpListener;

use serde_json::{Value, json};
use tests::endpoint::{Endpoint, Serve};
use tests::{Home, Ran, second_plugin};

use crate::bench::{CHAT, stream_body};

/// Asserts that a start failed with this code before it listened, and said this.
#[track_caller]
fn assert_refused(ran: &Ran, code: i32, text: &str) {
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(code), ""), "{}", ran.stderr);
    assert!(ran.stderr.starts_with("error: "), "{}", ran.stderr);
    assert!(ran.stderr.contains(text), "`{text}` is missing: {}", ran.stderr);
}

/// Command lines, and what the error mentions.
const REFUSED: [(&[&str], &str); 10] = [
    (
        &["--listen", "0.0.0.0"],
        "hint: give the host name that clients use with `--allow-host NAME`",
    ),
    (
        &["--no-auth", "--listen", "0.0.0.0", "--allow-host", "a.example"],
        "`--no-auth` needs a loopback address",
    ),
    (
        &["--no-auth", "--listen", "::", "--allow-host", "a.example"],
        "`--no-auth` needs a loopback address",
    ),
    (
        &["--no-auth", "--listen", "::ffff:192.0.2.1"],
        "`--no-auth` needs a loopback address",
    ),
    (&["--cors-origin", "*"], "--cors-origin"),
    (&["--allow-host", "*"], "--allow-host"),
    (&["--token", "a b"], "--token"),
    (
        &["--token", "abc", "--listen", "0.0.0.0", "--allow-host", "a.example"],
        "the token from `--token` has fewer than 16 characters and can be guessed\nhint: create one: openssl rand",
    ),
    (&["--max-body", "0"], "--max-body"),
    (&["--port", "65536"], "--port"),
];

#[test]
fn options_that_make_no_sense_are_refused_at_the_start() {
    for (arguments, text) in REFUSED {
        assert_refused(&Serve::new().without_token().arguments(arguments).run(), 2, text);
    }
}

#[test]
fn a_start_that_lacks_something_says_what() {
    let no_key = Serve::new().without("OPENROUTER_API_KEY").run();
    assert_refused(
        &no_key,
        2,
        "error: no key for the plugin `openrouter`: `OPENROUTER_API_KEY` is not set\nhint: create a key at ",
    );
    let mistake = Serve::new().profile(&json!({"tiers": {"TEXT_SMALL": 7}})).run();
    assert_refused(&mistake, 3, "/tiers/TEXT_SMALL");
    let home = Home::new();
    let no_plugins = home.host(&["serve", "--port", "0"]).run();
    assert_refused(&no_plugins, 2, "\nhint: ");
}

#[test]
fn a_port_in_use_is_named_with_the_way_out() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("it listens");
    let port = address.port();
    let expected = format!(
        "error: port {port} is in use: another program listens on {address}\nhint: stop that program, or choose another \
         port: `--port N`, or `--port 0` for any free one\n"
    );
    assert_refused(&Serve::new().port(port).run(), 2, &expected);
}

#[test]
fn the_port_can_be_reused_right_after_the_end() {
    let mut first = Endpoint::start();
    let client = first.open(&first.get("/health")).whole_and_client().1;
    assert_eq!(first.stop().code, Some(0));
    let second = Serve::again(&first).port(first.address().port()).start();
    assert_eq!(second.address(), first.address());
    second.answer(&second.get("/health")).expect(200);
    drop(client);
}

#[test]
fn a_plugin_without_the_raw_form_is_served_in_openais_form() {
    let serve = Serve::new();
    serve.home().install(&second_plugin());
    let text = r#"{"auth": {"profiles": {"default": {"provider": "parrot"}}}}"#;
    serve.home().write_profile(text);
    let endpoint = serve.env("PARROT_KEY", "parrot-1").start();
    let whole = endpoint.chat("echo", "Hello").expect(200);
    assert_eq!(whole.json()["object"], "chat.completion");
    let body = stream_body("echo", "Hello");
    let stream = endpoint.answer(&endpoint.post(CHAT, &body)).expect(200);
    assert_eq!(stream.streamed(), whole.content());
    assert_eq!(stream.events().last().map(String::as_str), Some("[DONE]"));
    endpoint.answer(&endpoint.post("/v1/messages", &body)).expect(501);
    let health = endpoint.answer(&endpoint.get("/health")).expect(200).json();
    let plugins = health["plugins"].as_array().expect("plugins");
    let ids: Vec<&Value> = plugins.iter().map(|plugin| &plugin["id"]).collect();
    for id in ["openrouter", "parrot"] {
        assert!(ids.contains(&&json!(id)), "{health}");
    }
    assert_eq!(
        endpoint.service.requests(),
        [],
        "the other plugin's service is never asked"
    );
}

#[test]
fn a_start_names_the_variable_file_of_its_folder() {
    let serve = Serve::new();
    fs::write(serve.home().path().join("work/.env"), "SMALL_MODEL=acme/one\n").expect("writable");
    let endpoint = serve.start();
    endpoint.wait_for_stderr(
        "`.env` in this folder sets `SMALL_MODEL`; `--no-env-file` leaves it out\n",
        1,
    );
    endpoint.wait_for_stderr(
        "reading variables from `.env` in this folder; `--no-env-file` leaves it out\n",
        1,
    );
}
