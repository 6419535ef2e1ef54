//! What a service says about a key, and what is left to spend.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a service says about a key and its credit. Absent means unknown, never zero. Amounts are US dollars, as decimal texts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Account {
    /// The key's name at the service; the service may shorten the key itself for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// What the key may spend in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_usd: Option<String>,
    /// What is left of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remaining_usd: Option<String>,
    /// When the limit begins anew, in the service's word: `daily`, `weekly`, `monthly`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_reset: Option<String>,
    /// What the key has spent since it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage_usd: Option<String>,
    /// What the key has spent today.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage_today_usd: Option<String>,
    /// What the account has left, where the key may ask.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub balance_usd: Option<String>,
    /// Whether nothing was ever paid for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_free_tier: Option<bool>,
    /// When the key ends, as the service writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
}

/// What is wanted of what is known about the credit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CreditsRequest {
    /// Whether to ask the service although an answer is at hand.
    pub force: bool,
}

/// What is left to spend. Absent means unknown, never zero. Amounts are US dollars, as decimal texts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Credits {
    /// What is left; what was billed since the service last said so is taken off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub balance_usd: Option<String>,
    /// What was spent in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage_usd: Option<String>,
    /// How much that is.
    pub status: CreditStatus,
    /// What the balance is of: `account`, or `key` for what is left of the key's own limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// How long ago the service said it, in milliseconds.
    pub age_ms: u64,
    /// Whether a newer answer was wanted and could not be had; `problem` then says why.
    pub is_stale: bool,
    /// Why there is no newer answer, or no balance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// How much is left to spend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CreditStatus {
    /// More than five dollars.
    Green,
    /// From one dollar to five.
    Yellow,
    /// Less than one dollar.
    Red,
    /// Nobody said, or there is no limit. Also what a later version's status reads as.
    #[default]
    #[serde(other)]
    Unknown,
}
