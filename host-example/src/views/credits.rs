//! The credit in lines. Pure.
//!
//! What is unknown is shown as `-`, with the reason. Colour only repeats what a shape and a word say.

use plugin_api::{Allowance, Credits, Plugin};

use crate::terminal::{self, Page, Supply, counted, dollars, time};

/// What is left to spend, as a table.
///
/// - In: `allowance` of [`allowance`], if it is known.
pub fn shown(credits: &Credits, allowance: Option<String>, page: Page) -> String {
    let supply = Supply::from(credits.status);
    supply.coloured(&table(credits, supply, allowance, page), page)
}

/// How many requests to free models are left today, if the service says so.
pub async fn allowance(plugin: &Plugin) -> Option<String> {
    match plugin.account().await {
        Ok(account) => described(account.free_requests_today?),
        Err(error) => {
            tracing::debug!("the allowance for free models is unknown: {error}");
            None
        }
    }
}

/// `988 of 1000 requests left today`
pub fn described(allowance: Allowance) -> Option<String> {
    let requests = |count: u64| counted(usize::try_from(count).unwrap_or(usize::MAX), "request");
    Some(match (allowance.remaining, allowance.limit, allowance.used) {
        (Some(remaining), Some(limit), _) => format!("{remaining} of {} left today", requests(limit)),
        (Some(remaining), None, _) => format!("{} left today", requests(remaining)),
        (None, Some(limit), Some(used)) => format!("{used} of {} used today", requests(limit)),
        (None, Some(limit), None) => format!("{} a day", requests(limit)),
        (None, None, Some(used)) => format!("{} used today", requests(used)),
        (None, None, None) => return None,
    })
}

/// What is left to spend, in one line.
pub fn line(credits: &Credits) -> String {
    let usd = |amount: &Option<String>| amount.as_deref().map_or_else(|| "-".to_owned(), dollars);
    let mut line = format!(
        "{} · balance {} · spent {}",
        Supply::from(credits.status).shown(),
        usd(&credits.balance_usd),
        usd(&credits.usage_usd)
    );
    let problem = credits.problem.iter();
    let problem = problem.map(|problem| format!(" · {}{problem}", if credits.is_stale { "stale: " } else { "" }));
    line.extend(problem);
    terminal::clean_line(&line)
}

fn table(credits: &Credits, supply: Supply, allowance: Option<String>, page: Page) -> String {
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
    let pairs = pairs
        .into_iter()
        .chain(allowance.map(|allowance| ("free models", allowance)));
    terminal::pairs(pairs, page)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn text(json: Value) -> String {
        let credits: Credits = serde_json::from_value(json).expect("credits");
        table(&credits, credits.status.into(), None, Page::PIPE)
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
    fn an_allowance_says_only_what_the_service_gives() {
        let text = |json: Value| described(serde_json::from_value(json).expect("an allowance")).unwrap_or_default();
        for (json, expected) in [
            (
                json!({"limit": 1000, "used": 12, "remaining": 988}),
                "988 of 1000 requests left today",
            ),
            (json!({"remaining": 1}), "1 request left today"),
            (json!({"limit": 50, "used": 0}), "0 of 50 requests used today"),
            (json!({"limit": 50}), "50 requests a day"),
            (json!({}), ""),
        ] {
            assert_eq!(text(json), expected);
        }
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
