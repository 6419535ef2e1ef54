//! `agent-host tiers`: which model each tier stands for, and why.

use crate::setup::{Global, Setup, tiers};
use crate::terminal::{self, Exit, Failure, Page};

pub async fn run(global: &Global, as_json: bool) -> Result<Exit, Failure> {
    let mut active = Setup::read(global)?.activate(false).await?;
    active.read_tiers().await?;
    if as_json {
        terminal::print_json(&active.tiers);
    } else {
        terminal::print_table(&tiers::table(&active.tiers, Page::of_stdout()));
    }
    Ok(Exit::Ok)
}
