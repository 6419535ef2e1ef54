//! What calls add up to: the question, and its answer.

use serde::Serialize;

use crate::money::Nanos;

/// By what calls are grouped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// In UTC, as services bill.
    Day,
    Model,
    RequestedModel,
    Tier,
    Provider,
    Client,
    Profile,
    Plugin,
    Status,
    Code,
    Arm,
}

impl By {
    /// Its name in answers.
    pub fn word(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Model => "model",
            Self::RequestedModel => "requested_model",
            Self::Tier => "tier",
            Self::Provider => "provider",
            Self::Client => "client",
            Self::Profile => "profile",
            Self::Plugin => "plugin",
            Self::Status => "status",
            Self::Code => "code",
            Self::Arm => "arm",
        }
    }
}

/// Which calls, and how they are grouped. Without a group, one row has them all.
#[derive(Clone, Debug, Default)]
pub struct Query {
    pub by: Vec<By>,
    /// From this moment on.
    pub since_ms: Option<i64>,
    /// Before this moment.
    pub until_ms: Option<i64>,
}

/// A group, and what its calls add up to.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The values of [`Query::by`], in its order. A day is `2026-08-22`; what a call does not have is empty.
    pub key: Vec<String>,
    pub sums: Sums,
}

/// What calls add up to. A sum without any known part is `None`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Sums {
    pub calls: u64,
    pub errors: u64,
    pub cancelled: u64,
    pub retries: u64,
    pub fallbacks: u64,
    pub prompt_tokens: Option<u64>,
    pub completion_tokens: Option<u64>,
    pub cached_tokens: Option<u64>,
    pub cache_write_tokens: Option<u64>,
    pub reasoning_tokens: Option<u64>,
    pub billed_usd: Option<Nanos>,
    pub upstream_usd: Option<Nanos>,
    /// Of the calls without a bill.
    pub estimated_usd: Option<Nanos>,
    /// How many answers have neither a bill nor an estimate.
    pub unknown_cost: u64,
    /// Half of the calls took at most this long. From steps of a sixth, as the next one.
    pub p50_ms: Option<u64>,
    pub p95_ms: Option<u64>,
    pub first_token_p50_ms: Option<u64>,
    pub first_token_p95_ms: Option<u64>,
}
