//! Builds the HTTP client: TLS, no redirects, no proxy for loopback, no retries of its own.
//!
//! In: a base URL that is already checked. Out: a client. Nothing here uses the network.

use std::sync::Arc;
use std::time::Duration;

use plugin_api::{Error, ErrorKind};
use rustls::ClientConfig;
use rustls_platform_verifier::BuilderVerifierExt;

use crate::values::base_url::is_loopback;

/// A client for the service at `base_url`.
///
/// - Errors: `internal` if TLS cannot be set up.
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
            .map_err(|_| failed("the system's certificates cannot be read"))?
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
    let builder = if is_loopback(base_url) {
        builder.no_proxy()
    } else {
        builder
    };
    builder.build().map_err(|_| failed("the client cannot be built"))
}
