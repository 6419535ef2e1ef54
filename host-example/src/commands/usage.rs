//! `agent-host usage`: what calls cost, how many there were, how long they took.

use plugin_api::HttpRequest;

use crate::history;
use crate::setup::{Active, Global, Setup};
use crate::terminal::{self, Exit, Failure, Interrupts, Page, progress, stopped};
use crate::views::activity::{Activity, Compared, Days};
use crate::views::usage;

/// Where services of this form report what calls cost.
const ACTIVITY: &str = "/activity";

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
    /// Show the service's own figures beside these, by day and model; needs a management key
    #[arg(long, conflicts_with_all = ["by", "csv"])]
    service: bool,
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
  agent-host usage --by client,model --since 2026-08-01 --csv > august.csv
  agent-host usage --service --since 7d";

pub async fn run(global: &Global, args: &Args) -> Result<Exit, Failure> {
    if args.service {
        return beside_service(global, args).await;
    }
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

/// Shows the service's figures beside the ledger's.
async fn beside_service(global: &Global, args: &Args) -> Result<Exit, Failure> {
    let asked = usage::query("", args.since.as_deref(), args.until.as_deref()).map_err(Failure::usage)?;
    let mut interrupts = Interrupts::listen()?;
    let active = Setup::read(global)?.activate(true).await?;
    active.say_address();
    let activity = interrupts.or(activity(&active)).await;
    active.shut_down().await;
    let activity = activity.unwrap_or_else(|| Err(stopped()))?;
    let days = Days::around(asked.since_ms, asked.until_ms);
    let (rows, _) = history::usage(&days.query())?;
    let compared = Compared::of(days, &active.plugin.manifest().id, &rows, &activity);
    if args.json {
        terminal::print_json(&compared.json());
    } else if compared.is_empty() {
        terminal::say("neither the service nor this host has calls for these days");
    } else {
        terminal::print_table(&compared.shown(Page::of_stdout()));
    }
    Ok(Exit::Ok)
}

async fn activity(active: &Active) -> Result<Activity, Failure> {
    let request = HttpRequest::new("GET", ACTIVITY);
    let answer = progress::while_waiting("waiting for the service", active.plugin.raw(request)).await;
    let answer = answer.map_err(|error| {
        let is_refused = matches!(error.details.status, Some(401 | 403));
        let failure = active.failure(error, "show the service's own figures");
        if is_refused {
            let hint = "the service shows them to management keys alone: set one as the key for this command";
            return failure.with_hint(hint);
        }
        failure
    })?;
    serde_json::from_slice(&answer.body).map_err(|cause| {
        let message = format!("cannot read the service's answer to `GET {ACTIVITY}`: expected a list of days: {cause}");
        Failure::internal(message)
    })
}
