//! Judges how much may still be spent. Pure.

use plugin_api::{Account, CreditStatus, Error, Finding, FindingStatus};

use super::{failed, ok, skipped, unknown_for, warning};
use crate::money::asked::Known;
use crate::money::credits;
use crate::values::usd::dollars;

const CREDITS_PAGE: &str = "https://openrouter.ai/settings/credits";

/// The findings about the account.
pub fn findings(known: &Result<Known, Error>) -> Vec<Finding> {
    match known {
        Ok(known) => vec![credit(&known.account), free_tier(&known.account)],
        Err(error) => {
            let why = unknown_for(error);
            vec![skipped("credit", why.clone()), skipped("free_tier", why)]
        }
    }
}

/// The key's remaining limit and the account's balance. The worse of the two decides.
fn credit(account: &Account) -> Finding {
    let id = "credit";
    let remaining = account.remaining_usd.as_deref();
    let balance = account.balance_usd.as_deref();
    let of_key = match (remaining, account.limit_usd.as_deref()) {
        (Some(remaining), Some(limit)) => {
            let reset = account.limit_reset.as_ref().map(|reset| format!(" (resets {reset})"));
            let reset = reset.unwrap_or_default();
            format!("the key has {} of {} left{reset}", dollars(remaining), dollars(limit))
        }
        (Some(remaining), None) => format!("the key has {} left", dollars(remaining)),
        (None, Some(limit)) => format!("the key may spend {}; how much is left is unknown", dollars(limit)),
        (None, None) => "the key has no limit of its own".to_owned(),
    };
    let of_account = match balance {
        Some(balance) => format!("the account has {}", dollars(balance)),
        None => "the account's balance is hidden from this key".to_owned(),
    };
    let summary = format!("{of_key}; {of_account}");
    let key_status = remaining.map_or(FindingStatus::Ok, judge);
    let account_status = balance.map_or(FindingStatus::Ok, judge);
    let remedy = match severity(account_status) >= severity(key_status) {
        true => format!("add credit at {CREDITS_PAGE}"),
        false => "raise the key's limit at https://openrouter.ai/settings/keys".to_owned(),
    };
    match severity(key_status).max(severity(account_status)) {
        0 => ok(id, summary),
        1 => warning(id, summary, remedy),
        _ => failed(id, summary, remedy),
    }
}

/// Above five dollars is enough; below one is a failure.
fn judge(amount_usd: &str) -> FindingStatus {
    match credits::status(Some(amount_usd)) {
        CreditStatus::Green => FindingStatus::Ok,
        CreditStatus::Yellow => FindingStatus::Warning,
        CreditStatus::Red => FindingStatus::Failed,
        CreditStatus::Unknown => FindingStatus::Skipped,
    }
}

fn severity(status: FindingStatus) -> u8 {
    match status {
        FindingStatus::Ok | FindingStatus::Skipped => 0,
        FindingStatus::Warning => 1,
        FindingStatus::Failed => 2,
    }
}

/// The limits of free models, which depend on whether credit was ever bought.
///
/// - Source: OpenRouter docs, `api_reference/limits`.
fn free_tier(account: &Account) -> Finding {
    let id = "free_tier";
    match account.is_free_tier {
        Some(true) => warning(
            id,
            "no credit was ever bought, so only `:free` models answer: 20 requests a minute, 50 a day",
            format!("add credit at {CREDITS_PAGE}; from $10 on, `:free` models accept 1000 requests a day"),
        ),
        Some(false) => ok(
            id,
            "credit was bought; `:free` models accept 20 requests a minute, and 50 a day or, from $10 on, 1000",
        ),
        None => skipped(id, "unknown: the service did not report it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::kit::line;

    #[test]
    fn the_worse_of_key_and_account_decides() {
        // The key's limit, what is left of it, the account's balance, when the limit is reset.
        let rows = [
            ["100", "74.5", "24.99986", ""],
            ["10", "2", "50", ""],
            ["10", "2", "-0.004", ""],
            ["", "", "", ""],
            ["10", "", "", ""],
            ["10", "9", "", "monthly"],
        ];
        let seen = rows.map(|row| {
            let known = row.map(|text| Some(text.to_owned()).filter(|text| !text.is_empty()));
            let [limit_usd, remaining_usd, balance_usd, limit_reset] = known;
            let account = Account {
                limit_usd,
                remaining_usd,
                balance_usd,
                limit_reset,
                ..Account::default()
            };
            line(&credit(&account))
        });
        let expected = [
            "ok credit: the key has $74.50 of $100.00 left; the account has $24.99",
            "warning credit: the key has $2.00 of $10.00 left; the account has $50.00 | raise the key's limit at \
             https://openrouter.ai/settings/keys",
            "failed credit: the key has $2.00 of $10.00 left; the account has -$0.004 | add credit at \
             https://openrouter.ai/settings/credits",
            "ok credit: the key has no limit of its own; the account's balance is hidden from this key",
            "ok credit: the key may spend $10.00; how much is left is unknown; the account's balance is hidden from this \
             key",
            "ok credit: the key has $9.00 of $10.00 left (resets monthly); the account's balance is hidden from this key",
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn a_free_account_sees_its_limits() {
        let seen = |is_free_tier| {
            line(&free_tier(&Account {
                is_free_tier,
                ..Account::default()
            }))
        };
        let expected = [
            "warning free_tier: no credit was ever bought, so only `:free` models answer: 20 requests a minute, 50 a day | \
             add credit at https://openrouter.ai/settings/credits; from $10 on, `:free` models accept 1000 requests \
             a day",
            "ok free_tier: credit was bought; `:free` models accept 20 requests a minute, and 50 a day or, from $10 on, \
             1000",
            "skipped free_tier: unknown: the service did not report it",
        ];
        assert_eq!([Some(true), Some(false), None].map(seen), expected);
    }
}
