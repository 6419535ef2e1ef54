//! What all calls to one service with one key share: the waits that were asked for, the budget for retries, the circuit.
//!
//! In: what happened to attempts, and the present time. Out: whether another attempt may be made, and when. It keeps a dead
//! service from being asked a thousand times, and a wait that one call was told from being learned by each of the others.
//! Pure but for one lock, which is never held across a wait.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Tokens for retries that are there at the beginning, and never more.
const FULL_BUDGET: u32 = 500;

/// What a retry costs; a call that then succeeds gives it back.
const RETRY_COST: u32 = 14;

/// What a retry costs after "too many requests", which says that the service lives.
const THROTTLED_RETRY_COST: u32 = 5;

/// Failures in a row without an answer of the service after which it is left alone.
const FAILURES_UNTIL_OPEN: u32 = 10;

/// How long it is left alone at first; the time doubles each time the service fails again.
const FIRST_REST: Duration = Duration::from_secs(5);

/// How long it is left alone at most.
const LONGEST_REST: Duration = Duration::from_secs(60);

/// Models of which a wait is remembered.
const MAX_HELD_MODELS: usize = 1024;

/// The state that calls share.
#[derive(Default)]
pub struct Gate {
    state: Mutex<State>,
}

struct State {
    budget: u32,
    /// No attempt begins before it.
    not_before: Option<Instant>,
    /// The same for single models.
    models: HashMap<String, Instant>,
    /// When the next attempt fits into the requests per minute.
    next_slot: Option<Instant>,
    failures: u32,
    rest: Duration,
    open_until: Option<Instant>,
    /// An attempt is on its way that finds out whether the service is back.
    is_probing: bool,
}

impl Default for State {
    fn default() -> Self {
        Self {
            budget: FULL_BUDGET,
            not_before: None,
            models: HashMap::new(),
            next_slot: None,
            failures: 0,
            rest: FIRST_REST,
            open_until: None,
            is_probing: false,
        }
    }
}

/// Whether an attempt may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    Go,
    /// The service asked for a wait, or the requests of this minute are used up.
    Wait(Duration),
    /// The service failed too often; it is asked again after this time.
    Resting(Duration),
}

impl Gate {
    /// Asks to begin an attempt with these models. Only [`Pass::Go`] counts against the requests per minute.
    pub fn pass(&self, now: Instant, models: &[String], requests_per_minute: Option<u64>) -> Pass {
        let mut state = self.state();
        if let Some(until) = state.open_until {
            if until > now {
                return Pass::Resting(until - now);
            }
            // One attempt finds out how the service is; the next one follows if that one is never heard of again.
            state.open_until = Some(now + FIRST_REST);
            state.is_probing = true;
        }
        // A request is held up by its first model only: that the others stand behind it is what they are for.
        let of_model = models.first().and_then(|model| state.models.get(model)).copied();
        let asked = state.not_before.max(of_model);
        if let Some(until) = asked.filter(|until| *until > now) {
            return Pass::Wait(until - now);
        }
        let Some(per_minute) = requests_per_minute.and_then(|n| u32::try_from(n).ok()) else {
            return Pass::Go;
        };
        let interval = Duration::from_secs(60) / per_minute.max(1);
        // A minute's worth may come at once, after that one at a time.
        let earliest = now.checked_sub(Duration::from_secs(60) - interval).unwrap_or(now);
        let slot = state.next_slot.map_or(earliest, |slot| slot.max(earliest));
        if slot > now {
            return Pass::Wait(slot - now);
        }
        state.next_slot = Some(slot + interval);
        Pass::Go
    }

    /// Notes a wait that the service asked for, of one model or of every call with the key. The longest one holds.
    pub fn hold(&self, now: Instant, model: Option<&str>, wait: Duration) {
        let Some(until) = now.checked_add(wait) else { return };
        let mut state = self.state();
        match model {
            None => state.not_before = state.not_before.max(Some(until)),
            Some(model) => {
                if state.models.len() >= MAX_HELD_MODELS {
                    state.models.retain(|_, until| *until > now);
                }
                let held = state.models.entry(model.to_owned()).or_insert(until);
                *held = (*held).max(until);
            }
        }
    }

    /// Takes what a retry costs from the budget; `None` if it is used up.
    pub fn pay(&self, is_throttled: bool) -> Option<u32> {
        let cost = if is_throttled { THROTTLED_RETRY_COST } else { RETRY_COST };
        let mut state = self.state();
        state.budget = state.budget.checked_sub(cost)?;
        Some(cost)
    }

    /// A call has succeeded after retries that cost `paid`: they are given back, and one token with them.
    pub fn refund(&self, paid: u32) {
        let mut state = self.state();
        state.budget = state.budget.saturating_add(paid.max(1)).min(FULL_BUDGET);
    }

    /// The service has answered, be it with an error of its own.
    pub fn answered(&self) {
        let mut state = self.state();
        if state.failures > 0 || state.open_until.is_some() {
            state.failures = 0;
            state.rest = FIRST_REST;
            state.open_until = None;
            state.is_probing = false;
        }
    }

