//! What is left to spend, as far as this process knows.
//!
//! In: what [`crate::money::account`] read of the service's answers, and each bill since. Out: [`Credits`], and one notice each time
//! that little is left. Nobody is asked here. Amounts are decimal texts, because they may be less than nothing and have more
//! digits than any number; no sum is rounded.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use plugin_api::{CreditStatus, Credits, Notice};

use crate::values::time::milliseconds;
use crate::values::usd::{decimal, difference, dollars, is_more, n_places, units};

/// US dollars of which more is enough, and of which less is hardly any.
const ENOUGH_USD: &str = "5";
const LITTLE_USD: &str = "1";

/// What a balance is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The account.
    Account,
    /// The key's own limit.
    Key,
}

/// What the service said of the credit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    source: Source,
    /// What is left; `None` where nobody knows.
    balance_usd: Option<String>,
    /// What was spent in all.
    usage_usd: Option<String>,
    /// Whether the key has a limit of its own.
    has_limit: bool,
    at: Instant,
}

impl Told {
    /// What the account has now, and what was spent of it.
    pub fn of_account(balance_usd: String, usage_usd: String) -> Self {
        Self {
            source: Source::Account,
            balance_usd: Some(balance_usd),
            usage_usd: Some(usage_usd),
            has_limit: false,
            at: Instant::now(),
        }
    }

    /// What is left of the key's limit now, as far as it is told; what was spent with it, likewise; and whether it has one.
    pub fn of_key(remaining_usd: Option<String>, usage_usd: Option<String>, has_limit: bool) -> Self {
        Self {
            source: Source::Key,
            balance_usd: remaining_usd,
            usage_usd,
            has_limit,
            at: Instant::now(),
        }
    }

    /// Why there is no balance, if there is none.
    fn problem(&self) -> Option<&'static str> {
        match (&self.balance_usd, self.has_limit) {
            (Some(_), _) => None,
            (None, true) => Some("the service does not say what is left of the key's limit"),
            (None, false) => {
                Some("the key has no limit of its own, and the service does not tell it what the account has")
            }
        }
    }
}

/// What was told, less what was billed since. Its lock is held for a sum and a comparison.
#[derive(Default)]
pub struct Store {
    told: Mutex<Option<Told>>,
    /// Whether there is a balance, so that bills without one cost nothing.
    has_balance: AtomicBool,
    /// Whether the balance is below [`LITTLE_USD`].
    is_low: AtomicBool,
    /// Whether it fell there and nobody was told.
    is_untold: AtomicBool,
}

impl Store {
    /// Takes what the service said in the place of what is known.
    pub fn tell(&self, told: Told) {
        let mut known = self.lock();
        *known = Some(told);
        self.look(&known);
    }

    /// Forgets everything: from now on it is about another key.
    pub fn forget(&self) {
        let mut known = self.lock();
        *known = None;
        self.look(&known);
    }

    /// What the balance that is known is of.
    pub fn source(&self) -> Option<Source> {
        self.lock().as_ref().map(|told| told.source)
    }

    /// What is known, if the service ever said anything.
    pub fn known(&self) -> Option<Credits> {
        let known = self.lock();
        let told = known.as_ref()?;
        let source = match told.source {
            Source::Account => "account",
            Source::Key => "key",
        };
        Some(Credits {
            balance_usd: told.balance_usd.clone(),
            usage_usd: told.usage_usd.clone(),
            status: status(told.balance_usd.as_deref()),
            source: told.balance_usd.is_some().then(|| source.to_owned()),
            age_ms: milliseconds(told.at.elapsed()),
            is_stale: false,
            problem: told.problem().map(str::to_owned),
        })
    }

    /// Takes a bill off the balance, until the service says anew what is left.
    ///
    /// It is for bills of the service that told the balance, not for those of a second service.
    ///
    /// - In: US dollars as a decimal; what is none, or less than nothing, changes nothing.
    pub fn billed(&self, cost_usd: &str) {
        if !self.has_balance.load(Ordering::Relaxed) {
            return;
        }
        let Some(cost) = decimal(cost_usd).filter(|cost| !cost.starts_with('-') && cost != "0") else {
            return;
        };
        let mut known = self.lock();
        let Some(told) = &mut *known else { return };
        if let Some(left) = told.balance_usd.as_deref().and_then(|usd| difference(usd, &cost)) {
            told.balance_usd = Some(left);
        }
        let spent = told.usage_usd.as_deref();
        if let Some(spent) = spent.and_then(|usd| difference(usd, &format!("-{cost}"))) {
            told.usage_usd = Some(spent);
        }
        self.look(&known);
    }

    /// What to tell where the balance has fallen below one dollar: once for each fall.
    pub fn low_balance(&self) -> Option<Notice> {
        if !self.is_untold.load(Ordering::Relaxed) || !self.is_untold.swap(false, Ordering::Relaxed) {
            return None;
        }
        let known = self.lock();
        let told = known.as_ref()?;
        // It may have risen since.
        let left = told.balance_usd.as_deref().filter(|left| is_more(LITTLE_USD, left))?;
        let amount = dollars(left);
        let message = match (told.source, is_more(left, "0")) {
            (Source::Account, true) => format!("only {amount} is left on the account; {ADD_CREDIT}"),
            (Source::Account, false) => format!("nothing is left on the account, which is at {amount}; {ADD_CREDIT}"),
            (Source::Key, true) => format!("only {amount} is left of the key's limit; {RAISE_LIMIT}"),
            (Source::Key, false) => format!("nothing is left of the key's limit, which is at {amount}; {RAISE_LIMIT}"),
        };
        Some(Notice::new("low_balance", message))
    }

