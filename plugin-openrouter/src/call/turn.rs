//! Before a call's first attempt: waits for a free slot, and reserves its cost in the budget.
//!
//! In: the plan of a call. Out: a permit and a reservation. A call that need not wait costs two atomic operations.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use plugin_api::{Error, ErrorKind};
use tokio::sync::OwnedSemaphorePermit;

use crate::call::Common;
use crate::money::budget;
use crate::money::estimate::Demand;
use crate::profile::tiers::Tier;
use crate::request::{Ask, Plan, plan};
use crate::service::Settings;
use crate::service::clock::{Clock, Due};

/// Waits for a permit; calls are served in order.
///
/// - Errors: `overloaded` if the queue is full; `timeout`; `shut_down`.
pub async fn permit(settings: &Settings, clock: Clock) -> Result<OwnedSemaphorePermit, Error> {
    let permits = &settings.permits;
    if let Ok(permit) = Arc::clone(permits).try_acquire_owned() {
        return Ok(permit);
    }
    let limits = settings.profile.options.limits;
    let _place = Place::take(&settings.n_waiting, limits.queue).ok_or_else(|| {
        Error::new(
            ErrorKind::OVERLOADED,
            format!(
                "the limit of {} calls in progress and {} waiting is reached",
                limits.concurrency, limits.queue
            ),
        )
        .with_hint("send fewer calls at once, or raise `limits.concurrency` or `limits.queue` in the profile")
    })?;
    let due = Due {
        what: "no slot for the call became free",
        ..clock.total()
    };
    let permit = due.wait(Arc::clone(permits).acquire_owned()).await?;
    permit.map_err(|_| Error::shut_down())
}

/// A place in the queue of waiting calls.
struct Place<'a>(&'a AtomicU64);

impl<'a> Place<'a> {
    fn take(n_waiting: &'a AtomicU64, most: u64) -> Option<Self> {
        let place = Self(n_waiting);
        // Dropping it undoes the count, even if the queue is full.
        (n_waiting.fetch_add(1, Ordering::Relaxed) < most).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Reserves the cost of a call in the budget, and steps down to another tier if the profile says so.
///
/// - Errors: `spend_limit`; `config` for an unknown tier.
pub async fn within_budget(
    settings: &Settings,
    common: &Common,
    ask: &Ask,
    mut plan: Plan,
) -> Result<(Plan, Option<budget::Reservation>), Error> {
    let mut stepped_down = false;
    loop {
        let asked = Demand {
            models: &plan.models,
            message_bytes: ask.prompt_bytes(),
            max_tokens: plan.max_tokens,
            stepped_down,
        };
        let admission = common.guard.admit(settings, &common.catalogue, asked).await?;
        plan.notices.extend(admission.notice);
        let Some(tier) = admission.step_down.filter(|_| !stepped_down) else {
            return Ok((plan, admission.reservation));
        };
        let tier = Tier::parse(&tier).ok_or_else(|| {
            Error::new(
                ErrorKind::CONFIG,
                format!("`budget.onExceed.stepDownTo`: unknown tier `{tier}`"),
            )
        })?;
        let notices = std::mem::take(&mut plan.notices);
        plan = plan::plan(&settings.profile, ask, Some(tier))?;
        plan.notices.splice(0..0, notices);
        stepped_down = true;
    }
}
