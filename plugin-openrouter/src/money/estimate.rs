//! What a call may cost at most, and whether a budget allows it.
//!
//! In: a request's models and sizes, prices, limits, what was spent. Out: an [`Estimate`] and a [`Decision`]. Pure.

use plugin_api::{Error, ErrorKind};

use crate::models::model::{Catalogue, Model};
use crate::profile::policy::Budget;
use crate::profile::price::Price;
use crate::values::usd::Usd;

/// The tokens that an answer may have where the call does not say it, and the catalogue knows neither the longest answer of
/// the model nor the length of its context.
const UNKNOWN_MAX_TOKENS: u64 = 8192;

/// What a call that wants to be sent is.
#[derive(Debug, Clone, Copy)]
pub struct Demand<'a> {
    /// Every model that may serve it, by its id on the wire.
    pub models: &'a [String],
    /// The length of what the models are to read, as JSON: messages, and tools where there are any.
    pub message_bytes: usize,
    /// The most tokens of the answer, where the call says it.
    pub max_tokens: Option<u64>,
    /// Whether this is the call that an earlier admission put in the place of a dearer one.
    pub stepped_down: bool,
}

/// The greatest cost of a call.
///
/// It is the dearest of the models that may serve: the prompt, the longest answer, the request itself, at the catalogue's
/// prices. A token is taken to have three bytes of JSON, which for ordinary text is too few and so counts too many tokens.
/// An image that is given by its address, a web search and a provider that is dearer than the catalogue says are not in it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Estimate {
    pub most: Usd,
    /// What each model costs, so that the greatest number of tokens that fits can be found.
    pub costs: Vec<Cost>,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Cost {
    /// Whatever the length of the answer.
    pub fixed: Usd,
    pub per_token: Usd,
}

impl Estimate {
    /// - Errors: `spend_limit` for a model without a known price.
    pub fn of(catalogue: &Catalogue, ask: &Demand<'_>) -> Result<Self, Error> {
        let prompt_tokens = u64::try_from(ask.message_bytes.div_ceil(3)).unwrap_or(u64::MAX);
        if ask.models.is_empty() {
            return Err(unknown_price("the account's default model"));
        }
        let mut estimate = Self::default();
        for id in ask.models {
            let priced = catalogue.find(id).and_then(|model| cost_of(model, prompt_tokens));
            let (cost, model_tokens) = priced.ok_or_else(|| unknown_price(&format!("`{id}`")))?;
            let tokens = ask.max_tokens.or(model_tokens).unwrap_or(UNKNOWN_MAX_TOKENS);
            estimate.most = estimate.most.max(cost.fixed.plus(cost.per_token.times(tokens)));
            estimate.costs.push(cost);
        }
        Ok(estimate)
    }

    /// The longest answer that `left` suffices for with each of the models; `None` where its length does not matter, or
    /// nothing is left for an answer.
    pub fn tokens_for(&self, left: Usd) -> Option<u64> {
        if self.costs.iter().any(|cost| cost.fixed > left) {
            return None;
        }
        let tokens = |cost: &Cost| left.minus(cost.fixed).holds(cost.per_token);
        self.costs.iter().filter_map(tokens).min().filter(|tokens| *tokens > 0)
    }
}

/// What a model costs, and the length of its longest answer.
fn cost_of(model: &Model, prompt_tokens: u64) -> Option<(Cost, Option<u64>)> {
    let (prompt, completion) = model.greatest_prices(prompt_tokens)?;
    let cost = Cost {
        fixed: prompt.times(prompt_tokens).plus(model.request_price?),
        per_token: completion,
    };
    // A model without a limit of its own may write until its context is full.
    Some((cost, model.max_completion_tokens.or(model.context_length)))
}

/// What may be spent; `None` is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    pub request: Option<Usd>,
    pub session: Option<Usd>,
    pub day: Option<Usd>,
}

impl Limits {
    pub fn of(budget: &Budget) -> Self {
        Self {
            request: budget.per_request_usd.as_ref().map(usd_of),
            session: budget.per_session_usd.as_ref().map(usd_of),
            day: budget.per_day_usd.as_ref().map(usd_of),
        }
    }
}

fn usd_of(price: &Price) -> Usd {
    // A price is a decimal number by its type; were it none, nothing may be spent.
    Usd::parse(price.as_str()).unwrap_or(Usd::ZERO)
}

/// What was spent, with what calls under way may cost.
#[derive(Debug, Clone, Copy, Default)]
pub struct Spent {
    pub session: Usd,
    pub day: Usd,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Decision {
    Go,
    Exceeds(Exceeded),
}

/// A limit that a call might pass.
#[derive(Debug, PartialEq, Eq)]
pub struct Exceeded {
    pub which: Which,
    pub limit: Usd,
    pub left: Usd,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    Request,
    Session,
    Day,
}

/// Whether a call that may cost `most` may be sent. Of several limits that it might pass, the one that leaves the least is
/// named, because what fits there fits everywhere.
pub fn decide(limits: &Limits, most: Usd, spent: Spent) -> Decision {
    let rows = [
        (Which::Request, limits.request, Usd::ZERO),
        (Which::Session, limits.session, spent.session),
        (Which::Day, limits.day, spent.day),
    ];
    let exceeded = rows.into_iter().filter_map(|(which, limit, spent)| {
        let limit = limit?;
        let left = limit.minus(spent);
        (most > left).then_some(Exceeded { which, limit, left })
    });
    match exceeded.min_by_key(|exceeded| exceeded.left) {
        Some(exceeded) => Decision::Exceeds(exceeded),
        None => Decision::Go,
    }
}

/// Nobody knows what a model costs.
pub fn unknown_price(model: &str) -> Error {
    Error::new(
        ErrorKind::SPEND_LIMIT,
        format!("the price of {model} is unknown, so the budget cannot be kept"),
    )
    .with_hint("name a model with a price, or set `budget.onExceed` to `warn`")
}
