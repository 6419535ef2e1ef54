//! What all calls to one service with one key share: rate-limit waits, the retry budget and the circuit breaker.
//!
//! In: the outcome of attempts, and the time. Out: whether another attempt may begin, and when.
//! A dead service does not get a thousand requests, and a rate limit that one call ran into holds for all of them.
//! Pure but for one lock, which is never held across a wait.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::failure::retry::Scope;
use crate::values::model_id::is_free;

/// The retry budget at the start, which is also its maximum.
const FULL_BUDGET: u32 = 500;

/// What a retry costs. A call that then succeeds gives it back.
const RETRY_COST: u32 = 14;

/// What a retry costs after a rate limit, which shows that the service is alive.
const THROTTLED_RETRY_COST: u32 = 5;

/// Failures in a row, without an answer of the service, that open the circuit breaker.
const FAILURES_UNTIL_OPEN: u32 = 10;

/// How long the breaker stays open at first. The time doubles each time the service fails again.
const FIRST_OPEN: Duration = Duration::from_secs(5);

/// How long the breaker stays open at most.
const LONGEST_OPEN: Duration = Duration::from_secs(60);

/// The entry for the wait of all free models, among those of single models.
const FREE_MODELS: &str = ":free";

/// The most models whose waits are remembered.
const MAX_HELD_MODELS: usize = 1024;

/// The state that calls share.
#[derive(Default)]
pub struct Gate {
    state: Mutex<State>,
}

struct State {
    budget: u32,
    /// No attempt begins before this time.
    not_before: Option<Instant>,
    /// The same for single models.
    models: HashMap<String, Instant>,
    /// When the limit of requests per minute allows the next attempt.
    next_slot: Option<Instant>,
    failures: u32,
    open_for: Duration,
    open_until: Option<Instant>,
    /// When the attempt began that probes whether the service is back.
    probe_begun: Option<Instant>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            budget: FULL_BUDGET,
            not_before: None,
            models: HashMap::new(),
            next_slot: None,
            failures: 0,
            open_for: FIRST_OPEN,
            open_until: None,
            probe_begun: None,
        }
    }
}

/// Whether an attempt may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    Go,
    /// The key is rate-limited.
    Wait(Duration),
    /// The requests of this minute are used up. The attempt has a slot after this wait and must not ask for another.
    Turn(Duration),
    /// The same, but the wait is too long; no slot is reserved.
    TurnTooLate(Duration),
    /// The circuit breaker is open for this long.
    Open(Duration),
}

impl Gate {
    /// How long a model is still rate-limited, by its provider or with all free models.
    pub fn held(&self, now: Instant, model: &str) -> Option<Duration> {
        let state = self.state();
        let shared = if is_free(model) {
            state.models.get(FREE_MODELS)
        } else {
            None
        };
        let until = *state.models.get(model).max(shared)?;
        until.checked_duration_since(now).filter(|wait| !wait.is_zero())
    }

    /// Asks whether an attempt may begin.
    ///
    /// - In: `requests_per_minute`, unless the attempt already has a slot; `left`, the time until the total timeout.
    pub fn pass(&self, now: Instant, requests_per_minute: Option<u64>, left: Duration) -> Pass {
        let mut state = self.state();
        if let Some(until) = state.not_before.filter(|until| *until > now) {
            return Pass::Wait(until - now);
        }
        if let Some(per_minute) = requests_per_minute.and_then(|n| u32::try_from(n).ok()) {
            let interval = Duration::from_secs(60) / per_minute.max(1);
            // The requests of one minute may begin at once, after that one per interval.
            let earliest = now.checked_sub(Duration::from_secs(60) - interval).unwrap_or(now);
            let slot = state.next_slot.map_or(earliest, |slot| slot.max(earliest));
            let wait = slot.saturating_duration_since(now);
            if wait >= left {
                return Pass::TurnTooLate(wait);
            }
            state.next_slot = Some(slot + interval);
            if !wait.is_zero() {
                return Pass::Turn(wait);
            }
        }
        // The last check, because the attempt that passes it is the only probe.
        match state.open_until {
            Some(until) if until > now => return Pass::Open(until - now),
            Some(_) => {
                // If this probe never reports back, another one follows.
                state.open_until = Some(now + FIRST_OPEN);
                state.probe_begun = Some(now);
            }
            None => {}
        }
        Pass::Go
    }

