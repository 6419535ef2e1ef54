//! What the service says about the key and its credit.
//!
//! In: the answers of `/key` and `/credits`. Out: an [`Account`], kept by its [`Store`] for a while. Amounts stay the decimal
//! numbers that the service wrote, and what it does not tell stays unknown: nothing here becomes zero for want of an answer.

use std::future::{self, Future};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant, SystemTime};

use plugin_api::{Account, Error, ErrorKind};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use crate::catalogue::ttl;
use crate::failure::scrub;
use crate::fetch::{self, Fetched};
use crate::settings::Settings;
use crate::usage::decimal;

/// How long an account is kept unless somebody says otherwise, in milliseconds.
const DEFAULT_TTL_MS: u64 = 300_000;

/// Keeps the account, and asks for it when it is missing or old.
#[derive(Default)]
pub struct Store {
    /// Is locked while the service is asked, so that all who want the account wait for one answer.
    last: Mutex<Option<Last>>,
    has_warned: AtomicBool,
}

/// What the service said the last time. It has no `Debug`, because of the key.
struct Last {
    /// The service and the key that all of this is about.
    base_url: String,
    secret: Zeroizing<String>,
    answer: Result<Account, Error>,
    at: Instant,
}

impl Store {
    /// What the service says about the key and its credit.
    ///
    /// - Out: no balance where the key may not ask for it, which is so for most keys.
    /// - Errors: `auth` if the key is missing or refused; `unsupported` by a service that has no `/key`; `protocol` for an
    ///   answer that cannot be read; those of [`fetch::get`]. None of them is kept.
    /// - Source: OpenRouter docs, `api_reference/limits` and `api_reference/credits`.
    pub async fn account(&self, settings: &Settings) -> Result<Account, Error> {
        let asked = Instant::now();
        let secret = &settings.key()?.secret;
        let ttl = self.time_to_live(settings);
        let mut last = self.last.lock().await;
        if let Some(last) = &*last
            && last.base_url == settings.service.base_url
            && last.secret == *secret
        {
            // What arrived while this one waited its turn is as new as anything it could ask for.
            let is_new = last.at >= asked;
            if is_new || (last.answer.is_ok() && last.at.elapsed() < ttl) {
                tracing::debug!("credits from cache");
                return last.answer.clone();
            }
        }
        let answer = ask(settings).await.read(settings).map(|known| known.account);
        *last = Some(Last {
            base_url: settings.service.base_url.clone(),
            secret: secret.clone(),
            answer: answer.clone(),
            at: Instant::now(),
        });
        answer
    }

    fn time_to_live(&self, settings: &Settings) -> Duration {
        let variable = "OPENROUTER_CACHE_TTL_CREDITS";
        let value = settings.environment.get(variable).map(String::as_str);
        let (ttl, wrong) = ttl(settings.options.caches.credits_ms, value, DEFAULT_TTL_MS);
        if let Some(wrong) = wrong
            && !self.has_warned.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(variable, "{wrong}");
        }
        ttl
    }
}

/// The answers about the key and its credit.
pub struct Asked {
    /// Of `/key`.
    pub key: Result<Fetched, Error>,
    /// Of `/credits`.
    credits: Result<Fetched, Error>,
    /// When the first of the two was there, by this machine's clock.
    pub at: SystemTime,
    /// How long the first of the two took.
    pub elapsed: Duration,
}

/// What the answers say.
#[derive(Debug)]
pub struct Known {
    pub account: Account,
    /// Whether the key is for administration, and refused for models.
    pub is_management_key: bool,
}

/// Asks about the key and its credit, both at once.
pub async fn ask(settings: &Settings) -> Asked {
    let begun = Instant::now();
    let key = async {
        let key = fetch::get(settings, "/key").await;
        (key, SystemTime::now(), begun.elapsed())
    };
    let ((key, at, elapsed), credits) = both(key, fetch::get(settings, "/credits")).await;
    Asked {
        key,
        credits,
        at,
        elapsed,
    }
}

