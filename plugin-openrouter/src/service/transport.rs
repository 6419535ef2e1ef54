//! What it means when a request gets no answer, or when the connection breaks inside one.
//!
//! In: the errors of the HTTP client. Out: typed failures. The client's own text names the whole URL and is never passed on.

use std::error::Error as StdError;
use std::io;

use plugin_api::{Error, ErrorKind};

use crate::failure::retry::{Class, Failed};

/// The failure of a request that got no answer from the service at `host`.
pub fn from_transport(cause: &reqwest::Error, host: &str) -> Failed {
    // The error's own text holds the whole URL; the causes below it do not.
    let reason = deepest_cause(cause);
    if let Some(refused) = cause_of::<rustls::Error>(cause).filter(|cause| stays(cause)) {
        let message = format!("no trust in {host}: {refused}");
        let error = Error::new(ErrorKind::CONNECT, message).with_hint(
            "check the base URL, this machine's clock and its certificates, and whether a proxy reads along",
        );
        return final_failure(error);
    }
    if cause.is_connect() {
        let error = Error::new(ErrorKind::CONNECT, format!("no connection to {host}: {reason}"))
            .with_hint("check the network, the proxy and the base URL of the service");
        return Failed::new(Class::NeverProcessed, error);
    }
    if cause.is_builder() {
        return Failed::new(
            Class::Final,
            Error::new(
                ErrorKind::INVALID_REQUEST,
                format!("the request cannot be sent: {reason}"),
            ),
        );
    }
    let http = cause_of::<hyper::Error>(cause);
    if http.is_some_and(hyper::Error::is_parse) {
        let error = Error::new(
            ErrorKind::PROTOCOL,
            format!("what {host} answers is not HTTP as it should be: {reason}"),
        )
        .with_hint("check the base URL, and whether a proxy on the way changes answers");
        return Failed::new(Class::Final, error);
    }
    let error = Error::new(ErrorKind::CONNECT, format!("the connection to {host} failed: {reason}"))
        .with_hint("try again; if it stays, check the network and the proxy");
    let refused = cause_of::<h2::Error>(cause).is_some_and(|cause| {
        let reason = cause.reason();
        reason == Some(h2::Reason::REFUSED_STREAM) || cause.is_go_away() && reason == Some(h2::Reason::NO_ERROR)
    });
    // A connection that was closed while it waited for work, before anything was written.
    let was_not_sent = refused || http.is_some_and(hyper::Error::is_canceled);
    let class = if was_not_sent {
        Class::NeverProcessed
    } else {
        Class::Ambiguous
    };
    Failed::new(class, error)
}

/// A failure that stays, whatever its kind suggests.
fn final_failure(mut error: Error) -> Failed {
    error.details.retryable = Some(false);
    Failed::new(Class::Final, error)
}

/// Whether it is about who the other side is or what it speaks, as opposed to a handshake that was cut short.
fn stays(cause: &rustls::Error) -> bool {
    matches!(
        cause,
        rustls::Error::InvalidCertificate(_)
            | rustls::Error::NoCertificatesPresented
            | rustls::Error::UnsupportedNameType
            | rustls::Error::PeerIncompatible(_)
    )
}

/// The error of a body that broke off.
pub fn from_body(cause: &reqwest::Error) -> Error {
    Error::new(
        ErrorKind::INTERRUPTED,
        format!(
            "the connection broke while the answer arrived: {}",
            deepest_cause(cause)
        ),
    )
    .with_hint("try again")
}

/// The first cause of type `T`.
fn cause_of<T: StdError + 'static>(error: &reqwest::Error) -> Option<&T> {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(found) = inner.downcast_ref() {
            return Some(found);
        }
        // An I/O error keeps what it wraps to itself, which may be another one.
        let mut wrapped = inner.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        while let Some(within) = wrapped {
            if let Some(found) = within.downcast_ref() {
                return Some(found);
            }
            wrapped = within.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        }
        cause = inner.source();
    }
    None
}

fn deepest_cause(error: &reqwest::Error) -> String {
    let mut cause = error.source();
    let mut text = None;
    while let Some(inner) = cause {
        text = Some(inner.to_string());
        cause = inner.source();
    }
    text.unwrap_or_else(|| "the reason is unknown".to_owned())
}
