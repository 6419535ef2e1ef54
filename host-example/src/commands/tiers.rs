//! `agent-host tiers`: which model each tier stands for, and why.

use super::output::Output;
use crate::setup::{Global, Setup, tiers};
use crate::terminal::{self, Exit, Failure};

/// Show which model each tier stands for, and why
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub output: Output,
}

pub async fn run(global: &Global, args: &Args) -> Result<Exit, Failure> {
    let mut active = Setup::read(global)?.activate(false).await?;
    active.read_tiers().await?;
    if args.output.json {
        terminal::print_json(&active.tiers);
    } else {
        terminal::print(&tiers::table(&active.tiers));
    }
    Ok(Exit::Ok)
}
