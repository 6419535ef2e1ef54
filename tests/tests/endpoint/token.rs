//! The token: where it comes from, who can read it, and how to go without one.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use tests::Home;
use tests::endpoint::{Endpoint, Serve, TOKEN, chat_body};

use crate::bench::{CHAT, stream_body};

fn token_file(home: &Home) -> PathBuf {
    home.path().join(".local/state/agent-host/token")
}

/// The status of a good request with this token.
#[track_caller]
fn status_with(endpoint: &Endpoint, token: &str) -> u16 {
    let request = endpoint.post(CHAT, &chat_body("sandbox/hello", "Hello"));
    let request = request.with("authorization", &format!("Bearer {token}"));
    endpoint.answer(&request).status
}

#[test]
fn a_first_start_makes_a_private_token_and_shows_it_once() {
    let mut first = Serve::new().without_token().start();
    let home = Arc::clone(&first.home);
    let file = token_file(&home);
    let token = fs::read_to_string(&file).expect("the token").trim().to_owned();
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(&file), 0o600);
    assert_eq!(mode(file.parent().expect("a folder")), 0o700);
    assert_eq!((status_with(&first, &token), status_with(&first, TOKEN)), (200, 401));
    let ran = first.stop();
    assert_eq!(ran.stderr.matches(&token).count(), 1, "{}", ran.stderr);
    assert!(!ran.stdout.contains(&token), "{}", ran.stdout);
    assert!(ran.stderr.contains(&file.display().to_string()), "{}", ran.stderr);

    let mut second = Serve::again(&first).without_token().start();
    assert_eq!(status_with(&second, &token), 200, "the token stays the same");
    let ran = second.stop();
    assert!(!ran.stderr.contains(&token), "it is shown again: {}", ran.stderr);
    let told = format!("the token is in `{}`", file.display());
    assert!(ran.stderr.contains(&told), "{}", ran.stderr);
}

#[test]
fn a_token_file_that_others_can_read_is_refused() {
    for mode in [0o640, 0o604, 0o620] {
        let serve = Serve::new().without_token();
        let file = token_file(serve.home());
        fs::create_dir_all(file.parent().expect("a folder")).expect("writable");
        fs::write(&file, "ah-0123456789012345678901234567890123456789012\n").expect("writable");
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("ours");
        let ran = serve.run();
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{}", ran.stderr);
        let told = format!("other users may open it: its mode is {mode:03o}, expected 600");
        assert!(ran.stderr.contains(&told), "{}", ran.stderr);
        let hint = ran.stderr.lines().find(|line| line.starts_with("hint: "));
        assert!(hint.is_some_and(|hint| hint.contains("rm ")), "{}", ran.stderr);
        assert!(!ran.stderr.contains("ah-0123"), "{}", ran.stderr);
    }
}

#[test]
fn a_token_comes_from_the_command_line_a_file_or_the_environment() {
    let endpoint = Serve::new()
        .arguments(&["--token", "a-token-of-the-command-line"])
        .start();
    assert_eq!(status_with(&endpoint, "a-token-of-the-command-line"), 200);
    assert_eq!(status_with(&endpoint, TOKEN), 401, "an option wins over the variable");
    assert!(
        !token_file(&endpoint.home).exists(),
        "no token is made where one is given"
    );

    let serve = Serve::new();
    let file = serve.home().path().join("work/token");
    fs::write(&file, "a-token-out-of-a-file\n").expect("writable");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("ours");
    let endpoint = serve.arguments(&["--token-file", file.to_str().expect("text")]).start();
    assert_eq!(status_with(&endpoint, "a-token-out-of-a-file"), 200);

    assert_eq!(status_with(&Endpoint::start(), TOKEN), 200);
}

#[test]
fn two_first_starts_at_once_agree_on_one_token() {
    let serve = || Serve::new().without_token();
    let first = serve();
    let state = first.home().path().join(".local/state");
    let second = serve().env("XDG_STATE_HOME", &state.display().to_string());
    let (first, second) = thread::scope(|scope| {
        let first = scope.spawn(|| first.start());
        let second = scope.spawn(|| second.start());
        (first.join().expect("it starts"), second.join().expect("it starts"))
    });
    let token = fs::read_to_string(token_file(&first.home)).expect("the token");
    for endpoint in [&first, &second] {
        assert_eq!(status_with(endpoint, token.trim()), 200);
    }
}

#[test]
fn row_56_with_no_auth_any_key_passes_and_pages_stay_out() {
    let endpoint = Serve::new().without_token().arguments(&["--no-auth"]).start();
    endpoint.wait_for_stderr("no token required", 1);
    assert!(!token_file(&endpoint.home).exists(), "no token is made");
    let health = endpoint.get("/health").without("authorization");
    assert!(endpoint.answer(&health).json()["plugin"].is_object());
    let other_name = endpoint.answer(&health.with("host", "evil.example")).expect(200);
    assert_eq!(other_name.text(), r#"{"status":"ok"}"#);
    let list = endpoint.get("/v1/models").without("authorization");
    let list = endpoint.answer(&list).expect(200).text();
    for id in ["TEXT_SMALL", "tier/small", "openai/gpt-4o"] {
        let is_listed = list.contains(&format!("\"id\":\"{id}\""));
        assert_eq!(is_listed, id != "tier/small", "a tier is listed once: {list}");
        let request = endpoint.post(CHAT, &stream_body(id, "Hello")).without("authorization");
        endpoint.answer(&request).expect(200);
        // Editors send whatever the field for the key holds.
        let any_key = request.clone().header("authorization", "Bearer anything");
        endpoint.answer(&any_key).expect(200);
        let page = request.header("origin", "http://evil.example");
        endpoint.answer(&page).expect(403);
    }
}

#[test]
fn sighup_reads_the_token_file_again() {
    let serve = Serve::new().without_token();
    let file = serve.home().path().join("token");
    let write = |token: &str| {
        fs::write(&file, token).expect("writable");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("ours");
    };
    let (old, new) = ("the-old-token-0123456789", "the-new-token-0123456789");
    write(old);
    let endpoint = serve.arguments(&["--token-file", &file.to_string_lossy()]).start();
    write(new);
    assert_eq!((status_with(&endpoint, old), status_with(&endpoint, new)), (200, 401));
    endpoint.signal("HUP");
    endpoint.wait_for_stderr("reloaded: ", 1);
    assert_eq!((status_with(&endpoint, old), status_with(&endpoint, new)), (401, 200));
}
