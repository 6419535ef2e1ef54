//! `agent-host credits`: what is left to spend.
//!
//! What is unknown is shown as `-`, with the reason. Colour only repeats what a shape and a word say.

use plugin_api::{CreditStatus, Credits, CreditsRequest};
use serde_json::{Value, json};

use super::Output;
use crate::setup::{Global, Setup};
use crate::terminal::{self, Exit, Failure, Page, Supply, dollars, progress, time};

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
        let (supply, page) = (Supply::from(credits.status), Page::of_stdout());
        terminal::print(&supply.coloured(&table(&credits, supply, page), page));
    }
    if credits.status == CreditStatus::Red {
        terminal::say("warning: less than $1 left; the service refuses requests that may cost more");
    }
    Ok(Exit::Ok)
}

fn table(credits: &Credits, supply: Supply, page: Page) -> String {
    let reason = || {
        let reason = credits.problem.as_deref().unwrap_or("not reported by the service");
        format!("- ({reason})")
    };
    let usd = |amount: &Option<String>| amount.as_deref().map(dollars);
    let of = match credits.source.as_deref() {
        Some("account") => "account balance".to_owned(),
        Some("key") => "key limit".to_owned(),
        Some(other) => other.to_owned(),
        None => "-".to_owned(),
    };
    let mut age = time::age(credits.age_ms);
    if credits.is_stale {
        let reason = credits.problem.as_deref().unwrap_or("no newer answer is available");
        age.push_str(&format!(", stale: {reason}"));
    }
    let pairs = [
        ("credit", supply.shown().to_owned()),
        ("balance", usd(&credits.balance_usd).unwrap_or_else(reason)),
        ("source", of),
        ("spent", usd(&credits.usage_usd).unwrap_or_else(|| "-".to_owned())),
        ("age", age),
    ];
    terminal::pairs(pairs, page)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: Value) -> String {
        let credits: Credits = serde_json::from_value(json).expect("credits");
        table(&credits, credits.status.into(), Page::PIPE)
    }

    #[test]
    fn the_balance_has_a_word_a_source_and_an_age() {
        let known = text(json!({
            "balance_usd": "12.5", "usage_usd": "7.25", "status": "green", "source": "account", "age_ms": 130_000
        }));
        assert_eq!(
            known,
            "credit   ● enough: more than $5\nbalance  $12.50\nsource   account balance\nspent    $7.25\nage      2 min old\n"
        );
    }

    #[test]
    fn an_unknown_balance_is_a_dash_with_a_reason() {
        let unknown = text(json!({"problem": "the key may not ask"}));
        assert!(unknown.contains("balance  - (the key may not ask)\n"), "{unknown}");
        assert!(!unknown.contains('$'), "{unknown}");
        let problem = "the key may not ask";
        let stale = text(json!({"balance_usd": "0.4", "status": "red", "is_stale": true, "problem": problem}));
        assert!(
            stale.contains("■ nearly gone") && stale.ends_with("age      fresh, stale: the key may not ask\n"),
            "{stale}"
        );
    }
}
