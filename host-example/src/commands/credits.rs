//! `agent-host credits`: what is left to spend, once or until Ctrl-C.

use std::time::Duration;

use plugin_api::{CreditStatus, Credits, CreditsRequest};
use serde_json::{Value, json};

use super::Output;
use crate::setup::{Active, Global, Setup};
use crate::terminal::{self, Exit, Failure, Interrupts, Page, Supply, progress};
use crate::views::credits;

/// Show what is left to spend
#[derive(clap::Args)]
pub struct Args {
    /// Ask the service even if a cached answer is fresh
    #[arg(long)]
    pub refresh: bool,
    /// Ask again and again, by default every 60 seconds, until Ctrl-C; in a pipe, print a line for each change
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "60", require_equals = true,
        value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub watch: Option<u64>,
    #[command(flatten)]
    pub output: Output,
}

pub async fn run(global: &Global, args: &Args) -> Result<Exit, Failure> {
    let mut interrupts = Interrupts::listen()?;
    let active = Setup::read(global)?.activate(true).await?;
    let asked = async {
        let asking = asked(&active, args.refresh || args.watch.is_some());
        let credits = progress::while_waiting("fetching the balance", asking).await;
        credits.map_err(|error| active.failure(error, "report its credit"))
    };
    let credits = interrupts.or(asked).await.ok_or_else(terminal::interrupted)??;
    match args.watch {
        Some(seconds) => {
            let watching = watch(&active, credits, Duration::from_secs(seconds), args.output.json);
            // Ctrl-C is how a watch ends.
            interrupts.or(watching).await;
            if terminal::stdout_has_cursor() {
                terminal::print_line("");
            }
        }
        None => {
            print(&active, &credits, args.output.json).await;
            if credits.status == CreditStatus::Red {
                terminal::say("warning: less than $1 left; the service refuses requests that may cost more");
            }
        }
    }
    active.shut_down().await;
    Ok(Exit::Ok)
}

async fn asked(active: &Active, force: bool) -> Result<Credits, plugin_api::Error> {
    active.plugin.credits(CreditsRequest { force }).await
}

async fn print(active: &Active, credits: &Credits, as_json: bool) {
    let account = active.plugin.account().await.ok();
    let allowance = account.and_then(|account| account.free_requests_today);
    if as_json {
        let mut object = object(active, credits);
        object["free_requests_today"] = json!(allowance);
        return terminal::print_json(&object);
    }
    let allowance = allowance.and_then(credits::described);
    terminal::print(&credits::shown(credits, allowance, Page::of_stdout()));
}

fn object(active: &Active, credits: &Credits) -> Value {
    let mut object = json!({"plugin": active.plugin.manifest().id});
    if let (Some(object), Ok(Value::Object(credits))) = (object.as_object_mut(), serde_json::to_value(credits)) {
        object.extend(credits);
    }
    object
}

/// Prints the credit each time it has changed. On a terminal one line is written over.
async fn watch(active: &Active, mut credits: Credits, every: Duration, as_json: bool) {
    let mut shown = String::new();
    loop {
        let line = match as_json {
            true => {
                // Its age changes all the time.
                let of_now = Credits {
                    age_ms: 0,
                    ..credits.clone()
                };
                terminal::safe_json(&object(active, &of_now).to_string())
            }
            false => credits::line(&credits),
        };
        if line != shown {
            if terminal::stdout_has_cursor() && !as_json {
                let page = Page::of_stdout();
                let room = page.columns.map_or(usize::MAX, |columns| columns.saturating_sub(1));
                let line = terminal::cut(&page.text(&line), room, page);
                let line = Supply::from(credits.status).coloured(&line, page);
                terminal::print(&format!("\r\x1b[K{line}"));
            } else if terminal::try_write(format!("{line}\n").as_bytes()).is_err() {
                return;
            }
            shown = line;
        }
        tokio::time::sleep(every).await;
        credits = match asked(active, true).await {
            Ok(credits) => credits,
            Err(error) => Credits {
                is_stale: true,
                problem: Some(error.message),
                ..credits
            },
        };
    }
}
