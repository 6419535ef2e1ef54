//! Before an attempt: chooses the models that are not rate-limited, and waits until the attempt may begin.
//!
//! [`crate::service::gate`] keeps the Retry-After waits, the limit on requests per minute and the circuit breaker.
//! This module waits for them, or returns an error that names them.

use std::time::{Duration, Instant};

use plugin_api::{About, Attempt, Error, ErrorKind, Notice};

use crate::call::attempts::Call;
use crate::call::jitter;
use crate::service::gate::Pass;
use crate::values::time::{milliseconds, seconds};

impl Call {
    /// Chooses the models of the current window that are not rate-limited; if all are, those of the next window.
    ///
    /// - Out: how long to wait for the first model that becomes free, if those of every window are rate-limited.
    fn choose(&mut self, report: &mut impl FnMut(Notice)) -> Option<Duration> {
        let now = Instant::now();
        let mut passed_over: Vec<String> = Vec::new();
        let mut soonest: Option<(Duration, String)> = None;
        let mut at = self.window;
        loop {
            let window = self.plan.window(at);
            // The secondary service takes one model, not a list.
            let window = if self.is_at_secondary {
                &window[..window.len().min(1)]
            } else {
                window
            };
            let mut free = Vec::new();
            for model in window {
                match self.gate().held(now, model) {
                    None => free.push(model.clone()),
                    Some(wait) => {
                        if soonest.as_ref().is_none_or(|(least, _)| wait < *least) {
                            soonest = Some((wait, model.clone()));
                        }
                        if free.is_empty() {
                            passed_over.push(model.clone());
                        }
                    }
                }
            }
            let next = at + window.len();
            if !free.is_empty() || window.is_empty() {
                if at != self.window {
                    self.window = at;
                    self.tries.move_on();
                }
                self.asked = free;
                self.report_held(passed_over, report);
                return None;
            }
            if self.is_at_secondary || next >= self.plan.models.len() {
                // The window stays, so that each of its models is looked at again after the wait.
                let (wait, model) = soonest?;
                self.asked = vec![model];
                return Some(wait);
            }
            at = next;
        }
    }

    /// Reports the rate-limited models before the one that is asked, each once in a call.
    fn report_held(&mut self, mut held: Vec<String>, report: &mut impl FnMut(Notice)) {
        held.retain(|model| !self.reported_held.contains(model));
        if held.is_empty() {
            return;
        }
        let named: Vec<String> = held.iter().map(|model| format!("`{model}`")).collect();
        let verb = if named.len() == 1 { "is" } else { "are" };
        let message = format!(
            "{} {verb} rate-limited; trying `{}` instead",
            named.join(", "),
            self.model()
        );
        let passed_over = held.iter().map(|model| Attempt {
            model: model.clone(),
            code: Some(ErrorKind::RATE_LIMIT.code().to_owned()),
            ..Attempt::default()
        });
        let about = About::passed_over(passed_over);
        self.reported_held.append(&mut held);
        report(Notice::new("fallback", message).with_about(about));
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
