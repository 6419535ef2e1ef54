//! The tool `fetch`: text from public https addresses.
//!
//! A model may be talked into asking for anything, so no address of this machine or its networks is asked: not by name,
//! not by number, not behind a redirect. The addresses that were checked are those that are used.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::OnceLock;
use std::time::Duration;

use plugin_api::Tool as Function;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{ACCEPT, CONTENT_TYPE, LOCATION};
use reqwest::{Client, Response, Url};
use serde_json::json;

use super::definition::{Approval, Fetched};
use super::tool::{Answering, Arguments, Tool, object, text};
use super::web;

/// The largest body, in bytes.
const MAX_BYTES: usize = 1 << 20;
const MAX_REDIRECTS: usize = 5;
/// For everything, redirects included.
const LIMIT: Duration = Duration::from_secs(20);

/// Which addresses may be asked.
#[derive(Clone, Copy)]
struct Rules {
    scheme: &'static str,
    allows: fn(IpAddr) -> bool,
}

const RULES: Rules = Rules {
    scheme: "https",
    allows: is_public,
};

pub struct Fetch {
    hosts: Vec<String>,
    rules: Rules,
    /// Built when it is needed, because reading the system's certificates takes time.
    client: OnceLock<Result<Client, String>>,
}

impl Fetch {
    pub fn new(wanted: &Fetched) -> Self {
        Self::with(wanted, RULES)
    }

    fn with(wanted: &Fetched, rules: Rules) -> Self {
        Self {
            hosts: wanted.hosts.iter().map(|host| host.to_ascii_lowercase()).collect(),
            rules,
            client: OnceLock::new(),
        }
    }

    /// - Errors: why this address is not asked.
    fn admitted(&self, url: &str, base: Option<&Url>) -> Result<Url, String> {
        let parsed = base.map_or_else(|| Url::parse(url), |base| base.join(url));
        let url = parsed.map_err(|_| "expected a whole address, such as https://example.org/page".to_owned())?;
        if url.scheme() != self.rules.scheme {
            return Err(format!(
                "expected an address with {}://, found {}://",
                self.rules.scheme,
                url.scheme()
            ));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("expected an address without a user and a password".to_owned());
        }
        let host = url.host_str().unwrap_or_default();
        let number = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        if number.is_ok_and(|address| !(self.rules.allows)(address)) {
            return Err(not_public(host));
        }
        let is_below =
            |allowed: &String| host == allowed || host.strip_suffix(allowed).is_some_and(|rest| rest.ends_with('.'));
        if !self.hosts.is_empty() && !self.hosts.iter().any(is_below) {
            return Err(format!(
                "the agent may not ask `{host}`; it may ask {}",
                self.hosts.join(", ")
            ));
        }
        Ok(url)
    }

    async fn fetched(&self, url: &str) -> Result<String, String> {
        let client = self.client.get_or_init(|| {
            let builder = web::builder(self.rules.scheme == "https")?;
            // Through a proxy nobody here would know which address is asked.
            let builder = builder.no_proxy().dns_resolver(Checked(self.rules)).timeout(LIMIT);
            builder.build().map_err(|_| "cannot set up the HTTP client".to_owned())
        });
        let client = client.as_ref().map_err(Clone::clone)?;
        let mut url = self.admitted(url, None)?;
        for _ in 0..=MAX_REDIRECTS {
            let request = client
                .get(url.clone())
                .header(ACCEPT, "text/*, application/json;q=0.9, */*;q=0.1");
            let response = request.send().await.map_err(|cause| why(&cause))?;
            let to = response
                .headers()
                .get(LOCATION)
                .filter(|_| response.status().is_redirection());
            let Some(to) = to else {
                return body(response).await;
            };
            let to = to.to_str().map_err(|_| "the redirect leads nowhere".to_owned())?;
            url = self.admitted(to, Some(&url))?;
        }
        Err(format!("more than {MAX_REDIRECTS} redirects"))
    }
}

impl Tool for Fetch {
    fn function(&self) -> Function {
        let url = json!({"type": "string", "description": "The address, with https://"});
        Function::new(
            "fetch",
            "Fetches a text, such as a web page, from a public https address. Returns it as it is.",
            object(json!({"url": url}), &["url"]),
        )
    }

