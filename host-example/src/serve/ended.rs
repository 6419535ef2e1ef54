//! A request that has ended, as the counters, the log and the traces read it. Data only.

use std::time::Duration;

use hyper::{Method, StatusCode};
use plugin_api::{Attempt, Done};

/// How a request ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outcome {
    Ok,
    /// The caller's request could not be served.
    Refused,
    /// There was no answer.
    Failed,
    /// The answer broke off.
    Interrupted,
    /// The client went away.
    #[default]
    Left,
}

impl Outcome {
    /// The stable word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
            Self::Left => "client_left",
        }
    }
}

/// What is known of a request when it is over.
#[derive(Default)]
pub struct Ended {
    /// The request's name in the log and in its answer's headers.
    pub id: String,
    pub route: &'static str,
    pub method: Method,
    /// Without its query; empty if no log is kept.
    pub path: String,
    pub elapsed: Duration,
    pub status: Option<StatusCode>,
    pub outcome: Outcome,
    pub first_token: Option<Duration>,
    pub done: Option<Box<Done>>,
    /// The attempts of a request that failed.
    pub failed_attempts: Vec<Attempt>,
    /// What went wrong, as a stable word, and the model that was asked, where there is an error.
    pub failure: Option<(&'static str, Option<String>)>,
}

impl Ended {
    /// Every attempt that was made, where there was more than one.
    pub fn attempts(&self) -> &[Attempt] {
        match &self.done {
            Some(done) => &done.attempts,
            None => &self.failed_attempts,
        }
    }
}
