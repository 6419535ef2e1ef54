//! Fetches what the service reports about the key and its credit, and reads it.
//!
//! In: the replies of `/key` and `/credits`, requested at the same time. Out: an [`Account`], and the remaining credit.
//! Amounts stay the decimals that the service wrote. A missing amount stays unknown and never becomes zero.

use std::time::{Duration, Instant, SystemTime};

use plugin_api::{Account, Error, ErrorKind};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::money::credits::{Reported, Source};
use crate::service::Settings;
use crate::service::fetch::{self, Fetched};
use crate::values::secret::scrub;
use crate::values::usd::{decimal, difference};

/// The replies about the key and its credit.
pub struct Replies {
    /// The reply of `/key`.
    pub key: Result<Fetched, Error>,
    /// The reply of `/credits`.
    credits: Result<Fetched, Error>,
    /// When the reply of `/key` arrived, by this machine's clock.
    pub at: SystemTime,
    /// How long the reply of `/key` took.
    pub elapsed: Duration,
}

/// The contents of the replies.
#[derive(Debug)]
pub struct Known {
    pub account: Account,
    /// Whether the key is for administration only and cannot call models.
    pub is_management_key: bool,
}

/// Requests `/key` and `/credits` at the same time.
pub async fn ask(settings: &Settings) -> Replies {
    let begun = Instant::now();
    let key = async {
        let key = fetch::get(settings, "/key").await;
        (key, SystemTime::now(), begun.elapsed())
    };
    let ((key, at, elapsed), credits) = tokio::join!(key, fetch::get(settings, "/credits"));
    Replies {
        key,
        credits,
        at,
        elapsed,
    }
}

impl Replies {
    /// Reads the replies.
    ///
    /// - Errors: `unsupported` if the service has no `/key`; `protocol` if its reply is unreadable; the error of the
    ///   request.
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
                balance_usd: self.of_account().map(|(balance_usd, _)| balance_usd),
                is_free_tier: key.is_free_tier,
                free_requests_today: key
                    .free_model_daily_requests
                    .and_then(|allowance| serde_json::from_str(allowance.get()).ok()),
                expires_at: text(key.expires_at),
            },
        })
    }

    /// The remaining credit: the account's balance, or what is left of the key's own limit.
    ///
    /// - In: `previous`, the source of the balance that is known already, if any.
    /// - Errors: those of [`Self::read`]; a temporary failure to read the account's balance.
    pub fn credit(&self, settings: &Settings, previous: Option<Source>) -> Result<Reported, Error> {
        if let Some((balance_usd, usage_usd)) = self.of_account() {
            return Ok(Reported::of_account(balance_usd, usage_usd));
        }
        // A stale balance of the account is better than a fresh one of something else.
        if let Err(error) = &self.credits
            && previous == Some(Source::Account)
            && !is_final(error)
        {
            return Err(error.clone());
        }
        let account = self.read(settings)?.account;
        let has_limit = account.limit_usd.is_some();
        Ok(Reported::of_key(account.remaining_usd, account.usage_usd, has_limit))
    }

    /// The account's balance and usage; `None` if the service does not report them.
    fn of_account(&self) -> Option<(String, String)> {
        // Most keys may not read the credits, so a refusal here does not mean that the key is bad.
        // Source: OpenRouter's API description, `/credits`: "Management key required", errors 401 and 403.
        let credits = self.credits.as_ref().ok()?;
        let answer: Answer<Totals<'_>> = serde_json::from_slice(&credits.body).ok()?;
        let bought = decimal(answer.data.total_credits.get())?;
        let spent = decimal(answer.data.total_usage.get())?;
        Some((difference(&bought, &spent)?, spent))
    }
}

/// Whether another request would fail in the same way: the key may not read it, or the service has no such path.
fn is_final(error: &Error) -> bool {
    matches!(error.details.status, Some(401 | 403)) || is_missing(error)
}

#[derive(Deserialize)]
struct Answer<T> {
    data: T,
}

/// The key as sent on the wire. Every field may be missing, as compatible services leave some out.
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
    /// The older name of `is_management_key`.
    is_provisioning_key: Option<bool>,
    expires_at: Option<String>,
    /// Newer than the API description, so an odd one must not cost the rest.
    #[serde(borrow)]
    free_model_daily_requests: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Totals<'a> {
    #[serde(borrow)]
    total_credits: &'a RawValue,
    #[serde(borrow)]
    total_usage: &'a RawValue,
}

fn read_key(body: &[u8]) -> Result<Key<'_>, Error> {
    // The parser's own message would quote the reply.
    match serde_json::from_slice::<Answer<Key<'_>>>(body) {
        Ok(answer) => Ok(answer.data),
        Err(_) => Err(Error::new(
            ErrorKind::PROTOCOL,
            "could not read the reply of `/key`: expected JSON with the key in `data`",
        )
        .with_hint("check the base URL, and whether the network requires a login")),
    }
}

/// Whether the service has no such path. Other services that speak OpenAI's protocol often lack `/key`.
fn is_missing(error: &Error) -> bool {
    matches!(error.details.status, Some(404 | 405 | 501))
}

pub fn no_account() -> Error {
    Error::new(
        ErrorKind::UNSUPPORTED,
        "the service does not report keys or credit: it has no `/key`",
    )
    .with_hint("check the service's own website; OpenRouter's address is https://openrouter.ai/api/v1")
}