impl Asked {
    /// Reads the answers.
    ///
    /// - Errors: those of [`Store::account`].
    pub fn read(&self, settings: &Settings) -> Result<Known, Error> {
        let secret = &settings.key()?.secret;
        let key = match &self.key {
            Ok(key) => key,
            Err(error) if is_missing(error) => return Err(no_account()),
            Err(error) => return Err(error.clone()),
        };
        let key = read_key(&key.body)?;
        let text = |text: Option<String>| Some(scrub(&text?, secret));
        let amount = |json: Option<&RawValue>| decimal(json?.get());
        Ok(Known {
            is_management_key: key.is_management_key.or(key.is_provisioning_key).unwrap_or(false),
            account: Account {
                label: text(key.label),
                limit_usd: amount(key.limit),
                remaining_usd: amount(key.limit_remaining),
                limit_reset: text(key.limit_reset),
                usage_usd: amount(key.usage),
                usage_today_usd: amount(key.usage_daily),
                balance_usd: self.balance_usd(),
                is_free_tier: key.is_free_tier,
                expires_at: text(key.expires_at),
            },
        })
    }

    /// What was bought less what was spent; `None` where the service does not tell.
    fn balance_usd(&self) -> Option<String> {
        // Most keys may not ask, which says nothing against the key.
        // Source: OpenRouter's API description, `/credits`: "Management key required", errors 401 and 403.
        let credits = self.credits.as_ref().ok()?;
        let answer: Answer<Credits<'_>> = serde_json::from_slice(&credits.body).ok()?;
        let bought = decimal(answer.data.total_credits.get())?;
        let spent = decimal(answer.data.total_usage.get())?;
        difference(&bought, &spent)
    }
}

/// Waits for both, at once and on this thread.
pub async fn both<A, B>(first: impl Future<Output = A>, second: impl Future<Output = B>) -> (A, B) {
    let (mut first, mut second) = (pin!(first), pin!(second));
    let (mut a, mut b) = (None, None);
    future::poll_fn(move |context| {
        if a.is_none()
            && let Poll::Ready(value) = first.as_mut().poll(context)
        {
            a = Some(value);
        }
        if b.is_none()
            && let Poll::Ready(value) = second.as_mut().poll(context)
        {
            b = Some(value);
        }
        match (a.take(), b.take()) {
            (Some(a), Some(b)) => Poll::Ready((a, b)),
            (left, right) => {
                (a, b) = (left, right);
                Poll::Pending
            }
        }
    })
    .await
}

#[derive(Deserialize)]
struct Answer<T> {
    data: T,
}

/// The key as it is on the wire. Every field may be missing, as it is at services that stand in for this one.
#[derive(Deserialize)]
struct Key<'a> {
    label: Option<String>,
    #[serde(borrow)]
    limit: Option<&'a RawValue>,
    #[serde(borrow)]
    limit_remaining: Option<&'a RawValue>,
    limit_reset: Option<String>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    usage_daily: Option<&'a RawValue>,
    is_free_tier: Option<bool>,
    is_management_key: Option<bool>,
    /// The former name of the same.
    is_provisioning_key: Option<bool>,
    expires_at: Option<String>,
}

#[derive(Deserialize)]
struct Credits<'a> {
    #[serde(borrow)]
    total_credits: &'a RawValue,
    #[serde(borrow)]
    total_usage: &'a RawValue,
}

fn read_key(body: &[u8]) -> Result<Key<'_>, Error> {
    // The parser's own words would quote the answer.
    match serde_json::from_slice::<Answer<Key<'_>>>(body) {
        Ok(answer) => Ok(answer.data),
        Err(_) => Err(Error::new(
            ErrorKind::PROTOCOL,
            "the answer about the key cannot be read: expected JSON with the key in `data`",
        )
        .with_hint("check the base URL, and whether the network asks for a login")),
    }
}

/// Whether a service has no such address, as other services that speak OpenAI's protocol have none for the key.
fn is_missing(error: &Error) -> bool {
    matches!(error.details.status, Some(404 | 405 | 501))
}

fn no_account() -> Error {
    Error::new(
        ErrorKind::UNSUPPORTED,
        "the service says nothing about keys and credit: it has no `/key`",
    )
    .with_hint("look at the service's own pages; OpenRouter's address is https://openrouter.ai/api/v1")
}

/// `minuend` less `subtrahend`, to the last digit; `None` for what is not a decimal, or has more digits than fit.
fn difference(minuend: &str, subtrahend: &str) -> Option<String> {
    let places = n_places(minuend).max(n_places(subtrahend));
    let difference = units(minuend, places)?.checked_sub(units(subtrahend, places)?)?;
    decimal(&format!("{difference}e-{places}"))
}

