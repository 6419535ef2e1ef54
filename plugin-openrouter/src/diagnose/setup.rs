//! Judges the other settings: caches, budget, secondary service.

use std::path::PathBuf;
use std::time::{Instant, SystemTime};

use plugin_api::{Error, ErrorKind, Finding};

use super::{failed, ok, took, warning};
use crate::money::ledger::{self, Ledger};
use crate::profile::policy::Budget;
use crate::profile::price::Price;
use crate::refresh;
use crate::service::Settings;
use crate::service::kept::ttl;
use crate::values::base_url::{base_url_problem, is_loopback, origin_of};
use crate::values::usd::{Usd, dollars};

/// The default times to live, in milliseconds.
// Source: LibreChat's documentation of the same variables.
const MODELS_MS: u64 = 3_600_000;
const CREDITS_MS: u64 = 300_000;

/// The variable that holds the secondary service's key.
const SECONDARY_KEY: &str = "OPENROUTER_SECONDARY_API_KEY";

/// The findings about the other settings.
pub async fn findings(settings: &Settings) -> Vec<Finding> {
    let caches = &settings.profile.options.caches;
    vec![
        cache(
            settings,
            "cache_models",
            "OPENROUTER_CACHE_TTL_MODELS",
            caches.models_ms,
            MODELS_MS,
        ),
        cache(
            settings,
            "cache_credits",
            "OPENROUTER_CACHE_TTL_CREDITS",
            caches.credits_ms,
            CREDITS_MS,
        ),
        background(settings),
        budget(settings).await,
        secondary(settings),
    ]
}

/// A variable that is set and not blank.
fn variable<'a>(settings: &'a Settings, name: &str) -> Option<&'a str> {
    let value = settings.profile.environment.get(name)?.trim();
    (!value.is_empty()).then_some(value)
}

fn cache(settings: &Settings, id: &str, name: &str, option_ms: Option<u64>, default_ms: u64) -> Finding {
    let (time, wrong) = ttl(option_ms, variable(settings, name), default_ms);
    match wrong {
        Some(wrong) => warning(
            id,
            format!("`{name}`: {wrong}"),
            format!("set `{name}` to milliseconds, such as {default_ms}, or remove it"),
        ),
        None => ok(id, format!("cached for {} ms", time.as_millis())),
    }
}

fn background(settings: &Settings) -> Finding {
    let id = "background_refresh";
    match refresh::described(&settings.profile.environment) {
        (described, None) => ok(id, described),
        (_, Some(wrong)) => warning(
            id,
            format!("`{}`: {wrong}", refresh::VARIABLE),
            format!(
                "set `{}` to milliseconds, such as {CREDITS_MS}, to `true`, or remove it",
                refresh::VARIABLE
            ),
        ),
    }
}

async fn budget(settings: &Settings) -> Finding {
    let id = "budget";
    let Some(budget) = &settings.profile.options.budget else {
        return ok(id, "none is set");
    };
    let limits = limits(budget);
    if limits.is_empty() {
        return ok(id, "none is set");
    }
    let limits = limits.join(", ");
    if budget.per_day_usd.is_none() {
        return ok(id, limits);
    }
    let begun = Instant::now();
    let folder = ledger::folder(budget.ledger.as_deref());
    // It may block on files and their lock, which this thread must not.
    let committed = tokio::task::spawn_blocking(move || committed_today(folder?)).await;
    let committed = committed.unwrap_or_else(|_| {
        let message = "could not read the ledger of `budget.perDayUsd`";
        Err(Error::new(ErrorKind::INTERNAL, message))
    });
    let finding = match committed {
        Ok((spent, folder)) => {
            let today = format!(
                "{limits}; {} spent or reserved today, by the ledger in `{folder}`",
                dollars(&spent)
            );
            judge_spent(&spent, budget.per_day_usd.as_ref().map_or("0", Price::as_str), today)
        }
        Err(error) => failed(
            id,
            error.message.clone(),
            error.hint().unwrap_or("set `budget.ledger` to a writable folder"),
        ),
    };
    took(finding, begun.elapsed())
}

