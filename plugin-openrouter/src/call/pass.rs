//! Before an attempt: chooses the models that are not rate-limited, and waits until the attempt may begin.
//!
//! [`crate::service::gate`] keeps the Retry-After waits, the limit on requests per minute and the circuit breaker.
//! This module waits for them, or returns an error that names them.

use std::time::{Duration, Instant};

use plugin_api::{Error, ErrorKind, Notice};

use crate::call::attempts::Call;
use crate::call::jitter;
use crate::service::gate::Pass;
use crate::values::time::{milliseconds, seconds};

impl Call {
    /// Chooses the models of the current window that are not rate-limited; if all are, those of the next window.
    ///
    /// - Out: how long to wait, if the models of every window are rate-limited.
    fn choose(&mut self, report: &mut impl FnMut(Notice)) -> Option<Duration> {
        let now = Instant::now();
        let mut passed_over: Vec<String> = Vec::new();
        loop {
            let window = self.plan.window(self.window);
            // The secondary service takes one model, not a list.
            let window = if self.is_at_secondary {
                &window[..window.len().min(1)]
            } else {
                window
            };
            let held = |model: &String| self.gate().held(now, model);
            let free: Vec<String> = window.iter().filter(|model| held(model).is_none()).cloned().collect();
            let wait = window.iter().filter_map(held).min();
            let before = window.iter().take_while(|model| free.first() != Some(*model));
            passed_over.extend(before.map(|model| format!("`{model}`")));
            if let Some(next) = free.first() {
                if !passed_over.is_empty() {
                    let verb = if passed_over.len() == 1 { "is" } else { "are" };
                    let message = format!(
                        "{} {verb} rate-limited; trying `{next}` instead",
                        passed_over.join(", ")
                    );
                    report(Notice::new("fallback", message));
                }
                self.asked = free;
                return None;
            }
            let next = self.window + window.len();
            if wait.is_none() || self.is_at_secondary || next >= self.plan.models.len() {
                self.asked = window.to_vec();
                return wait;
            }
            self.window = next;
            self.tries.move_on();
        }
    }

    /// Waits until an attempt may begin.
    ///
    /// - Errors: `timeout`; `rate_limit` for a wait that is too long; `unavailable` while the circuit breaker is open.
    pub(super) async fn pass(&mut self, report: &mut (impl FnMut(Notice) + Send)) -> Result<(), Error> {
        let longest = Duration::from_millis(self.settings.profile.options.retry.max_wait_ms);
        let mut per_minute = self.settings.profile.options.limits.requests_per_minute;
        let mut n_waits = 0;
        loop {
            let left = self.clock().left();
            if left.is_zero() {
                let late = self.clock().total().error();
                return Err(self.give_up(late));
            }
            let (wait, limited) = match self.choose(report) {
                Some(wait) => (wait, format!("`{}` is rate-limited", self.model())),
                None => match self.gate().pass(Instant::now(), per_minute, left) {
                    Pass::Go => {
                        self.attempt_begun = Instant::now();
                        return Ok(());
                    }
                    Pass::Turn(wait) => {
                        per_minute = None;
                        tokio::time::sleep(wait).await;
                        continue;
                    }
                    Pass::Open(_) if self.go_to_secondary(report) => continue,
                    Pass::Open(rest) => {
                        let error = Error::new(ErrorKind::UNAVAILABLE, self.keeps_failing(rest))
                            .with_hint("wait, or configure a `secondary` service in the profile");
                        return Err(self.give_up(after_a_wait(error, rest)));
                    }
                    Pass::TurnTooLate(wait) => {
                        let late = format!("`limits.requestsPerMinute` is used up for another {}", seconds(wait));
                        let error = Error::new(ErrorKind::RATE_LIMIT, late)
                            .with_hint("send fewer requests, or raise `limits.requestsPerMinute` in the profile");
                        return Err(self.give_up(after_a_wait(error, wait)));
                    }
                    Pass::Wait(wait) => (wait, "this key is rate-limited".to_owned()),
                },
            };
            // If other calls are refused after each wait, this one would be too.
            n_waits += 1;
            let is_refused_again = n_waits > self.retry().attempts;
            if wait > longest || wait >= left || is_refused_again {
                let error = Error::new(
                    ErrorKind::RATE_LIMIT,
                    format!("{limited} for another {}", seconds(wait)),
                )
                .with_hint("wait, or send fewer requests");
                return Err(self.give_up(after_a_wait(error, wait)));
            }
            // Jitter, so that the calls of a process do not all resume at the same moment.
            let spread = wait.mul_f64(0.1 * jitter::fraction()).min(Duration::from_secs(1));
            tokio::time::sleep((wait + spread).min(left)).await;
        }
    }
}

fn after_a_wait(mut error: Error, wait: Duration) -> Error {
    error.retry_after_ms = Some(milliseconds(wait));
    error
}
