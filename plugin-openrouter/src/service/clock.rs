//! The time limits of a call: when it began, and by when what must have happened.

use std::future::Future;
use std::time::{Duration, Instant};

use plugin_api::{Error, ErrorKind};

use crate::profile::policy::Timeouts;

/// What is said when the total time has passed.
pub const INCOMPLETE: &str = "the answer was not complete";

/// When a call and its present attempt began, and how long each may take.
#[derive(Clone, Copy)]
pub struct Clock {
    pub timeouts: Timeouts,
    /// When the call began.
    pub begun: Instant,
    /// When the attempt began.
    pub attempt: Instant,
}

/// A moment by which something must have happened, and what is said if it has not.
#[derive(Clone, Copy)]
pub struct Due {
    pub at: Instant,
    pub what: &'static str,
    pub limit_ms: u64,
    /// The option that sets the limit.
    pub option: &'static str,
}

impl Clock {
    /// The end of the time for the whole call.
    pub fn total(&self) -> Due {
        due(self.begun, self.timeouts.total_ms, INCOMPLETE, "totalMs")
    }

    /// The end of the time for the first token.
    pub fn first_token(&self, what: &'static str) -> Due {
        due(self.attempt, self.timeouts.first_token_ms, what, "firstTokenMs")
    }

    /// The end of the silence that began at `since`.
    pub fn idle(&self, since: Instant) -> Due {
        due(since, self.timeouts.idle_ms, "the service sent nothing", "idleMs")
    }

    /// Since the beginning of the call.
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// What is left of the time for the whole call.
    pub fn left(&self) -> Duration {
        self.total().at.saturating_duration_since(Instant::now())
    }
}

fn due(since: Instant, limit_ms: u64, what: &'static str, option: &'static str) -> Due {
    Due {
        at: since + Duration::from_millis(limit_ms),
        what,
        limit_ms,
        option,
    }
}

impl Due {
    /// The earlier one.
    pub fn or(self, other: Self) -> Self {
        if other.at < self.at { other } else { self }
    }

    /// The error of being late.
    pub fn error(self) -> Error {
        timed_out(self.what, Duration::from_millis(self.limit_ms), self.option)
    }

    /// Waits for `work` until then.
    pub async fn wait<T>(self, work: impl Future<Output = T>) -> Result<T, Error> {
        tokio::time::timeout_at(self.at.into(), work)
            .await
            .map_err(|_| self.error())
    }
}

/// The error of a time limit.
fn timed_out(what: &str, limit: Duration, option: &str) -> Error {
    let message = format!("{what} within {} ms", limit.as_millis());
    Error::new(ErrorKind::TIMEOUT, message).with_hint(format!(
        "the limit is `timeouts.{option}` of the profile; another model may be faster"
    ))
}
