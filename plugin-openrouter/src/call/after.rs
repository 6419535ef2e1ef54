//! After a failed attempt: records it, then retries, falls back or ends the call.
//!
//! [`crate::failure::retry`] decides; this module carries the decision out.

use std::time::{Duration, Instant, SystemTime};

use plugin_api::{About, Attempt, Error, ErrorKind, Notice};

use crate::call::attempts::Call;
use crate::call::{advice, jitter};
use crate::failure;
use crate::failure::refused_model::{Refused, refused_model};
use crate::failure::retry::{self, Class, Failed, Next, Scope, Situation};
use crate::request::Dialect;
use crate::values::model_id::is_free;
use crate::values::time::{milliseconds, seconds};

impl Call {
    /// Records a failed attempt and prepares the next one, waits included.
    ///
    /// - Errors: the outcome of the call, if there is no next attempt.
    pub(super) async fn after(
        &mut self,
        mut failed: Failed,
        report: &mut (impl FnMut(Notice) + Send),
    ) -> Result<(), Error> {
        failure::until_then(&mut failed.error, SystemTime::now());
        let must_wait = matches!(failed.error.details.status, Some(429 | 503));
        if self.ask.dialect == Dialect::Other
            && !self.ask.is_idempotent()
            && failed.class != Class::NeverProcessed
            && !must_wait
        {
            // A second request might repeat an effect.
            failed.class = Class::Final;
        }
        let scope = retry::scope(&failed.error, self.models());
        self.note(&failed, scope);
        self.bill.is_open = false;
        self.bill.n_unknown += u32::from(matches!(failed.class, Class::Ambiguous | Class::Answered));
        if self.leaves_out(&failed, report) || self.leaves_out_free_models(&failed, scope, report) {
            return Ok(());
        }
        let has_more_models = self.has_more_models(&failed);
        let next_window = self.next_window(&failed);
        let situation = Situation {
            retry: &self.retry(),
            stream: self.stream || self.ask.is_idempotent(),
            has_more_models,
            scope,
            left: self.clock().left(),
            dice: jitter::fraction(),
        };
        let next = retry::next(&failed, &mut self.tries, &situation);
        let affordable = retry::affordable_tokens(&failed.error)
            .filter(|_| self.settings.profile.options.retry.reduce_tokens && self.changes.max_tokens.is_none());
        let error = failed.error;
        if let Some(tokens) = affordable {
            self.changes.max_tokens = Some(tokens);
            let message = format!("the credit covers only {tokens} tokens; retrying with that limit");
            report(self.notice("tokens_reduced", message, None));
            return Ok(());
        }
        if next == Next::GiveUp {
            return self.end(failed.class, error, report);
        }
        let is_free = self.ask.is_for_something_new();
        let cost = if is_free {
            Some(0)
        } else {
            self.gate().pay(error.kind == ErrorKind::RATE_LIMIT)
        };
        let Some(cost) = cost else {
            tracing::warn!("no retry: too many recent calls have failed");
            return Err(self.give_up(error));
        };
        self.paid += cost;
        match next {
            Next::MoveOn => {
                let model = self.plan.window(next_window).first().map_or("", String::as_str);
                let message = format!("{}: {}; trying `{model}` next", self.names(), error.message);
                let left = self.plan.models.get(self.window..next_window).unwrap_or_default();
                let about = replaced(self.asked.iter().filter(|model| left.contains(model)), &self.attempts);
                report(self.notice("fallback", message, None).with_about(about));
                self.window = next_window;
                self.tries.move_on();
            }
            Next::Repeat(wait) => {
                let message = format!("{}: {}; trying again", self.names(), error.message);
                let about = About::attempts(self.tries.attempts + 1, self.retry().attempts);
                let notice = self.notice("retry", message, Some(milliseconds(wait)));
                report(notice.with_about(about));
                tokio::time::sleep(wait).await;
            }
            Next::GiveUp => {}
        }
        Ok(())
    }

    /// Ends a call that is not retried, unless the secondary service can take over.
    ///
    /// - Errors: the outcome of the call.
    fn end(&mut self, class: Class, error: Error, report: &mut impl FnMut(Notice)) -> Result<(), Error> {
        let is_unreachable = matches!(class, Class::NeverProcessed | Class::Refused | Class::ServerFault)
            && !failure::is_the_services_own(&error);
        if is_unreachable && self.go_to_secondary(report) {
            return Ok(());
        }
        let is_refused = refused_model(&error, self.models()).is_some();
        let last = self.model().to_owned();
        let mut error = self.give_up(error);
        if is_refused && !self.left_out.is_empty() {
            error = none_available(&self.left_out, &last, error);
        } else if !self.is_at_secondary {
            advice::suggest(&self.settings, &self.common, self.ask.dialect, &mut error);
        }
        Err(error)
    }

    /// Whether the fallback chain has models for another attempt after this failure.
    pub(super) fn has_more_models(&self, failed: &Failed) -> bool {
        !self.is_at_secondary && self.next_window(failed) < self.plan.models.len()
    }

