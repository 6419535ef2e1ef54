//! From nothing to the first answer: the dialogue of a user without a key, at a terminal of 80 columns.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use tests::{HostRun, Typist, canary, eventually};

use crate::{Bench, assert_fails, assert_has, assert_lacks, home_with_openrouter, home_with_parrot};

/// What the dialogue asks first.
const QUESTION: &str = "OpenRouter needs a key:";

/// The file that keeps the key.
fn stored(bench: &Bench) -> PathBuf {
    bench.home.path().join(".config/agent-host/keys/openrouter")
}

/// A user without a key, at the question.
fn at_the_question(run: HostRun) -> Typist {
    let mut typist = Typist::of_width(80, run.into_command());
    typist.sees(QUESTION);
    typist.sees("Esc to leave");
    typist
}

/// The same on a desktop, whose browser writes down the page that it opens.
fn on_a_desktop(bench: &Bench, run: HostRun) -> Typist {
    let opener = bench.home.path().join("xdg-open");
    let page = page(bench);
    let script = format!(
        "#!/bin/sh\nprintf %s \"$1\" > '{0}.new' && mv '{0}.new' '{0}'\n",
        page.display()
    );
    fs::write(&opener, script).expect("the home is writable");
    fs::set_permissions(&opener, fs::Permissions::from_mode(0o700)).expect("ours");
    let path = format!("{}:/usr/bin:/bin", bench.home.path().display());
    at_the_question(run.env("DISPLAY", ":0").env("PATH", &path))
}

/// Where the browser writes down its page.
fn page(bench: &Bench) -> PathBuf {
    bench.home.path().join("page")
}

/// Goes down in the list so many times, and chooses.
fn chooses(typist: &mut Typist, n_down: usize) {
    typist.presses(&b"\x1b[B".repeat(n_down));
    typist.presses(b"\r");
}

/// Chooses to sign in, and returns the address of the page.
fn signs_in(typist: &mut Typist) -> String {
    chooses(typist, 0);
    typist.sees("Sign in on this page:\n\n");
    typist.sees("\n")
}

/// Gets a page as a browser does: its status, its head and its body.
fn browse(url: &str) -> (String, String) {
    let (authority, path) = url
        .strip_prefix("http://")
        .and_then(|rest| rest.split_once('/'))
        .unwrap_or_else(|| panic!("no page: {url}"));
    let mut stream = TcpStream::connect(authority).expect("it listens");
    write!(
        stream,
        "GET /{path} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n\r\n"
    )
    .expect("it reads");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("it answers in UTF-8");
    let (head, body) = text.split_once("\r\n\r\n").expect("a whole answer");
    (head.to_owned(), body.to_owned())
}

/// Where a page sends the browser.
fn redirect(page: &str) -> String {
    let (head, _) = browse(page);
    let location = head.lines().find_map(|line| line.strip_prefix("location: "));
    location.unwrap_or_else(|| panic!("no redirect: {head}")).to_owned()
}

fn code_on(page: &str) -> String {
    let (_, body) = browse(page);
    let code = body
        .split_once("<code>")
        .and_then(|(_, rest)| rest.split_once("</code>"));
    code.unwrap_or_else(|| panic!("no code: {body}")).0.to_owned()
}

/// Asserts that the key is stored for its owner alone, and that the next run uses it.
fn assert_stored(bench: &Bench) {
    let file = stored(bench);
    assert!(fs::read(&file).expect("it is stored") == canary::CANARY.as_bytes());
    let mode = |path: &std::path::Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    let folder = file.parent().expect("it is in a folder");
    assert_eq!((mode(&file), mode(folder)), (0o600, 0o700));
    bench.without_key(&["chat", "Hello"]).run().expect_success();
}

