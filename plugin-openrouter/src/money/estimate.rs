//! Estimates what a call may cost at most, and decides whether a budget allows it.
//!
//! In: the models and sizes of a request, prices, limits, the amount spent.
//! Out: an [`Estimate`] and a [`Decision`]. Pure.

use plugin_api::{Error, ErrorKind};

use crate::models::model::{Catalogue, Model};
use crate::profile::policy::Budget;
use crate::profile::price::Price;
use crate::values::usd::Usd;

/// The assumed length of an answer if neither the call nor the catalogue limits it.
const UNKNOWN_MAX_TOKENS: u64 = 8192;

/// A call to be admitted.
#[derive(Debug, Clone, Copy)]
pub struct Demand<'a> {
    /// Every model that may serve it, by id on the wire.
    pub models: &'a [String],
    /// The length of the models' input as JSON: messages, and tools if any.
    pub message_bytes: usize,
    /// The longest answer in tokens, if the call limits it.
    pub max_tokens: Option<u64>,
    /// Whether an earlier admission already stepped this call down to a cheaper tier.
    pub stepped_down: bool,
}

/// The greatest cost of a call.
///
/// It is that of the most expensive model that may serve, at the catalogue's prices: prompt, longest answer, request.
/// It counts a token for every three bytes of JSON; ordinary text has more bytes per token, so this overestimates.
/// It leaves out images given by URL, web searches, and providers that charge more than the catalogue says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Estimate {
    pub most: Usd,
    /// The cost of each model, to find out how many tokens fit.
    pub costs: Vec<Cost>,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Cost {
    /// Independent of the length of the answer.
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

    /// The longest answer that `left` pays for with every model.
    ///
    /// - Out: `None` if its length does not matter, or if nothing is left for an answer.
    pub fn tokens_for(&self, left: Usd) -> Option<u64> {
        if self.costs.iter().any(|cost| cost.fixed > left) {
            return None;
        }
        let tokens = |cost: &Cost| left.minus(cost.fixed).holds(cost.per_token);
        self.costs.iter().filter_map(tokens).min().filter(|tokens| *tokens > 0)
    }
}

/// The cost of a model, and the length of its longest answer.
fn cost_of(model: &Model, prompt_tokens: u64) -> Option<(Cost, Option<u64>)> {
    let (prompt, completion) = model.greatest_prices(prompt_tokens)?;
    let cost = Cost {
        fixed: prompt.times(prompt_tokens).plus(model.request_price?),
        per_token: completion,
    };
    // A model without a limit of its own may write until its context is full.
    Some((cost, model.max_completion_tokens.or(model.context_length)))
}

/// The amounts that may be spent; `None` means no limit.
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
    // The type guarantees a decimal number. If it ever is not, nothing may be spent.
    Usd::parse(price.as_str()).unwrap_or(Usd::ZERO)
}

/// The amount spent, including what calls in progress may cost.
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

/// A limit that a call might exceed.
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

/// Whether a call that may cost `most` may be sent.
///
/// If it exceeds several limits, the tightest is returned, because a call that fits there fits everywhere.
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

/// The price of a model is unknown.
pub fn unknown_price(model: &str) -> Error {
    Error::new(
        ErrorKind::SPEND_LIMIT,
        format!("the price of {model} is unknown, so the budget cannot be enforced"),
    )
    .with_hint("choose a model with a known price, or set `budget.onExceed` to `warn`")
}
