//! Asks the service about the key and its credit, and reads what it answers.
//!
//! In: the answers of `/key` and `/credits`, asked for together. Out: an [`Account`], and what is left. What the service
//! does not say stays unknown: nothing becomes zero for want of an answer.

use std::time::{Duration, Instant, SystemTime};

use plugin_api::{Account, Error, ErrorKind};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::money::credits::{Source, Told};
use crate::service::Settings;
use crate::service::fetch::{self, Fetched};
use crate::values::secret::scrub;
use crate::values::usd::{decimal, difference};

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
    let ((key, at, elapsed), credits) = tokio::join!(key, fetch::get(settings, "/credits"));
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
                balance_usd: self.of_account().map(|(balance_usd, _)| balance_usd),
                is_free_tier: key.is_free_tier,
                expires_at: text(key.expires_at),
            },
        })
    }

    /// What is left to spend: of the account, or else of the key's own limit.
    ///
    /// - In: what the balance was of that is known already, if one is.
    /// - Errors: those of [`Store::account`]; what kept the account's balance from being told this time only.
    pub fn credit(&self, settings: &Settings, former: Option<Source>) -> Result<Told, Error> {
        if let Some((balance_usd, usage_usd)) = self.of_account() {
            return Ok(Told::of_account(balance_usd, usage_usd));
        }
        // An old balance of the account is better than the new one of something else.
        if let Err(error) = &self.credits
            && former == Some(Source::Account)
            && !is_final(error)
        {
            return Err(error.clone());
        }
        let account = self.read(settings)?.account;
        let has_limit = account.limit_usd.is_some();
        Ok(Told::of_key(account.remaining_usd, account.usage_usd, has_limit))
    }

    /// What was bought less what was spent, and what was spent; `None` where the service does not tell.
    fn of_account(&self) -> Option<(String, String)> {
        // Most keys may not ask, which says nothing against the key.
        // Source: OpenRouter's API description, `/credits`: "Management key required", errors 401 and 403.
        let credits = self.credits.as_ref().ok()?;
        let answer: Answer<Totals<'_>> = serde_json::from_slice(&credits.body).ok()?;
        let bought = decimal(answer.data.total_credits.get())?;
        let spent = decimal(answer.data.total_usage.get())?;
        Some((difference(&bought, &spent)?, spent))
    }
}

/// Whether asking again would be answered alike: the key may not ask, or there is nothing to ask for.
fn is_final(error: &Error) -> bool {
    matches!(error.details.status, Some(401 | 403)) || is_missing(error)
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
struct Totals<'a> {
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

pub fn no_account() -> Error {
    Error::new(
        ErrorKind::UNSUPPORTED,
        "the service says nothing about keys and credit: it has no `/key`",
    )
    .with_hint("look at the service's own pages; OpenRouter's address is https://openrouter.ai/api/v1")
}
