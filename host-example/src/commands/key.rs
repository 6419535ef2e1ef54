//! `agent-host key`: what the service says about the key and its credit.
//!
//! Values that the service does not report are shown as unknown. The key itself is never shown.

use plugin_api::Account;
use serde_json::json;

use crate::setup::{Global, Setup};
use crate::terminal::{self, Exit, Failure, Page, Supply, dollars};
use crate::views::credits;

pub async fn run(global: &Global, as_json: bool) -> Result<Exit, Failure> {
    let setup = Setup::read(global)?;
    let active = setup.activate(true).await?;
    let manifest = active.plugin.manifest();
    let account = active.plugin.account().await;
    let account = account.map_err(|error| active.failure(error, "report on its key"))?;
    let supply = Supply::from(&account);
    if as_json {
        let mut object = json!({"plugin": manifest.id, "supply": supply.word()});
        if let (Some(object), Ok(serde_json::Value::Object(account))) =
            (object.as_object_mut(), serde_json::to_value(&account))
        {
            object.extend(account);
        }
        terminal::print_json(&object);
    } else {
        let origin = setup.give(manifest, active.chosen.as_ref())?.key_origin;
        let page = Page::of_stdout();
        let table = table(&account, supply, origin.as_deref(), page);
        terminal::print(&supply.coloured(&table, page));
    }
    active.shut_down().await;
    Ok(Exit::Ok)
}

fn table(account: &Account, supply: Supply, origin: Option<&str>, page: Page) -> String {
    let unknown = || "unknown".to_owned();
    let usd = |amount: &Option<String>| amount.as_deref().map_or_else(unknown, dollars);
    let limit = match &account.limit_usd {
        None => "none reported".to_owned(),
        Some(limit) => {
            let reset = account
                .limit_reset
                .as_deref()
                .map_or_else(String::new, |word| format!(", resets {word}"));
            format!("{}{reset}", dollars(limit))
        }
    };
    let free_tier = account.is_free_tier.map_or_else(unknown, |is_free| {
        if is_free { "yes: nothing paid yet" } else { "no" }.to_owned()
    });
    let pairs = [
        ("credit", supply.shown().to_owned()),
        ("key", account.label.clone().unwrap_or_else(unknown)),
        ("from", origin.unwrap_or("none: the plugin needs no key").to_owned()),
        ("limit", limit),
        ("remaining", usd(&account.remaining_usd)),
        ("spent today", usd(&account.usage_today_usd)),
        ("total spent", usd(&account.usage_usd)),
        ("balance", usd(&account.balance_usd)),
        ("free tier", free_tier),
        ("expires", account.expires_at.clone().unwrap_or_else(unknown)),
    ];
    let allowance = account.free_requests_today.and_then(credits::described);
    terminal::pairs(
        pairs
            .into_iter()
            .chain(allowance.map(|allowance| ("free models", allowance))),
        page,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_values_are_unknown_and_never_zero() {
        let text = table(&Account::default(), Supply::Unknown, None, Page::PIPE);
        assert!(!text.contains("$0"), "{text}");
        assert_eq!(text.matches("unknown").count(), 8, "{text}");
    }
}
