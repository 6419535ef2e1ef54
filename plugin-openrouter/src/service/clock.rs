//! The timeouts of a call as deadlines.

use std::future::Future;
use std::time::{Duration, Instant};

use plugin_api::{Error, ErrorKind};

use crate::profile::policy::Timeouts;

/// The message of the total timeout, without its limit.
pub const INCOMPLETE: &str = "the answer was not complete";

/// When a call and its current attempt began, and their timeouts.
#[derive(Clone, Copy)]
pub struct Clock {
    pub timeouts: Timeouts,
    /// When the call began.
    pub begun: Instant,
    /// When the current attempt began.
    pub attempt: Instant,
}

/// A deadline, and the error for missing it.
#[derive(Clone, Copy)]
pub struct Due {
    pub at: Instant,
    /// The message, without the limit.
    pub what: &'static str,
    pub limit_ms: u64,
    /// The option under `timeouts` that sets the limit.
    pub option: &'static str,
}

impl Clock {
    /// The total timeout.
    pub fn total(&self) -> Due {
        due(self.begun, self.timeouts.total_ms, INCOMPLETE, "totalMs")
    }

    /// The first-token timeout.
    pub fn first_token(&self, what: &'static str) -> Due {
        due(self.attempt, self.timeouts.first_token_ms, what, "firstTokenMs")
    }

    /// The idle timeout, if the last data arrived at `since`.
    pub fn idle(&self, since: Instant) -> Due {
        due(since, self.timeouts.idle_ms, "the service sent nothing", "idleMs")
    }

    /// Time since the call began.
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Time until the total timeout.
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
    /// The earlier one of two deadlines.
    pub fn or(self, other: Self) -> Self {
        if other.at < self.at { other } else { self }
    }

    /// The error for missing the deadline.
    pub fn error(self) -> Error {
        let message = format!("{} within {} ms", self.what, self.limit_ms);
        let hint = format!(
            "raise `timeouts.{}` in the profile, or choose a faster model",
            self.option
        );
        Error::new(ErrorKind::TIMEOUT, message).with_hint(hint)
    }

    /// Waits for `work` until the deadline.
    pub async fn wait<T>(self, work: impl Future<Output = T>) -> Result<T, Error> {
        tokio::time::timeout_at(self.at.into(), work)
            .await
            .map_err(|_| self.error())
    }
}