#[test]
fn a_browser_signs_in_and_the_prompt_is_answered() {
    let bench = Bench::new();
    let mut typist = on_a_desktop(&bench, bench.without_key(&["chat", "Hello"]));
    let address = signs_in(&mut typist);
    let opened = eventually(|| fs::read_to_string(page(&bench)));
    assert_eq!(opened, address);
    typist.sees("waiting for the browser");
    let back = redirect(&address);
    let (stranger, _) = back.rsplit_once('/').expect("a path");
    let (head, _) = browse(&format!("{stranger}/guess?code=a"));
    assert_has(&head, "404 Not Found");
    let (head, body) = browse(&back);
    assert_has(&head, "referrer-policy: no-referrer");
    assert_has(&body, "You are signed in.");
    typist.sees("the service accepts the key …b7c0: label `sandbox: a local service");
    typist.sees("stored in `");
    typist.sees("via Sandbox");
    assert_eq!(typist.leaves(), Some(0));
    assert_stored(&bench);
}

#[test]
fn without_a_desktop_the_code_is_typed_and_a_wrong_one_is_refused() {
    let bench = Bench::new();
    let run = bench.without_key(&["chat", "Hello"]).env("DISPLAY", ":0");
    let mut typist = at_the_question(run.env("SSH_CONNECTION", "192.0.2.1 1 192.0.2.2 22"));
    let address = signs_in(&mut typist);
    assert_lacks(&address, "callback_url");
    typist.sees("Esc to go back");
    typist.types("wrong");
    typist.sees("the service answered 403: Invalid code or code_verifier");
    typist.sees("hint: sign in again");
    typist.sees("nothing was stored");
    typist.sees(QUESTION);
    assert!(!stored(&bench).exists());
    let address = signs_in(&mut typist);
    typist.sees("Esc to go back");
    typist.types(&code_on(&address));
    typist.sees("via Sandbox");
    assert_eq!(typist.leaves(), Some(0));
    assert_stored(&bench);
}

#[test]
fn a_pasted_key_is_stored_only_if_the_service_accepts_it() {
    let bench = Bench::new();
    let mut typist = at_the_question(bench.without_key(&["chat", "Hello"]));
    for (key, refusal) in [
        ("hello", "is malformed: expected it to begin"),
        ("sk-or-v1-wrong", "the service answered 401: User not found."),
    ] {
        chooses(&mut typist, 1);
        typist.sees("https://openrouter.ai/settings/keys");
        typist.types(key);
        typist.sees(refusal);
        typist.sees("nothing was stored");
        typist.sees(QUESTION);
        assert!(!stored(&bench).exists());
    }
    chooses(&mut typist, 1);
    typist.sees("https://openrouter.ai/settings/keys");
    typist.types(bench.service.key());
    typist.sees("the service accepts the key …b7c0");
    typist.sees("via Sandbox");
    assert_lacks(&typist.screen(), "sk-or-v1-wrong");
    assert_eq!(typist.leaves(), Some(0));
    assert_stored(&bench);
}

#[test]
fn the_sandbox_answers_without_key_or_network() {
    let home = home_with_openrouter();
    let mut typist = at_the_question(home.host(&[]).env("NO_COLOR", "1"));
    let wide = typist
        .screen()
        .lines()
        .find(|line| line.chars().count() > 80)
        .map(str::to_owned);
    assert_eq!(wide, None);
    typist.presses(b"sk-or-v1-pasted-too-early");
    chooses(&mut typist, 2);
    typist.sees("the sandbox answers: a program on this machine; answers and costs are invented");
    assert_lacks(&typist.screen(), "pasted");
    typist.sees("/help");
    typist.sees("> ");
    typist.types("Hello");
    typist.sees("via Sandbox");
    typist.types("/reload");
    typist.sees("reloaded: nothing changed");
    typist.types("/quit");
    assert_eq!(typist.leaves(), Some(0));
    let ran = home.host(&["chat", "-q", "--sandbox", "Hello"]).run().expect_success();
    assert_has(&ran.stderr, "answers and costs are invented");
    assert!(!home.path().join(".config/agent-host/keys").exists());
}

