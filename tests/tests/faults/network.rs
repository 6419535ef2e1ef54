//! Networks without names, or with half of their addresses dead.
//!
//! Some of them are made in a network namespace. A system may lack the rights or the tools for that; then the test
//! prints that it did not run.

use std::fs;
use std::net::UdpSocket;
use std::process::{Command, Stdio};

use serde_json::json;
use tests::faultd::Script;
use tests::{Child, announce, test_of};

use crate::call::{KEY, plugin_at, stream};
use crate::tls::{Authority, tls_playing};

const PROXIES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

fn without_proxies(child: Child) -> Child {
    PROXIES.into_iter().fold(child, Child::without)
}

/// Makes a network interface whose packets reach nobody.
const DEAD_LINK: &str = "ip link add near type veth peer name far && ip link set near up && ip link set far up";

/// Whether this user may make a network; otherwise prints that the test did not run.
fn can_make_networks(test: &str) -> bool {
    let mut command = Command::new("unshare");
    command.args(["-rnm", "sh", "-c", &format!("ip link set lo up && {DEAD_LINK}")]);
    let made = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    let can = made.is_ok_and(|status| status.success());
    if !can {
        announce(&format!(
            "not run: {test}: `unshare -rnm` and `ip` cannot make a network here"
        ));
    }
    can
}

/// Runs the test in a network of its own, which this shell command prepares.
fn in_a_network(preparation: &str, variables: &[(&str, &str)], body: impl FnOnce()) {
    let mut child = without_proxies(Child::new()).without("SSL_CERT_DIR");
    if !Child::is_here() && !can_make_networks(test_of(&body)) {
        return;
    }
    for (name, value) in variables {
        child = child.env(name, value);
    }
    let script = format!("ip link set lo up && {preparation} && exec \"$0\" \"$@\"");
    child.under(&["unshare", "-rnm", "sh", "-c", &script]).run(body);
}

#[test]
fn fault_01_an_unknown_host_is_named_after_three_attempts() {
    without_proxies(Child::new()).run(|| {
        let options = json!({"timeouts": {"connectMs": 500}});
        let plugin = plugin_at("https://no-such-host.invalid/api/v1", options);
        let error = stream(&plugin).expect_err("there is no such host");
        let n_attempts = error.details.attempts.len();
        assert_eq!((error.kind.code(), n_attempts), ("connect", 3), "{error:?}");
        assert!(error.message.contains("no-such-host.invalid"), "{error}");
        assert!(!format!("{error:?}").contains(KEY));
    });
}

#[test]
fn fault_01_a_silent_name_server_counts_against_the_connect_timeout() {
    let folder = tempfile::tempdir().expect("the temporary folder is writable");
    let resolver = folder.path().join("resolv.conf");
    // The system would ask for longer than any test waits.
    let text = "nameserver 127.0.0.1\noptions timeout:30 attempts:5\n";
    fs::write(&resolver, text).expect("the folder is writable");
    in_a_network(
        "mount --bind \"$RESOLVER\" /etc/resolv.conf",
        &[("RESOLVER", &resolver.to_string_lossy())],
        || {
            let _silent = UdpSocket::bind("127.0.0.1:53").expect("the port is free in a new network");
            let options = json!({"retry": {"attempts": 1}, "timeouts": {"connectMs": 300}});
            let plugin = plugin_at("https://slow.example/api/v1", options);
            let error = stream(&plugin).expect_err("nobody knows the address");
            assert_eq!(error.kind.code(), "connect", "{error:?}");
            assert!(error.message.contains("slow.example"), "{error}");
        },
    );
}

#[test]
fn fault_03_a_dead_ipv6_address_is_passed_over_without_its_timeout() {
    let folder = tempfile::tempdir().expect("the temporary folder is writable");
    let hosts = folder.path().join("hosts");
    fs::write(&hosts, "2001:db8::7 faultd.test\n127.0.0.1 faultd.test\n").expect("the folder is writable");
    let certificates = folder.path().join("authorities.pem");
    in_a_network(
        &format!(
            "{DEAD_LINK} && ip addr add 2001:db8::1/64 dev near nodad \
             && ip neigh add 2001:db8::7 lladdr 02:00:00:00:00:07 dev near && mount --bind \"$HOSTS\" /etc/hosts"
        ),
        &[
            ("HOSTS", &hosts.to_string_lossy()),
            ("SSL_CERT_FILE", &certificates.to_string_lossy()),
        ],
        || {
            let certified = Authority::trusted().certificate_for("faultd.test");
            let service = tls_playing(&certified, Script::answer("over IPv4"));
            let port = service.address().port();
            // Both the plugin and the system would wait for the dead address for longer than this test waits.
            let options =
                json!({"timeouts": {"connectMs": 3_600_000, "firstTokenMs": 3_600_000, "totalMs": 3_600_000}});
            let plugin = plugin_at(&format!("https://faultd.test:{port}/api/v1"), options);
            let reply = stream(&plugin).expect("an answer");
            assert_eq!(reply.text, "over IPv4");
            assert_eq!(reply.done.attempts, [], "the first attempt served");
        },
    );
}