    /// What it asks for may carry away what the model has read.
    fn approval(&self) -> Approval {
        Approval::Ask
    }

    fn call<'a>(&'a self, arguments: &'a Arguments) -> Answering<'a> {
        Box::pin(async {
            let fetched = tokio::time::timeout(LIMIT, self.fetched(text(arguments, "url")?)).await;
            fetched.unwrap_or_else(|_| Err(format!("no answer within {} s", LIMIT.as_secs())))
        })
    }
}

/// - Errors: it is no text, or the status is one of failure.
async fn body(mut response: Response) -> Result<String, String> {
    let status = response.status();
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.unwrap_or("text/plain").to_ascii_lowercase();
    let is_text = ["text/", "json", "xml", "javascript", "yaml", "toml"]
        .iter()
        .any(|word| kind.contains(word));
    if !is_text {
        return Err(format!(
            "expected text, found `{}`",
            kind.split(';').next().unwrap_or_default()
        ));
    }
    let mut bytes = Vec::new();
    let mut is_cut = false;
    while let Some(piece) = response.chunk().await.map_err(|cause| why(&cause))? {
        bytes.extend_from_slice(&piece);
        if bytes.len() > MAX_BYTES {
            bytes.truncate(MAX_BYTES);
            is_cut = true;
            break;
        }
    }
    let mut text = String::from_utf8_lossy(&bytes).into_owned();
    if is_cut {
        text.push_str(&format!("\n[cut after {MAX_BYTES} bytes]"));
    }
    if status.is_success() {
        Ok(text)
    } else {
        Err(format!("status {status}: {text}"))
    }
}

fn not_public(host: &str) -> String {
    format!("`{host}` is not a public address, so it is not asked")
}

/// The innermost cause, without the address, which the model knows.
fn why(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    if error.is_timeout() {
        "the server took too long".to_owned()
    } else {
        cause.to_string()
    }
}

