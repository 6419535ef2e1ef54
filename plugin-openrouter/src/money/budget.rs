//! Keeps what calls cost within the budget of the profile.
//!
//! Before a call its greatest cost is estimated and set aside, so that calls at the same time cannot spend the same money;
//! after it, the bill takes its place. What cannot be known counts as what it may be at most. Without a budget
//! nothing is asked, read or written. Nothing here touches a file on its caller's thread: that is left to [`clerk`].

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use std::{fmt, mem};

use plugin_api::{Error, Notice};

use crate::models::Store;
use crate::money::clerk::{Clerk, Ledgers, Office};
use crate::money::estimate::{Decision, Demand, Estimate, Limits, Spent, decide};
use crate::money::ledger::{self, Hold};
use crate::money::message;
use crate::profile::policy::{Budget, OnExceed};
use crate::service::Settings;
use crate::values::usd::Usd;

/// The account of one plugin: all of its calls draw on it.
#[derive(Default)]
pub struct Guard {
    account: Arc<Mutex<Account>>,
    office: Office,
}

/// What is known without a file. Its lock is held for a sum and a comparison, never while somebody waits.
#[derive(Default)]
struct Account {
    /// Since the plugin began.
    spent: Usd,
    /// What calls under way may cost.
    reserved: Usd,
}

/// How a call may go on. Without a budget everything in it is `None`.
#[derive(Debug, Default)]
pub struct Admission {
    /// What was set aside for the call.
    pub reservation: Option<Reservation>,
    /// What the caller should know.
    pub notice: Option<Notice>,
    /// The tier that is to be asked instead; nothing was set aside then.
    pub step_down: Option<String>,
}

/// The money that is set aside for a call under way. One that is dropped counts as spent, because the call may have been
/// billed; one that never reached its call is given back.
pub struct Reservation {
    account: Arc<Mutex<Account>>,
    amount: Usd,
    /// Where the day counts too.
    booking: Option<Booking>,
    model: String,
    is_open: bool,
    /// Whether the call has it, and so may have been sent.
    is_claimed: bool,
}

/// What the ledger holds for a call, and who replaces it by the bill.
struct Booking {
    clerk: Clerk,
    folder: PathBuf,
    hold: Hold,
}

impl Guard {
    /// Sets aside what a call may cost, or says why it must not be sent.
    ///
    /// - Errors: `spend_limit` where the call might cost more than is left, or where nobody knows what it might cost; `config`
    ///   for a ledger that cannot be used; what keeps the catalogue from being fetched.
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
            // Nothing can be set aside, but the bill still counts.
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

    /// Decides on the thread that keeps the ledger, where there is a limit for the day, and else here.
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

    /// Waits until every bill so far is written down, at most for `limit`. It blocks its thread, and so is for the end of the
    /// plugin, after the last call: a process that ends earlier leaves what those calls held in the place of their bills.
    ///
    /// - Out: whether everything is written down.
    pub fn flush(&self, limit: Duration) -> bool {
        self.office.flush(limit)
    }
}

/// A call to be decided on, with all that the decision needs.
struct Case {
    account: Arc<Mutex<Account>>,
    budget: Budget,
    limits: Limits,
    estimate: Estimate,
    /// The first model.
    model: String,
    stepped_down: bool,
    now: SystemTime,
}

impl Case {
    /// Decides, and sets aside for the session and the day, while the lock of the day's file keeps all other programs out.
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

    /// Decides, and sets aside for the session, in one step that no other call comes between.
    ///
    /// - In: what the day has cost so far, with what calls under way may cost.
    fn reserve(&self, day: Usd, mut notice: Option<Notice>) -> Result<Admission, Error> {
        let mut account = lock(&self.account);
        let spent = Spent {
            session: account.spent.plus(account.reserved),
            day,
        };
        if let Decision::Exceeds(exceeded) = decide(&self.limits, self.estimate.most, spent) {
            let problem = message::exceeds(&self.estimate, &exceeded);
            match &self.budget.on_exceed {
                OnExceed::Warn => notice = Some(message::sent_all_the_same(&problem)),
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
    /// Books what the call was billed. It waits for nothing.
    ///
    /// - In: what the last attempt was billed, in US dollars, where that is known; and the number of earlier attempts that may
    ///   have been billed although nobody said how much. What is unknown counts as the estimate, once for each attempt.
    pub fn settle(mut self, billed_usd: Option<&str>, n_unknown: u32) {
        let unknown = self.amount.times(n_unknown.into());
        match billed_usd.and_then(Usd::parse) {
            Some(usd) => self.close(usd.plus(unknown), n_unknown > 0),
            None => self.close(self.amount.plus(unknown), true),
        }
    }

    /// Gives back what was set aside for a call that cannot have been billed. It waits for nothing.
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
        clerk.tell(move |ledgers| {
            if let Err(error) = ledgers.in_folder(&folder).book(&hold, usd, estimated, &model, now) {
                // The call is over, so nobody can be told; what it held stays held, which is no less than its estimate.
                tracing::warn!("a bill was not written down: {error}");
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

/// What the ledger gave. Its failure ends the call, or is a notice where the budget only warns.
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

#[cfg(test)]
mod tests;
