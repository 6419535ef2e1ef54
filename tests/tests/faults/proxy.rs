//! Proxies that the environment names: who is asked through them, and what becomes of their passwords.

use serde_json::json;
use tests::faultd::{Faultd, Script};

use crate::bench::{chat, once, plugin_at, stream};
use crate::child::Child;

/// Runs the test in a process with these variables, and with no other one about proxies.
///
/// - Out: whether this is the process that started it, and so the one whose proxies were asked.
fn with_proxies(test: &'static str, variables: &[(&str, &str)], body: impl FnOnce()) -> bool {
    let names = [
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "no_proxy",
    ];
    let clean = names.into_iter().fold(Child::of(test), Child::without);
    let child = variables
        .iter()
        .fold(clean, |child, (name, value)| child.env(name, value));
    child.run(body).is_some()
}

/// A proxy that asks for a password and is never content.
fn refusing_proxy() -> Faultd {
    let refusal = "HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";
    Faultd::playing([Script::new().send(refusal).close()])
}

#[test]
fn fault_12_a_service_on_this_machine_is_asked_directly_whatever_the_environment_says() {
    let proxy = refusing_proxy();
    let address = format!("http://{}", proxy.address());
    let variables = [
        ("HTTP_PROXY", address.as_str()),
        ("http_proxy", &address),
        ("HTTPS_PROXY", &address),
        ("ALL_PROXY", &address),
        ("NO_PROXY", ""),
    ];
    let is_parent = with_proxies(
        "proxy::fault_12_a_service_on_this_machine_is_asked_directly_whatever_the_environment_says",
        &variables,
        || {
            let service = Faultd::playing([Script::answer("hello")]);
            let plugin = plugin_at(&service.base_url(), once());
            for result in [stream(&plugin), chat(&plugin)] {
                assert_eq!(result.expect("an answer").text, "hello");
            }
        },
    );
    assert!(!is_parent || proxy.accepted_connections() == 0);
}

#[test]
fn fault_12_a_proxy_that_refuses_is_an_error_that_keeps_its_password() {
    let proxy = refusing_proxy();
    let address = format!("http://somebody:watchword-0815@{}", proxy.address());
    let is_parent = with_proxies(
        "proxy::fault_12_a_proxy_that_refuses_is_an_error_that_keeps_its_password",
        &[("HTTPS_PROXY", &address)],
        || {
            let plugin = plugin_at("https://api.example/api/v1", json!({}));
            let error = stream(&plugin).expect_err("the proxy refuses");
            println!("{error}");
            assert_eq!(error.kind.code(), "connect", "{error:?}");
            assert!(
                !format!("{error} {error:?} {}", json!(*error.details)).contains("watchword"),
                "{error:?}"
            );
        },
    );
    if !is_parent {
        return;
    }
    let requests = proxy.requests();
    assert!((1..=3).contains(&requests.len()), "{} requests", requests.len());
    for request in requests {
        assert_eq!(
            (request.method.as_str(), request.path.as_str()),
            ("CONNECT", "api.example:443")
        );
        assert!(request.header("proxy-authorization").is_some());
        // The key is for the service alone.
        assert_eq!(request.header("authorization"), None);
    }
}

#[test]
fn fault_12_the_hosts_that_need_no_proxy_are_asked_directly() {
    let proxy = refusing_proxy();
    let address = format!("http://{}", proxy.address());
    let is_parent = with_proxies(
        "proxy::fault_12_the_hosts_that_need_no_proxy_are_asked_directly",
        &[
            ("HTTPS_PROXY", &address),
            ("NO_PROXY", "other.example,no-such-host.invalid"),
        ],
        || {
            let plugin = plugin_at("https://no-such-host.invalid/api/v1", once());
            let error = stream(&plugin).expect_err("there is no such host");
            assert_eq!(error.kind.code(), "connect", "{error:?}");
        },
    );
    assert!(!is_parent || proxy.accepted_connections() == 0);
}

#[test]
fn fault_12_the_proxy_for_https_comes_before_the_one_for_everything() {
    let [specific, general] = [refusing_proxy(), refusing_proxy()];
    let addresses = [&specific, &general].map(|proxy| format!("http://{}", proxy.address()));
    let is_parent = with_proxies(
        "proxy::fault_12_the_proxy_for_https_comes_before_the_one_for_everything",
        &[("HTTPS_PROXY", &addresses[0]), ("ALL_PROXY", &addresses[1])],
        || {
            let plugin = plugin_at("https://api.example/api/v1", once());
            assert_eq!(stream(&plugin).expect_err("the proxy refuses").kind.code(), "connect");
        },
    );
    let asked = (specific.accepted_connections(), general.accepted_connections());
    assert!(!is_parent || asked == (1, 0), "{asked:?}");
}

#[test]
fn fault_12_an_address_of_a_proxy_that_is_none_ends_nothing() {
    for address in ["http://[::", "::::", "http://", "a b", "http://127.0.0.1:1"] {
        with_proxies(
            "proxy::fault_12_an_address_of_a_proxy_that_is_none_ends_nothing",
            &[("HTTPS_PROXY", address)],
            || {
                let options = json!({"retry": {"attempts": 1}, "timeouts": {"connectMs": 2_000}});
                let plugin = plugin_at("https://no-such-host.invalid/api/v1", options);
                let error = stream(&plugin).expect_err("there is no such host");
                assert_eq!(error.kind.code(), "connect", "{error:?}");
            },
        );
    }
}
