//! Proxies from the environment: who is asked through them, and what happens to their passwords.

use plugin_api::DiagnoseRequest;
use serde_json::json;
use tests::canary::CANARY;
use tests::faultd::{Faultd, Script};
use tests::{Child, block_on, config_at};

use crate::call::{chat, once, plugin_at, stream};

/// The variables that name a proxy for services with TLS.
const PROXIES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// Runs the test in a process with these variables and no others about proxies.
///
/// - Out: whether this is the parent, which can look at its proxies afterwards.
fn with_proxies(variables: &[(&str, &str)], body: impl FnOnce()) -> bool {
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
    let clean = names.into_iter().fold(Child::new(), Child::without);
    let child = variables
        .iter()
        .fold(clean, |child, (name, value)| child.env(name, value));
    child.run(body).is_some()
}

/// A proxy that demands a password and accepts none, and its address.
fn refusing_proxy() -> (Faultd, String) {
    let refusal = "HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";
    let proxy = Faultd::playing([Script::new().send(refusal).close()]);
    let address = format!("http://{}", proxy.address());
    (proxy, address)
}

#[test]
fn fault_12_a_service_on_this_machine_never_goes_through_a_proxy() {
    let (proxy, address) = refusing_proxy();
    let names = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"];
    let mut variables = names.map(|name| (name, address.as_str())).to_vec();
    variables.push(("NO_PROXY", ""));
    let is_parent = with_proxies(&variables, || {
        let service = Faultd::playing([Script::answer("hello")]);
        let plugin = plugin_at(&service.base_url(), once());
        for result in [stream(&plugin), chat(&plugin)] {
            assert_eq!(result.expect("an answer").text, "hello");
        }
    });
    assert!(!is_parent || proxy.accepted_connections() == 0);
}

#[test]
fn fault_12_a_proxy_that_refuses_is_an_error_without_its_password() {
    let (proxy, _) = refusing_proxy();
    let address = format!("http://somebody:watchword-0815@{}", proxy.address());
    let is_parent = with_proxies(&[("HTTPS_PROXY", &address)], || {
        let plugin = plugin_at("https://api.example/api/v1", json!({}));
        let error = stream(&plugin).expect_err("the proxy refuses");
        assert_eq!(error.kind.code(), "connect", "{error:?}");
        let printed = format!("{error} {error:?} {}", json!(*error.details));
        assert!(!printed.contains("watchword"), "{printed}");
    });
    if !is_parent {
        return;
    }
    let requests = proxy.requests();
    assert!((1..=3).contains(&requests.len()), "{} requests", requests.len());
    for request in requests {
        let found = (request.method.as_str(), request.path.as_str());
        assert_eq!(found, ("CONNECT", "api.example:443"));
        assert!(request.header("proxy-authorization").is_some());
        // The key is for the service alone.
        assert_eq!(request.header("authorization"), None);
    }
}

#[test]
fn the_diagnosis_names_the_proxy_that_is_used() {
    let (proxy, _) = refusing_proxy();
    let address = proxy.address();
    let with_password = format!("http://somebody:watchword-0815@{address}");
    let variables = [("HTTPS_PROXY", &*with_password), ("NO_PROXY", "other.example")];
    with_proxies(&variables, || {
        let address = std::env::var("HTTPS_PROXY").expect("it is set");
        let address = address.rsplit('@').next().expect("an address").to_owned();
        for (host, proxy) in [
            ("api.example", format!("; through the proxy {address}")),
            ("other.example", String::new()),
        ] {
            let plugin = plugin_at(&format!("https://{host}/api/v1"), once());
            let findings = block_on(plugin.diagnose(DiagnoseRequest::default())).expect("findings");
            let finding = findings
                .iter()
                .find(|finding| finding.id == "base_url")
                .expect("it is there");
            let expected = format!("https://{host} (variable `OPENROUTER_BASE_URL`){proxy}");
            assert_eq!(finding.summary, expected);
            assert!(!format!("{findings:?}").contains("watchword"));
        }
    });
}

#[test]
fn fault_12_a_host_in_no_proxy_is_asked_directly() {
    let (proxy, address) = refusing_proxy();
    let is_parent = with_proxies(
        &[
            ("HTTPS_PROXY", &address),
            ("NO_PROXY", "other.example,no-such-host.invalid"),
        ],
        || {
            let options = json!({"retry": {"attempts": 1}, "timeouts": {"connectMs": 500}});
            let plugin = plugin_at("https://no-such-host.invalid/api/v1", options);
            let error = stream(&plugin).expect_err("there is no such host");
            assert_eq!(error.kind.code(), "connect", "{error:?}");
        },
    );
    assert!(!is_parent || proxy.accepted_connections() == 0);
}

#[test]
fn fault_12_https_proxy_comes_before_all_proxy() {
    let [(specific, first), (general, second)] = [refusing_proxy(), refusing_proxy()];
    let with_blanks = format!(" {first} ");
    let is_parent = with_proxies(&[("HTTPS_PROXY", &with_blanks), ("ALL_PROXY", &second)], || {
        let plugin = plugin_at("https://api.example/api/v1", once());
        assert_eq!(stream(&plugin).expect_err("the proxy refuses").kind.code(), "connect");
    });
    let asked = (specific.accepted_connections(), general.accepted_connections());
    assert!(!is_parent || asked == (1, 0), "{asked:?}");
}

#[test]
fn fault_12_an_invalid_proxy_address_is_an_error_that_names_the_variable() {
    for (variable, address) in [
        ("HTTPS_PROXY", "http://[::"),
        ("https_proxy", "http://me:watchword 0815@proxy"),
        ("ALL_PROXY", "socks5://me:watchword@proxy:1080"),
        ("all_proxy", "https://"),
    ] {
        with_proxies(&[(variable, address), ("NO_PROXY", "other.example")], || {
            let named = PROXIES.into_iter().find(|name| std::env::var_os(name).is_some());
            let plugin = plugin_at("https://other.example/api/v1", json!({}));
            let config = config_at("https://api.example/api/v1", CANARY, json!({}));
            let error = block_on(plugin.configure(&config)).expect_err("a proxy that cannot be asked");
            assert_eq!(error.kind.code(), "config", "{error:?}");
            assert!(error.message.contains(named.expect("it is set")), "{error}");
            assert!(!format!("{error:?}").contains("watchword"), "{error:?}");
        });
    }
}

#[test]
fn fault_12_a_proxy_that_is_not_there_is_an_error() {
    with_proxies(&[("HTTPS_PROXY", "127.0.0.1:1")], || {
        let options = json!({"retry": {"attempts": 1}, "timeouts": {"connectMs": 500}});
        let plugin = plugin_at("https://no-such-host.invalid/api/v1", options);
        let error = stream(&plugin).expect_err("there is no such proxy");
        assert_eq!(error.kind.code(), "connect", "{error:?}");
    });
}
