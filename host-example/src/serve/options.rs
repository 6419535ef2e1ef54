//! The options of `agent-host serve`, and which ones are refused before anything is opened.
//!
//! Pure. Whoever can reach the endpoint spends the owner's money, so wider access has to be
//! requested explicitly.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use clap::{Args, ValueHint};

use crate::terminal::Failure;

/// Serve the active plugin through an OpenAI-compatible API
#[derive(Args)]
#[command(long_about = ABOUT, after_help = EXAMPLES)]
pub struct Options {
    /// The address to listen on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1", value_parser = address)]
    pub listen: IpAddr,
    /// The port; 0 for any free one
    #[arg(long, value_name = "N", default_value_t = 8484)]
    pub port: u16,
    /// The token that clients must send; other users can read a command line, but not the environment variable
    /// [env: AGENT_HOST_TOKEN]
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["token_file", "no_auth"])]
    pub token: Option<String>,
    /// A file that contains only the token
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "no_auth")]
    pub token_file: Option<PathBuf>,
    /// Require no token; only on a loopback address, and any program on this machine can then spend your credit
    #[arg(long)]
    pub no_auth: bool,
    /// A host name that clients may use, such as that of a proxy in front; may be repeated
    #[arg(long, value_name = "NAME", value_parser = host_name)]
    pub allow_host: Vec<String>,
    /// A web page's origin that may send requests from a browser, such as `http://localhost:3000`; may be repeated
    #[arg(long, value_name = "ORIGIN", value_parser = origin)]
    pub cors_origin: Vec<String>,
    /// The largest request, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 16, value_parser = clap::value_parser!(u64).range(1..=1024))]
    pub max_body: u64,
    /// The memory for request bodies of all requests together, in MiB; further ones wait
    #[arg(long, value_name = "MIB", default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..=65_536))]
    pub body_memory: u64,
    /// The maximum number of requests at once; as many may wait, and as many connections be idle
    #[arg(long, value_name = "N", default_value_t = 2048, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_connections: u32,
    /// How long running answers may continue after the first signal, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(0..=3600))]
    pub drain: u64,
    /// The number of serving threads
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub threads: u32,
    /// Log one line per request to stderr or the log file; never its content
    #[arg(long)]
    pub request_log: bool,
    /// Record no call: neither who asked nor what it cost
    #[arg(long)]
    pub no_history: bool,
    /// Give the same answer again to the same request for so long, in seconds: to requests with temperature 0, or with
    /// the header `x-agent-host-cache: on`
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "3600",
        conflicts_with = "no_history", value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    pub cache: Option<u64>,
    /// The room for those answers, in MiB; the ones used last stay
    #[arg(long, value_name = "MIB", default_value_t = 64, requires = "cache",
        value_parser = clap::value_parser!(u64).range(1..=65_536))]
    pub cache_size: u64,
    /// Follow neither edits of the profile nor installs of plugins; SIGHUP still does
    #[arg(long)]
    pub no_watch: bool,
}

/// For `agent-host serve --help`.
const ABOUT: &str = "\
Serve the active plugin through an OpenAI-compatible API

The endpoint listens on this machine only, unless `--listen` says otherwise, and requires a token. The first start creates the token and \
prints it once. It is not the service's key, which clients never see; that key is accepted as a token too.

Tiers are models: `TEXT_SMALL` or `tier/small`. Requests without a model use TEXT_LARGE. Profile edits apply from the next request on. \
Ctrl-C waits for running answers; a second Ctrl-C stops at once.";

const EXAMPLES: &str = "\
Examples:
  agent-host serve
  export OPENAI_BASE_URL=http://127.0.0.1:8484/v1
  export OPENAI_API_KEY=\"$(cat ~/.local/state/agent-host/token)\"
  curl \"$OPENAI_BASE_URL/models\" -H \"Authorization: Bearer $OPENAI_API_KEY\"";