fn n_places(amount: &str) -> usize {
    amount.split_once('.').map_or(0, |(_, fraction)| fraction.len())
}

/// `amount` in units of its last of `places` decimal places.
fn units(amount: &str, places: usize) -> Option<i128> {
    let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
    format!("{whole}{fraction:0<places$}").parse().ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::fetch::stand_in::{KEY, Service, block_on};

    /// A service that answers `/key` and `/credits` with these statuses and bodies.
    fn service(key: (u16, Value), credits: (u16, Value)) -> Service {
        Service::start(move |path| {
            let (status, body) = if path.ends_with("/key") { &key } else { &credits };
            (*status, String::new(), body.to_string())
        })
    }

    fn asked(key: (u16, Value), credits: (u16, Value)) -> Result<Account, Error> {
        block_on(Store::default().account(&service(key, credits).settings(json!({}), &[])))
    }

    fn refusal(status: u16) -> (u16, Value) {
        (status, json!({"error": {"code": status, "message": "no"}}))
    }

    #[test]
    fn everything_that_the_service_tells_is_told() {
        // Source: OpenRouter's API description, the examples of `/key` and `/credits`.
        let key = json!({"data": {
            "label": "sk-or-v1-au7...890", "limit": 100, "limit_remaining": 74.5, "limit_reset": "monthly",
            "usage": 25.5, "usage_daily": 1.5e-5, "usage_weekly": 25.5, "is_free_tier": false,
            "is_management_key": false, "is_provisioning_key": false, "expires_at": "2027-12-31T23:59:59Z",
        }});
        let credits = json!({"data": {"total_credits": 100.5, "total_usage": 25.75}});
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            asked((200, key), (200, credits)).expect("an account"),
            Account {
                label: some("[key]"),
                limit_usd: some("100"),
                remaining_usd: some("74.5"),
                limit_reset: some("monthly"),
                usage_usd: some("25.5"),
                usage_today_usd: some("0.000015"),
                balance_usd: some("74.75"),
                is_free_tier: Some(false),
                expires_at: some("2027-12-31T23:59:59Z"),
            }
        );
    }

    #[test]
    fn what_is_absent_or_null_stays_unknown() {
        let key = json!({"data": {"label": format!("mine: {KEY}"), "limit": null, "limit_remaining": null}});
        for credits in [
            refusal(401),
            refusal(403),
            refusal(500),
            (200, json!({"data": {"total_credits": 1}})),
            (200, json!("soon")),
        ] {
            let expected = Account {
                label: Some("mine: [key]".to_owned()),
                ..Account::default()
            };
            assert_eq!(asked((200, key.clone()), credits).expect("an account"), expected);
        }
    }

    #[test]
    fn amounts_are_kept_to_the_last_digit() {
        let body = r#"{"data": {"usage": 0.12345678901234567890123, "limit": 1e1}}"#;
        let service = Service::start(move |_| (200, String::new(), body.to_owned()));
        let settings = service.settings(json!({}), &[]);
        let account = block_on(Store::default().account(&settings)).expect("an account");
        assert_eq!(account.usage_usd.as_deref(), Some("0.12345678901234567890123"));
        assert_eq!(account.limit_usd.as_deref(), Some("10"));
    }

    #[test]
    fn a_refused_key_is_an_error_of_the_key() {
        let error = asked(refusal(401), refusal(401)).expect_err("a refusal");
        assert_eq!((error.kind, error.details.status), (ErrorKind::AUTH, Some(401)));
    }

    #[test]
    fn a_service_without_accounts_says_so() {
        for status in [404, 405, 501] {
            let error = asked(refusal(status), refusal(status)).expect_err("nothing to ask");
            assert_eq!(
                (error.kind, error.message.as_str()),
                (
                    ErrorKind::UNSUPPORTED,
                    "the service says nothing about keys and credit: it has no `/key`"
                )
            );
        }
    }

    #[test]
    fn an_answer_that_is_something_else_is_not_quoted() {
        for body in [
            json!("hello, secret"),
            json!({"data": {"label": {"secret": 1}}}),
            json!({}),
        ] {
            let error = asked((200, body), refusal(403)).expect_err("nothing to read");
            assert_eq!(
                (error.kind, error.message.as_str()),
                (
                    ErrorKind::PROTOCOL,
                    "the answer about the key cannot be read: expected JSON with the key in `data`"
                )
            );
        }
    }

    /// How often a service was asked about the key.
    fn n_asked(service: &Service) -> usize {
        let heads = service.requests();
        heads.iter().filter(|head| head.starts_with("GET /api/v1/key ")).count()
    }

    #[test]
    fn the_service_is_asked_once_and_again_when_the_time_is_over() {
        let service = service((200, json!({"data": {"usage": 1}})), refusal(403));
        let store = Store::default();
        let ask = |options: Value, variables: &[(&str, &str)]| {
            let settings = service.settings(options, variables);
            let account = block_on(store.account(&settings)).expect("an account");
            assert_eq!(account.usage_usd.as_deref(), Some("1"));
            n_asked(&service)
        };
        let variable = "OPENROUTER_CACHE_TTL_CREDITS";
        assert_eq!(ask(json!({}), &[]), 1);
        assert_eq!(ask(json!({}), &[]), 1);
        assert_eq!(ask(json!({}), &[(variable, "0")]), 2);
        assert_eq!(ask(json!({"caches": {"creditsMs": 9_000}}), &[(variable, "0")]), 2);
        assert_eq!(ask(json!({"caches": {"creditsMs": 0}}), &[(variable, "9000")]), 3);
        assert_eq!(ask(json!({}), &[(variable, "soon")]), 3);
    }

    #[test]
    fn another_key_or_service_has_another_account() {
        let first = service((200, json!({"data": {"usage": 1}})), refusal(403));
        let second = service((200, json!({"data": {"usage": 2}})), refusal(403));
        let store = Store::default();
        let usage = |service: &Service, key: &str| {
            let settings = service.settings(json!({}), &[("OPENROUTER_API_KEY", key)]);
            block_on(store.account(&settings)).expect("an account").usage_usd
        };
        assert_eq!(usage(&first, KEY).as_deref(), Some("1"));
        assert_eq!(usage(&second, KEY).as_deref(), Some("2"));
        assert_eq!(n_asked(&second), 1);
        usage(&second, &format!("{KEY}2"));
        assert_eq!(n_asked(&second), 2);
    }

    #[test]
    fn many_askers_at_once_make_one_request() {
        for status in [200, 500] {
            let service = service((status, json!({"data": {"usage": 1}})), refusal(403));
            // Even where nothing is kept.
            let settings = service.settings(json!({"caches": {"creditsMs": 0}}), &[]);
            let store = Arc::new(Store::default());
            block_on(async {
                let askers: Vec<_> = (0..20)
                    .map(|_| {
                        let (store, settings) = (Arc::clone(&store), Arc::clone(&settings));
                        tokio::spawn(async move { store.account(&settings).await.is_ok() })
                    })
                    .collect();
                for asker in askers {
                    assert_eq!(asker.await.expect("no panic"), status == 200);
                }
            });
            assert_eq!(n_asked(&service), 1, "{status}");
        }
    }

    #[test]
    fn an_error_is_not_kept() {
        let service = service(refusal(500), refusal(500));
        let settings = service.settings(json!({}), &[]);
        let store = Store::default();
        for n in 1..3 {
            assert!(block_on(store.account(&settings)).is_err());
            assert_eq!(n_asked(&service), n);
        }
    }

    #[test]
    fn differences_are_exact() {
        let rows = [
            ("100.5", "25.75", Some("74.75")),
            ("0.3", "0.1", Some("0.2")),
            ("25", "0.00014", Some("24.99986")),
            ("5", "5.0", Some("0")),
            ("1", "3.5", Some("-2.5")),
            ("-0.5", "0.25", Some("-0.75")),
            ("-0.5", "-0.75", Some("0.25")),
            ("1", "free", None),
            ("1", "0.0000000000000000000000000000000000000000001", None),
        ];
        for (minuend, subtrahend, expected) in rows {
            assert_eq!(
                difference(minuend, subtrahend).as_deref(),
                expected,
                "{minuend} - {subtrahend}"
            );
        }
    }
}
