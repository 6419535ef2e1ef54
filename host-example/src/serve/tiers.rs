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

/// The entry of a tier in the list of models: that of the model behind it, under the tier's id and name.
///
/// - In: `model`, the entry of the model behind it, if it is known.
pub fn entry(tier: &TierModel, model: Option<&str>) -> Value {
    let mut entry = model
        .and_then(|model| serde_json::from_str(model).ok())
        .filter(Value::is_object)
        .unwrap_or_else(|| unknown(&tier.wire));
    for (name, usual) in [
        ("object", json!("model")),
        ("created", json!(0)),
        ("owned_by", json!("agent-host")),
    ] {
        if entry[name].is_null() {
            entry[name] = usual;
        }
    }
    entry["id"] = Value::from(tier.tier.as_str());
    entry["name"] = Value::from(format!("{} → {}", tier.tier, tier.wire));
    entry["tier"] = Value::Bool(true);
    entry
}

/// The entry of a model that no list has, with the members that clients rely on.
fn unknown(id: &str) -> Value {
    json!({
        "canonical_slug": id,
        "context_length": null,
        "architecture": {"modality": null, "input_modalities": [], "output_modalities": []},
        // Routers have this price, which means that it is not known before the call.
        "pricing": {"prompt": "-1", "completion": "-1"},
        "top_provider": {"context_length": null, "max_completion_tokens": null, "is_moderated": false},
        "per_request_limits": null,
        "supported_parameters": [],
        "default_parameters": null,
        "supported_voices": null,
        "links": {"details": ""},
    })
}