    /// Records a wait. The longest one holds.
    pub fn hold(&self, now: Instant, scope: Scope, model: &str, wait: Duration) {
        let Some(until) = now.checked_add(wait) else { return };
        let mut state = self.state();
        let model = match scope {
            Scope::Key => {
                state.not_before = state.not_before.max(Some(until));
                return;
            }
            Scope::FreeModels => FREE_MODELS,
            Scope::Model => model,
        };
        if state.models.len() >= MAX_HELD_MODELS && !state.models.contains_key(model) {
            state.models.retain(|_, until| *until > now);
            if state.models.len() >= MAX_HELD_MODELS {
                let soonest = state.models.iter().min_by_key(|(_, until)| **until);
                let soonest = soonest.map(|(model, _)| model.clone());
                soonest.and_then(|model| state.models.remove(&model));
            }
        }
        let held = state.models.entry(model.to_owned()).or_insert(until);
        *held = (*held).max(until);
    }

    /// Takes the cost of a retry from the budget; `None` if the budget is used up.
    pub fn pay(&self, is_throttled: bool) -> Option<u32> {
        let cost = if is_throttled { THROTTLED_RETRY_COST } else { RETRY_COST };
        let mut state = self.state();
        state.budget = state.budget.checked_sub(cost)?;
        Some(cost)
    }

    /// Gives back what the retries of a successful call cost, at least one token.
    pub fn refund(&self, paid: u32) {
        let mut state = self.state();
        state.budget = state.budget.saturating_add(paid.max(1)).min(FULL_BUDGET);
    }

    /// Records that the service answered, even with an error of its own, and closes the circuit breaker.
    pub fn answered(&self) {
        let mut state = self.state();
        if state.failures > 0 || state.open_until.is_some() {
            state.failures = 0;
            state.open_for = FIRST_OPEN;
            state.open_until = None;
            state.probe_begun = None;
        }
    }