    /// Notes how the balance stands, for those who ask without the lock.
    fn look(&self, known: &Option<Told>) {
        let balance = known.as_ref().and_then(|told| told.balance_usd.as_deref());
        self.has_balance.store(balance.is_some(), Ordering::Relaxed);
        let is_low = status(balance) == CreditStatus::Red;
        let was_low = self.is_low.swap(is_low, Ordering::Relaxed);
        if is_low != was_low {
            self.is_untold.store(is_low, Ordering::Relaxed);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Told>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const ADD_CREDIT: &str = "add credit at https://openrouter.ai/settings/credits";
const RAISE_LIMIT: &str = "raise it at https://openrouter.ai/settings/keys";

/// How much a balance is.
///
/// - In: US dollars as a decimal.
/// - Out: `Green` above five dollars, `Red` below one, `Yellow` from one to five; `Unknown` for none.
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
        store.tell(told(source, balance_usd));
        store
    }

    fn told(source: Source, balance_usd: &str) -> Told {
        match source {
            Source::Account => Told::of_account(balance_usd.to_owned(), "10".to_owned()),
            Source::Key => Told::of_key(some(balance_usd), some("10"), true),
        }
    }

    /// What is left and what was spent.
    fn amounts(store: &Store) -> (Option<String>, Option<String>) {
        let credits = store.known().expect("it was told");
        (credits.balance_usd, credits.usage_usd)
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn more_than_five_dollars_is_green_and_less_than_one_is_red() {
        let rows = [
            (Some("1000000"), CreditStatus::Green),
            (Some("5.01"), CreditStatus::Green),
            (Some("5.000000000000000001"), CreditStatus::Green),
            (Some("5.00"), CreditStatus::Yellow),
            (Some("5"), CreditStatus::Yellow),
            (Some("1.00"), CreditStatus::Yellow),
            (Some("1"), CreditStatus::Yellow),
            (Some("0.99"), CreditStatus::Red),
            (Some("0.999999999999999999"), CreditStatus::Red),
            (Some("0"), CreditStatus::Red),
            (Some("-3.5"), CreditStatus::Red),
            (Some("soon"), CreditStatus::Unknown),
            (None, CreditStatus::Unknown),
        ];
        for (balance, expected) in rows {
            assert_eq!(status(balance), expected, "{balance:?}");
        }
    }

    #[test]
    fn bills_are_taken_off_to_the_last_digit_until_the_service_says_more() {
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
        assert_eq!(
            store.known().expect("it was told").balance_usd,
            some("-0.60001000000000014")
        );
        store.tell(told(Source::Account, "7"));
        assert_eq!(amounts(&store), (some("7"), some("10")));
    }

    #[test]
    fn a_bill_before_the_first_answer_changes_nothing() {
        let store = Store::default();
        store.billed("1");
        assert_eq!((store.known(), store.low_balance()), (None, None));
        store.tell(Told::of_key(None, some("3"), false));
        store.billed("1");
        assert_eq!(amounts(&store), (None, some("3")));
    }

    #[test]
    fn what_is_not_known_says_why() {
        let problem = |has_limit| {
            let store = Store::default();
            store.tell(Told::of_key(None, None, has_limit));
            let credits = store.known().expect("it was told");
            assert_eq!((credits.status, credits.source), (CreditStatus::Unknown, None));
            credits.problem
        };
        assert_eq!(
            problem(false).as_deref(),
            Some("the key has no limit of its own, and the service does not tell it what the account has")
        );
        assert_eq!(
            problem(true).as_deref(),
            Some("the service does not say what is left of the key's limit")
        );
    }

    #[test]
    fn each_fall_below_one_dollar_is_told_once() {
        let store = store(Source::Account, "1.2");
        store.billed("0.2");
        assert_eq!(store.low_balance(), None);
        store.billed("0.001");
        let notice = store.low_balance().expect("it fell");
        assert_eq!(
            (notice.code.as_str(), notice.message.as_str()),
            (
                "low_balance",
                "only $0.99 is left on the account; add credit at https://openrouter.ai/settings/credits"
            )
        );
        store.billed("5");
        store.tell(told(Source::Account, "0.5"));
        assert_eq!(store.low_balance(), None);
        store.tell(told(Source::Account, "20"));
        assert_eq!(store.low_balance(), None);
        store.billed("19.5");
        assert!(store.low_balance().is_some());
    }

    #[test]
    fn a_fall_that_was_made_good_before_anybody_asked_is_not_told() {
        let store = store(Source::Account, "0.5");
        store.tell(told(Source::Account, "20"));
        assert_eq!(store.low_balance(), None);
        store.billed("19.5");
        store.forget();
        assert_eq!(store.low_balance(), None);
    }

    #[test]
    fn a_notice_says_what_is_left_and_where_more_comes_from() {
        let message = |source, balance_usd| {
            let notice = store(source, balance_usd).low_balance();
            notice.expect("it is low").message
        };
        assert_eq!(
            message(Source::Account, "-0.42"),
            "nothing is left on the account, which is at -$0.42; add credit at https://openrouter.ai/settings/credits"
        );
        assert_eq!(
            message(Source::Key, "0.999"),
            "only $0.99 is left of the key's limit; raise it at https://openrouter.ai/settings/keys"
        );
        assert_eq!(
            message(Source::Key, "0"),
            "nothing is left of the key's limit, which is at $0.00; raise it at https://openrouter.ai/settings/keys"
        );
    }

    #[test]
    fn many_bills_at_once_are_all_counted() {
        let store = store(Source::Account, "100");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..100).for_each(|_| store.billed("0.01")));
            }
        });
        assert_eq!(amounts(&store), (some("92"), some("18")));
    }
}