impl Options {
    /// - Errors: the options open the endpoint wider than its owner can have meant to.
    pub fn check(&self) -> Result<(), Failure> {
        let address = self.listen;
        if self.no_auth && !address.to_canonical().is_loopback() {
            return Err(Failure::usage(format!(
                "`--no-auth` needs a loopback address, found `{address}`: anyone who reaches it could spend your credit"
            ))
            .with_hint("remove `--no-auth`, or listen on 127.0.0.1"));
        }
        if address.to_canonical().is_unspecified() && self.allow_host.is_empty() {
            return Err(Failure::usage(format!("`--listen {address}` listens on every address of this machine and requires `--allow-host`"),
            )
            .with_hint(
                "give the host name that clients use with `--allow-host NAME`, or listen on one address of this machine",
            ));
        }
        Ok(())
    }
}

fn address(text: &str) -> Result<IpAddr, String> {
    if text.eq_ignore_ascii_case("localhost") {
        return Ok(Ipv4Addr::LOCALHOST.into());
    }
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    inner
        .unwrap_or(text)
        .parse()
        .map_err(|_| "expected an IP address, such as `127.0.0.1` or `::1`".to_owned())
}

/// A host's name or address as in a `Host` header, without a port; in lower case.
fn host_name(text: &str) -> Result<String, String> {
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    if let Ok(IpAddr::V6(address)) = inner.unwrap_or(text).parse() {
        return Ok(format!("[{address}]"));
    }
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if text.is_empty() || !text.bytes().all(is_allowed) {
        return Err("expected a name without scheme and port, such as `models.example.org`".to_owned());
    }
    Ok(text.to_ascii_lowercase())
}

/// An origin exactly as browsers write it; in lower case.
fn origin(text: &str) -> Result<String, String> {
    let expected = || "expected scheme, host and port alone, such as `http://localhost:3000`".to_owned();
    let (scheme, authority) = text.split_once("://").ok_or_else(expected)?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    let is_authority = !authority.is_empty()
        && authority
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b':' | b'[' | b']'));
    if !is_scheme || !is_authority {
        return Err(expected());
    }
    Ok(text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    /// What becomes of a command line: `Ok`, or why not.
    fn checked(line: &str) -> Result<(), String> {
        let words = ["serve"].into_iter().chain(line.split_whitespace());
        let line = Line::try_parse_from(words).map_err(|error| error.kind().to_string())?;
        line.options.check().map_err(|failure| failure.to_string())
    }

    #[test]
    fn access_for_others_must_be_requested_explicitly() {
        for line in [
            "",
            "--no-auth",
            "--no-auth --listen [::1]",
            "--listen localhost",
            "--listen 192.168.1.7",
            "--listen 0.0.0.0 --allow-host models.example.org",
        ] {
            assert_eq!(checked(line), Ok(()), "{line}");
        }
        let no_auth = "error: `--no-auth` needs a loopback address, found `192.168.1.7`: anyone who reaches it could \
                       spend your credit\nhint: remove `--no-auth`, or listen on 127.0.0.1";
        assert_eq!(checked("--listen 192.168.1.7 --no-auth"), Err(no_auth.to_owned()));
        for address in ["0.0.0.0", "::", "::ffff:0.0.0.0"] {
            assert_eq!(
                checked(&format!("--listen {address}")),
                Err(format!(
                    "error: `--listen {address}` listens on every address of this machine and requires `--allow-host`\n\
                     hint: give the host name that clients use with `--allow-host NAME`, or listen on one address of this machine"
                ))
            );
        }
        for line in [
            "--no-auth --token x",
            "--token-file x --token x",
            "--listen example.org",
        ] {
            assert!(checked(line).is_err(), "{line}");
        }
    }

    #[test]
    fn names_and_origins_are_taken_as_headers_have_them() {
        for (name, in_header) in [
            ("Models.Example.org", "models.example.org"),
            ("fd00::1", "[fd00::1]"),
            ("[fd00::1]", "[fd00::1]"),
        ] {
            assert_eq!(host_name(name).as_deref(), Ok(in_header), "{name}");
        }
        for bad in ["", "*", "a:80", "http://a", "a/b", "a b", "a@b"] {
            assert!(host_name(bad).is_err(), "{bad}");
        }
        for page in ["https://App.Example.org", "app://obsidian.md"] {
            assert_eq!(origin(page), Ok(page.to_lowercase()));
        }
        let bad = "*,null,localhost:3000,http://,http://a/,http://a/b,http://*,http://a b,http://u@a";
        for bad in bad.split(',') {
            assert!(origin(bad).is_err(), "{bad}");
        }
    }
}