/// Looks names up, and gives an answer only if all of it may be asked.
struct Checked(Rules);

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let allows = self.0.allows;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let found: Vec<SocketAddr> = found.collect();
            if !found.iter().all(|address| allows(address.ip())) {
                return Err(not_public(name.as_str()).into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Whether an address belongs to the public internet.
///
/// Source: the IANA registries of special-purpose addresses, RFC 6890 and its updates.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = matches!(
        (a, b, c),
        (0 | 10 | 127 | 224..=255, ..)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (192, 168, _)
            | (198, 18 | 19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    );
    !is_special
}

/// Only `2000::/3` is assigned, and parts of it hold IPv4 addresses, tunnels or examples.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    let is_special = matches!(
        (a, b),
        (0x2001, 0..=0x01ff | 0x0db8) | (0x2002, _) | (0x3fff, 0..=0x0fff)
    );
    (0x2000..=0x3fff).contains(&a) && !is_special
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn only_public_addresses_are_public() {
        for address in "8.8.8.8 1.1.1.1 172.32.0.1 100.128.0.1 192.0.1.1 2606:4700::1111 2a00:1450:4001::1".split(' ') {
            assert!(is_public(address.parse().expect("an address")), "{address}");
        }
        let not = "0.0.0.0 10.1.2.3 100.64.0.1 127.0.0.1 169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.1 \
                   192.168.1.1 198.18.0.1 224.0.0.1 255.255.255.255 :: ::1 ::ffff:127.0.0.1 ::ffff:8.8.8.8 fe80::1 \
                   fc00::1 fd12::1 ff02::1 64:ff9b::7f00:1 2001::1 2001:db8::1 2002:7f00:1::1";
        for address in not.split_whitespace() {
            assert!(!is_public(address.parse().expect("an address")), "{address}");
        }
    }

    #[test]
    fn other_ways_to_write_an_address_lead_nowhere_else() {
        let fetch = Fetch::new(&Fetched::default());
        let refusal = |url: &str| fetch.admitted(url, None).err().unwrap_or_default();
        for host in [
            "127.0.0.1",
            "2130706433",
            "0x7f.1",
            "127.1",
            "[::1]",
            "[::ffff:7f00:1]",
            "0",
            "169.254.169.254",
        ] {
            let refused = refusal(&format!("https://{host}/"));
            assert!(
                refused.ends_with("is not a public address, so it is not asked"),
                "{host}: {refused}"
            );
        }
        assert_eq!(
            refusal("http://example.org/"),
            "expected an address with https://, found http://"
        );
        assert_eq!(
            refusal("file:///etc/passwd"),
            "expected an address with https://, found file://"
        );
        assert_eq!(
            refusal("https://a:b@example.org/"),
            "expected an address without a user and a password"
        );
        assert_eq!(
            refusal("example.org"),
            "expected a whole address, such as https://example.org/page"
        );
        assert_eq!(refusal("https://example.org:8443/x"), "");
    }

    #[test]
    fn named_hosts_are_the_only_ones() {
        let hosts = vec!["Docs.rs".to_owned()];
        let fetch = Fetch::new(&Fetched { hosts });
        for (url, is_admitted) in [
            ("https://docs.rs/x", true),
            ("https://sub.docs.rs/", true),
            ("https://notdocs.rs/", false),
            ("https://docs.rs.example.org/", false),
        ] {
            assert_eq!(fetch.admitted(url, None).is_ok(), is_admitted, "{url}");
        }
    }

    /// Answers each connection with the next of these, on this machine.
    async fn serving(answers: Vec<String>) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        tokio::spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.expect("a client");
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        port
    }

    /// As [`RULES`], but for a server of the test.
    const NEAR: Rules = Rules {
        scheme: "http",
        allows: |address| address == IpAddr::V4(Ipv4Addr::LOCALHOST),
    };

    async fn fetched(answers: &[&str]) -> Result<String, String> {
        let answers = answers.iter().map(|answer| format!("HTTP/1.1 {answer}"));
        let port = serving(answers.collect()).await;
        let fetch = Fetch::with(&Fetched::default(), NEAR);
        fetch.fetched(&format!("http://127.0.0.1:{port}/")).await
    }

    #[tokio::test]
    async fn texts_arrive_and_everything_else_is_an_error() {
        let whole = fetched(&["200 OK\r\ncontent-type: text/html\r\ncontent-length: 9\r\n\r\n<p>Hi</p>"]).await;
        assert_eq!(whole.as_deref(), Ok("<p>Hi</p>"));
        let picture = fetched(&["200 OK\r\ncontent-type: image/png\r\ncontent-length: 1\r\n\r\nx"]).await;
        assert_eq!(picture, Err("expected text, found `image/png`".to_owned()));
        let missing = fetched(&["404 Not Found\r\ncontent-length: 4\r\n\r\nnone"]).await;
        assert_eq!(missing, Err("status 404 Not Found: none".to_owned()));
        let long = format!(
            "200 OK\r\ncontent-length: {}\r\n\r\n{}",
            MAX_BYTES + 9,
            "x".repeat(MAX_BYTES + 9)
        );
        let cut = fetched(&[&long]).await.expect("a text");
        assert!(cut.ends_with("x\n[cut after 1048576 bytes]"), "{}", cut.len());
    }

    #[tokio::test]
    async fn a_redirect_leads_to_no_private_address() {
        for to in [
            "http://127.0.0.2:1/",
            "//127.0.0.2/",
            "http://localhost.localdomain.invalid/",
        ] {
            let refused = fetched(&[&format!("302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n")]).await;
            assert!(refused.is_err(), "{to}");
        }
        let scheme = fetched(&["302 Found\r\nlocation: file:///etc/passwd\r\ncontent-length: 0\r\n\r\n"]).await;
        assert_eq!(
            scheme,
            Err("expected an address with http://, found file://".to_owned())
        );
    }

    #[tokio::test]
    async fn a_name_that_leads_here_is_refused_after_it_was_looked_up() {
        let fetch = Fetch::new(&Fetched::default());
        let refused = fetch.fetched("https://localhost:1/").await;
        assert_eq!(refused, Err(not_public("localhost")));
    }
}
