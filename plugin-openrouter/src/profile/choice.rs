//! Which model a tier means, and who chose it.
//!
//! In: a tier, the profile's options, the environment. Out: a [`Choice`] with the id as configured and the id as sent. Pure.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::profile::options::Options;
use crate::profile::tiers::Tier;
use crate::values::model_id::wire_id;

/// Where a model was chosen.
///
/// - Out: as JSON `{"source": "environment", "at": "SMALL_MODEL", "via": "TEXT_SMALL"}`, without
///   the keys that do not apply; for people, by `Display`, "variable `SMALL_MODEL` through
///   TEXT_SMALL". `via` is the tier that the model was inherited from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "source", rename_all = "kebab-case")]
pub enum Origin {
    /// The call itself names a model.
    Call,
    /// The profile's entry for the tier.
    ProfileTier {
        /// JSON pointer into the options, such as `/tiers/TEXT_SMALL`.
        at: String,
        /// The tier that the model was inherited from.
        #[serde(skip_serializing_if = "Option::is_none")]
        via: Option<Tier>,
    },
    /// The profile's default model, which stands for `TEXT_LARGE`.
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
    /// Nobody chose: the plugin's own default.
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
    /// The tier that was asked for.
    pub tier: Tier,
    /// The id as somebody wrote it, without blanks around it.
    pub configured: String,
    /// The id that goes into the request.
    pub wire: String,
    /// Where it was chosen.
    pub origin: Origin,
    /// Why `wire` differs from `configured`, as a sentence for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Choice {
    /// The choice of a call that names its model itself.
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
            note,
        }
    }
}

