//! Keeps the cost of calls within the profile's budget.
//!
//! Before a call, its greatest possible cost is reserved, so that concurrent calls cannot spend the same money.
//! After the call, its actual cost replaces the reservation; an unknown cost counts as the estimate.
//! Without a budget nothing is fetched, read or written.
//! Files are touched only on the thread of [`clerk`](crate::money::clerk), never on the caller's.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use std::{fmt, mem};

use plugin_api::{Error, Notice, Usage};

use crate::models::Store;
use crate::money::clerk::{Clerk, Ledgers, Office};
use crate::money::estimate::{Decision, Demand, Estimate, Limits, Spent, decide};
use crate::money::ledger::{self, Hold};
use crate::money::message;
use crate::profile::policy::{Budget, OnExceed};
use crate::service::Settings;
use crate::values::usd::Usd;

/// The spending of one plugin, shared by all its calls.
#[derive(Default)]
pub struct Guard {
    account: Arc<Mutex<Account>>,
    office: Office,
}

/// What is known without a file. Its lock is held for a sum and a comparison, never across a wait.
#[derive(Default)]
struct Account {
    /// Since the plugin was created.
    spent: Usd,
    /// What calls in progress may cost.
    reserved: Usd,
}

/// How a call may proceed. Without a budget every field is `None`.
#[derive(Debug, Default)]
pub struct Admission {
    /// The money reserved for the call.
    pub reservation: Option<Reservation>,
    /// What the caller should know.
    pub notice: Option<Notice>,
    /// The tier to use instead; nothing is reserved then.
    pub step_down: Option<String>,
}

/// The money reserved for a call in progress.
///
/// If it is dropped, it counts as spent, because the call may have been billed.
/// If it never reached its call, it is released.
pub struct Reservation {
    account: Arc<Mutex<Account>>,
    amount: Usd,
    /// Present if the budget has a daily limit.
    booking: Option<Booking>,
    model: String,
    is_open: bool,
    /// Whether the call received it, and so may have been sent.
    is_claimed: bool,
}

/// What the ledger holds for a call, and where to record the actual cost.
struct Booking {
    clerk: Clerk,
    folder: PathBuf,
    hold: Hold,
}

impl Guard {
    /// Reserves what a call may cost, or refuses the call.
    ///
    /// - Errors: `spend_limit` if the call might cost more than is left, or if its price is unknown; `config` for an
    ///   unusable ledger; the errors of fetching the catalogue.
    pub async fn admit(&self, settings: &Settings, catalogue: &Store, ask: Demand<'_>) -> Result<Admission, Error> {
        self.admit_at(settings, catalogue, ask, SystemTime::now()).await
    }

    async fn admit_at(
        &self,
        settings: &Settings,
        catalogue: &Store,
        ask: Demand<'_>,
        now: SystemTime,
    ) -> Result<Admission, Error> {
        let Some(budget) = &settings.profile.options.budget else {
            return Ok(Admission::default());
        };
        let limits = Limits::of(budget);
        if limits == Limits::default() {
            return Ok(Admission::default());
        }
        let estimate = match catalogue.catalogue(settings).await {
            Ok(catalogue) => Estimate::of(&catalogue, &ask),
            Err(cause) => Err(message::no_prices(cause)),
        };
        let (estimate, unchecked) = match (estimate, &budget.on_exceed) {
            (Ok(estimate), _) => (estimate, None),
            // Nothing can be reserved, but the actual cost still counts.
            (Err(problem), OnExceed::Warn) => (Estimate::default(), Some(message::unchecked(&problem))),
            (Err(problem), OnExceed::StepDownTo(tier)) if !ask.stepped_down => {
                return Ok(step_down(tier, &problem));
            }
            (Err(problem), _) => return Err(problem),
        };
        let case = Case {
            account: Arc::clone(&self.account),
            budget: budget.clone(),
            limits,
            estimate,
            model: ask.models.first().cloned().unwrap_or_default(),
            stepped_down: ask.stepped_down,
            now,
        };
        let mut admission = self.decide(case).await?;
        if let Some(reservation) = &mut admission.reservation {
            reservation.is_claimed = true;
        }
        admission.notice = unchecked.or(admission.notice);
        Ok(admission)
    }

    /// Decides on the ledger thread if there is a daily limit, otherwise right here.
    async fn decide(&self, case: Case) -> Result<Admission, Error> {
        let mut notice = None;
        let clerk = match case.limits.day {
            Some(_) => or_notice(self.office.clerk(), &case.budget, &mut notice)?,
            None => None,
        };
        let Some(clerk) = clerk else {
            return case.reserve(Usd::ZERO, notice);
        };
        let answers = clerk.clone();
        clerk.ask(move |ledgers| case.reserve_by(ledgers, answers)).await
    }

    /// Waits until every cost so far is in the ledger, at most for `limit`.
    ///
    /// It blocks its thread, so call it only at the end of the plugin, after the last call. If the process ends without
    /// it, the ledger may keep the reservations of the last calls in place of their actual costs.
    ///
    /// - Out: whether everything is written.
    pub fn flush(&self, limit: Duration) -> bool {
        self.office.flush(limit)
    }
}

/// A call to decide on, with everything that the decision needs.
struct Case {
    account: Arc<Mutex<Account>>,
    budget: Budget,
    limits: Limits,
    estimate: Estimate,
    /// The first model of the chain.
    model: String,
    stepped_down: bool,
    now: SystemTime,
}

