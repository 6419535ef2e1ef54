//! `agent-host key`: what the service says about the key and its credit.
//!
//! What the service does not say is said to be unknown. The key itself is never shown.

use std::cmp::Ordering;

use plugin_api::Account;
use serde_json::json;

use crate::cli::{Global, Output};
use crate::setup::Setup;
use crate::terminal::exit::{Exit, Failure};
use crate::terminal::{self, BAD, DOUBTFUL, FAINT, GOOD};

/// Above this many US dollars there is enough, below the other it is nearly gone.
const ENOUGH_USD: f64 = 5.0;
const LITTLE_USD: f64 = 1.0;

/// How much the key can still spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Supply {
    Enough,
    Low,
    NearlyGone,
    Unknown,
}

/// Runs `agent-host key`.
pub async fn run(global: &Global, output: &Output) -> Result<Exit, Failure> {
    let setup = Setup::read(global)?;
    let active = setup.activate(true).await?;
    let manifest = active.plugin.manifest();
    let account = active.plugin.account().await;
    let account = account.map_err(|error| Failure::of_plugin(error, &manifest.id, "ask about its key"))?;
    let supply = supply(&account);
    if output.json {
        let mut told = json!({"plugin": manifest.id, "supply": supply.word()});
        if let (Some(told), Ok(serde_json::Value::Object(account))) =
            (told.as_object_mut(), serde_json::to_value(&account))
        {
            told.extend(account);
        }
        terminal::print_json(&told);
    } else {
        let origin = setup.give(manifest, active.chosen.as_ref())?.key_origin;
        let table = terminal::table(&rows(&account, supply, origin.as_deref()));
        terminal::print(&supply.coloured(table));
    }
    active.shut_down().await;
    Ok(Exit::Ok)
}

impl Supply {
    /// The stable word.
    fn word(self) -> &'static str {
        match self {
            Self::Enough => "enough",
            Self::Low => "low",
            Self::NearlyGone => "nearly_gone",
            Self::Unknown => "unknown",
        }
    }

    /// For people: a shape, and what it means.
    pub fn shown(self) -> &'static str {
        match self {
            Self::Enough => "● enough: more than $5",
            Self::Low => "▲ low: $1 to $5",
            Self::NearlyGone => "■ nearly gone: less than $1",
            Self::Unknown => "○ unknown: no limit and no balance is told",
        }
    }

    /// The table with its shape and word in colour, where stdout has colours.
    pub fn coloured(self, table: String) -> String {
        if !terminal::stdout_has_colour() {
            return table;
        }
        let style = match self {
            Self::Enough => GOOD,
            Self::Low => DOUBTFUL,
            Self::NearlyGone => BAD,
            Self::Unknown => FAINT,
        };
        table.replacen(self.shown(), &format!("{style}{}{style:#}", self.shown()), 1)
    }
}

/// What can still be spent: the key's limit and the account's balance both end it.
fn supply(account: &Account) -> Supply {
    let amounts = [&account.remaining_usd, &account.balance_usd];
    let known = amounts
        .into_iter()
        .filter_map(|amount| amount.as_deref()?.parse::<f64>().ok())
        .filter(|amount| amount.is_finite());
    match known.min_by(|one, other| one.partial_cmp(other).unwrap_or(Ordering::Equal)) {
        None => Supply::Unknown,
        Some(left) if left > ENOUGH_USD => Supply::Enough,
        Some(left) if left >= LITTLE_USD => Supply::Low,
        Some(_) => Supply::NearlyGone,
    }
}

fn rows(account: &Account, supply: Supply, origin: Option<&str>) -> Vec<Vec<String>> {
    let unknown = || "unknown".to_owned();
    let usd = |amount: &Option<String>| amount.as_ref().map_or_else(unknown, |amount| format!("${amount}"));
    let limit = match &account.limit_usd {
        None => "none that the service tells of".to_owned(),
        Some(limit) => {
            let reset = account
                .limit_reset
                .as_deref()
                .map_or_else(String::new, |word| format!(", begins anew {word}"));
            format!("${limit}{reset}")
        }
    };
    let free_tier = account.is_free_tier.map_or_else(unknown, |is_free| {
        if is_free { "yes: nothing was ever paid" } else { "no" }.to_owned()
    });
    [
        ("credit", supply.shown().to_owned()),
        ("key", account.label.clone().unwrap_or_else(unknown)),
        ("from", origin.unwrap_or("nowhere: the plugin needs no key").to_owned()),
        ("limit", limit),
        ("left of it", usd(&account.remaining_usd)),
        ("spent today", usd(&account.usage_today_usd)),
        ("spent in all", usd(&account.usage_usd)),
        ("balance", usd(&account.balance_usd)),
        ("free tier", free_tier),
        (
            "expires",
            account.expires_at.clone().unwrap_or_else(|| "not told".to_owned()),
        ),
    ]
    .into_iter()
    .map(|(name, value)| vec![name.to_owned(), value])
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smaller_of_limit_and_balance_says_how_much_is_left() {
        let of = |remaining: Option<&str>, balance: Option<&str>| {
            supply(&Account {
                remaining_usd: remaining.map(str::to_owned),
                balance_usd: balance.map(str::to_owned),
                ..Account::default()
            })
        };
        assert_eq!(of(None, None), Supply::Unknown);
        assert_eq!(of(Some("much"), Some("NaN")), Supply::Unknown);
        assert_eq!(of(Some("5.01"), None), Supply::Enough);
        assert_eq!(of(Some("5"), None), Supply::Low);
        assert_eq!(of(Some("1.00"), Some("25")), Supply::Low);
        assert_eq!(of(Some("9.5"), Some("0.99")), Supply::NearlyGone);
        assert_eq!(of(Some("-0.2"), None), Supply::NearlyGone);
    }

    #[test]
    fn what_is_not_told_is_unknown_and_never_nothing() {
        let rows = rows(&Account::default(), Supply::Unknown, None);
        let text = terminal::table(&rows);
        assert!(!text.contains("$0"), "{text}");
        assert_eq!(text.matches("unknown").count(), 7, "{text}");
    }
}