/// Says which model a tier means.
///
/// The first of these that is set and not blank: the profile's entry for the tier, the profile's
/// `model` (for `TEXT_LARGE` only), the tier's environment variables, the same for the tier's
/// parent and its parent, the built-in default.
pub fn resolve(tier: Tier, options: &Options, env: &BTreeMap<String, String>) -> Choice {
    let mut current = tier;
    loop {
        let via = (current != tier).then_some(current);
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
mod tests {
    use serde_json::json;

    use super::*;
    use crate::profile::tiers;

    fn options(value: serde_json::Value) -> Options {
        serde_json::from_value(value).expect("these options are valid")
    }

    fn env(variables: &[(&str, &str)]) -> BTreeMap<String, String> {
        variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    /// The configured id and the origin in words.
    fn chosen(tier: Tier, profile: serde_json::Value, variables: &[(&str, &str)]) -> (String, String) {
        let choice = resolve(tier, &options(profile), &env(variables));
        (choice.configured, choice.origin.to_string())
    }

    fn pair(model: &str, origin: &str) -> (String, String) {
        (model.to_owned(), origin.to_owned())
    }

    #[test]
    fn the_documented_defaults_are_shown_beside_what_is_sent() {
        let choice = resolve(Tier::TextSmall, &Options::default(), &env(&[]));
        assert_eq!(
            serde_json::to_value(choice).expect("a choice is plain JSON"),
            json!({
                "tier": "TEXT_SMALL",
                "configured": "anthropic/claude-haiku-4",
                "wire": "anthropic/claude-haiku-4.5",
                "origin": {"source": "default"},
                "note": "OpenRouter does not serve `anthropic/claude-haiku-4`; \
                         `anthropic/claude-haiku-4.5` is sent instead",
            }),
        );
    }

    #[test]
    fn the_profile_wins_over_the_environment_and_that_over_the_default() {
        let variables = [("OPENROUTER_SMALL_MODEL", "a/env"), ("SMALL_MODEL", "a/plain")];
        let profile = json!({"tiers": {"TEXT_SMALL": "a/profile"}});
        assert_eq!(
            chosen(Tier::TextSmall, profile, &variables),
            pair("a/profile", "profile `tiers.TEXT_SMALL`"),
        );
        assert_eq!(
            chosen(Tier::TextSmall, json!({}), &variables),
            pair("a/env", "variable `OPENROUTER_SMALL_MODEL`"),
        );
        assert_eq!(
            chosen(Tier::TextSmall, json!({}), &variables[1..]),
            pair("a/plain", "variable `SMALL_MODEL`"),
        );
    }

    #[test]
    fn blank_values_count_as_absent() {
        let variables = [("OPENROUTER_SMALL_MODEL", " \t"), ("SMALL_MODEL", " a/b ")];
        let profile = json!({"tiers": {"TEXT_SMALL": " ", "TEXT_LARGE": null}, "model": ""});
        assert_eq!(
            chosen(Tier::TextSmall, profile.clone(), &variables),
            pair("a/b", "variable `SMALL_MODEL`"),
        );
        assert_eq!(
            chosen(Tier::TextLarge, profile, &variables),
            pair("anthropic/claude-sonnet-4-5", "built-in default"),
        );
    }

    #[test]
    fn the_profiles_model_stands_for_the_large_tier_only_where_that_has_none() {
        let profile = json!({"model": "a/model"});
        let from_model = pair("a/model", "profile `model`");
        assert_eq!(
            chosen(Tier::TextLarge, profile.clone(), &[("LARGE_MODEL", "a/env")]),
            from_model
        );
        assert_eq!(
            chosen(Tier::TextMega, profile.clone(), &[]),
            pair("a/model", "profile `model` through TEXT_LARGE"),
        );
        assert_eq!(
            chosen(Tier::TextSmall, profile, &[]),
            pair("anthropic/claude-haiku-4", "built-in default"),
        );
        assert_eq!(
            chosen(
                Tier::TextLarge,
                json!({"model": "a/model", "tiers": {"large": "a/tier"}}),
                &[]
            ),
            pair("a/tier", "profile `tiers.large`"),
        );
        let only_parameters = json!({
            "model": "a/model",
            "tiers": {"TEXT_LARGE": {"parameters": {"temperature": 0}}},
        });
        assert_eq!(chosen(Tier::TextLarge, only_parameters, &[]), from_model);
    }

    #[test]
    fn a_tier_without_a_model_takes_its_nearest_ancestors() {
        let nano = json!({"tiers": {"TEXT_NANO": {"model": "a/nano"}, "TEXT_SMALL": "a/small"}});
        assert_eq!(
            chosen(Tier::ResponseHandler, nano, &[]),
            pair("a/nano", "profile `tiers.TEXT_NANO` through TEXT_NANO"),
        );
        assert_eq!(
            chosen(Tier::ActionPlanner, json!({}), &[("SMALL_MODEL", "a/small")]),
            pair("a/small", "variable `SMALL_MODEL` through TEXT_SMALL"),
        );
        assert_eq!(
            chosen(Tier::ActionPlanner, json!({}), &[("ACTION_PLANNER_MODEL", "a/planner")]),
            pair("a/planner", "variable `ACTION_PLANNER_MODEL`"),
        );
    }

    #[test]
    fn origins_are_written_with_source_place_and_detour() {
        let origin = |tier, profile, variables: &[_]| {
            let choice = resolve(tier, &options(profile), &env(variables));
            serde_json::to_value(choice.origin).expect("an origin is plain JSON")
        };
        let tiers = json!({"tiers": {"TEXT_SMALL": "a/b"}});
        assert_eq!(
            origin(Tier::TextSmall, tiers.clone(), &[]),
            json!({"source": "profile-tier", "at": "/tiers/TEXT_SMALL"}),
        );
        assert_eq!(
            origin(Tier::TextNano, tiers, &[]),
            json!({"source": "profile-tier", "at": "/tiers/TEXT_SMALL", "via": "TEXT_SMALL"}),
        );
        assert_eq!(
            origin(Tier::TextLarge, json!({"model": "a/b"}), &[]),
            json!({"source": "profile-model", "at": "/model"}),
        );
        assert_eq!(
            origin(Tier::ImageDescription, json!({}), &[("IMAGE_MODEL", "a/b")]),
            json!({"source": "environment", "at": "IMAGE_MODEL"}),
        );
        assert_eq!(
            origin(Tier::TextMega, json!({}), &[]),
            json!({"source": "default", "via": "TEXT_LARGE"}),
        );
        let by_call = Choice::by_call(Tier::TextLarge, " openrouter/a/b ");
        assert_eq!(
            (by_call.configured.as_str(), by_call.wire.as_str()),
            ("openrouter/a/b", "a/b")
        );
        assert_eq!(by_call.origin.to_string(), "the call");
        assert_eq!(
            serde_json::to_value(by_call.origin).expect("an origin is plain JSON"),
            json!({"source": "call"}),
        );
    }

    #[test]
    fn every_tier_ends_at_a_default() {
        let models: Vec<_> = tiers::all()
            .iter()
            .map(|tier| {
                let choice = resolve(*tier, &Options::default(), &env(&[]));
                (tier.name(), choice.wire, choice.origin.to_string())
            })
            .collect();
        let expect = |tier, wire: &str, origin: &str| (tier, wire.to_owned(), origin.to_owned());
        let haiku = "anthropic/claude-haiku-4.5";
        let sonnet = "anthropic/claude-sonnet-4.5";
        let through_small = "built-in default through TEXT_SMALL";
        let through_large = "built-in default through TEXT_LARGE";
        assert_eq!(
            models,
            [
                expect("TEXT_NANO", haiku, through_small),
                expect("TEXT_SMALL", haiku, "built-in default"),
                expect("TEXT_MEDIUM", haiku, through_small),
                expect("TEXT_LARGE", sonnet, "built-in default"),
                expect("TEXT_MEGA", sonnet, through_large),
                expect("TEXT_REASONING_LARGE", "anthropic/claude-opus-4", "built-in default"),
                expect("RESPONSE_HANDLER", haiku, through_small),
                expect("ACTION_PLANNER", haiku, through_small),
                expect("TEXT_EMBEDDING", "openai/text-embedding-3-small", "built-in default"),
                expect("IMAGE_DESCRIPTION", sonnet, through_large),
                expect("IMAGE", "google/gemini-2.5-flash-image", "built-in default"),
            ],
        );
    }
}
