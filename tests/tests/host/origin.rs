//! Nothing of a call goes to anybody but the service: not after a redirect, not over a proxy, not to a second service that is
//! not needed.
//!
//! The same for calls without a host is in `boundary/limits.rs`, `faults/proxy.rs` and `faults/chain.rs`.

use tests::canary::CANARY;
use tests::faultd::{Arrival, Faultd, Script};
use tests::{Home, HostRun, openrouter_plugin};

use crate::profile;

/// Every command that asks the service something.
const COMMANDS: [&[&str]; 5] = [
    &["chat", "Hello"],
    &["chat", "--no-stream", "Hello"],
    &["key"],
    &["doctor"],
    &["fallback", "test"],
];

fn home() -> Home {
    let home = Home::new();
    home.install(&openrouter_plugin());
    home.write_profile(&profile(r#""model": "acme/model", "retry": {"attempts": 2}"#));
    home
}

fn asking(home: &Home, command: &[&str], service: &Faultd) -> HostRun {
    home.host(command)
        .env("OPENROUTER_API_KEY", CANARY)
        .env("OPENROUTER_BASE_URL", &service.base_url())
}

fn is_a_chat(request: &Arrival) -> bool {
    request.method == "POST"
}

#[test]
fn a_redirect_to_another_origin_brings_it_no_connection() {
    let home = home();
    let elsewhere = Faultd::playing([Script::answer("from elsewhere")]);
    for status in [301, 302, 303, 307, 308] {
        let target = format!("{}/chat/completions", elsewhere.base_url());
        let service =
            Faultd::answering(move |_| Script::reply(status, &[("location", &target)], &serde_json::json!({})));
        for command in COMMANDS {
            let ran = asking(&home, command, &service).run();
            assert_ne!(ran.code, Some(0), "{status} {command:?}: {ran:?}");
            assert!(!ran.stdout.contains("from elsewhere"), "{status} {command:?}: {ran:?}");
        }
        let requests = service.requests();
        assert!(
            requests.len() >= COMMANDS.len(),
            "{status}: {} requests",
            requests.len()
        );
        let keys = requests
            .iter()
            .filter(|request| is_a_chat(request))
            .map(|request| request.header("authorization"));
        assert!(keys.clone().count() >= 2);
        assert!(
            keys.into_iter()
                .all(|key| key == Some(format!("Bearer {CANARY}").as_str()))
        );
    }
    assert_eq!(elsewhere.accepted_connections(), 0);
}

#[test]
fn a_redirect_to_another_scheme_or_host_name_brings_it_no_connection() {
    let home = home();
    let elsewhere = Faultd::playing([Script::answer("from elsewhere")]);
    let port = elsewhere.address().port();
    let targets = [
        format!("https://127.0.0.1:{port}/api/v1/chat/completions"),
        format!("//localhost:{port}/api/v1/chat/completions"),
        format!("http://somebody@127.0.0.1:{port}/"),
    ];
    for target in targets {
        let service = Faultd::answering(move |_| Script::reply(307, &[("location", &target)], &serde_json::json!({})));
        for command in COMMANDS {
            assert_ne!(asking(&home, command, &service).run().code, Some(0));
        }
    }
    assert_eq!(elsewhere.accepted_connections(), 0);
}

#[test]
fn a_proxy_of_the_environment_is_not_asked_for_a_service_on_this_machine() {
    let home = home();
    let proxy = Faultd::playing([Script::answer("from the proxy")]);
    let service = Faultd::playing([Script::answer("from the service")]);
    let address = format!("http://{}", proxy.address());
    let names = [
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
    ];
    for (index, name) in names.iter().enumerate() {
        for value in [address.clone(), address.replace("http:", "socks5:")] {
            let ran = asking(&home, &["chat", "Hello"], &service).env(name, &value).run();
            assert!(ran.expect_success().stdout.contains("from the service"), "{index}");
        }
    }
    let all = names.iter().fold(
        asking(&home, &["chat", "--no-stream", "Hello"], &service),
        |run, name| run.env(name, &address).env("no_proxy", "").env("NO_PROXY", ""),
    );
    assert!(all.run().expect_success().stdout.contains("from the service"));
    assert_eq!(proxy.accepted_connections(), 0);
}

#[test]
fn a_second_service_that_is_not_needed_sees_nothing() {
    let home = home();
    let second = Faultd::playing([Script::answer("from the second")]);
    let service = Faultd::playing([Script::answer("from the service")]);
    let options = format!(
        r#""model": "acme/model", "secondary": {{"baseUrl": "{}"}}"#,
        second.base_url()
    );
    home.write_profile(&profile(&options));
    for command in [
        &["chat", "Hello"][..],
        &["chat", "--no-stream", "Hello"],
        &["doctor"],
        &["profile", "check"],
    ] {
        let ran = asking(&home, command, &service)
            .env("OPENROUTER_SECONDARY_API_KEY", "second-secret")
            .run();
        assert!(!ran.stdout.contains("from the second"), "{ran:?}");
    }
    assert!(service.requests().iter().any(is_a_chat));
    assert_eq!(second.accepted_connections(), 0);
}
