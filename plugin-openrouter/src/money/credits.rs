//! The remaining credit, as far as this process knows.
//!
//! In: what [`crate::money::account`] fetched, and the cost of each call since. Out: [`Credits`], and one notice each
//! time the credit runs low. It never asks the service.
//! Amounts are decimal strings: they may be negative and have more digits than any number type, and no sum is rounded.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use plugin_api::{CreditStatus, Credits, Notice};

use crate::values::time::milliseconds;
use crate::values::usd::{decimal, difference, dollars, is_more, n_places, units};

/// A balance above this is enough; one below [`LITTLE_USD`] is low.
const ENOUGH_USD: &str = "5";
const LITTLE_USD: &str = "1";

/// Where a balance comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The account.
    Account,
    /// The key's own limit.
    Key,
}

/// What the service reported about the credit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reported {
    source: Source,
    /// The remaining credit; `None` if unknown.
    balance_usd: Option<String>,
    /// The total spent.
    usage_usd: Option<String>,
    /// Whether the key has a limit of its own.
    has_limit: bool,
    at: Instant,
}

impl Reported {
    /// The account's balance and usage.
    pub fn of_account(balance_usd: String, usage_usd: String) -> Self {
        Self {
            source: Source::Account,
            balance_usd: Some(balance_usd),
            usage_usd: Some(usage_usd),
            has_limit: false,
            at: Instant::now(),
        }
    }

    /// What is left of the key's limit, what was spent with the key, and whether it has a limit at all.
    pub fn of_key(remaining_usd: Option<String>, usage_usd: Option<String>, has_limit: bool) -> Self {
        Self {
            source: Source::Key,
            balance_usd: remaining_usd,
            usage_usd,
            has_limit,
            at: Instant::now(),
        }
    }

    /// Why the balance is missing, if it is.
    fn problem(&self) -> Option<&'static str> {
        match (&self.balance_usd, self.has_limit) {
            (Some(_), _) => None,
            (None, true) => Some("the service does not report how much of the key's limit is left"),
            (None, false) => {
                Some("the key has no limit of its own, and the service does not show it the account's balance")
            }
        }
    }
}

/// The reported credit, less the costs since. Its lock is held for a sum and a comparison.
#[derive(Default)]
pub struct Store {
    reported: Mutex<Option<Reported>>,
    /// Whether there is a balance, so that without one a cost takes no lock.
    has_balance: AtomicBool,
    /// Whether the balance is below [`LITTLE_USD`].
    is_low: AtomicBool,
    /// Whether it fell there and no notice was sent yet.
    is_unreported: AtomicBool,
}

impl Store {
    /// Replaces what is known by a new report.
    pub fn update(&self, reported: Reported) {
        let mut known = self.lock();
        *known = Some(reported);
        self.update_flags(&known);
    }

    /// Forgets everything, because another key is used from now on.
    pub fn forget(&self) {
        let mut known = self.lock();
        *known = None;
        self.update_flags(&known);
    }

    /// The source of the known balance.
    pub fn source(&self) -> Option<Source> {
        self.lock().as_ref().map(|reported| reported.source)
    }

    /// The credit, if the service ever reported any.
    pub fn known(&self) -> Option<Credits> {
        let known = self.lock();
        let reported = known.as_ref()?;
        let source = match reported.source {
            Source::Account => "account",
            Source::Key => "key",
        };
        Some(Credits {
            balance_usd: reported.balance_usd.clone(),
            usage_usd: reported.usage_usd.clone(),
            status: status(reported.balance_usd.as_deref()),
            source: reported.balance_usd.is_some().then(|| source.to_owned()),
            age_ms: milliseconds(reported.at.elapsed()),
            is_stale: false,
            problem: reported.problem().map(str::to_owned),
        })
    }

