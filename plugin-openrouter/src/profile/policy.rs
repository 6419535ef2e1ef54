//! Options for calls under failure and load: retries, limits, timeouts, caches, budgets, a secondary service.
//!
//! As with all options, the doc comments become the descriptions of the JSON Schema. Pure.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::profile::price::Price;
use crate::values::spelling::{accept_snake_case, null_as, null_as_default};

/// How often, and after what waits, a call is retried. A call is never retried once part of its answer
/// has been delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(transform = accept_snake_case)]
pub struct Retry {
    /// Attempts with the same models, including the first; 1 means no retry; default 3.
    #[serde(deserialize_with = "null_as::<_, 3>")]
    #[schemars(with = "Option<u64>", range(min = 1, max = 10))]
    pub attempts: u64,
    /// Longest wait accepted from the service, in milliseconds. If it asks for a longer one, the call fails at
    /// once; default 60000.
    #[serde(alias = "max_wait_ms", deserialize_with = "null_as::<_, 60_000>")]
    #[schemars(with = "Option<u64>", range(max = 3_600_000))]
    pub max_wait_ms: u64,
    /// Whether to resend a request for a whole (not streamed) answer when it is unknown whether the service
    /// received it. The service may then answer, and bill, it twice. Default: false.
    #[serde(deserialize_with = "null_as_default")]
    #[schemars(with = "Option<bool>")]
    pub ambiguous: bool,
    /// Whether to retry a request that the balance does not cover, once, with only as many tokens as the
    /// service says it covers. Default: false.
    #[serde(alias = "reduce_tokens", deserialize_with = "null_as_default")]
    #[schemars(with = "Option<bool>")]
    pub reduce_tokens: bool,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 3,
            max_wait_ms: 60_000,
            ambiguous: false,
            reduce_tokens: false,
        }
    }
}

/// How many calls may run at once, how many requests per minute, for all calls with this key, and how large an answer
/// may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(transform = accept_snake_case)]
pub struct Limits {
    /// Requests per minute, including retries and fallbacks. Further requests wait. Default: no limit.
    #[serde(alias = "requests_per_minute", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub requests_per_minute: Option<u64>,
    /// Calls that run at once; further calls wait in order of arrival; default 1024.
    #[serde(deserialize_with = "null_as::<_, 1024>")]
    #[schemars(with = "Option<u64>", range(min = 1, max = 100_000))]
    pub concurrency: u64,
    /// Calls that may wait; further calls fail at once with `overloaded`; default 16384.
    #[serde(deserialize_with = "null_as::<_, 16_384>")]
    #[schemars(with = "Option<u64>", range(max = 1_000_000))]
    pub queue: u64,
    /// The largest answer, in MiB: a whole one, an event of a streamed one, and all images and sound of one; default 64.
    #[serde(alias = "answer_mib", deserialize_with = "null_as::<_, 64>")]
    #[schemars(with = "Option<u64>", range(min = 1, max = 1024))]
    pub answer_mib: u64,
}

impl Limits {
    /// The largest answer, in bytes.
    pub fn answer_bytes(&self) -> usize {
        usize::try_from(self.answer_mib << 20).unwrap_or(usize::MAX)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests_per_minute: None,
            concurrency: 1024,
            queue: 16_384,
            answer_mib: 64,
        }
    }
}

/// A secondary service that speaks OpenAI's protocol and takes over while the primary one is unreachable.
/// Its key is the environment variable `OPENROUTER_SECONDARY_API_KEY`; without it, no key is sent.
/// The primary service's key is never sent there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = accept_snake_case)]
pub struct Secondary {
    /// Its address, such as `https://api.example.com/v1`, with the same rules as `baseUrl`.
    #[serde(alias = "base_url")]
    pub base_url: String,
    /// The model ids of the secondary service, by the ids used here. Models that are not listed keep their id.
    #[serde(
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    #[schemars(with = "Option<BTreeMap<String, String>>")]
    pub models: BTreeMap<String, String>,
}