    /// Leaves a model out that the service refuses to know or to serve, so that the others can still answer.
    ///
    /// The request was refused unread, so this costs no retry.
    fn leaves_out(&mut self, failed: &Failed, report: &mut impl FnMut(Notice)) -> bool {
        if self.is_at_secondary || self.plan.models.len() < 2 {
            return false;
        }
        let at = match refused_model(&failed.error, self.models()) {
            None => return false,
            Some(Refused::Unnamed) => {
                self.plan.is_one_by_one = true;
                return true;
            }
            Some(Refused::One(at)) => at,
        };
        let id = self.asked[at].clone();
        self.plan.models.retain(|model| *model != id);
        self.left_out.push(id.clone());
        if self.plan.window(self.window).is_empty() {
            // All that is left was tried before.
            return false;
        }
        let next = self.plan.window(self.window).first().map_or("", String::as_str);
        let message = if at == 0 {
            format!("`{id}`: {}; trying `{next}` next", failed.error.message)
        } else {
            format!("`{id}` is left out: {}", failed.error.message)
        };
        // Only the first model is replaced by another one.
        report(if at == 0 {
            let about = replaced([&id], &self.attempts);
            self.notice("fallback", message, None).with_about(about)
        } else {
            self.notice("model_left_out", message, None)
        });
        true
    }

    /// Leaves the free models of a request out if their common limit refused it, so that the others can still answer.
    fn leaves_out_free_models(&mut self, failed: &Failed, scope: Scope, report: &mut impl FnMut(Notice)) -> bool {
        let Some(next) = self.models().iter().find(|model| !is_free(model)).cloned() else {
            return false;
        };
        let has_free = self.models().iter().any(|model| is_free(model));
        if scope != Scope::FreeModels || !has_free || self.is_at_secondary {
            return false;
        }
        let message = format!("{}: {}; trying `{next}` next", self.names(), failed.error.message);
        let about = replaced(self.models().iter().filter(|model| is_free(model)), &self.attempts);
        let rest = self.plan.models.split_off(self.window);
        self.plan
            .models
            .extend(rest.into_iter().filter(|model| !is_free(model)));
        report(self.notice("fallback", message, None).with_about(about));
        true
    }

    /// Where the window after this failure begins in the fallback chain.
    fn next_window(&self, failed: &Failed) -> usize {
        let models = self.plan.window(self.window);
        if failed.is_of_all_models {
            return self.window + models.len();
        }
        // Without a report of the model that served, it was the first one.
        let served = failed.error.details.model.as_deref().unwrap_or_default();
        let at = models.iter().position(|model| model == served);
        let at = at.or_else(|| models.iter().position(|model| model == self.model()));
        self.window + at.unwrap_or(0) + 1
    }

    /// Records a failed attempt, for the caller and for other calls.
    fn note(&mut self, failed: &Failed, scope: Scope) {
        let error = &failed.error;
        tracing::debug!(
            kind = error.kind.code(),
            status = error.details.status.unwrap_or(0),
            "attempt failed"
        );
        let asked = if self.model().is_empty() {
            &self.ask.path
        } else {
            self.model()
        };
        let attempt = failure::attempt_of(error, asked.split('?').next().unwrap_or(asked));
        self.attempts.extend(error.details.attempts.iter().cloned());
        // The service's own list may already end with this attempt.
        if error
            .details
            .attempts
            .last()
            .is_none_or(|last| last.status != attempt.status)
        {
            self.attempts.push(attempt);
        }
        if self.ask.dialect == Dialect::Other {
            // A failure on another path says nothing about chat.
            return;
        }
        let now = Instant::now();
        if let Some(wait) = error
            .retry_after_ms
            .filter(|_| matches!(error.details.status, Some(429 | 503)) || failed.class == Class::Refused)
        {
            self.gate().hold(now, scope, self.model(), Duration::from_millis(wait));
        }
        match failed.class {
            Class::NeverProcessed | Class::Ambiguous => self.circuit_failed(now),
            _ if failure::is_the_services_own(error) => self.gate().answered(),
            Class::Refused | Class::ServerFault => self.circuit_failed(now),
            Class::Empty | Class::Answered | Class::Final => {}
        }
    }

    fn circuit_failed(&self, now: Instant) {
        if let Some(rest) = self.gate().failed(now, self.attempt_begun) {
            tracing::warn!("{}", self.keeps_failing(rest));
        }
    }

    /// The message for a service whose circuit breaker stays open for `rest`.
    pub(super) fn keeps_failing(&self, rest: Duration) -> String {
        let host = self.service().host();
        format!(
            "{host} keeps failing; no requests are sent to it for another {}",
            seconds(rest)
        )
    }

    fn notice(&self, code: &str, message: String, wait_ms: Option<u64>) -> Notice {
        Notice {
            attempt: self.attempts.last().cloned().map(Box::new),
            wait_ms,
            ..Notice::new(code, message)
        }
    }

