//! Builds the HTTP client: TLS, no redirects, no proxy without TLS, no retries of its own.
//!
//! In: a base URL that is already checked, and the proxy that the environment names. Out: a client. Nothing here uses
//! the network.

use std::env;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::client::proxy::matcher::Matcher;
use plugin_api::{Error, ErrorKind};
use rustls::ClientConfig;
use rustls_platform_verifier::BuilderVerifierExt;

use crate::values::base_url::is_loopback;

/// The variables that name the proxy for services with TLS, in order.
const PROXY_VARIABLES: [[&str; 2]; 2] = [["HTTPS_PROXY", "https_proxy"], ["ALL_PROXY", "all_proxy"]];

/// A client for the service at `base_url`.
///
/// - Errors: `config` if a variable names certificates that cannot be read, or a proxy whose address is none;
///   `internal` if TLS cannot be set up.
pub fn client(base_url: &str, connect_ms: u64) -> Result<reqwest::Client, Error> {
    let failed = |what: &str| Error::new(ErrorKind::INTERNAL, format!("cannot set up the HTTP client: {what}"));
    // A provider installed for the whole process could conflict with the host's.
    let tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|_| failed("TLS has no usable protocol version"))?;
    let in_the_clear = base_url.starts_with("http://");
    let mut tls = if in_the_clear {
        // Plain HTTP needs no certificates, and reading the system's takes ten milliseconds.
        tls.with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth()
    } else {
        tls.with_platform_verifier()
            .map_err(|_| {
                unreadable_certificates().unwrap_or_else(|| failed("the system's certificates cannot be read"))
            })?
            .with_no_client_auth()
    };
    // reqwest sets no ALPN protocols on a preconfigured TLS backend.
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .connect_timeout(Duration::from_millis(connect_ms))
        // A redirect would carry the prompt to wherever it points.
        .redirect(reqwest::redirect::Policy::none())
        // reqwest retries on idle connections that closed. The plugin's own retry policy must see those.
        .retry(reqwest::retry::never())
        .https_only(!in_the_clear)
        .tcp_keepalive(Duration::from_secs(30))
        .http2_keep_alive_interval(Duration::from_secs(20))
        .http2_keep_alive_timeout(Duration::from_secs(10))
        .referer(false);
    let builder = match named_proxy(base_url)? {
        _ if is_asked_directly(base_url) => builder.no_proxy(),
        Some((variable, address)) => {
            let proxy = reqwest::Proxy::https(address).map_err(|_| not_a_proxy(variable))?;
            builder.proxy(proxy.no_proxy(reqwest::NoProxy::from_env()))
        }
        None => builder,
    };
    builder.build().map_err(|_| failed("the client cannot be built"))
}

/// Whether no proxy is asked for a service: one without TLS would see the key.
fn is_asked_directly(base_url: &str) -> bool {
    is_loopback(base_url) || base_url.starts_with("http://")
}

/// The host and port of the proxy through which the client asks the service at `base_url`.
pub fn proxy_for(base_url: &str) -> Option<String> {
    if is_asked_directly(base_url) {
        return None;
    }
    // The same rules as reqwest's, which has no way to ask.
    let matcher = match named_proxy(base_url) {
        Ok(Some((_, address))) => matcher_of(&address),
        _ => Matcher::from_system(),
    };
    let proxy = matcher.intercept(&base_url.parse().ok()?)?;
    let port = proxy.uri().port().map_or(String::new(), |port| format!(":{port}"));
    Some(format!("{}{port}", proxy.uri().host()?))
}

/// The variable that names the proxy for the service at `base_url`, and the address in it, without blanks around it.
///
/// reqwest would ignore an address that it cannot read, and the call would go out without the proxy.
///
/// - Errors: `config` if it is no address of a proxy. The error does not quote it, because it may hold a password.
fn named_proxy(base_url: &str) -> Result<Option<(&'static str, String)>, Error> {
    // reqwest heeds no variable under CGI, where callers set some of them.
    let is_cgi = env::var_os("REQUEST_METHOD").is_some();
    let Some(service) = base_url
        .parse()
        .ok()
        .filter(|_| !is_cgi && !is_asked_directly(base_url))
    else {
        return Ok(None);
    };
    // Any proxy shows whether `NO_PROXY` lists the service.
    if matcher_of("http://proxy").intercept(&service).is_none() {
        return Ok(None);
    }
    for names in PROXY_VARIABLES {
        let set = names.into_iter().find_map(|name| Some((name, env::var_os(name)?)));
        let Some((variable, value)) = set else { continue };
        let address = value.to_string_lossy().trim().to_owned();
        if address.is_empty() {
            continue;
        }
        let proxy = matcher_of(&address).intercept(&service);
        let is_usable = proxy.is_some_and(|proxy| matches!(proxy.uri().scheme_str(), Some("http" | "https")));
        return match is_usable {
            true => Ok(Some((variable, address))),
            false => Err(not_a_proxy(variable)),
        };
    }
    Ok(None)
}

/// Asks the proxy at this address for every service that `NO_PROXY` does not list.
fn matcher_of(address: &str) -> Matcher {
    let unproxied = ["NO_PROXY", "no_proxy"].iter().find_map(|name| env::var(name).ok());
    let builder = Matcher::builder().https(address);
    builder.no(unproxied.unwrap_or_default()).build()
}

fn not_a_proxy(variable: &str) -> Error {
    let message =
        format!("expected the address of a proxy in `{variable}`, such as `http://HOST:PORT`, found something else");
    let hint = format!("correct the variable, or connect without a proxy: unset {variable}");
    Error::new(ErrorKind::CONFIG, message).with_hint(hint)
}

/// The error for certificates that variables name; `None` if no variable is set. All of them are at fault: one good
/// file or folder would have been enough.
fn unreadable_certificates() -> Option<Error> {
    let named = |name: &'static str| env::var_os(name).map(|value| (name, value));
    let file = named("SSL_CERT_FILE").map(|(name, path)| (name, PathBuf::from(path)));
    let folders = named("SSL_CERT_DIR").map(|(name, paths)| (name, env::split_paths(&paths).collect::<Vec<_>>()));
    let folders = folders
        .into_iter()
        .flat_map(|(name, paths)| paths.into_iter().map(move |path| (name, path)));
    let why = |(variable, path): (&str, PathBuf)| {
        let why = match fs::File::open(&path) {
            Ok(_) => "it holds no readable certificate".to_owned(),
            Err(cause) if matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => {
                cause.to_string()
            }
            // Such as too many open files: nothing is wrong with the path.
            Err(_) => return None,
        };
        Some(format!("`{variable}`, `{}`: {why}", path.display()))
    };
    let whys: Vec<String> = file.into_iter().chain(folders).map(why).collect::<Option<_>>()?;
    if whys.is_empty() {
        return None;
    }
    let message = format!("no certificates from {}", whys.join("; nor from "));
    let hint = "set the variables to certificates in PEM format, or unset them to use the system's";
    Some(Error::new(ErrorKind::CONFIG, message).with_hint(hint))
}
