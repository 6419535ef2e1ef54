//! Classifies requests that got no answer and connections that broke inside one.
//!
//! In: errors of the HTTP client. Out: typed failures.
//! The client's own message contains the whole URL, so it is dropped.

use std::error::Error as StdError;
use std::io;

use plugin_api::{Error, ErrorKind};

use crate::failure::retry::{Class, Failed};
use crate::service::Service;

/// The failure for a request that got no answer from `service`.
pub fn from_transport(cause: &reqwest::Error, service: &Service) -> Failed {
    let (host, origin) = (service.host(), service.origin);
    // The causes below the error do not contain the URL.
    let reason = deepest_cause(cause);
    if let Some(refused) = cause_of::<rustls::Error>(cause).filter(|cause| is_permanent(cause)) {
        let message = format!("the TLS connection to {host} failed: {refused}");
        let error = Error::new(ErrorKind::CONNECT, message).with_hint(format!(
            "check the base URL ({origin}), this machine's clock and its certificates, and whether a proxy intercepts TLS"
        ));
        return final_failure(error);
    }
    if cause_that::<io::Error>(cause, is_out_of_files).is_some() {
        // Nothing is known about the service, so it must not count as unreachable for the calls after this one.
        let message = format!("this process has no free files for a connection to {host}: {reason}");
        let error = Error::new(ErrorKind::OVERLOADED, message)
            .with_hint("raise the limit of open files with `ulimit -n`, or make fewer calls at once");
        return Failed::new(Class::Final, error);
    }
    if cause.is_connect() {
        let error = Error::new(ErrorKind::CONNECT, format!("cannot connect to {host}: {reason}"))
            .with_hint(format!("check the network, the proxy and the base URL ({origin})"));
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
            format!("{host} did not answer with valid HTTP: {reason}"),
        )
        .with_hint(format!(
            "check the base URL ({origin}), and whether a proxy rewrites answers"
        ));
        return Failed::new(Class::Final, error);
    }
    let error = Error::new(ErrorKind::CONNECT, format!("the connection to {host} failed: {reason}"))
        .with_hint("try again; if it persists, check the network and the proxy");
    let refused = cause_of::<h2::Error>(cause).is_some_and(|cause| {
        let reason = cause.reason();
        reason == Some(h2::Reason::REFUSED_STREAM) || cause.is_go_away() && reason == Some(h2::Reason::NO_ERROR)
    });
    // The connection was closed while idle, before anything was written.
    let was_not_sent = refused || http.is_some_and(hyper::Error::is_canceled);
    let class = if was_not_sent {
        Class::NeverProcessed
    } else {
        Class::Ambiguous
    };
    Failed::new(class, error)
}

/// Whether the process or the system had no free file descriptor. The numbers are the same on all Unix systems.
fn is_out_of_files(cause: &io::Error) -> bool {
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    cfg!(unix) && matches!(cause.raw_os_error(), Some(ENFILE | EMFILE))
}

/// A failure that is not retried, whatever its kind suggests.
fn final_failure(mut error: Error) -> Failed {
    error.details.retryable = Some(false);
    Failed::new(Class::Final, error)
}

/// Whether a TLS error is about the identity or the protocol of the other side, and not a handshake that broke off.
fn is_permanent(cause: &rustls::Error) -> bool {
    matches!(
        cause,
        rustls::Error::InvalidCertificate(_)
            | rustls::Error::NoCertificatesPresented
            | rustls::Error::UnsupportedNameType
            | rustls::Error::PeerIncompatible(_)
    )
}

/// The error for a body that broke off.
pub fn from_body(cause: &reqwest::Error) -> Error {
    Error::new(
        ErrorKind::INTERRUPTED,
        format!(
            "the connection broke while the answer was arriving: {}",
            deepest_cause(cause)
        ),
    )
    .with_hint("try again")
}

/// The first cause of type `T`.
fn cause_of<T: StdError + 'static>(error: &reqwest::Error) -> Option<&T> {
    cause_that(error, |_| true)
}

/// The first cause of type `T` that is meant.
fn cause_that<T: StdError + 'static>(error: &reqwest::Error, is_meant: impl Fn(&T) -> bool) -> Option<&T> {
    let meant = |found: &&T| is_meant(found);
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(found) = inner.downcast_ref().filter(meant) {
            return Some(found);
        }
        // `source()` of an I/O error skips the error that it wraps, which may be an I/O error again.
        let mut wrapped = inner.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        while let Some(within) = wrapped {
            if let Some(found) = within.downcast_ref().filter(meant) {
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
    text.unwrap_or_else(|| "unknown reason".to_owned())
}