/// How much may be spent, in US dollars. Before a call, the budget counts its highest possible cost at the
/// listed prices; after it, the actual cost.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(transform = accept_snake_case)]
pub struct Budget {
    /// Limit for one request.
    #[serde(alias = "per_request_usd", skip_serializing_if = "Option::is_none")]
    pub per_request_usd: Option<Price>,
    /// Limit from the start of the program to its end.
    #[serde(alias = "per_session_usd", skip_serializing_if = "Option::is_none")]
    pub per_session_usd: Option<Price>,
    /// Limit from midnight to midnight UTC, for all programs that share the ledger.
    #[serde(alias = "per_day_usd", skip_serializing_if = "Option::is_none")]
    pub per_day_usd: Option<Price>,
    /// What to do with a request that might exceed the budget; default `refuse`.
    #[serde(alias = "on_exceed", deserialize_with = "null_as_default")]
    #[schemars(with = "Option<OnExceed>")]
    pub on_exceed: OnExceed,
    /// Whether only the service's fee counts, and not what a provider charges a key of your own (BYOK). Default:
    /// false.
    #[serde(alias = "ignore_byok", deserialize_with = "null_as_default")]
    #[schemars(with = "Option<bool>")]
    pub ignore_byok: bool,
    /// Folder of the ledger. Default: `openrouter` in the user's state folder, such as
    /// `~/.local/state/openrouter`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ledger: Option<String>,
}

/// What to do with a request that might exceed the budget.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OnExceed {
    /// Do not send it; it fails with `spend_limit`.
    #[default]
    Refuse,
    /// Send it, with a notice.
    Warn,
    /// Send it to the model of this tier if the budget allows that; otherwise refuse it.
    #[serde(alias = "step_down_to")]
    StepDownTo(String),
}

/// How long the model list and the account are cached, in milliseconds, and where.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(transform = accept_snake_case)]
pub struct Caches {
    /// The model list. Default: `OPENROUTER_CACHE_TTL_MODELS`, else 3600000.
    #[serde(alias = "models_ms", skip_serializing_if = "Option::is_none")]
    pub models_ms: Option<u64>,
    /// The account. Default: `OPENROUTER_CACHE_TTL_CREDITS`, else 300000.
    #[serde(alias = "credits_ms", skip_serializing_if = "Option::is_none")]
    pub credits_ms: Option<u64>,
    /// Whether to cache the model list on disk too, for programs that start later. A list cached for 0
    /// milliseconds is never written to disk. Default: true, but false for a service on this machine unless
    /// `folder` is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk: Option<bool>,
    /// Folder of the cached model list. Default: `openrouter` in the user's cache folder, such as
    /// `~/.cache/openrouter`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
}

const LONGEST_TIMEOUT_MS: u64 = 3_600_000;

/// Timeouts of a call, in milliseconds, each from 1 to 3600000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(transform = accept_snake_case)]
pub struct Timeouts {
    /// Connect timeout: longest wait for a connection, in milliseconds; default 5000.
    #[serde(alias = "connect_ms", deserialize_with = "null_as::<_, 5_000>")]
    #[schemars(with = "Option<u64>", range(min = 1, max = LONGEST_TIMEOUT_MS))]
    pub connect_ms: u64,
    /// First-token timeout: longest wait for the first part of the answer, in milliseconds; default 120000.
    #[serde(alias = "first_token_ms", deserialize_with = "null_as::<_, 120_000>")]
    #[schemars(with = "Option<u64>", range(min = 1, max = LONGEST_TIMEOUT_MS))]
    pub first_token_ms: u64,
    /// Idle timeout: longest wait without a byte during an answer, in milliseconds. Keep-alive comments
    /// count as bytes; default 60000.
    #[serde(alias = "idle_ms", deserialize_with = "null_as::<_, 60_000>")]
    #[schemars(with = "Option<u64>", range(min = 1, max = LONGEST_TIMEOUT_MS))]
    pub idle_ms: u64,
    /// Progress timeout: longest wait between two parts of the answer, in milliseconds, even if keep-alive
    /// comments arrive; default 300000.
    #[serde(alias = "progress_ms", deserialize_with = "null_as::<_, 300_000>")]
    #[schemars(with = "Option<u64>", range(min = 1, max = LONGEST_TIMEOUT_MS))]
    pub progress_ms: u64,
    /// Total timeout: longest time for the whole call with all its attempts, in milliseconds; default 600000.
    #[serde(alias = "total_ms", deserialize_with = "null_as::<_, 600_000>")]
    #[schemars(with = "Option<u64>", range(min = 1, max = LONGEST_TIMEOUT_MS))]
    pub total_ms: u64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect_ms: 5_000,
            first_token_ms: 120_000,
            idle_ms: 60_000,
            progress_ms: 300_000,
            total_ms: 600_000,
        }
    }
}
