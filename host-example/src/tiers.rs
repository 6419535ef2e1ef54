//! `agent-host tiers`: which model each tier stands for, and why.

use plugin_api::TierModel;

use crate::cli::{Global, Output};
use crate::exit::{Exit, Failure};
use crate::setup::Setup;
use crate::terminal;

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
