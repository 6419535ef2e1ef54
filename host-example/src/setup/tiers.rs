//! Tiers by the names that people type, and as a table.

use plugin_api::TierModel;

use crate::near::closest;
use crate::terminal::{self, Failure, Fit, Page, Table};

/// The tier of this name; `small` stands for `TEXT_SMALL`, `reasoning` for `TEXT_REASONING_LARGE`.
pub fn find<'a>(tiers: &'a [TierModel], name: &str) -> Option<&'a TierModel> {
    let wanted = name.to_ascii_uppercase();
    let is_meant = |tier: &str| {
        tier == wanted
            || tier
                .strip_prefix("TEXT_")
                .is_some_and(|short| short == wanted || (wanted == "REASONING" && short == "REASONING_LARGE"))
    };
    tiers.iter().find(|model| is_meant(&model.tier))
}

/// The same.
///
/// - Errors: there is none; the hint names the closest one, or all.
pub fn named<'a>(known: &'a [TierModel], name: &str) -> Result<&'a TierModel, Failure> {
    find(known, name).ok_or_else(|| {
        let names: Vec<String> = known.iter().map(|model| format!("`{}`", model.tier)).collect();
        let failure = Failure::usage(format!("unknown tier `{name}`"));
        if names.is_empty() {
            return failure.with_hint("the plugin has no tiers");
        }
        let near = did_you_mean(known, name);
        failure.with_hint(near.unwrap_or_else(|| format!("known tiers: {}", names.join(", "))))
    })
}

/// A question that names the tier closest to an unknown one, in its short form, if any is close.
pub fn did_you_mean(tiers: &[TierModel], unknown: &str) -> Option<String> {
    let unknown = unknown.to_ascii_uppercase();
    let short: Vec<String> = tiers.iter().map(short).collect();
    let full = tiers.iter().map(|model| model.tier.as_str());
    let near = closest(&unknown, short.iter().map(String::as_str).chain(full))?;
    Some(format!("did you mean `{}`?", near.to_ascii_lowercase()))
}

/// The short name of a tier: `small`.
pub fn short(tier: &TierModel) -> String {
    let name = tier.tier.strip_prefix("TEXT_").unwrap_or(&tier.tier);
    name.to_ascii_lowercase()
}

/// The id on the wire; of a split tier, all of them with their shares.
fn wire(tier: &TierModel) -> String {
    let total: u64 = tier.split.values().copied().map(u64::from).sum();
    if total == 0 {
        return tier.wire.clone();
    }
    let share = |weight: u32| (u64::from(weight) * 100).div_ceil(total);
    let arms = tier
        .split
        .iter()
        .map(|(model, weight)| format!("{model} {} %", share(*weight)));
    arms.collect::<Vec<_>>().join(", ")
}

/// A table: tier, configured id, id on the wire, origin.
pub fn table(tiers: &[TierModel], page: Page) -> Table {
    const HEAD: [(&str, Fit); 4] = [
        ("TIER", Fit::Whole),
        ("CONFIGURED", Fit::Dropped),
        ("ON THE WIRE", Fit::Whole),
        ("FROM", Fit::Cut),
    ];
    let rows = tiers.iter().map(|model| {
        vec![
            model.tier.clone(),
            model.configured.clone(),
            wire(model),
            model.origin.clone(),
        ]
    });
    terminal::records(&HEAD, rows, page)
}
