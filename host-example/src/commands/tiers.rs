//! `agent-host tiers`: which model each tier stands for, and why.

use plugin_api::TierModel;

use crate::cli::{Global, Output};
use crate::setup::Setup;
use crate::terminal;
use crate::terminal::exit::{Exit, Failure};

pub async fn run(global: &Global, output: &Output) -> Result<Exit, Failure> {
    let mut active = Setup::read(global)?.activate(false).await?;
    active.read_tiers().await?;
    if output.json {
        terminal::print_json(&active.tiers);
    } else {
        terminal::print(&terminal::table(&rows(&active.tiers)));
    }
    Ok(Exit::Ok)
}

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

/// The rows of a table: tier, configured id, id on the wire, origin.
pub fn rows(tiers: &[TierModel]) -> Vec<Vec<String>> {
    let head = ["TIER", "CONFIGURED", "ON THE WIRE", "FROM"]
        .map(str::to_owned)
        .to_vec();
    let rows = tiers.iter().map(|model| {
        vec![
            model.tier.clone(),
            model.configured.clone(),
            model.wire.clone(),
            model.origin.clone(),
        ]
    });
    std::iter::once(head).chain(rows).collect()
}