    /// Records that the service could not be reached, by this attempt or by a gateway in front of the service.
    ///
    /// - In: when the attempt began.
    /// - Out: how long the circuit breaker stays open, if this failure opened it.
    pub fn failed(&self, now: Instant, begun: Instant) -> Option<Duration> {
        let mut state = self.state();
        state.failures = state.failures.saturating_add(1);
        let is_open = state.open_until.is_some();
        // While the breaker is open, only the probe says something new.
        let is_the_probe = state.probe_begun.is_some_and(|probe| begun >= probe);
        if state.failures < FAILURES_UNTIL_OPEN || is_open && !is_the_probe {
            return None;
        }
        let open_for = state.open_for;
        state.probe_begun = None;
        state.open_until = Some(now + open_for);
        state.open_for = (open_for * 2).min(LONGEST_OPEN);
        Some(open_for)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while the lock is held, so the state is sound.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: &str = "acme/large";
    const FOREVER: Duration = Duration::from_secs(u32::MAX as u64);

    fn pass(gate: &Gate, now: Instant) -> Pass {
        gate.pass(now, None, FOREVER)
    }

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn a_rate_limit_of_the_key_holds_for_every_call() {
        let (gate, now) = (Gate::default(), Instant::now());
        gate.hold(now, Scope::Key, MODEL, ms(7000));
        // A later, shorter wait does not replace the longer one.
        gate.hold(now, Scope::Key, MODEL, ms(10));
        for passed in [0, 1, 6999] {
            assert_eq!(pass(&gate, now + ms(passed)), Pass::Wait(ms(7000 - passed)));
        }
        assert_eq!(pass(&gate, now + ms(7000)), Pass::Go);
    }

    #[test]
    fn a_rate_limit_of_a_model_holds_for_that_model_only() {
        let (gate, now) = (Gate::default(), Instant::now());
        gate.hold(now, Scope::Model, MODEL, ms(50));
        assert_eq!(gate.held(now, MODEL), Some(ms(50)));
        assert_eq!(gate.held(now + ms(50), MODEL), None);
        assert_eq!((gate.held(now, "other/model"), pass(&gate, now)), (None, Pass::Go));
    }

    #[test]
    fn a_rate_limit_of_free_models_holds_for_free_models_only() {
        let (gate, now) = (Gate::default(), Instant::now());
        gate.hold(now, Scope::FreeModels, "a/b:free", ms(50));
        gate.hold(now, Scope::Model, "a/b:free", ms(20));
        gate.hold(now, Scope::Model, "a/c:free", ms(90));
        let held = ["a/b:free", "a/c:free", "d/e:free", "openrouter/free", "a/b", MODEL].map(|id| gate.held(now, id));
        let expected = [Some(50), Some(90), Some(50), Some(50), None, None].map(|wait| wait.map(ms));
        assert_eq!((held, pass(&gate, now)), (expected, Pass::Go));
    }

    #[test]
    fn of_too_many_waits_the_one_that_ends_first_is_forgotten() {
        let (gate, now) = (Gate::default(), Instant::now());
        let most = u64::try_from(MAX_HELD_MODELS).expect("a small number");
        let held = |n: u64| gate.held(now, &format!("acme/{n}"));
        for n in 0..=most {
            gate.hold(now, Scope::Model, &format!("acme/{n}"), ms(1000 + n));
        }
        assert_eq!(
            (held(0), held(1), held(most)),
            (None, Some(ms(1001)), Some(ms(1000 + most)))
        );
        // A model that already has an entry needs no room.
        gate.hold(now, Scope::Model, "acme/1", ms(9000));
        assert_eq!((held(1), held(2)), (Some(ms(9000)), Some(ms(1002))));
        assert_eq!(gate.state().models.len(), MAX_HELD_MODELS);
    }

    #[test]
    fn a_thousand_calls_to_a_dead_service_share_thirty_five_retries() {
        let paid = |is_throttled, gate: Gate| (0..1000).filter_map(|_| gate.pay(is_throttled)).count();
        assert_eq!((paid(false, Gate::default()), paid(true, Gate::default())), (35, 100));
    }

    #[test]
    fn success_gives_the_budget_back() {
        let gate = Gate::default();
        for _ in 0..1000 {
            let paid = gate.pay(false).expect("it was given back");
            gate.refund(paid);
        }
        assert_eq!(gate.state().budget, FULL_BUDGET);
        while gate.pay(false).is_some() {}
        // A call that succeeds at once adds one token.
        (0..RETRY_COST).for_each(|_| gate.refund(0));
        assert_eq!(gate.pay(false), Some(RETRY_COST));
    }

    #[test]
    fn ten_failures_in_a_row_open_the_circuit_and_an_answer_closes_it() {
        let (gate, now) = (Gate::default(), Instant::now());
        for _ in 0..9 {
            assert_eq!(gate.failed(now, now), None);
        }
        assert_eq!(pass(&gate, now), Pass::Go);
        assert_eq!(gate.failed(now, now), Some(FIRST_OPEN));
        assert_eq!(pass(&gate, now + ms(1000)), Pass::Open(ms(4000)));
        // An attempt that began before does not keep it open for longer.
        assert_eq!(gate.failed(now + ms(1), now), None);
        let after = now + FIRST_OPEN;
        assert_eq!(pass(&gate, after), Pass::Go);
        assert_eq!(pass(&gate, after), Pass::Open(FIRST_OPEN));
        gate.answered();
        assert_eq!(pass(&gate, after), Pass::Go);
        assert_eq!(gate.failed(after, after), None);
    }

    #[test]
    fn a_service_that_stays_down_is_probed_ever_less_often() {
        let (gate, mut now) = (Gate::default(), Instant::now());
        (0..9).for_each(|_| assert_eq!(gate.failed(now, now), None));
        let mut times = Vec::new();
        for _ in 0..6 {
            times.push(gate.failed(now, now).expect("it opens").as_secs());
            now += Duration::from_secs(*times.last().expect("it opened"));
            assert_eq!(pass(&gate, now), Pass::Go);
        }
        assert_eq!(times, [5, 10, 20, 40, 60, 60]);
    }

    #[test]
    fn an_answer_between_failures_keeps_the_circuit_closed() {
        let (gate, now) = (Gate::default(), Instant::now());
        for _ in 0..2 {
            (0..9).for_each(|_| assert_eq!(gate.failed(now, now), None));
            gate.answered();
        }
    }

    #[test]
    fn requests_beyond_the_limit_per_minute_wait_for_a_slot() {
        let (gate, now) = (Gate::default(), Instant::now() + Duration::from_secs(3600));
        let pass = |at| gate.pass(at, Some(20), Duration::from_secs(10));
        for _ in 0..20 {
            assert_eq!(pass(now), Pass::Go);
        }
        // Each gets its own slot, in the order of arrival.
        assert_eq!(pass(now), Pass::Turn(ms(3000)));
        assert_eq!(pass(now), Pass::Turn(ms(6000)));
        assert_eq!(pass(now + ms(2000)), Pass::Turn(ms(7000)));
        assert_eq!(pass(now + ms(2000)), Pass::TurnTooLate(ms(10_000)));
        assert_eq!(pass(now + ms(12_000)), Pass::Go);
    }

    #[test]
    fn a_rate_limited_call_does_not_use_up_the_probe() {
        let (gate, now) = (Gate::default(), Instant::now());
        for _ in 0..10 {
            let _ = gate.failed(now, now);
        }
        gate.hold(now, Scope::Key, MODEL, ms(8000));
        assert_eq!(pass(&gate, now + ms(5000)), Pass::Wait(ms(3000)));
        assert_eq!(pass(&gate, now + ms(8000)), Pass::Go);
    }
}
