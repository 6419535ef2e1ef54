//! What the sandbox received and sent, for tests to look at.
//!
//! The value of `authorization` is never kept.

pub(crate) mod ledger;

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

/// One request and what became of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Recorded {
    /// Counts from 1, in the order of arrival.
    pub number: u64,
    /// `POST` and so on.
    pub method: String,
    /// Path, without the query.
    pub path: String,
    /// The text after `?`; empty without one.
    pub query: String,
    /// Names in lower case, in the order of arrival. The value of `authorization` is `present` or `absent`.
    pub headers: Vec<(String, String)>,
    /// The body as JSON; null if it is not JSON.
    pub body: Value,
    /// The body as received, with bytes replaced that are not UTF-8.
    pub body_text: String,
    /// Status of the reply; 0 until there is one.
    pub status: u16,
    /// Whether the reply was written to its end.
    pub outcome: Outcome,
    /// The JSON body of the reply, or the JSON of each data frame written, without `[DONE]` and comments.
    pub replies: Vec<Value>,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The reply is still pending or being written.
    #[default]
    InFlight,
    /// The reply was written to the end that its script sets.
    Completed,
    /// The client closed the connection before that.
    ClientLeft {
        /// Data frames written by then, the opening one included.
        after_chunks: usize,
    },
}

/// What did not happen before the limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("waited {} ms for the sandbox: expected {expected}, found {found}", waited.as_millis())]
pub struct WaitError {
    pub(crate) waited: Duration,
    pub(crate) expected: String,
    pub(crate) found: usize,
}