/// A daily budget that is used up is a failure, because it refuses every call.
fn judge_spent(spent: &str, per_day: &str, today: String) -> Finding {
    let (spent, per_day) = (Usd::parse(spent), Usd::parse(per_day));
    match (spent, per_day) {
        (Some(spent), Some(per_day)) if spent >= per_day => {
            failed("budget", today, "raise `budget.perDayUsd`, or wait until midnight UTC")
        }
        _ => ok("budget", today),
    }
}

/// The limits of a budget as text.
fn limits(budget: &Budget) -> Vec<String> {
    let limits = [
        (&budget.per_request_usd, "a request"),
        (&budget.per_session_usd, "a session"),
        (&budget.per_day_usd, "a day"),
    ];
    let words = limits.into_iter().filter_map(|(limit, span)| {
        let limit = limit.as_ref()?;
        Some(format!("{} {span}", dollars(limit.as_str())))
    });
    words.collect()
}

/// What was spent today, in US dollars, and the ledger's folder. It creates the day's file if missing, as a call would.
fn committed_today(folder: PathBuf) -> Result<(String, String), Error> {
    let mut ledger = Ledger::new(folder);
    let committed = ledger.today(SystemTime::now())?.committed().to_string();
    Ok((committed, ledger.folder().display().to_string()))
}

fn secondary(settings: &Settings) -> Finding {
    let Some(secondary) = &settings.profile.options.secondary else {
        return ok("secondary", "no secondary service is set");
    };
    let has_key = settings.secondary.as_ref().is_some_and(|service| service.key.is_some());
    let plain_hosts = &settings.profile.options.allow_plain_http;
    judge_secondary(&secondary.base_url, &settings.service.base_url, has_key, plain_hosts)
}

