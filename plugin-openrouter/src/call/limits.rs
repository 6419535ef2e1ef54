//! The time limits of an answer that has begun.
//!
//! In: when the host waits and when data arrives. Out: the next deadline and its error.
//! Time counts only while the host waits, so a host that polls slowly never causes an idle timeout.

use std::time::{Duration, Instant};

use plugin_api::Error;

use crate::service::clock::{Clock, Due};

/// The time limits of an answer that has begun.
pub struct Limits {
    pub clock: Clock,
    /// Time to the first token, from the beginning of the call.
    pub first_token: Duration,
    /// When the host began to wait for the next piece.
    waiting_since: Option<Instant>,
    /// Total time that it has waited since the last data.
    waited_for_data: Duration,
}

impl Limits {
    /// Starts the limits when the first token has arrived.
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            first_token: clock.elapsed(),
            waiting_since: None,
            waited_for_data: Duration::ZERO,
        }
    }

    /// Notes that something has arrived, data or only a keep-alive comment.
    pub fn heard(&mut self, is_data: bool) {
        let waited = self
            .waiting_since
            .take()
            .map_or(Duration::ZERO, |since| since.elapsed());
        self.waited_for_data = if is_data {
            Duration::ZERO
        } else {
            self.waited_for_data + waited
        };
    }

    /// The next deadline, and its error.
    pub fn due(&self, waiting_since: Instant) -> Due {
        let progress_ms = self.clock.timeouts.progress_ms;
        let left = Duration::from_millis(progress_ms).saturating_sub(self.waited_for_data);
        let progress = Due {
            at: waiting_since + left,
            what: "the answer made no progress",
            limit_ms: progress_ms,
            option: "progressMs",
        };
        self.clock.idle(waiting_since).or(progress).or(self.clock.total())
    }

    /// The error of the total timeout, once it has passed; checked even while there is always something to read.
    pub fn total_passed(&self) -> Option<Error> {
        let total = self.clock.total();
        (Instant::now() >= total.at).then(|| total.error())
    }

    /// Until when to wait for the next piece.
    pub fn wait(&mut self) -> Instant {
        let waiting_since = *self.waiting_since.get_or_insert_with(Instant::now);
        self.due(waiting_since).at
    }

    /// The error of the deadline that has passed.
    pub fn late(&mut self) -> Error {
        let waiting_since = *self.waiting_since.get_or_insert_with(Instant::now);
        self.due(waiting_since).error()
    }

    /// The time until the earliest deadline.
    pub fn patience(&self) -> Duration {
        let now = Instant::now();
        self.due(now).at.saturating_duration_since(now)
    }
}
