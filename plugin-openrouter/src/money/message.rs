//! What the guard says: why a call is not sent, or is sent all the same, and what can be done about it. Pure.

use plugin_api::{Error, ErrorKind, Notice};

use crate::money::estimate::{Estimate, Exceeded, Which};
use crate::profile::tiers::Tier;
use crate::values::usd::Usd;

/// A call might cost more than is left.
pub fn exceeds(estimate: &Estimate, exceeded: &Exceeded) -> Error {
    let (limit, left) = (exceeded.limit, exceeded.left.rounded_down());
    let (option, otherwise) = match exceeded.which {
        Which::Request => ("budget.perRequestUsd", "choose a cheaper model"),
        Which::Session => ("budget.perSessionUsd", "begin a new session"),
        Which::Day => ("budget.perDayUsd", "wait until midnight UTC"),
    };
    let span = match exceeded.which {
        Which::Request => None,
        Which::Session => Some("this session's"),
        Which::Day => Some("today's"),
    };
    let rest = match span {
        None => format!("`{option}` allows ${limit}"),
        Some(span) if exceeded.left == Usd::ZERO => format!("nothing of {span} ${limit} is left"),
        Some(span) => format!("${left} of {span} ${limit} are left"),
    };
    let most = estimate.most.rounded_up();
    let hint = match estimate.tokens_for(exceeded.left) {
        Some(tokens) => format!("ask for at most {tokens} tokens with `parameters.maxTokens`, or raise `{option}`"),
        None => format!("raise `{option}`, or {otherwise}"),
    };
    Error::new(
        ErrorKind::SPEND_LIMIT,
        format!("the request may cost up to ${most}, and {rest}"),
    )
    .with_hint(hint)
}

/// The catalogue could not be had.
pub fn no_prices(cause: Error) -> Error {
    let mut error = cause;
    error.message = format!(
        "the models' prices, which the budget needs, could not be fetched: {}",
        error.message
    );
    error
}

/// A call is sent though it might cost more than is left.
pub fn sent_all_the_same(problem: &Error) -> Notice {
    Notice::new(
        "budget_exceeded",
        format!("{}; it is sent, because `budget.onExceed` is `warn`", problem.message),
    )
}

/// A call is sent though nobody can say whether it keeps the budget.
pub fn unchecked(problem: &Error) -> Notice {
    Notice::new(
        "budget_unchecked",
        format!(
            "{}; the request is sent, because `budget.onExceed` is `warn`",
            problem.message
        ),
    )
}

/// Another tier is asked.
pub fn stepped_down(tier: &str, problem: &Error) -> Notice {
    let tier = Tier::parse(tier).map_or_else(|| tier.to_owned(), |tier| tier.name().to_owned());
    Notice::new(
        "budget_step_down",
        format!("{}; {tier} is asked instead", problem.message),
    )
}
