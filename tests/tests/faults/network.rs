//! Networks without names, without packets, or with half of the addresses dead.
//!
//! They are made in a network of the test's own, for which a system may lack the rights or the tools: then the test says
//! that it did not run.

use std::fs;
use std::net::UdpSocket;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use tests::Home;
use tests::faultd::{Faultd, Script, chunk, sse_head, text_event};
use tests::openrouter_plugin;

use crate::bench::{KEY, plugin_at, stream};
use crate::child::Child;
use crate::tls::{Authority, tls_playing};

const PROXIES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

fn without_proxies(child: Child) -> Child {
    PROXIES.into_iter().fold(child, Child::without)
}

/// A network interface whose packets go to nobody.
const A_WIRE: &str = "ip link add near type veth peer name far && ip link set near up && ip link set far up";

/// Whether the system lets this user make a network of its own; else it is said that the test did not run.
fn can_make_networks(test: &str) -> bool {
    let mut command = Command::new("unshare");
    command.args(["-rnm", "sh", "-c", &format!("ip link set lo up && {A_WIRE}")]);
    let made = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    let can = made.is_ok_and(|status| status.success());
    if !can {
        eprintln!("not run: {test}: `unshare -rnm` and `ip` cannot make a network here");
    }
    can
}

/// Runs the test in a network of its own, which this shell command has prepared.
fn in_a_network(test: &'static str, preparation: &str, child: impl FnOnce(Child) -> Child, body: impl FnOnce()) {
    let this = Child::of(test);
    if !this.is_here() && !can_make_networks(test) {
        return;
    }
    let script = format!("ip link set lo up && {preparation} && exec \"$0\" \"$@\"");
    let prepared = child(without_proxies(this)).under(&["unshare", "-rnm", "sh", "-c", &script]);
    prepared.run(body);
}

#[test]
fn fault_01_a_name_that_does_not_exist_is_named_and_tried_three_times() {
    without_proxies(Child::of(
        "network::fault_01_a_name_that_does_not_exist_is_named_and_tried_three_times",
    ))
    .run(|| {
        let options = json!({"timeouts": {"connectMs": 2_000}});
        let plugin = plugin_at("https://no-such-host.invalid/api/v1", options);
        let begun = Instant::now();
        let error = stream(&plugin).expect_err("there is no such host");
        assert_eq!(
            (error.kind.code(), error.details.attempts.len()),
            ("connect", 3),
            "{error:?}"
        );
        assert!(error.message.contains("no-such-host.invalid"), "{error}");
        assert!(!format!("{error:?}").contains(KEY));
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    });
}

