//! `agent-host usage`: what calls cost, how many there were, how long they took.

use crate::history;
use crate::terminal::{self, Exit, Failure, Page};
use crate::views::usage;

/// Show what calls cost, how many there were and how long they took
#[derive(clap::Args)]
#[command(long_about = ABOUT)]
pub struct Args {
    /// What makes a row: day, model, tier, provider, client, profile, plugin, requested_model, status, code or arm;
    /// several with commas
    #[arg(long, value_name = "GROUP", default_value = "model")]
    by: String,
    /// From when on: `24h`, `7d` or `4w` ago, a day in UTC, or a time such as 2026-08-22T09:30:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Until when, in the same forms
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Print comma-separated values for a spreadsheet
    #[arg(long, conflicts_with = "json")]
    csv: bool,
}

const ABOUT: &str = "\
Show what calls cost, how many there were and how long they took

Every call leaves a row, whether it came from the command line, from `serve` or from `agent`: who asked, which model \
answered, what it cost. Never a prompt. A cost with ~ has an estimate in it, and `-` is an unknown cost. Days are days \
in UTC, as services bill them. `agent-host store prune --older 90d` deletes old rows.

  agent-host usage --by day --since 30d
  agent-host usage --by client,model --since 2026-08-01 --csv > august.csv";

pub fn run(args: &Args) -> Result<Exit, Failure> {
    let query = usage::query(&args.by, args.since.as_deref(), args.until.as_deref()).map_err(Failure::usage)?;
    let (rows, total) = history::usage(&query)?;
    if args.json {
        terminal::print_json(&usage::json(&query, &rows, &total));
    } else if args.csv {
        terminal::print(&usage::csv(&query, &rows));
    } else if total.calls == 0 {
        terminal::say("no calls are recorded for this time");
    } else {
        terminal::print_table(&usage::shown(&query, &rows, &total, Page::of_stdout()));
    }
    Ok(Exit::Ok)
}
