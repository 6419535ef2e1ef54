//! Resolves a tier to a model, and records where that model was configured.
//!
//! In: a tier, the profile's options, the environment.
//! Out: a [`Choice`] with the id as configured and the id as sent. Pure.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::profile::options::Options;
use crate::profile::split::{arm_at, heaviest};
use crate::profile::tiers::Tier;
use crate::values::model_id::wire_id;

/// Where a model was configured.
///
/// - Out: as JSON `{"source": "environment", "at": "SMALL_MODEL", "via": "TEXT_SMALL"}`, without the keys
///   that do not apply; by `Display` "variable `SMALL_MODEL` through TEXT_SMALL".
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "source", rename_all = "kebab-case")]
pub enum Origin {
    /// The call itself.
    Call,
    /// The profile's entry for the tier.
    ProfileTier {
        /// JSON pointer into the options, such as `/tiers/TEXT_SMALL`.
        at: String,
        /// The tier that the model was inherited from.
        #[serde(skip_serializing_if = "Option::is_none")]
        via: Option<Tier>,
    },
    /// The profile's default model, which is the model of `TEXT_LARGE`.
    ProfileModel {
        /// JSON pointer into the options: `/model`.
        at: String,
        /// The tier that the model was inherited from.
        #[serde(skip_serializing_if = "Option::is_none")]
        via: Option<Tier>,
    },
    /// An environment variable.
    Environment {
        /// The variable's name.
        at: String,
        /// The tier that the model was inherited from.
        #[serde(skip_serializing_if = "Option::is_none")]
        via: Option<Tier>,
    },
    /// The plugin's built-in default.
    Default {
        /// The tier that the model was inherited from.
        #[serde(skip_serializing_if = "Option::is_none")]
        via: Option<Tier>,
    },
}

impl Origin {
    /// The tier that the model was inherited from.
    pub fn via(&self) -> Option<Tier> {
        match self {
            Self::Call => None,
            Self::ProfileTier { via, .. }
            | Self::ProfileModel { via, .. }
            | Self::Environment { via, .. }
            | Self::Default { via } => *via,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call => f.write_str("the call")?,
            Self::ProfileTier { at, .. } | Self::ProfileModel { at, .. } => {
                let path = at.trim_start_matches('/').replace('/', ".");
                write!(f, "profile `{path}`")?;
            }
            Self::Environment { at, .. } => write!(f, "variable `{at}`")?,
            Self::Default { .. } => f.write_str("built-in default")?,
        }
        match self.via() {
            Some(tier) => write!(f, " through {tier}"),
            None => Ok(()),
        }
    }
}

/// The model of a tier, as configured and as sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Choice {
    /// The requested tier.
    pub tier: Tier,
    /// The id as configured, trimmed.
    pub configured: String,
    /// The id that goes into the request.
    pub wire: String,
    /// Where the model was configured.
    pub origin: Origin,
    /// Whether it is one of the models that the tier is split between.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_arm: bool,
    /// Why `wire` differs from `configured`, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Choice {
    /// The choice for a call that names its own model.
    pub fn by_call(tier: Tier, model: &str) -> Self {
        Self::new(tier, model, Origin::Call)
    }

    fn new(tier: Tier, model: &str, origin: Origin) -> Self {
        let configured = model.trim();
        let (wire, note) = wire_id(configured);
        Self {
            tier,
            configured: configured.to_owned(),
            wire: wire.into_owned(),
            origin,
            is_arm: false,
            note,
        }
    }
}

/// Resolves a tier to a model.
///
/// The first of these that is set and not blank wins: the profile's entry for the tier, the profile's `model`
/// (for `TEXT_LARGE` only), the tier's environment variables, its built-in default; then the same for its parent.
///
/// - In: `place`, which gives the call its number from 0 to 1 among the calls of a split tier; without it, the heaviest
///   arm.
pub fn resolve(
    tier: Tier,
    options: &Options,
    env: &BTreeMap<String, String>,
    place: Option<&dyn Fn(Tier) -> f64>,
) -> Choice {
    let mut current = tier;
    loop {
        let via = (current != tier).then_some(current);
        if let Some((key, arms)) = options.split_of(current)
            && let Some(model) = place.map_or_else(|| heaviest(arms), |place| arm_at(arms, place(current)))
        {
            let at = format!("/tiers/{key}/split");
            return Choice {
                is_arm: true,
                ..Choice::new(tier, model, Origin::ProfileTier { at, via })
            };
        }
        if let Some((model, origin)) = configured_model(current, via, options, env) {
            return Choice::new(tier, model, origin);
        }
        if let Some(model) = current.default_model() {
            return Choice::new(tier, model, Origin::Default { via });
        }
        current = current.parent().expect("a tier without a default has a parent");
    }
}

fn configured_model<'a>(
    tier: Tier,
    via: Option<Tier>,
    options: &'a Options,
    env: &'a BTreeMap<String, String>,
) -> Option<(&'a str, Origin)> {
    if let Some((key, entry)) = options.tier_entry(tier)
        && let Some(model) = entry.model().filter(|model| !model.trim().is_empty())
    {
        return Some((
            model,
            Origin::ProfileTier {
                at: format!("/tiers/{key}"),
                via,
            },
        ));
    }
    if tier == Tier::TextLarge
        && let Some(model) = options.model.as_deref().filter(|model| !model.trim().is_empty())
    {
        return Some((
            model,
            Origin::ProfileModel {
                at: "/model".to_owned(),
                via,
            },
        ));
    }
    tier.variables().iter().find_map(|variable| {
        let model = env.get(*variable).filter(|model| !model.trim().is_empty())?;
        Some((
            model.as_str(),
            Origin::Environment {
                at: (*variable).to_owned(),
                via,
            },
        ))
    })
}

#[cfg(test)]
mod tests;
