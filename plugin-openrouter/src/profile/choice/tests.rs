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

/// The configured id, and the origin as people read it.
fn chosen(tier: Tier, profile: serde_json::Value, variables: &[(&str, &str)]) -> (String, String) {
    let choice = resolve(tier, &options(profile), &env(variables));
    (choice.configured, choice.origin.to_string())
}

fn pair(model: &str, origin: &str) -> (String, String) {
    (model.to_owned(), origin.to_owned())
}

#[test]
fn a_choice_shows_the_configured_id_and_the_id_that_is_sent() {
    let choice = resolve(Tier::TextSmall, &Options::default(), &env(&[]));
    assert_eq!(
        serde_json::to_value(choice).expect("a choice is plain JSON"),
        json!({
            "tier": "TEXT_SMALL",
            "configured": "anthropic/claude-haiku-4",
            "wire": "anthropic/claude-haiku-4.5",
            "origin": {"source": "default"},
            "note": "OpenRouter does not serve `anthropic/claude-haiku-4`; \
                     sending `anthropic/claude-haiku-4.5` instead",
        }),
    );
}

#[test]
fn the_profile_wins_over_the_environment_and_the_environment_over_the_default() {
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
fn the_profiles_model_is_used_for_a_large_tier_without_its_own() {
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
fn a_tier_without_a_model_inherits_its_nearest_ancestors() {
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
fn an_origin_is_written_with_source_place_and_parent_tier() {
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
fn every_tier_has_a_default() {
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
