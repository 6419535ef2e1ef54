//! The connections to the service: TLS, no redirects, no proxy for loopback, no retries of their own.
//!
//! In: an address that was checked before. Out: a client. Nothing here talks to a network.

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
    let failed = |what: &str| Error::new(ErrorKind::INTERNAL, format!("TLS could not be set up: {what}"));
    // The provider is named here instead of being installed for the process, which would be one more thing to agree
    // on with the host.
    let tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|_| failed("no protocol version in common"))?;
    let in_the_clear = base_url.starts_with("http://");
    let mut tls = if in_the_clear {
        // Reading the system's certificates takes ten milliseconds that nobody needs here.
        tls.with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth()
    } else {
        tls.with_platform_verifier()
            .map_err(|_| failed("the system's certificates cannot be read"))?
            .with_no_client_auth()
    };
    // The client asks for nothing by itself where it is given a configuration.
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .connect_timeout(Duration::from_millis(connect_ms))
        // A redirect would carry the prompt, and with some clients the key, to wherever it points.
        .redirect(reqwest::redirect::Policy::none())
        // Its cause is a connection that closed while idle, which this project's own policy must see.
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
    builder.build().map_err(|_| failed("the client could not be made"))
}
