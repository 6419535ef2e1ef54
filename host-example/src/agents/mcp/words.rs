//! What went wrong with an MCP server, in words. They quote no address, because its path or query may hold a key.

use rmcp::service::{ClientInitializeError, ServiceError};
use rmcp::transport::DynamicTransportError;
use rmcp::transport::streamable_http_client::StreamableHttpError;

use crate::terminal::{clean_line, shortened};

const NO_SERVER: &str = "it does not answer as an MCP server does";
/// What is shown of a server's own words.
const MAX_CHARS: usize = 300;

/// Why a server did not start, or was not reached.
pub fn of_start(cause: &ClientInitializeError) -> String {
    match cause {
        ClientInitializeError::TransportError { error, .. } => of_transport(error),
        ClientInitializeError::JsonRpcError(error) => refused(&error.message),
        ClientInitializeError::LegacyFallbackFailed { fallback, .. } => of_start(fallback),
        ClientInitializeError::ConnectionClosed(_) => "it ended before it answered".to_owned(),
        ClientInitializeError::NoCompatibleProtocolVersion { .. } => {
            "it speaks no version of the protocol that this program knows".to_owned()
        }
        _ => NO_SERVER.to_owned(),
    }
}

/// Why a request to a server failed.
pub fn of_request(cause: &ServiceError) -> String {
    match cause {
        ServiceError::McpError(error) => refused(&error.message),
        ServiceError::TransportSend(error) => of_transport(error),
        ServiceError::TransportClosed => "it has ended".to_owned(),
        ServiceError::Timeout { .. } => "it does not answer in time".to_owned(),
        _ => NO_SERVER.to_owned(),
    }
}

fn refused(message: &str) -> String {
    format!("it refused: {}", clean_line(&shortened(message, MAX_CHARS)))
}

fn of_transport(cause: &DynamicTransportError) -> String {
    match cause.error.downcast_ref::<StreamableHttpError<reqwest::Error>>() {
        Some(StreamableHttpError::Client(cause)) => match cause.status() {
            Some(status) => of_status(status.as_u16()),
            None if cause.is_timeout() => "it does not answer in time".to_owned(),
            None if cause.is_connect() => "no connection to it".to_owned(),
            None => "the connection to it broke".to_owned(),
        },
        Some(StreamableHttpError::HttpStatus(cause)) => of_status(cause.status),
        Some(StreamableHttpError::AuthRequired(_)) => of_status(401),
        Some(StreamableHttpError::InsufficientScope(_)) => of_status(403),
        Some(_) => NO_SERVER.to_owned(),
        // A program's pipe.
        None => "it ended before it answered".to_owned(),
    }
}

fn of_status(status: u16) -> String {
    let about = match status {
        401 => ": it wants a key in `headers`",
        403 => ": the key in `headers` does not suffice",
        404 => ": look at its `url`",
        _ => "",
    };
    format!("it answered with status {status}{about}")
}
