//! Checks that cost nothing: key, models, credit, an unknown model.

use std::time::Duration;

use plugin_api::{CreditStatus, CreditsRequest, ErrorKind, ModelsRequest, Plugin};

use super::outcome::{Outcome, served, skipped, supported};
use super::small::{asked, limited, ping};
use crate::setup::Active;
use crate::talk::answer::request;
use crate::terminal::{Failure, counted, joined, time};

/// What is older than this pause came from the cache.
const PAUSE: Duration = Duration::from_millis(50);

/// A model that does not exist.
pub const UNKNOWN_MODEL: &str = "no-such-author/no-such-model-0";

pub async fn provider(active: &Active) -> Result<Outcome, Failure> {
    let manifest = active.plugin.manifest();
    Ok(Outcome::Ok(format!(
        "{} is listed as `{}`, version {}, with {}",
        manifest.name,
        manifest.id,
        manifest.version,
        counted(active.tiers.len(), "tier")
    )))
}

pub async fn account(plugin: &Plugin) -> Result<Outcome, Failure> {
    let Some(account) = supported(plugin.account().await)? else {
        return Ok(skipped("report on its key"));
    };
    let label = account.label.as_deref().unwrap_or("unnamed");
    let left = account.remaining_usd.map_or_else(
        || "no limit of its own".to_owned(),
        |amount| format!("${amount} left of its limit"),
    );
    Ok(Outcome::Ok(format!("the service accepts it: {label}, {left}")))
}

pub async fn models(plugin: &Plugin) -> Result<Outcome, Failure> {
    let request = ModelsRequest {
        force: true,
        ..ModelsRequest::default()
    };
    let Some(list) = supported(plugin.models(request).await)? else {
        return Ok(skipped("list its models"));
    };
    let n_models = list.models.len();
    if let Some(problem) = list.problem.filter(|_| list.is_stale) {
        return Ok(Outcome::Doubtful(
            format!(
                "{n_models} listed, but the list is {}: {problem}",
                time::age(list.age_ms)
            ),
            "try again later",
        ));
    }
    let of = |ability: &str| {
        let has = |known: &Vec<String>| known.iter().any(|word| word == ability);
        list.models.iter().filter(|model| has(&model.abilities)).count()
    };
    if n_models == 0 {
        return Ok(Outcome::Doubtful(
            "the list is empty".to_owned(),
            "check whether the profile or a variable restricts it",
        ));
    }
    Ok(Outcome::Ok(format!(
        "{n_models} listed, {} with tools, {} with vision, {} free",
        of("tools"),
        of("vision"),
        of("free")
    )))
}

pub async fn credits(plugin: &Plugin) -> Result<Outcome, Failure> {
    let Some(credits) = supported(plugin.credits(CreditsRequest { force: true }).await)? else {
        return Ok(skipped("report its credit"));
    };
    let of = match credits.source.as_deref() {
        Some("key") => "of the key's own limit",
        _ => "in the account",
    };
    Ok(match (credits.balance_usd, credits.status) {
        (None, _) => {
            let reason = credits
                .problem
                .unwrap_or_else(|| "not reported by the service".to_owned());
            Outcome::Skipped(format!("the balance is unknown: {reason}"))
        }
        (Some(balance), CreditStatus::Red) => {
            Outcome::Doubtful(format!("only ${balance} {of}"), "add credit before it runs out")
        }
        (Some(balance), _) => Outcome::Ok(format!("${balance} {of}")),
    })
}

/// What was fetched a moment ago must not be fetched again.
pub async fn cache(plugin: &Plugin) -> Result<Outcome, Failure> {
    tokio::time::sleep(PAUSE).await;
    let models = supported(plugin.models(ModelsRequest::default()).await)?.map(|list| list.age_ms);
    let credits = supported(plugin.credits(CreditsRequest::default()).await)?.map(|credits| credits.age_ms);
    let ages = [("the model list", models), ("the credit", credits)];
    let known: Vec<_> = ages
        .iter()
        .filter_map(|(what, age_ms)| Some((*what, (*age_ms)?)))
        .collect();
    let (cached, fetched): (Vec<_>, Vec<_>) = known
        .into_iter()
        .partition(|(_, age_ms)| u128::from(*age_ms) >= PAUSE.as_millis());
    let named = |parts: &[(&str, u64)]| joined(parts.iter().map(|(what, _)| (*what).to_owned()).collect(), "and");
    Ok(match (cached.as_slice(), fetched.as_slice()) {
        ([], []) => skipped("cache anything"),
        (_, []) => Outcome::Ok(format!("saved a request for each of {}", named(&cached))),
        _ => Outcome::Doubtful(
            format!("each use fetches {} again", named(&fetched)),
            "raise the time under `caches` in the profile, or in the variables of the plugin",
        ),
    })
}

/// An unknown model must be refused with a code, not answered by another model.
pub async fn unknown_model(active: &Active) -> Result<Outcome, Failure> {
    let request = request(None, Some(UNKNOWN_MODEL), &ping(), &limited(16))?;
    match asked(active, &request).await {
        Ok(reply) => Err(Failure::internal(format!(
            "a request for an unknown model was answered: {}",
            served(&reply)
        ))
        .with_hint("check for a fallback list that applies to every request")),
        Err(error) if [ErrorKind::NOT_FOUND, ErrorKind::INVALID_REQUEST].contains(&error.kind) => {
            let code = error.kind.code();
            Ok(Outcome::Ok(format!(
                "refused with `{code}`, as expected: {}",
                error.message
            )))
        }
        Err(error) => Err(error.into()),
    }
}
