//! The options that say how calls behave when something is in their way: retries, limits, a second service, money.
//!
//! As with all options, the doc comments are the descriptions of the JSON Schema. Pure.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::profile::price::Price;
use crate::values::spelling::{accept_snake_case, null_as, null_as_default};

/// How often and how long a call is tried again. Nothing is tried again once a piece of an answer was delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(transform = accept_snake_case)]
pub struct Retry {
    /// Attempts with the same models, the first one included; 1 means no retry; default 3.
    #[serde(deserialize_with = "null_as::<_, 3>")]
    #[schemars(with = "Option<u64>", range(min = 1, max = 10))]
    pub attempts: u64,
    /// Longest wait that the service may ask for, in milliseconds; a longer one is returned as an error at
    /// once instead of waited for; default 60000.
    #[serde(alias = "max_wait_ms", deserialize_with = "null_as::<_, 60_000>")]
    #[schemars(with = "Option<u64>", range(max = 3_600_000))]
    pub max_wait_ms: u64,
    /// Whether a request for an answer in one piece is sent again when its fate is unknown. It may then be
    /// answered, and billed, twice. Default: false.
    #[serde(deserialize_with = "null_as_default")]
    #[schemars(with = "Option<bool>")]
    pub ambiguous: bool,
    /// Whether a request that the credit does not suffice for is sent once more, with as many tokens as the
    /// service says it suffices for. Default: false.
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

/// How much may go on at once, for all calls with this key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(transform = accept_snake_case)]
pub struct Limits {
    /// Requests per minute, retries and fallbacks included. More wait for their turn. Default: no limit.
    #[serde(alias = "requests_per_minute", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub requests_per_minute: Option<u64>,
    /// Calls at once; more wait in the order in which they came; default 1024.
    #[serde(deserialize_with = "null_as::<_, 1024>")]
    #[schemars(with = "Option<u64>", range(min = 1, max = 100_000))]
    pub concurrency: u64,
    /// Calls that may wait; more are refused at once as `overloaded`; default 16384.
    #[serde(deserialize_with = "null_as::<_, 16_384>")]
    #[schemars(with = "Option<u64>", range(max = 1_000_000))]
    pub queue: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests_per_minute: None,
            concurrency: 1024,
            queue: 16_384,
        }
    }
}

/// Another service that speaks OpenAI's protocol and takes over while the first one cannot be reached. Its key is in the
/// environment variable `OPENROUTER_SECONDARY_API_KEY`; without one, none is sent. The first service's key never goes there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = accept_snake_case)]
pub struct Secondary {
    /// Its address, such as `https://api.example.com/v1`, by the same rules as the first one's.
    #[serde(alias = "base_url")]
    pub base_url: String,
    /// What the models are called there, by their ids here. A model that is not named is asked for by the same id.
    #[serde(
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    #[schemars(with = "Option<BTreeMap<String, String>>")]
    pub models: BTreeMap<String, String>,
}

/// What may be spent, in US dollars. Before a call its greatest cost is estimated from the catalogue's prices; after it, the
/// bill counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(transform = accept_snake_case)]
pub struct Budget {
    /// For one request.
    #[serde(alias = "per_request_usd", skip_serializing_if = "Option::is_none")]
    pub per_request_usd: Option<Price>,
    /// From the start of the program to its end.
    #[serde(alias = "per_session_usd", skip_serializing_if = "Option::is_none")]
    pub per_session_usd: Option<Price>,
    /// From midnight to midnight UTC, for all programs that share the ledger.
    #[serde(alias = "per_day_usd", skip_serializing_if = "Option::is_none")]
    pub per_day_usd: Option<Price>,
    /// What happens to a request that might cost more than is left; default `refuse`.
    #[serde(alias = "on_exceed", deserialize_with = "null_as_default")]
    #[schemars(with = "Option<OnExceed>")]
    pub on_exceed: OnExceed,
    /// The folder of the ledger. Default: `openrouter` in the folder for state of the user, such as `~/.local/state/openrouter`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ledger: Option<String>,
}

/// What happens to a request that might cost more than is left.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OnExceed {
    /// It is not sent, and fails with `spend_limit`.
    #[default]
    Refuse,
    /// It is sent, and a notice says so.
    Warn,
    /// It is sent to the model of this tier, if that one can be afforded; else it is refused.
    #[serde(alias = "step_down_to")]
    StepDownTo(String),
}

/// How long lists that the service gives are kept before they are asked for again, in milliseconds, and where.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(transform = accept_snake_case)]
pub struct Caches {
    /// The catalogue of models; else `OPENROUTER_CACHE_TTL_MODELS`, else 3600000.
    #[serde(alias = "models_ms", skip_serializing_if = "Option::is_none")]
    pub models_ms: Option<u64>,
    /// The account; else `OPENROUTER_CACHE_TTL_CREDITS`, else 300000.
    #[serde(alias = "credits_ms", skip_serializing_if = "Option::is_none")]
    pub credits_ms: Option<u64>,
    /// Whether the catalogue is kept on the disk too, for programs that begin later; not where it is kept for 0 milliseconds.
    /// Default: true, but false for a service on this machine unless `folder` is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk: Option<bool>,
    /// The folder for that. Default: `openrouter` in the folder for caches of the user, such as `~/.cache/openrouter`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
}

const LONGEST_TIMEOUT_MS: u64 = 3_600_000;

/// How long to wait for what, in milliseconds, each from 1 to 3600000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(transform = accept_snake_case)]
pub struct Timeouts {
    /// Longest wait for a connection, in milliseconds; default 5000.
    #[serde(alias = "connect_ms", deserialize_with = "null_as::<_, 5_000>")]
    #[schemars(with = "Option<u64>", range(min = 1, max = LONGEST_TIMEOUT_MS))]
    pub connect_ms: u64,
    /// Longest wait for the first piece of the answer, in milliseconds; default 120000.
    #[serde(alias = "first_token_ms", deserialize_with = "null_as::<_, 120_000>")]
    #[schemars(with = "Option<u64>", range(min = 1, max = LONGEST_TIMEOUT_MS))]
    pub first_token_ms: u64,
    /// Longest silence during an answer, in milliseconds: any byte ends it, also one that only says that the
    /// service is alive; default 60000.
    #[serde(alias = "idle_ms", deserialize_with = "null_as::<_, 60_000>")]
    #[schemars(with = "Option<u64>", range(min = 1, max = LONGEST_TIMEOUT_MS))]
    pub idle_ms: u64,
    /// Longest wait between two pieces of the answer, in milliseconds, signs of life or not; default 300000.
    #[serde(alias = "progress_ms", deserialize_with = "null_as::<_, 300_000>")]
    #[schemars(with = "Option<u64>", range(min = 1, max = LONGEST_TIMEOUT_MS))]
    pub progress_ms: u64,
    /// Longest time for the whole call with all its attempts, in milliseconds; default 600000.
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