    /// Deducts the cost of a call from the balance until the service reports a new one.
    ///
    /// Only for costs at the service that reported the balance, not at a secondary service.
    ///
    /// - In: US dollars as a decimal; anything else, or a negative amount, changes nothing.
    pub fn billed(&self, cost_usd: &str) {
        if !self.has_balance.load(Ordering::Relaxed) {
            return;
        }
        let Some(cost) = decimal(cost_usd).filter(|cost| !cost.starts_with('-') && cost != "0") else {
            return;
        };
        let mut known = self.lock();
        let Some(reported) = &mut *known else { return };
        if let Some(left) = reported.balance_usd.as_deref().and_then(|usd| difference(usd, &cost)) {
            reported.balance_usd = Some(left);
        }
        let spent = reported.usage_usd.as_deref();
        if let Some(spent) = spent.and_then(|usd| difference(usd, &format!("-{cost}"))) {
            reported.usage_usd = Some(spent);
        }
        self.update_flags(&known);
    }

    /// A notice if the balance has fallen below one dollar; once for each fall.
    pub fn low_balance(&self) -> Option<Notice> {
        if !self.is_unreported.load(Ordering::Relaxed) || !self.is_unreported.swap(false, Ordering::Relaxed) {
            return None;
        }
        let known = self.lock();
        let reported = known.as_ref()?;
        // It may have risen since.
        let left = reported
            .balance_usd
            .as_deref()
            .filter(|left| is_more(LITTLE_USD, left))?;
        let amount = dollars(left);
        let message = match (reported.source, is_more(left, "0")) {
            (Source::Account, true) => format!("only {amount} is left on the account; {ADD_CREDIT}"),
            (Source::Account, false) => format!("the account is out of credit (balance {amount}); {ADD_CREDIT}"),
            (Source::Key, true) => format!("only {amount} is left of the key's limit; {RAISE_LIMIT}"),
            (Source::Key, false) => format!("the key's limit is used up ({amount} left); {RAISE_LIMIT}"),
        };
        Some(Notice::new("low_balance", message))
    }

