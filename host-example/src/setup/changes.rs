//! What an edit of the profile changed, in one line for people. Pure.

use plugin_api::TierModel;
use serde_json::Value;

use crate::profile;
use crate::terminal;

/// The tiers with their models, anything else by its name.
///
/// - In: `what` was read again; the tiers and options before and after.
pub fn line(what: &str, tiers: (&[TierModel], &[TierModel]), options: (&Value, &Value)) -> String {
    let (tiers_before, tiers_now) = tiers;
    let (options_before, options_now) = options;
    // Tiers that follow another one change with it and are not listed.
    let tiers = tiers_now.iter().filter(|now| now.follows.is_none()).filter_map(|now| {
        let then = tiers_before.iter().find(|then| then.tier == now.tier)?;
        (then.wire != now.wire).then(|| terminal::clean_line(&format!("{} {} → {}", now.tier, then.wire, now.wire)))
    });
    let mut changes: Vec<String> = tiers.collect();
    let places = profile::differences(options_before, options_now);
    // Changed models are in the list of tiers already.
    let is_model = |place: &String| {
        place == "model" || place.starts_with("tiers.") && place.matches('.').count() == 1 || place.ends_with(".model")
    };
    changes.extend(
        places
            .into_iter()
            .filter(|place| !is_model(place))
            .map(|place| terminal::clean_line(&place)),
    );
    if changes.is_empty() {
        return format!("{what} reloaded: nothing changed");
    }
    format!("{what} reloaded: {} (from the next message on)", changes.join(", "))
}
