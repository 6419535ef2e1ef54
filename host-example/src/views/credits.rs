//! The credit in lines. Pure.
//!
//! What is unknown is shown as `-`, with the reason. Colour only repeats what a shape and a word say.

use plugin_api::Credits;

use crate::terminal::{self, Page, Supply, dollars, time};

/// What is left to spend, as a table.
pub fn shown(credits: &Credits, page: Page) -> String {
    let supply = Supply::from(credits.status);
    supply.coloured(&table(credits, supply, page), page)
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
    use serde_json::{Value, json};

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
