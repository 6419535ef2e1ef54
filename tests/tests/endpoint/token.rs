//! The token: where it comes from, who may read it, and what opens the endpoint without one.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use tests::Home;
use tests::endpoint::{Endpoint, Serve, TOKEN, chat_body};

fn token_file(home: &Home) -> PathBuf {
    home.path().join(".local/state/agent-host/token")
}

/// The status of a good request with this token.
#[track_caller]
fn status_with(endpoint: &Endpoint, token: &str) -> u16 {
    let request = endpoint.post("/v1/chat/completions", &chat_body("sandbox/hello", "Hello"));
    let request = request.with("authorization", &format!("Bearer {token}"));
    endpoint.answer(&request).status
}

#[test]
fn a_first_start_makes_a_token_of_its_owners_own_and_prints_it_once() {
    let mut first = Serve::new().without_token().start();
    let home = std::sync::Arc::clone(&first.home);
    let file = token_file(&home);
    let token = fs::read_to_string(&file).expect("the token").trim().to_owned();
    let letters = token.strip_prefix("ah-").expect("the beginning");
    assert_eq!(letters.len(), 43, "256 bits");
    assert!(
        letters
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)),
        "{letters}"
    );
    let mode = |path: &std::path::Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(&file), 0o600);
    assert_eq!(mode(file.parent().expect("a folder")), 0o700);
    assert_eq!((status_with(&first, &token), status_with(&first, TOKEN)), (200, 401));
    let ran = first.stop();
    assert_eq!(ran.stderr.matches(&token).count(), 1, "{}", ran.stderr);
    assert!(!ran.stdout.contains(&token));
    assert!(ran.stderr.contains(&file.display().to_string()), "{}", ran.stderr);

    let mut second = Serve::again(&first).without_token().start();
    assert_eq!(status_with(&second, &token), 200, "the token holds on");
    let ran = second.stop();
    assert!(!ran.stderr.contains(&token), "it is not printed again: {}", ran.stderr);
    assert!(
        ran.stderr.contains(&format!("the token is in `{}`", file.display())),
        "{}",
        ran.stderr
    );

    let third = Serve::new().without_token().start();
    let other = fs::read_to_string(token_file(&third.home)).expect("the token");
    assert_ne!(other.trim(), token, "no two are alike");
}

#[test]
fn a_token_file_that_is_a_link_or_can_be_read_by_others_is_refused() {
    let refused = |prepare: &dyn Fn(&std::path::Path)| {
        let serve = Serve::new().without_token();
        let file = token_file(serve.home());
        fs::create_dir_all(file.parent().expect("a folder")).expect("writable");
        prepare(&file);
        let ran = serve.run();
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{}", ran.stderr);
        let hint = ran
            .stderr
            .lines()
            .find(|line| line.starts_with("hint: "))
            .unwrap_or_default()
            .to_owned();
        assert!(hint.contains("rm "), "{}", ran.stderr);
        ran.stderr
    };
    let write = |file: &std::path::Path, mode: u32| {
        fs::write(file, "ah-0123456789012345678901234567890123456789012\n").expect("writable");
        fs::set_permissions(file, fs::Permissions::from_mode(mode)).expect("ours");
    };
    for mode in [0o640, 0o604, 0o620, 0o666] {
        let stderr = refused(&|file| write(file, mode));
        assert!(
            stderr.contains(&format!("can be read by others (mode {mode:03o})")),
            "{stderr}"
        );
        assert!(!stderr.contains("ah-0123"), "{stderr}");
    }
    let stderr = refused(&|file| {
        let target = file.with_extension("elsewhere");
        write(&target, 0o600);
        symlink(target, file).expect("writable");
    });
    assert!(stderr.contains("is a link, which is not followed"), "{stderr}");
    let stderr = refused(&|file| symlink("/nowhere/at/all", file).expect("writable"));
    assert!(stderr.contains("is a link"), "{stderr}");
    let stderr = refused(&|file| {
        write(file, 0o600);
        fs::write(file, "\n").expect("writable");
    });
    assert!(stderr.contains("holds no token"), "{stderr}");
    let stderr = refused(&|file| fs::create_dir(file).expect("writable"));
    assert!(stderr.contains("is not a small regular file"), "{stderr}");
}