    /// Updates the flags that are read without the lock.
    fn update_flags(&self, known: &Option<Reported>) {
        let balance = known.as_ref().and_then(|reported| reported.balance_usd.as_deref());
        self.has_balance.store(balance.is_some(), Ordering::Relaxed);
        let is_low = status(balance) == CreditStatus::Red;
        let was_low = self.is_low.swap(is_low, Ordering::Relaxed);
        if is_low != was_low {
            self.is_unreported.store(is_low, Ordering::Relaxed);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Reported>> {
        self.reported.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const ADD_CREDIT: &str = "add credit at https://openrouter.ai/settings/credits";
const RAISE_LIMIT: &str = "raise it at https://openrouter.ai/settings/keys";

/// Whether a balance is enough.
///
/// - In: US dollars as a decimal.
/// - Out: `Green` above five dollars, `Red` below one, `Yellow` from one to five; `Unknown` without a balance.
pub fn status(balance_usd: Option<&str>) -> CreditStatus {
    let Some(balance_usd) = balance_usd.filter(|usd| units(usd, n_places(usd)).is_some()) else {
        return CreditStatus::Unknown;
    };
    match balance_usd {
        usd if is_more(usd, ENOUGH_USD) => CreditStatus::Green,
        usd if is_more(LITTLE_USD, usd) => CreditStatus::Red,
        _ => CreditStatus::Yellow,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(source: Source, balance_usd: &str) -> Store {
        let store = Store::default();
        store.update(reported(source, balance_usd));
        store
    }

    fn reported(source: Source, balance_usd: &str) -> Reported {
        match source {
            Source::Account => Reported::of_account(balance_usd.to_owned(), "10".to_owned()),
            Source::Key => Reported::of_key(some(balance_usd), some("10"), true),
        }
    }

    /// The balance and the usage.
    fn amounts(store: &Store) -> (Option<String>, Option<String>) {
        let credits = store.known().expect("it was reported");
        (credits.balance_usd, credits.usage_usd)
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn more_than_five_dollars_is_green_and_less_than_one_is_red() {
        let rows = [
            (CreditStatus::Green, &["1000000", "5.01", "5.000000000000000001"][..]),
            (CreditStatus::Yellow, &["5.00", "5", "1.00", "1"]),
            (CreditStatus::Red, &["0.99", "0.999999999999999999", "0", "-3.5"]),
            (CreditStatus::Unknown, &["soon"]),
        ];
        for (expected, balances) in rows {
            for balance in balances {
                assert_eq!(status(Some(balance)), expected, "{balance}");
            }
        }
        assert_eq!(status(None), CreditStatus::Unknown);
    }

    #[test]
    fn costs_are_deducted_exactly_until_the_next_report() {
        let store = store(Source::Account, "5.5");
        for cost in ["0.1", "0.00000000000000014", "1e-5"] {
            store.billed(cost);
        }
        let left = (some("5.39998999999999986"), some("10.10001000000000014"));
        assert_eq!(amounts(&store), left);
        for nothing in ["0", "0.0", "", "free", "-1"] {
            store.billed(nothing);
        }
        assert_eq!(amounts(&store), left);
        store.billed("6");
        let expected = some("-0.60001000000000014");
        assert_eq!(store.known().expect("it was reported").balance_usd, expected);
        store.update(reported(Source::Account, "7"));
        assert_eq!(amounts(&store), (some("7"), some("10")));
    }

    #[test]
    fn a_cost_without_a_known_balance_changes_nothing() {
        let store = Store::default();
        store.billed("1");
        assert_eq!((store.known(), store.low_balance()), (None, None));
        store.update(Reported::of_key(None, some("3"), false));
        store.billed("1");
        assert_eq!(amounts(&store), (None, some("3")));
    }

    #[test]
    fn an_unknown_balance_says_why() {
        let problem = |has_limit| {
            let store = Store::default();
            store.update(Reported::of_key(None, None, has_limit));
            let credits = store.known().expect("it was reported");
            assert_eq!((credits.status, credits.source), (CreditStatus::Unknown, None));
            credits.problem
        };
        let expected = Some("the key has no limit of its own, and the service does not show it the account's balance");
        assert_eq!(problem(false).as_deref(), expected);
        let expected = Some("the service does not report how much of the key's limit is left");
        assert_eq!(problem(true).as_deref(), expected);
    }

    #[test]
    fn each_fall_below_one_dollar_is_reported_once() {
        let store = store(Source::Account, "1.2");
        store.billed("0.2");
        assert_eq!(store.low_balance(), None);
        store.billed("0.001");
        let notice = store.low_balance().expect("it fell");
        let expected = (
            "low_balance",
            "only $0.99 is left on the account; add credit at https://openrouter.ai/settings/credits",
        );
        assert_eq!((notice.code.as_str(), notice.message.as_str()), expected);
        store.billed("5");
        store.update(reported(Source::Account, "0.5"));
        assert_eq!(store.low_balance(), None);
        store.update(reported(Source::Account, "20"));
        assert_eq!(store.low_balance(), None);
        store.billed("19.5");
        assert!(store.low_balance().is_some());
    }

    #[test]
    fn a_balance_that_recovered_in_time_is_not_reported() {
        let store = store(Source::Account, "0.5");
        store.update(reported(Source::Account, "20"));
        assert_eq!(store.low_balance(), None);
        store.billed("19.5");
        store.forget();
        assert_eq!(store.low_balance(), None);
    }

    #[test]
    fn a_notice_says_what_is_left_and_where_to_get_more() {
        let message = |source, balance_usd| {
            let notice = store(source, balance_usd).low_balance();
            notice.expect("it is low").message
        };
        assert_eq!(
            message(Source::Account, "-0.42"),
            "the account is out of credit (balance -$0.42); add credit at https://openrouter.ai/settings/credits"
        );
        let expected = "only $0.99 is left of the key's limit; raise it at https://openrouter.ai/settings/keys";
        assert_eq!(message(Source::Key, "0.999"), expected);
        let expected = "the key's limit is used up ($0.00 left); raise it at https://openrouter.ai/settings/keys";
        assert_eq!(message(Source::Key, "0"), expected);
    }

    #[test]
    fn concurrent_costs_are_all_counted() {
        let store = store(Source::Account, "100");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..100).for_each(|_| store.billed("0.01")));
            }
        });
        assert_eq!(amounts(&store), (some("92"), some("18")));
    }
}
