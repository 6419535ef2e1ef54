//! One call, as the ledger keeps it. It has no prompt, no answer and no key.

use crate::money::Nanos;

/// How a call ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    Ok,
    Error,
    /// Its caller left, or stopped it.
    #[default]
    Cancelled,
}

impl Status {
    /// The stable word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A call that has ended. `None` is unknown; an empty text is "none".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// When it ended.
    pub time_ms: i64,
    /// Who asked: `cli`, an agent's name, or what kind of program.
    pub client: String,
    pub plugin: String,
    pub profile: String,
    /// The tier that was asked for.
    pub tier: String,
    /// The model that was asked.
    pub requested_model: String,
    /// The model that answered.
    pub model: String,
    /// Who ran that model.
    pub provider: String,
    pub status: Status,
    /// The stable code of the error that ended it.
    pub code: String,
    /// The arm of a split, where a tier is split.
    pub arm: String,
    /// Every attempt with its reason, as a JSON array; empty if the first one succeeded.
    pub attempts: String,
    pub n_retries: u32,
    pub n_fallbacks: u32,
    pub prompt_tokens: Option<u64>,
    pub completion_tokens: Option<u64>,
    pub cached_tokens: Option<u64>,
    pub cache_write_tokens: Option<u64>,
    pub reasoning_tokens: Option<u64>,
    /// What the service billed.
    pub billed: Option<Nanos>,
    /// What the provider charged to a key of the user's own.
    pub upstream: Option<Nanos>,
    /// What it should have cost, where the bill is unknown.
    pub estimated: Option<Nanos>,
    pub first_token_ms: Option<u64>,
    pub duration_ms: u64,
    /// The service's id of the generation.
    pub generation_id: String,
}