#[test]
fn fault_01_a_name_that_does_not_exist_is_told_by_the_host() {
    let home = Home::new();
    home.install(&openrouter_plugin());
    let ran = home
        .host(&["chat", "hello"])
        .without("AGENT_HOST_CONFIG")
        .env("OPENROUTER_API_KEY", KEY)
        .env("OPENROUTER_BASE_URL", "https://no-such-host.invalid/api/v1")
        .run();
    assert_eq!(ran.code, Some(6), "{ran:?}");
    assert!(ran.stderr.contains("no-such-host.invalid"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("4711"), "{}", ran.stderr);
}

#[test]
fn fault_01_a_name_server_that_does_not_answer_is_waited_for_as_long_as_for_a_connection() {
    let folder = tempfile::tempdir().expect("the temporary folder is writable");
    let resolver = folder.path().join("resolv.conf");
    fs::write(&resolver, "nameserver 127.0.0.1\noptions timeout:30\n").expect("the folder is writable");
    in_a_network(
        "network::fault_01_a_name_server_that_does_not_answer_is_waited_for_as_long_as_for_a_connection",
        "mount --bind \"$RESOLVER\" /etc/resolv.conf",
        |child| child.env("RESOLVER", &resolver.to_string_lossy()),
        || {
            let _silent = UdpSocket::bind("127.0.0.1:53").expect("the port is free in a network of its own");
            let options = json!({"retry": {"attempts": 1}, "timeouts": {"connectMs": 300}});
            let plugin = plugin_at("https://slow.example/api/v1", options);
            let begun = Instant::now();
            let error = stream(&plugin).expect_err("nobody tells the address");
            assert_eq!(error.kind.code(), "connect", "{error:?}");
            assert!(error.message.contains("slow.example"), "{error}");
            assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        },
    );
}

#[test]
fn fault_02_packets_that_vanish_on_the_way_to_the_service_end_with_the_time_to_connect() {
    in_a_network(
        "network::fault_02_packets_that_vanish_on_the_way_to_the_service_end_with_the_time_to_connect",
        &format!(
            "{A_WIRE} && ip addr add 192.0.2.1/24 dev near && ip neigh add 192.0.2.7 lladdr 02:00:00:00:00:07 dev near"
        ),
        |child| child,
        || {
            let options = json!({"timeouts": {"connectMs": 300}});
            let plugin = plugin_at("https://192.0.2.7/api/v1", options);
            let begun = Instant::now();
            let error = stream(&plugin).expect_err("nobody is there");
            assert_eq!(
                (error.kind.code(), error.details.attempts.len()),
                ("connect", 3),
                "{error:?}"
            );
            assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
        },
    );
}

#[test]
fn fault_03_a_dead_ipv6_address_costs_less_than_a_second() {
    let folder = tempfile::tempdir().expect("the temporary folder is writable");
    let hosts = folder.path().join("hosts");
    fs::write(&hosts, "2001:db8::7 faultd.test\n127.0.0.1 faultd.test\n").expect("the folder is writable");
    let certificates = folder.path().join("authorities.pem");
    in_a_network(
        "network::fault_03_a_dead_ipv6_address_costs_less_than_a_second",
        &format!(
            "{A_WIRE} && ip addr add 2001:db8::1/64 dev near nodad \
             && ip neigh add 2001:db8::7 lladdr 02:00:00:00:00:07 dev near && mount --bind \"$HOSTS\" /etc/hosts"
        ),
        |child| {
            child
                .env("HOSTS", &hosts.to_string_lossy())
                .env("SSL_CERT_FILE", &certificates.to_string_lossy())
                .without("SSL_CERT_DIR")
        },
        || {
            let certified = Authority::trusted().certificate_for("faultd.test");
            let service = tls_playing(&certified, Script::answer("over IPv4").close());
            let port = service.address().port();
            let plugin = plugin_at(&format!("https://faultd.test:{port}/api/v1"), json!({}));
            // Every call makes a connection of its own. A machine that is busy may be late once, but not always.
            let took: Vec<Duration> = (0..5)
                .map(|_| {
                    let begun = Instant::now();
                    assert_eq!(stream(&plugin).expect("an answer").text, "over IPv4");
                    begun.elapsed()
                })
                .collect();
            println!("with a dead IPv6 address: {took:?}");
            assert!(took.iter().min() < Some(&Duration::from_secs(1)), "{took:?}");
        },
    );
}

#[test]
fn fault_06_a_network_that_loses_everything_in_the_middle_of_an_answer_ends_with_the_time_of_silence() {
    in_a_network(
        "network::fault_06_a_network_that_loses_everything_in_the_middle_of_an_answer_ends_with_the_time_of_silence",
        "true",
        |child| child,
        || {
            let begun = [sse_head(), chunk(text_event("once "))].concat();
            let service = Faultd::playing([Script::new().send(begun).hold()]);
            let plugin = plugin_at(&service.base_url(), json!({"timeouts": {"idleMs": 500}}));
            let error = tests::block_on(async {
                let mut events = plugin
                    .stream(&tests::request("acme/model", "hello"))
                    .await
                    .expect("it opens");
                loop {
                    match events.next().await.expect("an error comes before the end") {
                        Ok(plugin_api::ChatEvent::Text(_)) => {
                            let mut down = Command::new("ip");
                            down.args(["link", "set", "lo", "down"]);
                            assert!(down.status().expect("`ip` is there").success());
                        }
                        Ok(_) => {}
                        Err(error) => return error,
                    }
                }
            });
            assert_eq!(error.kind.code(), "timeout", "{error:?}");
            assert_eq!(error.details.partial_text.as_deref(), Some("once "));
            assert_eq!(service.requests().len(), 1);
        },
    );
}
