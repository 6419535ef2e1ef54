//! Before a call: completes model ids, and warns about doubtful requests.
//!
//! In: a plan. Out: the plan with complete model ids and with notices.
//! The model list is fetched only for an incomplete or unusual id, or if the profile is strict. Otherwise the cached list
//! is used, if there is one; it is read from the disk only for a request that needs more than text.
//! A model that is not in the list may be served anyway, so an unknown id is only reported.

use std::time::{Duration, Instant};

use plugin_api::{About, Error, ErrorKind, Notice};

use crate::call::Common;
use crate::models::capabilities::Wants;
use crate::models::resolve::{Meaning, meaning};
use crate::models::{Catalogue, Store, capabilities};
use crate::request::{Ask, Dialect, Plan};
use crate::service::Settings;
use crate::service::clock::{Clock, Due};
use crate::values::model_id::without_preset;

/// How long a call waits for the model list.
const LIST_LIMIT: Duration = Duration::from_secs(3);

/// Completes the model ids of a plan, and adds notices about doubtful parts of the request.
///
/// - Errors: `invalid_request` for a bare name of several models. If the profile is strict, also for a capability
///   that the model lacks, and any error of fetching the model list.
pub async fn advise(
    settings: &Settings,
    common: &Common,
    ask: &Ask,
    plan: &mut Plan,
    clock: Clock,
) -> Result<(), Error> {
    for message in capabilities::out_of_range(&ask.request.parameters) {
        plan.notices.push(Notice::new("out_of_range", message));
    }
    let is_strict = settings.profile.options.strict_capabilities && ask.dialect == Dialect::Chat;
    let is_known_form = |model: &String| !is_bare(model) && !looks_foreign(model);
    let has_doubtful = !plan.models.iter().all(is_known_form);
    if !ask.dialect.writes_text() && !has_doubtful {
        return Ok(());
    }
    let store = store(common, ask.dialect);
    let wants = (ask.dialect == Dialect::Chat)
        .then(|| capabilities::wants(ask.request.messages.get(), &ask.request.parameters));
    let catalogue = if has_doubtful || is_strict {
        let due = Due {
            at: Instant::now() + LIST_LIMIT,
            what: "the model list did not arrive",
            ..clock.total()
        };
        let listed = due.or(clock.total()).wait(store.catalogue(settings)).await;
        match listed.and_then(|listed| listed) {
            Ok(catalogue) => Some(catalogue),
            Err(error) if is_strict => return Err(error),
            Err(error) => {
                let message = format!(
                    "the model list is unavailable, so model ids are sent unchanged: {}",
                    error.message
                );
                plan.notices.push(Notice::new("models_unknown", message));
                None
            }
        }
    } else if wants.as_ref().is_some_and(Wants::has_any) {
        store.at_hand(settings).await
    } else {
        store.known(settings)
    };
    let Some(catalogue) = catalogue else {
        return Ok(());
    };
    complete(plan, &catalogue)?;
    match wants {
        Some(wants) => check_abilities(&wants, plan, &catalogue, is_strict),
        None => Ok(()),
    }
}

/// The list with the models that can answer in a format.
fn store(common: &Common, dialect: Dialect) -> &Store {
    if dialect.writes_text() {
        &common.catalogue
    } else {
        &common.every_model
    }
}

/// Whether an id lacks its author, which the service requires.
fn is_bare(id: &str) -> bool {
    let id = without_preset(id).map_or(id, |(model, _)| model);
    !id.contains('/') && !id.starts_with(['@', '~'])
}

/// Whether an id looks like that of another service: dashes in a version, a date, `latest`.
fn looks_foreign(id: &str) -> bool {
    let id = without_preset(id).map_or(id, |(model, _)| model);
    let slug = id.rsplit('/').next().unwrap_or(id);
    let name = slug.split(':').next().unwrap_or(slug).as_bytes();
    let parts: Vec<&[u8]> = name.split(|byte| *byte == b'-').collect();
    // `3-70b` is a version and a size.
    let is_number = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    let has_dashed_version = parts
        .windows(2)
        .any(|two| two[0].last().is_some_and(u8::is_ascii_digit) && is_number(two[1]));
    let has_date = name.len() > 9 && name[name.len() - 8..].iter().all(u8::is_ascii_digit);
    !id.starts_with(['@', '~']) && (has_dashed_version || has_date || name.ends_with(b"-latest"))
}

fn complete(plan: &mut Plan, catalogue: &Catalogue) -> Result<(), Error> {
    let mut notices = Vec::new();
    for model in &mut plan.models {
        match meaning(model, catalogue) {
            Meaning::Known => {}
            Meaning::Resolved { wire, note } => {
                notices.push(Notice::new("translated.model-id", note));
                *model = wire;
            }
            Meaning::Ambiguous { candidates } => {
                let named = candidates
                    .iter()
                    .map(|id| format!("`{id}`"))
                    .collect::<Vec<_>>()
                    .join(", ");
                let message = format!("expected one model, found several named `{model}`: {named}");
                return Err(
                    Error::new(ErrorKind::INVALID_REQUEST, message).with_hint("use one of these ids, with its author")
                );
            }
            Meaning::Unknown { suggestions } => {
                let hint = did_you_mean(&suggestions).map_or(String::new(), |hint| format!("; {hint}"));
                let message = format!("`{model}` is not in the model list and is sent unchanged{hint}");
                notices.push(Notice::new("unknown_model", message));
            }
        }
    }
    plan.notices.append(&mut notices);
    Ok(())
}

fn check_abilities(wants: &Wants, plan: &mut Plan, catalogue: &Catalogue, is_strict: bool) -> Result<(), Error> {
    let Some(model) = plan.models.first().and_then(|model| catalogue.find(model)) else {
        return Ok(());
    };
    let lacks = capabilities::lacking(wants, model, catalogue);
    if is_strict && !lacks.is_empty() {
        let messages: Vec<String> = lacks.into_iter().map(|lack| lack.message).collect();
        return Err(Error::new(ErrorKind::INVALID_REQUEST, messages.join("; "))
            .with_hint("choose another model, or remove `strictCapabilities` from the profile"));
    }
    let notices = lacks
        .into_iter()
        .map(|lack| Notice::new("capability", lack.message).with_about(About::ability(lack.ability)));
    plan.notices.extend(notices);
    Ok(())
}

/// Adds suggestions to the error for an unknown model, if the model list is cached.
pub fn suggest(settings: &Settings, common: &Common, dialect: Dialect, error: &mut Error) {
    let is_about_the_model = error.kind == ErrorKind::NOT_FOUND
        && matches!(
            error.details.error_type.as_deref(),
            None | Some("not_found" | "model_not_found")
        );
    let model = error.details.model.as_deref().filter(|_| is_about_the_model);
    if let (Some(model), Some(catalogue)) = (model, store(common, dialect).known(settings))
        && let Meaning::Unknown { suggestions } = meaning(model, &catalogue)
        && let Some(hint) = did_you_mean(&suggestions)
    {
        error.details.hint = Some(hint);
    }
}

fn did_you_mean(suggestions: &[String]) -> Option<String> {
    let named: Vec<String> = suggestions.iter().map(|id| format!("`{id}`")).collect();
    let (last, others) = named.split_last()?;
    Some(if others.is_empty() {
        format!("did you mean {last}?")
    } else {
        format!("did you mean {} or {last}?", others.join(", "))
    })
}
