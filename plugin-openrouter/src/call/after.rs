//! After an attempt that failed: what is noted, what follows, and what the call ends with.
//!
//! The decision is [`crate::failure::retry`]'s; here it is carried out.

use std::time::{Duration, Instant};

use plugin_api::{Error, ErrorKind, Notice};

use crate::call::attempts::Call;
use crate::call::{advice, jitter};
use crate::failure;
use crate::failure::retry::{self, Class, Failed, Next, Situation};
use crate::request::Dialect;
use crate::values::time::{milliseconds, seconds};

impl Call {
    /// Notes an attempt that failed, and waits for what follows.
    ///
    /// - Errors: nothing follows; the failure is the outcome.
    pub(super) async fn after(&mut self, failed: Failed, tell: &mut (impl FnMut(Notice) + Send)) -> Result<(), Error> {
        let mut failed = failed;
        let is_told_to_wait = matches!(failed.error.details.status, Some(429 | 503));
        if self.ask.dialect == Dialect::Other
            && !self.ask.is_idempotent()
            && failed.class != Class::NeverProcessed
            && !is_told_to_wait
        {
            // Nobody knows what it would do a second time.
            failed.class = Class::Final;
        }
        self.note(&failed);
        self.bill.is_open = false;
        self.bill.n_unknown += u32::from(matches!(failed.class, Class::Ambiguous | Class::Answered));
        let next_window = self.next_window(&failed);
        let situation = Situation {
            retry: &self.settings.profile.options.retry,
            stream: self.stream || self.ask.is_idempotent(),
            has_more_models: !self.is_at_secondary && next_window < self.plan.models.len(),
            left: self.clock().left(),
            dice: jitter::throw(),
        };
        let next = retry::next(&failed, &mut self.tries, &situation);
        let affordable = retry::affordable_tokens(&failed.error)
            .filter(|_| self.settings.profile.options.retry.reduce_tokens && self.changes.max_tokens.is_none());
        let error = failed.error;
        if let Some(tokens) = affordable {
            self.changes.max_tokens = Some(tokens);
            let message = format!("the credit suffices for {tokens} tokens only, so no more are asked for");
            tell(self.notice("tokens_reduced", message, None));
            return Ok(());
        }
        if next == Next::GiveUp {
            let is_away = matches!(
                failed.class,
                Class::NeverProcessed | Class::Refused | Class::ServerFault
            ) && !failure::is_the_services_own(&error);
            if is_away && self.go_to_secondary(tell) {
                return Ok(());
            }
            let mut error = self.give_up(error);
            if !self.is_at_secondary {
                advice::suggest(&self.settings, &self.common, &mut error);
            }
            return Err(error);
        }
        let is_free = self.ask.is_for_something_new();
        let cost = if is_free {
            Some(0)
        } else {
            self.gate().pay(error.kind == ErrorKind::RATE_LIMIT)
        };
        let Some(cost) = cost else {
            tracing::warn!("no retry: too many calls have failed lately");
            return Err(self.give_up(error));
        };
        self.paid += cost;
        match next {
            Next::MoveOn => {
                let former = self.names();
                self.window = next_window;
                self.tries.move_on();
                let model = self.plan.window(self.window).first().map_or("", String::as_str);
                let message = format!("{former}: {}; `{model}` is asked next", error.message);
                tell(self.notice("fallback", message, None));
            }
            Next::Repeat(wait) => {
                let message = format!("{}: {}; trying again", self.names(), error.message);
                tell(self.notice("retry", message, Some(milliseconds(wait))));
                tokio::time::sleep(wait).await;
            }
            Next::GiveUp => {}
        }
        Ok(())
    }

    /// Where in the chain the models begin that are asked after this failure.
    pub(super) fn next_window(&self, failed: &Failed) -> usize {
        let models = self.plan.window(self.window);
        if failed.is_of_all_models {
            return self.window + models.len();
        }
        // The one that served is told, or else it is the one that was asked first.
        let served = failed.error.details.model.as_deref().unwrap_or_default();
        let at = models.iter().position(|model| model == served);
        let at = at.or_else(|| models.iter().position(|model| model == self.model()));
        self.window + at.unwrap_or(0) + 1
    }