impl Case {
    /// Decides and reserves for the session and the day, while the file lock keeps other programs out.
    fn reserve_by(self, ledgers: &mut Ledgers, clerk: Clerk) -> Result<Admission, Error> {
        let mut notice = None;
        let folder = ledger::folder(self.budget.ledger.as_deref());
        let folder = or_notice(folder, &self.budget, &mut notice)?;
        let mut today = match &folder {
            Some(folder) => or_notice(ledgers.in_folder(folder).today(self.now), &self.budget, &mut notice)?,
            None => None,
        };
        let day = today.as_ref().map_or(Usd::ZERO, ledger::Today::committed);
        let mut admission = self.reserve(day, notice)?;
        if let Some(reservation) = &mut admission.reservation
            && let Some(today) = &mut today
            && let Some(folder) = folder
        {
            let hold = today.hold(self.estimate.most, &self.model);
            let hold = or_notice(hold, &self.budget, &mut admission.notice)?;
            reservation.booking = hold.map(|hold| Booking { clerk, folder, hold });
        }
        Ok(admission)
    }

    /// Decides and reserves for the session in one atomic step.
    ///
    /// - In: `day`, what the day has cost so far, including what calls in progress may cost.
    fn reserve(&self, day: Usd, mut notice: Option<Notice>) -> Result<Admission, Error> {
        let mut account = lock(&self.account);
        let spent = Spent {
            session: account.spent.plus(account.reserved),
            day,
        };
        if let Decision::Exceeds(exceeded) = decide(&self.limits, self.estimate.most, spent) {
            let problem = message::exceeds(&self.estimate, &exceeded);
            match &self.budget.on_exceed {
                OnExceed::Warn => notice = Some(message::sent_anyway(&problem)),
                OnExceed::StepDownTo(tier) if !self.stepped_down => return Ok(step_down(tier, &problem)),
                OnExceed::Refuse | OnExceed::StepDownTo(_) => return Err(problem),
            }
        }
        account.reserved = account.reserved.plus(self.estimate.most);
        let reservation = Reservation {
            account: Arc::clone(&self.account),
            amount: self.estimate.most,
            booking: None,
            model: self.model.clone(),
            is_open: true,
            is_claimed: false,
        };
        Ok(Admission {
            reservation: Some(reservation),
            notice,
            step_down: None,
        })
    }
}

impl Reservation {
    /// Records what the call cost. It does not wait.
    ///
    /// - In: `billed_usd`, the cost of the last attempt in US dollars, if known; `n_unknown`, the number of earlier
    ///   attempts that may have been billed an unknown amount. Each unknown amount counts as one estimate.
    pub fn settle(mut self, billed_usd: Option<&str>, n_unknown: u32) {
        let unknown = self.amount.times(n_unknown.into());
        match billed_usd.and_then(Usd::parse) {
            Some(usd) => self.close(usd.plus(unknown), n_unknown > 0),
            None => self.close(self.amount.plus(unknown), true),
        }
    }

    /// Releases the reservation of a call that cannot have been billed. It does not wait.
    pub fn release(mut self) {
        self.close(Usd::ZERO, false);
    }

    fn close(&mut self, usd: Usd, estimated: bool) {
        self.is_open = false;
        let mut account = lock(&self.account);
        account.reserved = account.reserved.minus(self.amount);
        account.spent = account.spent.plus(usd);
        drop(account);
        let Some(Booking { clerk, folder, hold }) = self.booking.take() else {
            return;
        };
        let (model, now) = (mem::take(&mut self.model), SystemTime::now());
        clerk.send(move |ledgers| {
            if let Err(error) = ledgers.in_folder(&folder).book(&hold, usd, estimated, &model, now) {
                // The call is over, so nobody can receive an error. The hold stays in the ledger and counts as its cost.
                tracing::warn!("could not record a cost in the ledger: {error}");
            }
        });
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        match (self.is_open, self.is_claimed) {
            (false, _) => {}
            (true, true) => self.close(self.amount, true),
            (true, false) => self.close(Usd::ZERO, false),
        }
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reservation(${})", self.amount)
    }
}

fn lock(account: &Mutex<Account>) -> MutexGuard<'_, Account> {
    account.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The ledger's result. A failure ends the call, or becomes a notice if the budget only warns.
fn or_notice<T>(result: Result<T, Error>, budget: &Budget, notice: &mut Option<Notice>) -> Result<Option<T>, Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(problem) if budget.on_exceed == OnExceed::Warn => {
            *notice = Some(message::unchecked(&problem));
            Ok(None)
        }
        Err(problem) => Err(problem),
    }
}

fn step_down(tier: &str, problem: &Error) -> Admission {
    Admission {
        notice: Some(message::stepped_down(tier, problem)),
        step_down: Some(tier.to_owned()),
        reservation: None,
    }
}

/// What an answer cost, as a decimal in US dollars; `None` if that is unknown.
///
/// - In: `counts_byok`, whether what the provider itself charged counts, beside the service's fee.
pub fn spent(usage: &Usage, counts_byok: bool) -> Option<String> {
    let cost = Usd::parse(usage.cost_usd.as_deref()?)?;
    let own = usage
        .upstream_cost_usd
        .as_deref()
        .filter(|_| usage.is_byok && counts_byok);
    Some(cost.plus(own.and_then(Usd::parse).unwrap_or(Usd::ZERO)).to_string())
}

#[cfg(test)]
mod tests;