#[test]
fn a_token_comes_from_the_command_line_a_file_or_the_environment() {
    let serve = Serve::new().arguments(&["--token", "a-token-of-the-command-line"]);
    let endpoint = serve.start();
    assert_eq!(status_with(&endpoint, "a-token-of-the-command-line"), 200);
    assert_eq!(
        status_with(&endpoint, TOKEN),
        401,
        "the command line wins over the variable"
    );
    assert!(!token_file(&endpoint.home).exists(), "none is made where one is given");
    drop(endpoint);

    let serve = Serve::new();
    let file = serve.home().path().join("work/token");
    fs::write(&file, "a-token-out-of-a-file\n").expect("writable");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("ours");
    let endpoint = serve.arguments(&["--token-file", file.to_str().expect("text")]).start();
    assert_eq!(status_with(&endpoint, "a-token-out-of-a-file"), 200);
    drop(endpoint);

    let endpoint = Endpoint::start();
    assert_eq!(status_with(&endpoint, TOKEN), 200);
}

#[test]
fn two_first_starts_at_once_agree_on_one_token() {
    let serve = || Serve::new().without_token();
    let first = serve();
    let home = first.home().path().to_owned();
    let second = serve().env("XDG_STATE_HOME", &home.join(".local/state").display().to_string());
    let (first, second) = std::thread::scope(|scope| {
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
fn without_a_token_only_this_machine_may_be_listened_for() {
    let endpoint = Serve::new().without_token().arguments(&["--no-auth"]).start();
    let request = endpoint.post("/v1/chat/completions", &chat_body("sandbox/hello", "Hello"));
    endpoint.answer(&request.clone().without("authorization")).expect(200);
    // Pages are kept out all the same.
    let page = request.without("authorization").header("origin", "http://evil.example");
    endpoint.answer(&page).expect(403);
    assert!(
        endpoint.stderr().contains("no token is asked for"),
        "{}",
        endpoint.stderr()
    );
    assert!(!token_file(&endpoint.home).exists());
    for address in ["0.0.0.0", "::", "192.0.2.1", "::ffff:192.0.2.1"] {
        let arguments = ["--no-auth", "--listen", address, "--allow-host", "models.example.org"];
        let ran = Serve::new().without_token().arguments(&arguments).run();
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (Some(2), ""),
            "{address}: {}",
            ran.stderr
        );
        assert!(
            ran.stderr.contains("`--no-auth` needs a loopback address"),
            "{address}: {}",
            ran.stderr
        );
        assert!(ran.stderr.contains("\nhint: "), "{address}: {}", ran.stderr);
    }
}

#[test]
fn all_addresses_of_the_machine_are_listened_on_only_under_a_name() {
    let ran = Serve::new().arguments(&["--listen", "0.0.0.0"]).run();
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(
        ran.stderr
            .contains("hint: say under which name clients ask: `--allow-host NAME`"),
        "{}",
        ran.stderr
    );
}

#[test]
fn an_option_that_means_nothing_is_refused_at_the_start() {
    for arguments in [
        &["--cors-origin", "*"][..],
        &["--cors-origin", "http://localhost:3000/"],
        &["--allow-host", "*"],
        &["--allow-host", "http://a"],
        &["--listen", "example.org"],
        &["--token", "a b"],
        &["--token", "x", "--no-auth"],
        &["--max-body", "0"],
        &["--port", "65536"],
    ] {
        let ran = Serve::new().without_token().arguments(arguments).run();
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (Some(2), ""),
            "{arguments:?}: {}",
            ran.stderr
        );
        assert!(ran.stderr.starts_with("error: "), "{arguments:?}: {}", ran.stderr);
    }
}