    /// Remembers an attempt that failed, for the caller and for other calls.
    pub(super) fn note(&mut self, failed: &Failed) {
        let error = &failed.error;
        tracing::debug!(
            kind = error.kind.code(),
            status = error.details.status.unwrap_or(0),
            "refused"
        );
        let asked = if self.model().is_empty() {
            &self.ask.path
        } else {
            self.model()
        };
        let attempt = failure::attempt_of(error, asked.split('?').next().unwrap_or(asked));
        self.attempts.extend(error.details.attempts.iter().cloned());
        // The service's own list may end with this one.
        if error
            .details
            .attempts
            .last()
            .is_none_or(|last| last.status != attempt.status)
        {
            self.attempts.push(attempt);
        }
        if self.ask.dialect == Dialect::Other {
            // What another path is refused says nothing about chat.
            return;
        }
        let now = Instant::now();
        if let Some(wait) = error
            .retry_after_ms
            .filter(|_| matches!(error.details.status, Some(429 | 503)) || failed.class == Class::Refused)
        {
            let model = Some(self.model()).filter(|_| !retry::concerns_the_key(error));
            self.gate().hold(now, model, Duration::from_millis(wait));
        }
        match failed.class {
            Class::NeverProcessed | Class::Ambiguous => self.circuit_failed(now),
            _ if failure::is_the_services_own(error) => self.gate().answered(),
            Class::Refused | Class::ServerFault => self.circuit_failed(now),
            Class::Empty | Class::Answered | Class::Final => {}
        }
    }

    pub(super) fn circuit_failed(&self, now: Instant) {
        if let Some(rest) = self.gate().failed(now, self.attempt_begun) {
            let host = self.service().host();
            tracing::warn!(
                "{host} failed again and again, and is asked no more for {}",
                seconds(rest)
            );
        }
    }

    pub(super) fn notice(&self, code: &str, message: String, wait_ms: Option<u64>) -> Notice {
        Notice {
            attempt: self.attempts.last().cloned().map(Box::new),
            wait_ms,
            ..Notice::new(code, message)
        }
    }

    /// Says that another model answers than the one that was asked for, where the service chose it.
    pub(super) fn fallback_notice(&self, served: Option<&str>) -> Option<Notice> {
        let served = served?;
        let asked = self.models().first()?;
        // The service may add a date to an id, and leaves out a variant. One id may be the beginning of another.
        let base = |id: &str| {
            id.split(':')
                .next()
                .map_or(0, |base| if served.starts_with(base) { base.len() } else { 0 })
        };
        let serves = self
            .models()
            .iter()
            .max_by_key(|id| base(id))
            .filter(|id| base(id) > 0)?;
        if base(serves) == base(asked) {
            return None;
        }
        Some(Notice::new(
            "fallback",
            format!("`{asked}` could not answer, so `{served}` does"),
        ))
    }

    /// The outcome of a call that got no answer.
    pub(super) fn give_up(&mut self, mut error: Error) -> Error {
        if self.is_at_secondary && error.details.status.is_some() {
            error.message = format!("the second service, {}: {}", self.service().host(), error.message);
            error.details.hint = Some(match error.kind {
                ErrorKind::AUTH => "check the key in `OPENROUTER_SECONDARY_API_KEY`".to_owned(),
                ErrorKind::NOT_FOUND | ErrorKind::INVALID_REQUEST => {
                    "say what the model is called there, as `secondary.models` of the profile".to_owned()
                }
                _ => "the first service cannot be reached now either".to_owned(),
            });
        }
        error.details.model = error.details.model.or_else(|| self.models().first().cloned());
        error.details.attempts = std::mem::take(&mut self.attempts);
        if error.details.attempts.len() == 1 && error.details.attempts[0].code.as_deref() == Some(error.kind.code()) {
            // It tells no more than the error itself.
            error.details.attempts.clear();
        }
        error
    }
}