    /// What to tell about the models that the service passed over to choose `served`; `None` if it chose the first one.
    pub(super) fn passed_over(&self, served: Option<&str>) -> Option<PassedOver> {
        let served = served?;
        let models = self.models();
        // The service may append a date to an id, and omits the variant. One id may be a prefix of another.
        let likeness = |id: &str| {
            let base = id.split(':').next().unwrap_or(id);
            if served.starts_with(base) { base.len() } else { 0 }
        };
        let most = models.iter().map(|id| likeness(id)).max().filter(|most| *most > 0)?;
        let at = models.iter().position(|id| likeness(id) == most)?;
        (at > 0).then(|| PassedOver {
            models: models[..at].to_vec(),
            served: served.to_owned(),
        })
    }

    /// Completes the error of a call that got no answer.
    pub(super) fn give_up(&mut self, mut error: Error) -> Error {
        if self.is_at_secondary && error.details.status.is_some() {
            error.message = format!("the secondary service, {}: {}", self.service().host(), error.message);
            error.details.hint = Some(match error.kind {
                ErrorKind::AUTH => "check the key in `OPENROUTER_SECONDARY_API_KEY`".to_owned(),
                ErrorKind::NOT_FOUND | ErrorKind::INVALID_REQUEST => {
                    "map the model to its name there in `secondary.models` of the profile".to_owned()
                }
                _ => "try again later; the primary service cannot be reached either".to_owned(),
            });
        }
        error.details.model = error.details.model.or_else(|| self.models().first().cloned());
        error.details.attempts = std::mem::take(&mut self.attempts);
        if error.details.attempts.len() == 1 && error.details.attempts[0].code.as_deref() == Some(error.kind.code()) {
            // The attempt holds no more than the error itself.
            error.details.attempts.clear();
        }
        error
    }
}

/// The models that the service passed over inside one request.
#[derive(Clone)]
pub struct PassedOver {
    models: Vec<String>,
    served: String,
}

impl PassedOver {
    /// The notice for the caller.
    ///
    /// - In: the attempts that the service reports, if it does.
    pub fn notice(&self, attempts: &[Attempt]) -> Notice {
        let about = replaced(&self.models, attempts);
        let failed = about.passed_over.iter().map(|attempt| match why(attempt) {
            Some(why) => format!("`{}` ({why})", attempt.model),
            None => format!("`{}`", attempt.model),
        });
        let failed: Vec<String> = failed.collect();
        let message = format!(
            "{} could not answer; `{}` answers instead",
            failed.join(", "),
            self.served
        );
        Notice::new("fallback", message).with_about(about)
    }

    /// The notice for the end of a stream, whose first notice could not name the reasons; `None` if they are unknown.
    pub fn reasons(&self, attempts: &[Attempt]) -> Option<Notice> {
        let about = replaced(&self.models, attempts);
        about.passed_over.iter().find_map(why)?;
        Some(Notice {
            code: "fallback_reason".to_owned(),
            ..self.notice(attempts)
        })
    }
}

/// The models that another one replaces, each with its last failed attempt, if it is known.
fn replaced<'a>(models: impl IntoIterator<Item = &'a String>, attempts: &[Attempt]) -> About {
    let passed_over = models.into_iter().map(|model| {
        let base = model.split(':').next().unwrap_or(model);
        let is_its = |attempt: &&Attempt| attempt.model.starts_with(base) && attempt.status != Some(200);
        let mut attempt = attempts.iter().rfind(is_its).cloned().unwrap_or_default();
        attempt.model.clone_from(model);
        let code = attempt
            .status
            .map(|status| failure::meaning_of_status(status).0.code().to_owned());
        attempt.code = attempt.code.or(code);
        attempt
    });
    About::passed_over(passed_over)
}

/// Why a model did not answer, if that is known.
fn why(attempt: &Attempt) -> Option<String> {
    let reason = attempt.reason.clone().filter(|reason| !reason.is_empty());
    let known = || attempt.status.and_then(failure::sentence_of_status).map(str::to_owned);
    match (attempt.status, reason.or_else(known)) {
        (Some(status), Some(reason)) => Some(format!("{status}: {}", reason.trim_end_matches('.'))),
        (Some(status), None) => Some(status.to_string()),
        (None, reason) => reason,
    }
}

/// The error of a chain whose models the service all refuses.
fn none_available(left_out: &[String], last: &str, error: Error) -> Error {
    let others = left_out.iter().map(String::as_str).filter(|id| *id != last);
    let ids: Vec<String> = others.chain([last]).map(|id| format!("`{id}`")).collect();
    Error {
        kind: ErrorKind::NOT_FOUND,
        message: format!("none of {} can be asked; the last: {}", ids.join(", "), error.message),
        ..error
    }
    .with_hint("look the ids up at https://openrouter.ai/models, and correct the fallback chain")
}
