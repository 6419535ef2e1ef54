//! After a call: what it tells of itself at the end, what is booked, and what is given back.

use std::sync::Arc;
use std::time::Duration;

use plugin_api::{Attempt, Done, Error};
use tokio::sync::OwnedSemaphorePermit;

use crate::call::Common;
use crate::failure;
use crate::money::budget;
use crate::service::gate::Gate;
use crate::values::time::milliseconds;

/// What remains to be done when an answer ends.
pub struct Closing {
    /// Of the service that answers.
    pub gate: Arc<Gate>,
    pub common: Arc<Common>,
    /// Whether the service that answers is the one whose account is known.
    pub is_of_the_account: bool,
    /// The attempts that failed.
    pub attempts: Vec<Attempt>,
    /// What the retries took from the budget of retries.
    pub paid: u32,
    pub bill: Bill,
    /// Given back when the answer ends, or is no longer wanted.
    pub permit: OwnedSemaphorePermit,
}

impl Closing {
    /// Completes what is told at the end, books the bill, and gives back what the retries took.
    ///
    /// - In: how the answer ended, when its first token came, and how long it took, both from the beginning of the call.
    pub fn close(
        mut self,
        end: Result<Done, Error>,
        first_token: Option<Duration>,
        took: Duration,
    ) -> Result<Done, Error> {
        let billed = end
            .as_ref()
            .ok()
            .and_then(|done| done.usage.as_ref()?.cost_usd.as_deref());
        if let Some(cost) = billed.filter(|_| self.is_of_the_account) {
            self.common.account.credits().billed(cost);
        }
        if let Some(reservation) = self.bill.reservation.take() {
            reservation.settle(billed, self.bill.n_unknown);
        }
        let mut done = match end {
            Ok(done) => done,
            Err(mut error) => {
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
        done.duration_ms = milliseconds(took);
        done.time_to_first_token_ms = first_token.map(milliseconds);
        Ok(done)
    }
}

/// What a call may cost, until it is known what it did cost.
pub struct Bill {
    pub reservation: Option<budget::Reservation>,
    /// Whether an attempt is under way whose bill is not known yet.
    pub is_open: bool,
    /// Earlier attempts that may have been billed, of which nobody has told.
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
