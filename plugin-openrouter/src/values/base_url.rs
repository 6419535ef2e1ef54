//! Decides which addresses the API key may be sent to. Pure.

use std::net::Ipv4Addr;

use plugin_api::Problem;

/// The service's own address.
pub const DEFAULT_BASE_URL: &str = "https://openrouter.ai/api/v1";

/// Returns what is wrong with an API address, or `None` if it may be used.
///
/// Accepts only `https://host[:port][/path]`, or `http://` with a literal address in 127.0.0.0/8 or `[::1]`, or with a
/// host of `plain_hosts`.
/// The key goes to this address, and a host name, even `localhost`, is whatever the resolver returns.
/// The parser is strict and written by hand, because two parsers that disagree on an odd address
/// would send the key to two places.
///
/// - Out: a problem at `/baseUrl`. Its message never repeats the address, which may contain a password or a key.
pub fn base_url_problem(base_url: &str, plain_hosts: &[String]) -> Option<Problem> {
    let (message, hint) = refusal(base_url, plain_hosts)?;
    let error = Problem::error("/baseUrl", message);
    Some(match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    })
}

fn refusal(base_url: &str, plain_hosts: &[String]) -> Option<(String, Option<String>)> {
    let because = |message: &str| Some((message.to_owned(), None));
    if !base_url.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
        return because("the address contains whitespace, a backslash or a non-ASCII character");
    }
    let (is_https, rest) = match base_url.split_once("://") {
        Some(("https", rest)) => (true, rest),
        Some(("http", rest)) => (false, rest),
        _ => return because("expected an address that starts with `https://`"),
    };
    if rest.contains('@') {
        return because("the address contains a user name or password");
    }
    if rest.contains(['?', '#']) {
        return because("the address contains a query or a fragment");
    }
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let is_path_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let segments = path.strip_prefix('/').unwrap_or(path);
    let segments = segments.strip_suffix('/').unwrap_or(segments);
    let is_plain_path = segments.is_empty()
        || segments
            .split('/')
            .all(|segment| !matches!(segment, "" | "." | "..") && segment.bytes().all(is_path_byte));
    if !is_plain_path {
        return because("expected a path of letters, digits and `-._~`, such as `/api/v1`");
    }
    let host_end = match authority.find(']') {
        Some(bracket) => bracket + 1,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at(host_end);
    let is_plain_port = port.is_empty()
        || port.strip_prefix(':').is_some_and(|digits| {
            digits.bytes().all(|byte| byte.is_ascii_digit())
                && !digits.starts_with('0')
                && digits.parse::<u16>().is_ok()
        });
    if !is_plain_port {
        return because("expected a port from 1 to 65535");
    }

    let host_kind = host_kind(host);
    let is_allowed = plain_hosts.iter().any(|plain| plain.eq_ignore_ascii_case(host));
    if is_https || is_allowed || host_kind == HostKind::Loopback {
        return (host_kind == HostKind::Odd).then(|| ("expected a plain host name or address".to_owned(), None));
    }
    let hint = if host.eq_ignore_ascii_case("localhost") {
        "write `127.0.0.1` instead of `localhost`, which may resolve to another machine"
    } else {
        "write `https://`; on a private network, name the host in `allowPlainHttp` of the profile"
    };
    Some((
        "`http://` would send the key unencrypted to a host that is not a literal loopback address".to_owned(),
        Some(hint.to_owned()),
    ))
}

/// Whether a valid address is on this machine.
pub fn is_loopback(base_url: &str) -> bool {
    host_kind(host_of(base_url)) == HostKind::Loopback
}

/// Whether requests to a valid address cross a network unencrypted.
pub fn is_in_the_clear(base_url: &str) -> bool {
    base_url.starts_with("http://") && !is_loopback(base_url)
}

/// Whether this is a host that `allowPlainHttp` may name, without a port.
pub fn is_plain_host(host: &str) -> bool {
    host_kind(host) == HostKind::Remote
}

