//! The time limits of an answer that has begun.
//!
//! They count only while the host waits: a host that polls slowly is never taken for a service that is silent.

use std::time::{Duration, Instant};

use plugin_api::Error;

use crate::service::clock::{Clock, Due};

/// The time limits of an answer that has begun.
pub struct Limits {
    pub clock: Clock,
    /// From the beginning of the call to the first token.
    pub first_token: Duration,
    /// Since when the host has been waiting for the next piece.
    waiting_since: Option<Instant>,
    /// How long it has waited in all since the last data.
    waited_for_data: Duration,
}

impl Limits {
    /// The limits of an answer whose first token has just come.
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            first_token: clock.elapsed(),
            waiting_since: None,
            waited_for_data: Duration::ZERO,
        }
    }

    /// Something has arrived, with data in it or only as a sign of life.
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

    /// The next moment at which the answer is late, and what is to be said then.
    pub fn due(&self, waiting_since: Instant) -> Due {
        let progress_ms = self.clock.timeouts.progress_ms;
        let left = Duration::from_millis(progress_ms).saturating_sub(self.waited_for_data);
        let progress = Due {
            at: waiting_since + left,
            what: "the answer did not go on",
            limit_ms: progress_ms,
            option: "progressMs",
        };
        self.clock.idle(waiting_since).or(progress).or(self.clock.total())
    }

    /// The error of the total time, once it has passed: it holds also while there is always something to read.
    pub fn total_passed(&self) -> Option<Error> {
        let total = self.clock.total();
        (Instant::now() >= total.at).then(|| total.error())
    }

    /// Until when to wait for the next piece.
    pub fn wait(&mut self) -> Instant {
        let waiting_since = *self.waiting_since.get_or_insert_with(Instant::now);
        self.due(waiting_since).at
    }

    /// The error of having waited too long.
    pub fn late(&mut self) -> Error {
        let waiting_since = *self.waiting_since.get_or_insert_with(Instant::now);
        self.due(waiting_since).error()
    }

    /// The shortest time that can be too long.
    pub fn patience(&self) -> Duration {
        let now = Instant::now();
        self.due(now).at.saturating_duration_since(now)
    }
}
