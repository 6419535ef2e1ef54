//! After a call: completes its `Done`, books its cost and returns its permit.
//!
//! In: how the answer ended. Out: the `Done` or the error that the host gets. Dropping a bill settles it too.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use plugin_api::{Attempt, Done, Error, Usage};
use tokio::sync::OwnedSemaphorePermit;

use crate::call::Common;
use crate::failure;
use crate::money::budget;
use crate::service::gate::Gate;
use crate::values::time::milliseconds;

/// What is needed when an answer ends.
pub struct Closing {
    /// The gate of the service that answers.
    pub gate: Arc<Gate>,
    pub common: Arc<Common>,
    /// Whether the answer is billed to the account whose balance is known.
    pub is_of_the_account: bool,
    /// The model of a split tier that the call was given to.
    pub arm: Option<String>,
    /// The failed attempts.
    pub attempts: Vec<Attempt>,
    /// What the retries took from the retry budget.
    pub paid: u32,
    pub bill: Bill,
    /// Released when the answer ends or is dropped.
    pub permit: OwnedSemaphorePermit,
}

impl Closing {
    /// Completes the `Done` or the error, books the cost, and refunds the retry budget.
    ///
    /// - In: how the answer ended, and the usage that it reported if it failed; the time to the first token and the total
    ///   time, both from the beginning of the call.
    pub fn close(
        mut self,
        end: Result<Done, Error>,
        of_failed: Option<Usage>,
        first_token: Option<Duration>,
        took: Duration,
    ) -> Result<Done, Error> {
        let usage = end.as_ref().ok().map_or(of_failed.as_ref(), |done| done.usage.as_ref());
        let billed = usage.and_then(|usage| usage.cost_usd.as_deref());
        if let Some(cost) = billed.filter(|_| self.is_of_the_account) {
            self.common.account.credits().billed(cost);
        }
        if let Some(reservation) = self.bill.reservation.take() {
            let spent = usage.and_then(|usage| budget::spent(usage, self.bill.counts_byok));
            reservation.settle(spent.as_deref(), self.bill.n_unknown);
        }
        let mut done = match end {
            Ok(done) => done,
            Err(mut error) => {
                failure::until_then(&mut error, SystemTime::now());
                error.details.arm = self.arm;
                error.details.usage = of_failed.map(Box::new);
                if !self.attempts.is_empty() {
                    self.attempts.push(failure::attempt_of(&error, ""));
                    error.details.attempts = self.attempts;
                }
                return Err(error);
            }
        };
        self.gate.refund(self.paid);
        drop(self.permit);
        let served = if done.attempts.is_empty() && !self.attempts.is_empty() {
            let model = done.model.clone().or_else(|| done.requested_model.clone());
            vec![Attempt {
                model: model.unwrap_or_default(),
                provider: done.provider.clone(),
                status: Some(200),
                ..Attempt::default()
            }]
        } else {
            std::mem::take(&mut done.attempts)
        };
        done.attempts = self.attempts;
        done.attempts.extend(served);
        done.arm = self.arm;
        done.duration_ms = milliseconds(took);
        done.time_to_first_token_ms = first_token.map(milliseconds);
        Ok(done)
    }
}

/// The reserved cost of a call, until the actual cost is known.
pub struct Bill {
    pub reservation: Option<budget::Reservation>,
    /// Whether what a provider charges for a key of the caller's own counts.
    pub counts_byok: bool,
    /// Whether an attempt is in progress whose cost is unknown.
    pub is_open: bool,
    /// Number of earlier attempts that may have been billed, at an unknown cost.
    pub n_unknown: u32,
}

impl Drop for Bill {
    fn drop(&mut self) {
        if let Some(reservation) = self.reservation.take() {
            match (self.is_open, self.n_unknown) {
                (true, n_unknown) => reservation.settle(None, n_unknown),
                (false, 0) => reservation.release(),
                (false, n_unknown) => reservation.settle(Some("0"), n_unknown),
            }
        }
    }
}
