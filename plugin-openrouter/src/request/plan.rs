//! Plans a call: which models may answer, in what order, and the headers of its requests.
//!
//! In: an [`Ask`] and the profile.
//! Out: a [`Plan`], from which [`crate::request::body`] builds the body of each attempt. Pure.
//! Never adds a model that nobody named: a call that names its model gets none of the profile's fallbacks.

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

/// Most fallback models in one request.
// Source: the service answers 400 `'models' array must have 3 items or fewer.`; its API description has no limit.
const MAX_OTHERS: usize = 3;

/// The plan of a call. It is made once; the bodies of all attempts are built from it.
pub struct Plan {
    pub dialect: Dialect,
    pub tier: Option<Tier>,
    /// The model of the tier's split that the call was given to, as configured.
    pub arm: Option<String>,
    /// The models that may answer, the requested one first, by their ids on the wire.
    pub models: Vec<String>,
    /// The attribution headers, and the caller's headers that are passed on.
    pub headers: HeaderMap,
    /// What the caller should know about how the request was changed.
    pub notices: Vec<Notice>,
    /// The requested limit of the answer, in tokens.
    pub max_tokens: Option<u64>,
    /// Whether each request asks for one model: the service does not say which of several it refuses, or the chain of
    /// the profile answers messages.
    pub is_one_by_one: bool,
}

/// Body fields that are fields of [`ChatRequest`], or that the called method decides.
const NOT_PARAMETERS: [&str; 3] = ["messages", "model", "stream"];

/// Prefix of a tier's name where a model is expected.
const TIER_PREFIX: &str = "tier/";

/// Plans a call.
///
/// - In: `stepped_down_to`, a tier whose model and settings replace the requested ones.
/// - Errors: `invalid_request` for an unknown tier, or for a parameter that is a field of the request.
pub fn plan(profile: &Profile, ask: &Ask, stepped_down_to: Option<Tier>) -> Result<Plan, Error> {
    let request = &ask.request;
    if let Some(name) = NOT_PARAMETERS
        .iter()
        .find(|name| request.parameters.contains_key(**name))
    {
        return Err(Error::new(
            ErrorKind::INVALID_REQUEST,
            format!("`{name}` is a field of the request and cannot be set in `parameters`"),
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
        (None, Some(tier)) => {
            profile.choice_at(tier, &|split| ask.place_in(split, &options.parameters_for(Some(tier))))
        }
        (None, None) => {
            // A request without a model, such as one for a list.
            return Ok(Plan {
                dialect: ask.dialect,
                tier: None,
                arm: None,
                models: Vec::new(),
                headers,
                notices: ask.notices.clone(),
                max_tokens: None,
                is_one_by_one: false,
            });
        }
    };
    let mut notices = ask.notices.clone();
    // No notice for the built-in defaults: it would come with every answer, and nobody can act on it.
    if let Some(note) = choice
        .note
        .as_ref()
        .filter(|_| !matches!(choice.origin, Origin::Default { .. }))
    {
        notices.push(Notice::new("translated.model-id", note));
    }
    let others = match ask.dialect {
        // The profile's fallback models write text; they cannot replace an embedding model.
        Dialect::Embeddings | Dialect::Other => Vec::new(),
        _ => others(profile, tier, called, named.as_deref(), &choice.wire, &mut notices)?,
    };
    let max_tokens = max_tokens(ask, &ask.dialect.defaults(options.parameters_for(tier)));
    Ok(Plan {
        dialect: ask.dialect,
        tier,
        arm: choice.is_arm.then_some(choice.configured),
        models: chain(choice.wire, others),
        headers,
        notices,
        max_tokens,
        // The API description lists `models` for messages without explaining them, so only a caller's own are sent.
        is_one_by_one: ask.dialect == Dialect::Messages && named.is_none(),
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
    // A blank id counts as none.
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

/// The requested limit in tokens, for all answers together if the request asks for several.
fn max_tokens(ask: &Ask, configured: &Map<String, Value>) -> Option<u64> {
    let called = |name: &str| ask.request.parameters.get(name)?.get().parse::<u64>().ok();
    let names = ask.dialect.max_tokens_names();
    // If a request sets several limits, the service may apply any of them.
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

/// The tier that is named where a model is expected: `TEXT_SMALL`, `tier/small`, `small`.
///
/// - Errors: `invalid_request` for a name that looks like a tier's but is unknown.
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
    // A model id contains its author, so a bare word can name a tier.
    match Tier::parse(model) {
        None if starts_with("TEXT_") && !model.contains('/') => Err(unknown_tier(model)),
        tier => Ok(tier),
    }
}

impl Plan {
    /// The models of the request that starts at index `first` of the chain: that model and, if the dialect allows,
    /// up to three fallbacks. Empty beyond the end of the chain.
    pub fn window(&self, first: usize) -> &[String] {
        let rest = self.models.get(first..).unwrap_or_default();
        &rest[..rest.len().min(self.window_len())]
    }

    fn window_len(&self) -> usize {
        if self.dialect.has_fallbacks() && !self.is_one_by_one {
            1 + MAX_OTHERS
        } else {
            1
        }
    }

    /// How many requests it takes to try every model of the chain.
    pub fn n_requests(&self) -> usize {
        self.models.len().div_ceil(self.window_len())
    }
}

/// The fallback models that a call names.
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

/// The fallback models of a tier, by their ids on the wire.
pub fn fallbacks_of(profile: &Profile, tier: Tier) -> Vec<String> {
    let choice = profile.choice(tier);
    let others = others(profile, Some(tier), None, None, &choice.configured, &mut Vec::new());
    chain(choice.wire, others.unwrap_or_default()).split_off(1)
}

/// A model and its fallbacks, without duplicates: trying the same model again is what retries are for.
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
    Error::new(ErrorKind::INVALID_REQUEST, format!("unknown tier `{name}`")).with_hint(tiers::hint_for(name))
}

/// The fallback models of a call. A model that the call names has only the fallbacks that the call names, so that
/// no other model answers.
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
            "the auto router chooses its own fallbacks, so the configured ones are ignored",
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
