//! Turns a chat request and the options into the body and the headers of one HTTP request.
//!
//! Pure. The messages are spliced into the body as they came, never read and printed again. Nothing stands in the body
//! that nobody set: no `provider`, no sampling parameter, no `max_tokens`.

use http::header::HeaderMap;
use plugin_api::{ChatRequest, Error, ErrorKind, Notice};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::profile::Profile;
use crate::profile::choice::{Choice, Origin};
use crate::profile::options::MAX_FALLBACKS;
use crate::profile::tiers::{self, Tier};
use crate::request::dialect::Dialect;
use crate::request::{Ask, headers};
use crate::values::model_id;

/// The most models that a request may name behind its first one.
// Source: the service answers 400 `'models' array must have 3 items or fewer.`, which its description does not say.
const MAX_OTHERS: usize = 3;

/// What a call is going to ask for. It is made once; each attempt takes its body from it.
pub struct Plan {
    pub dialect: Dialect,
    pub tier: Option<Tier>,
    /// The models that may answer, the one that was asked for first, by their ids on the wire.
    pub models: Vec<String>,
    /// Who is asking.
    pub headers: HeaderMap,
    /// What the caller should know about the request.
    pub notices: Vec<Notice>,
    /// The longest answer that is asked for, in tokens.
    pub max_tokens: Option<u64>,
}

/// Body fields that have a place of their own in [`ChatRequest`] or are the method's matter.
const NOT_PARAMETERS: [&str; 3] = ["messages", "model", "stream"];

/// What stands before the name of a tier where a model is expected.
const TIER_PREFIX: &str = "tier/";

/// Plans a call.
///
/// - In: `stepped_down_to`, a tier that takes the place of the one that was asked for, with its model and options.
/// - Errors: `invalid_request` for an unknown tier, or for a parameter that has another place.
pub fn plan(profile: &Profile, ask: &Ask, stepped_down_to: Option<Tier>) -> Result<Plan, Error> {
    let request = &ask.request;
    if let Some(name) = NOT_PARAMETERS
        .iter()
        .find(|name| request.parameters.contains_key(**name))
    {
        return Err(Error::new(
            ErrorKind::INVALID_REQUEST,
            format!("`{name}` has a place of its own and cannot be one of the `parameters`"),
        ));
    }
    let options = &profile.options;
    let named = match request.parameters.get("models").filter(|_| ask.dialect.has_fallbacks()) {
        Some(models) => Some(called_models(models)?),
        None => None,
    };
    let (model, asked) = named_by(request)?;
    let called = model.filter(|_| stepped_down_to.is_none());
    let default = || called.is_none().then_some(ask.dialect.default_tier()).flatten();
    let tier = stepped_down_to.or(asked).or_else(default);
    let headers = headers::headers(profile, ask)?;
    let choice = match (called, tier) {
        (Some(model), tier) => Choice::by_call(tier.unwrap_or(Tier::TextLarge), model),
        (None, Some(tier)) => profile.choice(tier),
        (None, None) => {
            // It needs no model.
            return Ok(Plan {
                dialect: ask.dialect,
                tier: None,
                models: Vec::new(),
                headers,
                notices: ask.notices.clone(),
                max_tokens: None,
            });
        }
    };
    let mut notices = ask.notices.clone();
    // Nobody needs to be told of each answer that the built-in defaults have other names on the wire.
    if let Some(note) = choice
        .note
        .as_ref()
        .filter(|_| !matches!(choice.origin, Origin::Default { .. }))
    {
        notices.push(Notice::new("translated.model-id", note));
    }
    let others = match ask.dialect {
        // What stands behind a model that writes is no model that reads only.
        Dialect::Embeddings | Dialect::Other => Vec::new(),
        _ => others(profile, tier, called, named.as_deref(), &choice.wire, &mut notices)?,
    };
    let max_tokens = max_tokens(ask, &ask.dialect.defaults(options.parameters_for(tier)));
    Ok(Plan {
        dialect: ask.dialect,
        tier,
        models: chain(choice.wire, others),
        headers,
        notices,
        max_tokens,
    })
}

/// The model and the tier that a request names.
///
/// - Errors: `invalid_request` for an unknown tier.
fn named_by(request: &ChatRequest) -> Result<(Option<&str>, Option<Tier>), Error> {
    let asked = request.tier.as_deref();
    let asked = asked
        .map(|name| Tier::parse(name).ok_or_else(|| unknown_tier(name)))
        .transpose()?;
    // A blank id names none.
    let model = request
        .model
        .as_deref()
        .map(str::trim)
        .filter(|model| !model.is_empty());
    Ok(match model.map(named_tier).transpose()?.flatten() {
        Some(tier) => (None, Some(tier)),
        None => (model, asked),
    })
}

