//! Before an attempt: which models may be asked now, and how long to wait until one may.
//!
//! Waits that the service asked for, the limit on requests per minute and the circuit breaker are kept by
//! [`crate::service::gate`]; here they are waited for, or become the error that names them.

use std::time::{Duration, Instant};

use plugin_api::{Error, ErrorKind, Notice};

use crate::call::attempts::Call;
use crate::call::jitter;
use crate::service::gate::Pass;
use crate::values::time::{milliseconds, seconds};

impl Call {
    /// Chooses the models of the present window that may be asked now; where none of them may, those of the next.
    ///
    /// - Out: how long to wait, if there is none at all: providers asked for it.
    pub(super) fn choose(&mut self, tell: &mut impl FnMut(Notice)) -> Option<Duration> {
        let now = Instant::now();
        loop {
            let window = self.plan.window(self.window);
            // Only this service understands a list.
            let window = if self.is_at_secondary {
                &window[..window.len().min(1)]
            } else {
                window
            };
            let held = |model: &String| self.gate().held(now, model);
            let free: Vec<String> = window.iter().filter(|model| held(model).is_none()).cloned().collect();
            let wait = window.iter().filter_map(held).min();
            let first = window.first().cloned().unwrap_or_default();
            if let Some(next) = free.first() {
                if *next != first {
                    let message = format!("`{first}` may not be asked yet, so `{next}` is");
                    tell(Notice::new("fallback", message));
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
    /// - Errors: the wait is longer than may be waited; the service is being left alone.
    pub(super) async fn pass(&mut self, tell: &mut (impl FnMut(Notice) + Send)) -> Result<(), Error> {
        let longest = Duration::from_millis(self.settings.profile.options.retry.max_wait_ms);
        let mut per_minute = self.settings.profile.options.limits.requests_per_minute;
        let mut n_waits = 0;
        loop {
            let left = self.clock().left();
            if left.is_zero() {
                let late = self.clock().total().error();
                return Err(self.give_up(late));
            }
            let (wait, whose) = match self.choose(tell) {
                Some(wait) => (wait, format!("`{}` may not be asked", self.model())),
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
                    Pass::Resting(_) if self.go_to_secondary(tell) => continue,
                    Pass::Resting(rest) => {
                        let host = self.service().host();
                        let rests = format!(
                            "{host} failed again and again, and is asked no more for {}",
                            seconds(rest)
                        );
                        let error = Error::new(ErrorKind::UNAVAILABLE, rests)
                            .with_hint("wait, or name a second service as `secondary` in the profile");
                        return Err(self.give_up(after_a_wait(error, rest)));
                    }
                    Pass::TurnTooLate(wait) => {
                        let late = format!(
                            "its turn among the requests of this minute would come in {} only",
                            seconds(wait)
                        );
                        let error = Error::new(ErrorKind::RATE_LIMIT, late)
                            .with_hint("ask less often, or raise `limits.requestsPerMinute` in the profile");
                        return Err(self.give_up(after_a_wait(error, wait)));
                    }
                    Pass::Wait(wait) => (wait, "this key may not be used".to_owned()),
                },
            };
            // What is refused anew to others after each wait would be refused to this one as well.
            n_waits += 1;
            let is_refused_again = n_waits > self.settings.profile.options.retry.attempts;
            if wait > longest || wait >= left || is_refused_again {
                let error = Error::new(ErrorKind::RATE_LIMIT, format!("{whose} for another {}", seconds(wait)))
                    .with_hint("wait, or ask less often: the service asks for it");
                return Err(self.give_up(after_a_wait(error, wait)));
            }
            // A little more, so that the calls of a process do not all come back in the same moment.
            let spread = wait.mul_f64(0.1 * jitter::throw()).min(Duration::from_secs(1));
            tokio::time::sleep((wait + spread).min(left)).await;
        }
    }
}

fn after_a_wait(mut error: Error, wait: Duration) -> Error {
    error.retry_after_ms = Some(milliseconds(wait));
    error
}
