//! `agent-host credits`: what is left to spend.

use plugin_api::{CreditStatus, CreditsRequest};
use serde_json::{Value, json};

use super::Output;
use crate::setup::{Global, Setup};
use crate::terminal::{self, Exit, Failure, Page, progress};
use crate::views::credits;

/// Show what is left to spend
#[derive(clap::Args)]
pub struct Args {
    /// Ask the service even if a cached answer is fresh
    #[arg(long)]
    pub refresh: bool,
    #[command(flatten)]
    pub output: Output,
}

pub async fn run(global: &Global, args: &Args) -> Result<Exit, Failure> {
    let active = Setup::read(global)?.activate(true).await?;
    let id = &active.plugin.manifest().id;
    let request = CreditsRequest { force: args.refresh };
    let credits = progress::while_waiting("fetching the balance", active.plugin.credits(request)).await;
    let credits =
        credits.map_err(|error| Failure::of_plugin(active.used_key.explained(error), id, "report its credit"))?;
    active.shut_down().await;
    if args.output.json {
        let mut object = json!({"plugin": id});
        if let (Some(object), Ok(Value::Object(credits))) = (object.as_object_mut(), serde_json::to_value(&credits)) {
            object.extend(credits);
        }
        terminal::print_json(&object);
    } else {
        terminal::print(&credits::shown(&credits, Page::of_stdout()));
    }
    if credits.status == CreditStatus::Red {
        terminal::say("warning: less than $1 left; the service refuses requests that may cost more");
    }
    Ok(Exit::Ok)
}
