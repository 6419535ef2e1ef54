//! The budget's errors and notices: why a call is refused, or sent anyway, and how to change that. Pure.

use plugin_api::{Error, ErrorKind, Notice};

use crate::money::estimate::{Estimate, Exceeded, Which};
use crate::profile::tiers::Tier;
use crate::values::usd::Usd;

/// The call might cost more than is left.
pub fn exceeds(estimate: &Estimate, exceeded: &Exceeded) -> Error {
    let (limit, left) = (exceeded.limit, exceeded.left.rounded_down());
    let (option, otherwise) = match exceeded.which {
        Which::Request => ("budget.perRequestUsd", "choose a cheaper model"),
        Which::Session => ("budget.perSessionUsd", "start a new session"),
        Which::Day => ("budget.perDayUsd", "wait until midnight UTC"),
    };
    let span = match exceeded.which {
        Which::Request => None,
        Which::Session => Some("this session's"),
        Which::Day => Some("today's"),
    };
    let rest = match span {
        None => format!("`{option}` allows ${limit}"),
        Some(span) if exceeded.left == Usd::ZERO => format!("nothing is left of {span} ${limit}"),
        Some(span) => format!("only ${left} is left of {span} ${limit}"),
    };
    let most = estimate.most.rounded_up();
    let hint = match estimate.tokens_for(exceeded.left) {
        Some(tokens) => format!("set `parameters.maxTokens` to at most {tokens}, or raise `{option}`"),
        None => format!("raise `{option}`, or {otherwise}"),
    };
    Error::new(
        ErrorKind::SPEND_LIMIT,
        format!("the request may cost up to ${most}, but {rest}"),
    )
    .with_hint(hint)
}

/// The catalogue is unavailable.
pub fn no_prices(cause: Error) -> Error {
    let mut error = cause;
    error.message = format!(
        "could not fetch the model prices that the budget needs: {}",
        error.message
    );
    error
}

/// The call is sent although it might cost more than is left.
pub fn sent_anyway(problem: &Error) -> Notice {
    Notice::new("budget_exceeded", format!("{}; {SENT_ANYWAY}", problem.message))
}

/// The call is sent although nobody can tell whether it stays within the budget.
pub fn unchecked(problem: &Error) -> Notice {
    Notice::new("budget_unchecked", format!("{}; {SENT_ANYWAY}", problem.message))
}

const SENT_ANYWAY: &str = "the request is sent anyway because `budget.onExceed` is `warn`";

/// Another tier answers instead.
pub fn stepped_down(tier: &str, problem: &Error) -> Notice {
    let tier = Tier::parse(tier).map_or_else(|| tier.to_owned(), |tier| tier.name().to_owned());
    Notice::new("budget_step_down", format!("{}; using {tier} instead", problem.message))
}
