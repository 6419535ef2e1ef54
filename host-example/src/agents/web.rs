//! HTTP clients for tools: TLS with the system's certificates, and nothing that follows where an answer points.

use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls_platform_verifier::BuilderVerifierExt;

const CONNECT: Duration = Duration::from_secs(10);

/// - Errors: TLS cannot be set up.
pub fn builder(needs_tls: bool) -> Result<reqwest::ClientBuilder, String> {
    let failed = |what: &str| format!("cannot set up the HTTP client: {what}");
    let tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|_| failed("TLS has no usable protocol version"))?;
    let tls = if needs_tls {
        let tls = tls.with_platform_verifier();
        tls.map_err(|_| failed("the system's certificates cannot be read"))?
    } else {
        tls.with_root_certificates(rustls::RootCertStore::empty())
    };
    Ok(reqwest::Client::builder()
        .tls_backend_preconfigured(tls.with_no_client_auth())
        .user_agent(concat!("agent-host/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false))
}

/// A client for the server at this address, which the user named.
#[cfg(feature = "mcp")]
pub fn client_for(url: &str) -> Result<reqwest::Client, String> {
    let needs_tls = url.starts_with("https://");
    let builder = builder(needs_tls)?;
    // A proxy would see what goes in the clear, and cannot reach this machine.
    let builder = if needs_tls { builder } else { builder.no_proxy() };
    builder.build().map_err(|_| "cannot set up the HTTP client".to_owned())
}
