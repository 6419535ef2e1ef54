//! Which models are meant, and in which order. Pure.
//!
//! A filter drops a model that is not known to pass it.

use std::cmp::Reverse;

use plugin_api::Model;

use super::args::{Args, Order};
use crate::views::models::{is_almost_named, is_named, prices};

/// The models that are meant, and whether their names are only almost what was asked for.
pub fn chosen<'a>(models: &'a [Model], args: &Args) -> (Vec<&'a Model>, bool) {
    let words = || args.query.iter().map(String::as_str);
    let fitting = || models.iter().filter(|model| fits(model, args));
    let named: Vec<&Model> = fitting().filter(|model| is_named(model, words())).collect();
    if !named.is_empty() {
        return (named, false);
    }
    (
        fitting().filter(|model| is_almost_named(model, words())).collect(),
        true,
    )
}

fn fits(model: &Model, args: &Args) -> bool {
    let author = || model.id.split('/').next().unwrap_or_default();
    (!args.free || can(model, "free"))
        && (!args.tools || can(model, "tools"))
        && (!args.vision || can(model, "vision"))
        && (!args.reasoning || can(model, "reasoning"))
        && (!args.structured || can_structure(model))
        && args
            .min_context
            .is_none_or(|least| model.context_length.is_some_and(|length| length >= least))
        && args
            .max_price
            .is_none_or(|most| prices(model).is_some_and(|(prompt, completion)| prompt <= most && completion <= most))
        && args
            .author
            .as_deref()
            .is_none_or(|wanted| author().eq_ignore_ascii_case(wanted.trim_end_matches('/')))
}

fn can(model: &Model, ability: &str) -> bool {
    model.abilities.iter().any(|known| known == ability)
}

/// Whether an answer can be held to a schema, which is more than JSON mode.
fn can_structure(model: &Model) -> bool {
    if model.supported_parameters.is_empty() {
        return can(model, "json");
    }
    model
        .supported_parameters
        .iter()
        .any(|name| name == "structured_outputs")
}

/// Sorts. Unknown values come last; equal ones keep the service's order.
pub fn sort(models: &mut [&Model], order: Option<Order>) {
    match order {
        // The service has made these.
        None | Some(Order::Throughput | Order::Latency) => {}
        Some(Order::Name) => models.sort_by_key(|model| (model.name.to_lowercase(), model.id.clone())),
        Some(Order::Price) => {
            let sum = |model: &Model| prices(model).map_or(f64::INFINITY, |(prompt, completion)| prompt + completion);
            models.sort_by(|one, other| sum(one).total_cmp(&sum(other)));
        }
        Some(Order::Context) => models.sort_by_key(|model| Reverse(model.context_length)),
        Some(Order::New) => models.sort_by_key(|model| Reverse(model.created_s)),
    }
}
