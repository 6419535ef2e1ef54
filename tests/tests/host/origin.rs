//! A call goes to the service and to nobody else: not to where a redirect points, and not to a second service that is not
//! needed.
//!
//! The same for the plugin without a host is in `faults/chain.rs` and `forms/security.rs`, and for proxies in `faults/proxy.rs`.

use tests::Home;
use tests::faultd::{Faultd, Script};

use crate::{assert_has, home_with_openrouter, host_at, profile};

fn home() -> Home {
    let home = home_with_openrouter();
    home.write_profile(&profile(r#""model": "acme/model", "retry": {"attempts": 1}"#));
    home
}

#[test]
fn no_command_follows_a_redirect_to_another_origin() {
    let home = home();
    let elsewhere = Faultd::playing([Script::answer("from elsewhere")]);
    // With this status, a client that follows sends the same request again.
    let target = format!("{}/chat/completions", elsewhere.base_url());
    let service = Faultd::answering(move |_| Script::reply(307, &[("location", &target)], &serde_json::json!({})));
    for command in [&["chat", "Hello"][..], &["key"], &["doctor"], &["fallback", "test"]] {
        let n_before = service.requests().len();
        let ran = host_at(&home, &service, command).run();
        assert_ne!(ran.code, Some(0), "{command:?}: {ran:?}");
        assert!(service.requests().len() > n_before, "{command:?} asked nothing");
    }
    let chat = host_at(&home, &service, &["chat", "Hello"]).run();
    assert_has(&chat.stderr, "redirects are not followed");
    assert_eq!(elsewhere.accepted_connections(), 0);
}

#[test]
fn a_second_service_that_is_not_needed_sees_nothing() {
    let home = home();
    let second = Faultd::playing([Script::answer("from the second")]);
    let service = Faultd::playing([Script::answer("from the service")]);
    let second_url = second.base_url();
    home.write_profile(&profile(&format!(
        r#""model": "acme/model", "secondary": {{"baseUrl": "{second_url}"}}"#
    )));
    for command in [&["chat", "Hello"][..], &["doctor"], &["profile", "check"]] {
        let run = host_at(&home, &service, command);
        run.env("OPENROUTER_SECONDARY_API_KEY", "second-secret").run();
    }
    assert!(service.requests().iter().any(|request| request.method == "POST"));
    assert_eq!(second.accepted_connections(), 0);
}