#[test]
fn a_sign_in_that_nobody_finishes_ends_and_can_be_tried_again() {
    let bench = Bench::new();
    let run = bench.without_key(&["chat", "Hello"]);
    let mut typist = on_a_desktop(&bench, run.env("AGENT_HOST_SIGN_IN_SECONDS", "1"));
    signs_in(&mut typist);
    typist.sees("nobody signed in within 1 s");
    typist.sees("nothing was stored");
    typist.sees(QUESTION);
    typist.presses(b"\x1b");
    typist.sees("no key for the plugin `openrouter`");
    assert_eq!(typist.leaves(), Some(2));
    assert!(!stored(&bench).exists());
}

#[test]
fn ctrl_c_ends_the_dialogue_at_every_step() {
    let bench = Bench::new();
    let run = || bench.without_key(&["chat", "Hello"]);
    let asked = at_the_question(run());
    let mut in_the_browser = on_a_desktop(&bench, run());
    signs_in(&mut in_the_browser);
    in_the_browser.sees("s (Ctrl-C to stop): waiting for the browser");
    let mut at_the_code = at_the_question(run());
    signs_in(&mut at_the_code);
    at_the_code.sees("Esc to go back");
    let mut at_the_key = at_the_question(run());
    chooses(&mut at_the_key, 1);
    at_the_key.sees("Esc to go back");
    for mut typist in [asked, in_the_browser, at_the_code, at_the_key] {
        typist.presses(b"\x03");
        typist.sees("stopped; nothing was stored");
        assert_eq!(typist.leaves(), Some(130));
    }
    assert!(!stored(&bench).exists());
}

#[test]
fn without_a_terminal_three_lines_say_what_to_do() {
    let bench = Bench::new();
    let ran = bench.without_key(&["chat", "Hello"]).run();
    let expected = "\
error: no key for the plugin `openrouter`: `OPENROUTER_API_KEY` is not set
hint: create a key at https://openrouter.ai/settings/keys
  store it with `agent-host keys set`, or set it: export OPENROUTER_API_KEY=sk-or-…
  or try it without a key: agent-host chat --sandbox \"Hello?\"
";
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(2), expected));
    let nothing = bench.without_key(&[]).run();
    assert_fails(&nothing, 2, "Usage: agent-host");
}

#[test]
fn the_sandbox_does_not_stand_in_for_an_address_of_the_profile() {
    let home = home_with_openrouter();
    home.write_profile(&crate::profile(r#""baseUrl": "https://proxy.example/v1""#));
    let refused = home.host(&["chat", "--sandbox", "Hello"]).run();
    assert_fails(
        &refused,
        2,
        "the sandbox cannot stand in for the service of the plugin `openrouter`",
    );
    assert_lacks(&home.host(&["chat", "Hello"]).run().stderr, "--sandbox");
}

#[test]
fn a_plugin_without_sign_in_is_offered_a_pasted_key_alone() {
    let home = home_with_parrot();
    let mut typist = Typist::of_width(80, home.host(&["chat", "Hello"]).into_command());
    typist.sees("Parrot needs a key:");
    typist.sees("Esc to leave");
    let screen = typist.screen();
    assert_lacks(&screen, "Sign in");
    assert_lacks(&screen, "sandbox");
    typist.types("");
    typist.sees("Key:");
    typist.sees("Esc to go back");
    typist.types("parrot-likes-seeds");
    typist.sees("the key …eeds has the right form; the plugin cannot ask the service about it");
    typist.sees("Hello");
    assert_eq!(typist.leaves(), Some(0));
}

#[test]
fn an_unknown_command_may_be_meant_as_a_prompt() {
    let bench = Bench::new();
    let tip = "to ask a model: agent-host chat \"hi there\"";
    assert_fails(&bench.run(&["hi", "there"]), 2, tip);
    assert_lacks(&bench.run(&["plugins", "hi"]).stderr, "to ask a model");
    assert_eq!(bench.n_requests(), 0);
}