/// Scheme, host and port of an address, for people: the rest might reveal more than a log should.
pub fn origin_of(base_url: &str) -> String {
    let scheme = base_url.split_once("://").map_or("", |(scheme, _)| scheme);
    format!("{scheme}://{}", authority_of(base_url))
}

/// The host of an address, with its port.
pub fn authority_of(base_url: &str) -> &str {
    let rest = base_url.split_once("://").map_or(base_url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    authority.rsplit('@').next().unwrap_or(authority)
}

/// The host of a valid address, without its port.
pub fn host_of(base_url: &str) -> &str {
    let authority = authority_of(base_url);
    let host_end = authority
        .find(']')
        .map_or_else(|| authority.find(':').unwrap_or(authority.len()), |at| at + 1);
    &authority[..host_end]
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HostKind {
    /// A literal address in 127.0.0.0/8 or `[::1]`.
    Loopback,
    /// A plain DNS name, or a literal IPv4 address that a server can have.
    Remote,
    /// Anything that another parser might read as a different host.
    Odd,
}

fn host_kind(host: &str) -> HostKind {
    if host == "[::1]" {
        return HostKind::Loopback;
    }
    // The standard parser accepts four decimal numbers without leading zeros and nothing else.
    if let Ok(address) = host.parse::<Ipv4Addr>() {
        let is_unusable = address.is_link_local() || address.octets()[0] == 0;
        return match address {
            _ if address.is_loopback() => HostKind::Loopback,
            _ if is_unusable || address.octets()[0] >= 224 => HostKind::Odd,
            _ => HostKind::Remote,
        };
    }
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // URL parsers read a host whose last label is a number as an IPv4 address: `127.1`, `0x7f000001`.
    // Source: WHATWG URL, "ends in a number checker".
    let last = host.rsplit('.').next().unwrap_or(host).to_ascii_lowercase();
    let ends_in_a_number = last.bytes().all(|byte| byte.is_ascii_digit())
        || last
            .strip_prefix("0x")
            .is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
    if host.len() <= 253 && host.split('.').all(is_label) && !ends_in_a_number {
        HostKind::Remote
    } else {
        HostKind::Odd
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::rows;

    #[test]
    fn plain_addresses_are_accepted() {
        let addresses = "https://openrouter.ai/api/v1 https://openrouter.ai/api/v1/ https://eu.openrouter.ai
            https://gateway:8443/a-b_c.d~e https://10.1.2.3:443/api https://localhost:8443/ http://127.0.0.1
            http://127.0.0.1:8080/api/v1 http://127.255.254.253:1/ http://[::1]:65535/api/v1 https://[::1]";
        for base_url in addresses.split_whitespace() {
            assert_eq!(base_url_problem(base_url, &[]), None, "{base_url}");
        }
    }

    #[test]
    fn plain_http_needs_the_exact_host_to_be_allowed() {
        let allowed = ["litellm", "10.0.0.7", "169.254.169.254"].map(str::to_owned);
        for base_url in "http://litellm:4000/v1 http://LiteLLM http://10.0.0.7:80/v1 https://other".split(' ') {
            assert_eq!(base_url_problem(base_url, &allowed), None, "{base_url}");
        }
        for base_url in "http://litellm.evil.com http://evil.com/litellm http://litellm@evil.com http://10.0.0.70
            http://169.254.169.254 http://localhost"
            .split_whitespace()
        {
            assert!(base_url_problem(base_url, &allowed).is_some(), "{base_url}");
        }
    }

    #[test]
    fn only_literal_addresses_count_as_loopback() {
        for base_url in ["http://127.0.0.1", "https://127.1.2.3:8443/api", "http://[::1]:80/v1"] {
            assert!(is_loopback(base_url), "{base_url}");
        }
        for base_url in "https://openrouter.ai/api/v1 https://localhost:1 https://10.0.0.1/ https://[::1".split(' ') {
            assert!(!is_loopback(base_url), "{base_url}");
        }
    }

    #[test]
    fn an_address_is_shown_without_path_login_and_query() {
        let shown = "https://openrouter.ai http://127.0.0.1:8080 https://[::1]:9 https://a.example https://a.example";
        let addresses = "https://openrouter.ai/api/v1 http://127.0.0.1:8080/key/v1 https://[::1]:9/ https://u:p@a.example/x \
            https://a.example?key=7";
        for (base_url, shown) in addresses.split_whitespace().zip(shown.split(' ')) {
            assert_eq!(origin_of(base_url), shown);
        }
    }

    #[test]
    fn every_other_address_is_refused() {
        let without_whitespace = r"
            https:// https:///api openrouter.ai //openrouter.ai https:openrouter.ai HTTPS://openrouter.ai
            file:///etc/passwd ftp://a javascript://a http://evil http://evil/api http://localhost
            http://localhost:8080 http://LOCALHOST http://localhost. http://127.0.0.1.evil.com http://127.1
            http://127.0.1 http://127.0.0.01 http://0127.0.0.1 http://127.0.0.1. http://127.0.0.256 http://2130706433
            http://0x7f000001 http://0x7f.0.0.1 http://0.0.0.0 http://169.254.169.254 http://10.0.0.1
            http://[::ffff:127.0.0.1] http://[::ffff:7f00:1] http://[::] http://[0:0:0:0:0:0:0:1] http://[::1
            http://::1 http://[::1]evil.com http://[::1%25lo] http://user@127.0.0.1 http://127.0.0.1@evil.com
            http://127.0.0.1:80@evil.com https://user:secret@openrouter.ai https://openrouter.ai/@evil
            https://openrouter.ai?key=secret https://openrouter.ai/api?x https://openrouter.ai/#x
            https://openrouter.ai\@evil http://127.0.0.1\.evil.com http://127.0.0.1:80:90 http://127.0.0.1:
            http://127.0.0.1:0 http://127.0.0.1:080 http://127.0.0.1:65536 http://127.0.0.1:+80
            https://openrouter.ai/../x https://openrouter.ai/./x https://openrouter.ai//x https://openrouter.ai/%2e%2e
            https://-a.b https://a-.b https://a..b https://a.b. https://a_b https://grüße.example
            https://openrouter。ai https://127.1 https://2130706433 https://1.2.3.0x7f https://0x
            https://169.254.169.254 https://0.0.0.0 https://255.255.255.255 https://[::ffff:127.0.0.1]
            https://[fe80::1] https://*.openrouter.ai https://a%2eb";
        let with_whitespace = "| https://openrouter.ai|https://openrouter.ai |https://openrouter.ai/a b|\
            https://openrouter.ai/a
|https://openrouter.ai	";
        for base_url in without_whitespace.split_whitespace().chain(with_whitespace.split('|')) {
            let problem = base_url_problem(base_url, &[]).map(|problem| problem.pointer);
            assert_eq!(problem.as_deref(), Some("/baseUrl"), "{base_url}");
        }
    }

    #[test]
    fn a_refused_address_says_why_and_never_repeats_a_secret() {
        let table = "
            http://localhost:80/secret
                | `http://` would send the key unencrypted to a host that is not a literal loopback address
                | write `127.0.0.1` instead of `localhost`, which may resolve to another machine
            http://secret.example
                | `http://` would send the key unencrypted to a host that is not a literal loopback address
                | write `https://`; on a private network, name the host in `allowPlainHttp` of the profile
            https://u:secret@a.b | the address contains a user name or password |
            https://a.b/?k=secret | the address contains a query or a fragment |
            secret://a.b | expected an address that starts with `https://` |
            https://a.b:secret | expected a port from 1 to 65535 |
            https://secret_.b | expected a plain host name or address |
            https://a.b/secret/% | expected a path of letters, digits and `-._~`, such as `/api/v1` |
            https://a.b/ secret | the address contains whitespace, a backslash or a non-ASCII character |
        ";
        for [base_url, message, hint] in rows(table) {
            let problem = base_url_problem(base_url, &[]).expect("this address is refused");
            assert!(!format!("{problem:?}").contains("secret"), "{problem:?}");
            let found = (problem.message.as_str(), problem.hint.unwrap_or_default());
            assert_eq!(found, (message, hint.to_owned()), "{base_url}");
        }
    }
}