    /// The service could not be reached, or something in front of it answered that it cannot.
    ///
    /// - Out: how long it is left alone from now on, where this was once too often.
    pub fn failed(&self, now: Instant) -> Option<Duration> {
        let mut state = self.state();
        state.failures = state.failures.saturating_add(1);
        let is_open = state.open_until.is_some();
        // While it is open, what had begun before says nothing new.
        if state.failures < FAILURES_UNTIL_OPEN || is_open && !state.is_probing {
            return None;
        }
        let rest = state.rest;
        state.is_probing = false;
        state.open_until = Some(now + rest);
        state.rest = (rest * 2).min(LONGEST_REST);
        Some(rest)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: &str = "acme/large";

    fn pass(gate: &Gate, now: Instant) -> Pass {
        gate.pass(now, &[MODEL.to_owned()], None)
    }

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn a_wait_that_one_call_was_told_holds_for_all_of_them() {
        let (gate, now) = (Gate::default(), Instant::now());
        gate.hold(now, None, ms(7000));
        // A shorter one that comes later takes nothing back.
        gate.hold(now, None, ms(10));
        for passed in [0, 1, 6999] {
            assert_eq!(pass(&gate, now + ms(passed)), Pass::Wait(ms(7000 - passed)));
        }
        assert_eq!(pass(&gate, now + ms(7000)), Pass::Go);
    }

    #[test]
    fn a_wait_of_one_model_holds_for_that_model_alone() {
        let (gate, now) = (Gate::default(), Instant::now());
        gate.hold(now, Some(MODEL), ms(50));
        assert_eq!(pass(&gate, now), Pass::Wait(ms(50)));
        assert_eq!(
            gate.pass(now, &["other/model".to_owned(), MODEL.to_owned()], None),
            Pass::Go
        );
    }

    #[test]
    fn a_thousand_calls_to_a_dead_service_have_thirty_five_retries_among_them() {
        let gate = Gate::default();
        assert_eq!((0..1000).filter_map(|_| gate.pay(false)).count(), 35);
        let gate = Gate::default();
        assert_eq!((0..1000).filter_map(|_| gate.pay(true)).count(), 100);
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
        // Each call that succeeds at once earns a little.
        (0..RETRY_COST).for_each(|_| gate.refund(0));
        assert_eq!(gate.pay(false), Some(RETRY_COST));
    }

    #[test]
    fn ten_failures_in_a_row_open_the_circuit_and_an_answer_closes_it() {
        let (gate, now) = (Gate::default(), Instant::now());
        for _ in 0..9 {
            assert_eq!(gate.failed(now), None);
        }
        assert_eq!(pass(&gate, now), Pass::Go);
        assert_eq!(gate.failed(now), Some(FIRST_REST));
        assert_eq!(pass(&gate, now + ms(1000)), Pass::Resting(ms(4000)));
        // What had begun before and fails now does not lengthen it.
        assert_eq!(gate.failed(now + ms(1)), None);
        let after = now + FIRST_REST;
        assert_eq!(pass(&gate, after), Pass::Go);
        assert_eq!(pass(&gate, after), Pass::Resting(FIRST_REST));
        gate.answered();
        assert_eq!(pass(&gate, after), Pass::Go);
        assert_eq!(gate.failed(after), None);
    }

    #[test]
    fn a_service_that_stays_away_is_asked_ever_less_often() {
        let (gate, mut now) = (Gate::default(), Instant::now());
        (0..9).for_each(|_| assert_eq!(gate.failed(now), None));
        let mut rests = Vec::new();
        for _ in 0..6 {
            rests.push(gate.failed(now).expect("it rests").as_secs());
            now += Duration::from_secs(*rests.last().expect("it rests"));
            assert_eq!(pass(&gate, now), Pass::Go);
        }
        assert_eq!(rests, [5, 10, 20, 40, 60, 60]);
    }

    #[test]
    fn an_answer_between_failures_keeps_the_circuit_closed() {
        let (gate, now) = (Gate::default(), Instant::now());
        for _ in 0..100 {
            (0..9).for_each(|_| assert_eq!(gate.failed(now), None));
            gate.answered();
        }
        assert_eq!(pass(&gate, now), Pass::Go);
    }

    #[test]
    fn requests_beyond_those_of_a_minute_wait_for_their_turn() {
        let (gate, now) = (Gate::default(), Instant::now() + Duration::from_secs(3600));
        let pass = |at| gate.pass(at, &[], Some(20));
        for _ in 0..20 {
            assert_eq!(pass(now), Pass::Go);
        }
        assert_eq!(pass(now), Pass::Wait(ms(3000)));
        assert_eq!(pass(now + ms(2999)), Pass::Wait(ms(1)));
        assert_eq!(pass(now + ms(3000)), Pass::Go);
        assert_eq!(pass(now + ms(3000)), Pass::Wait(ms(3000)));
    }
}
