//! Certificates that prove nothing, and encrypted connections that are cut.

use std::fs;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::json;
use tests::Child;
use tests::faultd::{Arrival, Connection, Faultd, Script, chunk, sse_head, sse_head_until_close, text_event};

use crate::call::{once, plugin_at, stream};

/// An authority that signs certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key.
pub struct Certified {
    certificate: CertificateDer<'static>,
    key: KeyPair,
}

impl Authority {
    /// One that nobody trusts yet.
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("random numbers");
        Self(CertifiedIssuer::self_signed(params, key).expect("the parameters are right"))
    }

    /// One that every plugin trusts that is created in this process afterwards: `SSL_CERT_FILE` names the file of the
    /// system's certificates, and this is its only one.
    pub fn trusted() -> Self {
        let authority = Self::new();
        let file = std::env::var_os("SSL_CERT_FILE").expect("the parent named a file");
        fs::write(file, authority.0.pem()).expect("the parent made its folder");
        authority
    }

    /// A certificate for a name or an address.
    pub fn certificate_for(&self, name: &str) -> Certified {
        self.certificate(name, |_| {})
    }

    fn certificate(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Certified {
        let mut params = CertificateParams::new([name.to_owned()]).expect("a name or an address");
        change(&mut params);
        let key = KeyPair::generate().expect("random numbers");
        let certificate = params.signed_by(&key, &self.0).expect("the parameters are right");
        Certified {
            certificate: certificate.der().clone(),
            key,
        }
    }
}

/// A service behind TLS that offers these protocols; `serve` also gets whether HTTP/2 was chosen.
pub fn tls_service(
    certified: &Certified,
    protocols: &[&str],
    serve: impl Fn(Connection, bool) + Send + Sync + 'static,
) -> Faultd {
    let key = PrivatePkcs8KeyDer::from(certified.key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .with_no_client_auth()
        .with_single_cert(vec![certified.certificate.clone()], key.into())
        .expect("the key fits");
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let config = Arc::new(config);
    Faultd::handling(move |connection| {
        let mut is_http2 = false;
        let connection = connection.over(|mut tcp| {
            let mut tls = ServerConnection::new(Arc::clone(&config)).expect("the configuration is right");
            // If the client refuses the certificate, the next read from the connection fails.
            let _ = tls.complete_io(&mut tcp);
            is_http2 = tls.alpn_protocol() == Some(b"h2");
            StreamOwned::new(tls, tcp)
        });
        serve(connection, is_http2);
    })
}

/// A service behind TLS that plays this script for every request.
pub fn tls_playing(certified: &Certified, script: Script) -> Faultd {
    tls_service(certified, &["http/1.1"], move |connection, _| {
        connection.serve(&|_: &Arrival| script.clone());
    })
}

/// Runs the test in a process whose plugins trust what [`Authority::trusted`] makes.
pub fn trusting(body: impl FnOnce()) {
    let folder = tempfile::tempdir().expect("the temporary folder is writable");
    let file = folder.path().join("authorities.pem");
    Child::new()
        .env("SSL_CERT_FILE", &file.to_string_lossy())
        .without("SSL_CERT_DIR")
        .run(body);
}

fn https(service: &Faultd) -> String {
    format!("https://{}/api/v1", service.address())
}

#[test]
fn fault_10_a_certificate_that_proves_nothing_is_refused_and_not_retried() {
    trusting(|| {
        let authority = Authority::trusted();
        let good = authority.certificate_for("127.0.0.1");
        let service = tls_playing(&good, Script::answer("in private"));
        let plugin = plugin_at(&https(&service), json!({}));
        assert_eq!(stream(&plugin).expect("an answer").text, "in private");

        let expired = |params: &mut CertificateParams| params.not_after = date_time_ymd(2001, 2, 3);
        for (what, certified) in [
            ("expired", authority.certificate("127.0.0.1", expired)),
            ("for another host", authority.certificate_for("other.example")),
            ("of an unknown authority", Authority::new().certificate_for("127.0.0.1")),
        ] {
            let service = tls_playing(&certified, Script::answer("never"));
            let error = stream(&plugin_at(&https(&service), json!({}))).expect_err(what);
            assert_eq!(error.kind.code(), "connect", "{what}: {error:?}");
            assert!(error.message.contains("certificate"), "{what}: {error}");
            assert!(!error.is_retryable(), "{what}: {error:?}");
            let counts = (service.accepted_connections(), service.requests().len());
            assert_eq!(counts, (1, 0), "{what}");
        }
    });
}

/// A ServerHello of TLS 1.0: version, 32 random bytes, no session, a cipher suite, no compression.
fn old_hello() -> Vec<u8> {
    let body = [&[3, 1][..], &[7; 32], &[0, 0xc0, 0x13, 0]].concat();
    let message = [&[2, 0, 0, body.len() as u8][..], &body].concat();
    [&[22, 3, 1, 0, message.len() as u8][..], &message].concat()
}

#[test]
fn fault_10_a_failed_handshake_is_an_error_and_retried_if_it_was_reset() {
    trusting(|| {
        Authority::trusted();
        let plain_text = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n".to_vec();
        // What the service sends in its handshake; with nothing, it resets the connection.
        for (sent, options, n_connections) in [
            (old_hello(), json!({}), 1),
            (plain_text, once(), 1),
            (Vec::new(), json!({}), 3),
        ] {
            let service = Faultd::handling(move |mut connection| {
                let _ = connection.receive(5);
                if sent.is_empty() {
                    return connection.reset();
                }
                let _ = connection.send(&sent);
                // Until the client has closed the connection.
                while connection.receive(1).is_ok() {}
            });
            let error = stream(&plugin_at(&https(&service), options)).expect_err("there is no handshake");
            let found = (error.kind.code(), service.accepted_connections());
            assert_eq!(found, ("connect", n_connections), "{error:?}");
        }
    });
}

#[test]
fn fault_11_an_encrypted_connection_that_is_cut_is_not_an_end() {
    trusting(|| {
        let certified = Authority::trusted().certificate_for("127.0.0.1");
        let by_close = [sse_head_until_close(), text_event("once ").into_bytes()].concat();
        let in_chunks = [sse_head(), chunk(text_event("once "))].concat();
        for begun in [by_close, in_chunks] {
            // The service closes the connection without close_notify.
            let service = tls_playing(&certified, Script::new().send(begun).close());
            let error = stream(&plugin_at(&https(&service), json!({}))).expect_err("it is not complete");
            assert_eq!(error.kind.code(), "interrupted", "{error:?}");
            assert_eq!(error.details.partial_text.as_deref(), Some("once "));
            assert_eq!(service.requests().len(), 1);
        }
    });
}
