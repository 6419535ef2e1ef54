//! What a service reports about a key and the credit behind it.
//!
//! Amounts are US dollars as decimal strings, so nothing is rounded on the way. Absent means unknown, never zero.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A key's limits and use, as the service reports them. Amounts are US dollars as decimal strings.
/// Absent means unknown, never zero.
///
/// Since: 1.1.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Account {
    /// The key's name at the service, which may be a shortened form of the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The most that the key may spend.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_usd: Option<String>,
    /// How much of that limit remains.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remaining_usd: Option<String>,
    /// How often the limit resets, in the service's words: `daily`, `weekly`, `monthly`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_reset: Option<String>,
    /// What the key has spent since it was created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage_usd: Option<String>,
    /// What the key has spent today.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage_today_usd: Option<String>,
    /// The account's balance, if the key is allowed to see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub balance_usd: Option<String>,
    /// Whether the account has never bought credit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_free_tier: Option<bool>,
    /// How many requests to free models the service allows today. Since: 1.3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub free_requests_today: Option<Allowance>,
    /// When the key expires, as the service writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
}

/// How many requests are allowed, and how many of them are left. Absent means unknown, never zero.
///
/// Since: 1.3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Allowance {
    /// The most requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// The requests that were sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used: Option<u64>,
    /// The requests that are left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remaining: Option<u64>,
}

/// How fresh a report of the credit must be.
///
/// Since: 1.2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CreditsRequest {
    /// Whether to ask the service even if a cached answer is fresh enough.
    pub force: bool,
}

/// The credit that is left. Amounts are US dollars as decimal strings. Absent means unknown, never zero.
///
/// Since: 1.2.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Credits {
    /// The balance, less what was billed since the service reported it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub balance_usd: Option<String>,
    /// What has been spent in total.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage_usd: Option<String>,
    /// How much the balance is, as a traffic light.
    pub status: CreditStatus,
    /// Whose balance it is: `account`, or `key` for what remains of the key's own limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// How long ago the service reported it, in milliseconds.
    pub age_ms: u64,
    /// Whether a newer report was wanted but unavailable; `problem` says why.
    pub is_stale: bool,
    /// Why there is no newer report, or no balance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// How much credit is left, as a traffic light.
///
/// Since: 1.2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CreditStatus {
    /// More than five dollars.
    Green,
    /// One to five dollars.
    Yellow,
    /// Less than one dollar.
    Red,
    /// The balance is unknown, or there is no limit. Unknown values from later versions read as this too.
    #[default]
    #[serde(other)]
    Unknown,
}