/// - In: the addresses of the secondary and the primary service, whether the secondary has a key, and the hosts that
///   may be asked without TLS.
fn judge_secondary(url: &str, primary_url: &str, has_key: bool, plain_hosts: &[String]) -> Finding {
    let id = "secondary";
    let url = url.trim().trim_end_matches('/');
    if let Some(problem) = base_url_problem(url, plain_hosts) {
        let remedy = problem
            .hint
            .unwrap_or_else(|| "write it as `https://host/path`".to_owned());
        return failed(id, format!("`secondary.baseUrl`: {}", problem.message), remedy);
    }
    let shown = origin_of(url);
    if url == primary_url {
        return warning(
            id,
            format!("{shown} is also the primary service, so it is unreachable at the same time"),
            "set `secondary.baseUrl` to another service, or remove `secondary`",
        );
    }
    if has_key {
        return ok(id, format!("{shown}, with the key in `{SECONDARY_KEY}`"));
    }
    if is_loopback(url) {
        return ok(id, format!("{shown}, on this machine and without a key"));
    }
    warning(
        id,
        format!("{shown} is used without a key: `{SECONDARY_KEY}` is not set"),
        format!("set `{SECONDARY_KEY}` to a key of that service, unless it needs none"),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::diagnose::kit::{line, lines};
    use crate::kit::{Folder, block_on, settings};

    #[test]
    fn the_defaults_are_as_documented() {
        let expected = [
            "ok cache_models: cached for 3600000 ms",
            "ok cache_credits: cached for 300000 ms",
            "ok background_refresh: the model list and the credit are fetched when they are used",
            "ok budget: none is set",
            "ok secondary: no secondary service is set",
        ];
        assert_eq!(lines(&block_on(findings(&settings(json!({}), &[])))), expected);
    }

    #[test]
    fn an_unreadable_time_is_reported_without_its_value() {
        let models = ("OPENROUTER_CACHE_TTL_MODELS", "one hour");
        let variables = [models, ("OPENROUTER_CACHE_TTL_CREDITS", "60000")];
        let seen = |options| lines(&block_on(findings(&settings(options, &variables))));
        let expected = [
            "warning cache_models: `OPENROUTER_CACHE_TTL_MODELS`: expected a whole number of milliseconds, found something \
             else; using 3600000 | set `OPENROUTER_CACHE_TTL_MODELS` to milliseconds, such as 3600000, or remove it",
            "ok cache_credits: cached for 60000 ms",
        ];
        assert_eq!(seen(json!({}))[..2], expected);
        let by_option = seen(json!({"caches": {"modelsMs": 5}}));
        assert_eq!(by_option[0], "ok cache_models: cached for 5 ms");
    }

    #[test]
    fn the_background_refresh_is_reported_and_its_variable_checked() {
        let seen = |value| line(&background(&settings(json!({}), &[(refresh::VARIABLE, value)])));
        let fetched = "ok background_refresh: the model list and the credit are fetched";
        assert_eq!(seen("true"), format!("{fetched} whenever they expire"));
        assert_eq!(seen("60000"), format!("{fetched} every 60000 ms"));
        assert_eq!(seen("false"), format!("{fetched} when they are used"));
        let expected = "warning background_refresh: `OPENROUTER_BACKGROUND_REFRESH`: expected a whole number of \
                        milliseconds, `true` or `false`, found something else; nothing is refreshed | set \
                        `OPENROUTER_BACKGROUND_REFRESH` to milliseconds, such as 300000, to `true`, or remove it";
        assert_eq!(seen("hourly"), expected);
    }

    #[test]
    fn a_daily_budget_needs_a_writable_ledger() {
        let seen = |options: Value| line(&block_on(budget(&settings(json!({"budget": options}), &[]))));
        assert_eq!(seen(json!({})), "ok budget: none is set");
        let expected = "ok budget: $0.50 a request, $2.00 a session";
        assert_eq!(seen(json!({"perRequestUsd": 0.5, "perSessionUsd": "2"})), expected);
        let folder = Folder::new();
        let path = folder.path.display().to_string();
        let expected = format!("ok budget: $10.00 a day; $0.00 spent or reserved today, by the ledger in `{path}`");
        assert_eq!(seen(json!({"perDayUsd": 10, "ledger": path})), expected);
        let is_no_folder = folder.path.join("file");
        std::fs::write(&is_no_folder, "").expect("it is writable");
        let refused = seen(json!({"perDayUsd": 10, "ledger": is_no_folder.join("inside")}));
        assert!(refused.starts_with("failed budget: "), "{refused}");
        assert!(refused.contains(&path) && refused.contains(" | "), "{refused}");
    }

    #[test]
    fn a_secondary_service_has_its_own_address_and_key() {
        let rows = [
            ("https://api.example.com/v1/", true),
            ("https://api.example.com/v1", false),
            ("http://127.0.0.1:11434/v1", false),
            ("https://openrouter.ai/api/v1/", true),
            ("ftp://a.example", true),
        ];
        let expected = [
            "ok secondary: https://api.example.com, with the key in `OPENROUTER_SECONDARY_API_KEY`",
            "warning secondary: https://api.example.com is used without a key: `OPENROUTER_SECONDARY_API_KEY` is not \
             set | set `OPENROUTER_SECONDARY_API_KEY` to a key of that service, unless it needs none",
            "ok secondary: http://127.0.0.1:11434, on this machine and without a key",
            "warning secondary: https://openrouter.ai is also the primary service, so it is unreachable at the same \
             time | set `secondary.baseUrl` to another service, or remove `secondary`",
            "failed secondary: `secondary.baseUrl`: expected an address that starts with `https://` | write it as \
             `https://host/path`",
        ];
        let primary = "https://openrouter.ai/api/v1";
        let seen = rows.map(|(url, has_key)| line(&judge_secondary(url, primary, has_key, &[])));
        assert_eq!(seen, expected);
    }
}
