//! The state of one call, from the request until its answer begins.
//!
//! Everything here runs on the runtime's thread.
//! A call waits for its turn, asks the models of its fallback chain in windows, and lets [`crate::failure::retry`]
//! decide what follows each failure.

use std::sync::Arc;
use std::time::Instant;

use plugin_api::{Attempt, Error};
use tokio::sync::OwnedSemaphorePermit;

use crate::call::closing::{Bill, Closing};
use crate::call::{Common, advice, jitter, turn};
use crate::failure::retry::Tries;
use crate::profile::policy::Retry;
use crate::request::body::Changes;
use crate::request::plan::plan;
use crate::request::{Ask, Plan};
use crate::service::clock::Clock;
use crate::service::gate::Gate;
use crate::service::{Service, Settings};

/// A call whose answer has not begun.
pub(super) struct Call {
    pub(super) settings: Arc<Settings>,
    pub(super) common: Arc<Common>,
    pub(super) ask: Ask,
    pub(super) stream: bool,
    pub(super) plan: Plan,
    pub(super) changes: Changes,
    pub(super) begun: Instant,
    /// When the current attempt began.
    pub(super) attempt_begun: Instant,
    /// Where the current window begins in the fallback chain.
    pub(super) window: usize,
    /// The models of the window that are not rate-limited.
    pub(super) asked: Vec<String>,
    /// The rate-limited models that were already reported as passed over.
    pub(super) reported_held: Vec<String>,
    /// Models of the chain that the service refuses to know or to serve.
    pub(super) left_out: Vec<String>,
    pub(super) is_at_secondary: bool,
    pub(super) tries: Tries,
    /// The failed attempts.
    pub(super) attempts: Vec<Attempt>,
    /// What its retries took from the retry budget.
    pub(super) paid: u32,
    pub(super) bill: Bill,
    pub(super) permit: OwnedSemaphorePermit,
}

impl Call {
    /// Plans a call and waits for its turn.
    ///
    /// - Errors: `invalid_request`, `auth` without a key, `spend_limit`, `overloaded`, `timeout`.
    pub(super) async fn begin(
        settings: Arc<Settings>,
        common: Arc<Common>,
        mut ask: Ask,
        stream: bool,
    ) -> Result<Self, Error> {
        let begun = Instant::now();
        settings.key()?;
        ask.place = jitter::fraction();
        let mut plan = plan(&settings.profile, &ask, None)?;
        let clock = Clock {
            timeouts: settings.profile.options.timeouts,
            begun,
            attempt: begun,
        };
        advice::advise(&settings, &common, &ask, &mut plan, clock).await?;
        plan.notices.extend(common.account.credits().low_balance());
        let permit = turn::permit(&settings, clock).await?;
        let counts_byok = settings
            .profile
            .options
            .budget
            .as_ref()
            .is_some_and(|budget| !budget.ignore_byok);
        let mut reservation = None;
        if settings.profile.options.budget.is_some() && !plan.models.is_empty() {
            let budget = turn::within_budget(&settings, &common, &ask, plan);
            (plan, reservation) = clock.total().wait(budget).await??;
        }
        Ok(Self {
            settings,
            common,
            ask,
            stream,
            plan,
            changes: Changes::default(),
            begun,
            attempt_begun: begun,
            window: 0,
            asked: Vec::new(),
            reported_held: Vec::new(),
            left_out: Vec::new(),
            is_at_secondary: false,
            tries: Tries::default(),
            attempts: Vec::new(),
            paid: 0,
            bill: Bill {
                reservation,
                counts_byok,
                is_open: false,
                n_unknown: 0,
            },
            permit,
        })
    }

    /// How often it is retried.
    pub(super) fn retry(&self) -> Retry {
        let retry = self.settings.profile.options.retry;
        let attempts = retry.attempts.min(self.ask.max_attempts.unwrap_or(u64::MAX));
        Retry { attempts, ..retry }
    }

    pub(super) fn clock(&self) -> Clock {
        Clock {
            timeouts: self.settings.profile.options.timeouts,
            begun: self.begun,
            attempt: self.attempt_begun,
        }
    }

    pub(super) fn service(&self) -> &Service {
        match &self.settings.secondary {
            Some(secondary) if self.is_at_secondary => secondary,
            _ => &self.settings.service,
        }
    }

    pub(super) fn gate(&self) -> &Gate {
        &self.service().gate
    }

    /// The models of the current attempt.
    pub(super) fn models(&self) -> &[String] {
        &self.asked
    }

    /// The first model of the current attempt.
    pub(super) fn model(&self) -> &str {
        self.asked.first().map_or("", String::as_str)
    }

    /// The models of the current attempt, for messages.
    pub(super) fn names(&self) -> String {
        match self.asked.len() {
            0 => format!("`{}`", self.ask.path.split('?').next().unwrap_or_default()),
            1 => format!("`{}`", self.model()),
            n_models => format!("`{}` and its {} fallbacks", self.model(), n_models - 1),
        }
    }

    /// Hands over what is needed when the answer ends.
    pub(super) fn closing(self) -> Closing {
        Closing {
            gate: Arc::clone(&self.service().gate),
            common: self.common,
            is_of_the_account: !self.is_at_secondary,
            arm: self.plan.arm,
            attempts: self.attempts,
            paid: self.paid,
            bill: self.bill,
            permit: self.permit,
        }
    }
}