/// The longest answer that is asked for, in tokens: of all answers together, where several are.
fn max_tokens(ask: &Ask, configured: &Map<String, Value>) -> Option<u64> {
    let called = |name: &str| ask.request.parameters.get(name)?.get().parse::<u64>().ok();
    let names = ask.dialect.max_tokens_names();
    // Of several limits, the service may take any.
    let limit = names.iter().filter_map(|name| called(name)).max();
    let limit = limit.or_else(|| names.iter().find_map(|name| configured.get(*name)?.as_u64()))?;
    let n_answers = ["n", "best_of"]
        .into_iter()
        .filter_map(called)
        .max()
        .unwrap_or(1)
        .max(1);
    Some(limit.saturating_mul(n_answers))
}

/// The tier that stands in the place of a model: `TEXT_SMALL`, `tier/small`, `small`.
///
/// - Errors: `invalid_request` for a name that is meant for a tier's and that no tier has.
fn named_tier(model: &str) -> Result<Option<Tier>, Error> {
    let starts_with = |prefix: &str| {
        model
            .get(..prefix.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    if starts_with(TIER_PREFIX) {
        let name = &model[TIER_PREFIX.len()..];
        return Tier::parse(name).map(Some).ok_or_else(|| unknown_tier(name));
    }
    // A model's id has an author, so a bare word is free to mean a tier.
    match Tier::parse(model) {
        None if starts_with("TEXT_") && !model.contains('/') => Err(unknown_tier(model)),
        tier => Ok(tier),
    }
}

impl Plan {
    /// The models of a request that begins with the `first`-th of the chain: one that is asked for, and up to three behind it.
    /// Empty beyond the end of the chain.
    pub fn window(&self, first: usize) -> &[String] {
        let rest = self.models.get(first..).unwrap_or_default();
        &rest[..rest.len().min(self.window_len())]
    }

    fn window_len(&self) -> usize {
        if self.dialect.has_fallbacks() {
            1 + MAX_OTHERS
        } else {
            1
        }
    }

    /// How many requests it takes to ask for every model of the chain.
    pub fn n_requests(&self) -> usize {
        self.models.len().div_ceil(self.window_len())
    }
}

/// The models that a call names to stand behind its first one.
///
/// - Errors: `invalid_request` for anything but a list of ids.
fn called_models(models: &RawValue) -> Result<Vec<String>, Error> {
    let ids: Option<Vec<String>> = serde_json::from_str(models.get()).map_err(|_| {
        Error::new(
            ErrorKind::INVALID_REQUEST,
            "expected `models` to be a list of model ids, found something else",
        )
    })?;
    let ids = ids.unwrap_or_default();
    if ids.len() > MAX_FALLBACKS {
        let n_models = ids.len();
        return Err(Error::new(
            ErrorKind::INVALID_REQUEST,
            format!("expected at most {MAX_FALLBACKS} `models`, found {n_models}"),
        ));
    }
    Ok(ids)
}

/// The models that stand behind a tier's own, by their ids on the wire.
pub fn fallbacks_of(profile: &Profile, tier: Tier) -> Vec<String> {
    let choice = profile.choice(tier);
    let others = others(profile, Some(tier), None, None, &choice.configured, &mut Vec::new());
    chain(choice.wire, others.unwrap_or_default()).split_off(1)
}

/// A model and those behind it, each once: asking the same model once more is the matter of retries.
fn chain(first: String, others: Vec<String>) -> Vec<String> {
    let mut models = vec![first];
    for other in others {
        if !models.contains(&other) {
            models.push(other);
        }
    }
    models
}

fn unknown_tier(name: &str) -> Error {
    Error::new(ErrorKind::INVALID_REQUEST, format!("there is no tier `{name}`"))
        .with_hint(format!("the tiers are {}", tiers::accepted_names().join(", ")))
}

/// The other models that may serve. A model that the call names has only the fallbacks that the call names, so that
/// nothing answers that nobody asked for.
fn others(
    profile: &Profile,
    tier: Option<Tier>,
    called: Option<&str>,
    named: Option<&[String]>,
    model: &str,
    notices: &mut Vec<Notice>,
) -> Result<Vec<String>, Error> {
    let options = &profile.options;
    let configured = match (named, called) {
        (Some(named), _) => named,
        (None, Some(_)) => &[],
        (None, None) => options.fallbacks_for(tier),
    };
    if configured.is_empty() {
        return Ok(Vec::new());
    }
    if model_id::is_auto_router(model) {
        notices.push(Notice::new(
            "fallbacks_left_out",
            "the auto router chooses its own fallbacks, so those that were named were left out",
        ));
        return Ok(Vec::new());
    }
    configured
        .iter()
        .map(|id| match named_tier(id.trim())? {
            Some(tier) => Ok(profile.choice(tier).wire),
            None => Ok(model_id::wire_id(id).0.into_owned()),
        })
        .collect()
}
