//! Tiers as models. Pure.

use plugin_api::TierModel;
use serde_json::{Value, json};

use crate::setup::tiers;

/// The tier that a model id names: `TEXT_SMALL`, `tier/small`, `tier/TEXT_SMALL`.
pub fn tier_named<'a>(tiers: &'a [TierModel], model: &str) -> Option<&'a TierModel> {
    let short = match model.split_at_checked("tier/".len()) {
        Some((prefix, short)) if prefix.eq_ignore_ascii_case("tier/") => Some(short),
        _ => None,
    };
    match short {
        Some(short) => tiers::find(tiers, short),
        None => tiers.iter().find(|tier| tier.tier.eq_ignore_ascii_case(model)),
    }
}

/// `tier/small`
pub fn short_id(tier: &str) -> String {
    let short = match tier {
        "TEXT_REASONING_LARGE" => "reasoning",
        tier => match tier.strip_prefix("TEXT_") {
            Some(short @ ("NANO" | "SMALL" | "MEDIUM" | "LARGE" | "MEGA")) => short,
            _ => tier,
        },
    };
    format!("tier/{}", short.to_ascii_lowercase())
}

/// The entry of a tier in the list of models.
pub fn entry(tier: &TierModel, id: &str) -> Value {
    json!({
        "id": id,
        "object": "model",
        "created": 0,
        "owned_by": "agent-host",
        "name": format!("{} → {}", tier.tier, tier.wire),
        "tier": true,
    })
}
