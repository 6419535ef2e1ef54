use serde_json::{Value, json};

use super::*;
use crate::kit::{environment, parsed, rows};
use crate::profile::tiers;

/// The variables of a cell: `NAME=value`, divided by commas.
fn variables(cell: &str) -> BTreeMap<String, String> {
    let pairs: Vec<_> = cell.split(", ").filter_map(|pair| pair.split_once('=')).collect();
    environment(&pairs)
}

/// Each row: a tier, a profile, variables, the configured id, and the origin as people read it.
fn assert_choices(table: &str) {
    for [tier, profile, set, model, origin] in rows(table) {
        let options = parsed(serde_json::from_str(profile).expect("JSON"));
        let choice = resolve(Tier::parse(tier).expect("a tier"), &options, &variables(set), None);
        let found = (choice.configured, choice.origin.to_string());
        assert_eq!(found, (model.to_owned(), origin.to_owned()), "{tier} {profile} {set}");
    }
}

#[test]
fn a_choice_shows_the_configured_id_and_the_id_that_is_sent() {
    let choice = resolve(Tier::TextSmall, &Options::default(), &BTreeMap::new(), None);
    assert_eq!(
        serde_json::to_value(choice).expect("a choice is plain JSON"),
        json!({
            "tier": "TEXT_SMALL", "configured": "anthropic/claude-haiku-4", "wire": "anthropic/claude-haiku-4.5",
            "origin": {"source": "default"},
            "note": "OpenRouter does not serve `anthropic/claude-haiku-4`; sending `anthropic/claude-haiku-4.5` instead",
        }),
    );
}

#[test]
fn the_profile_wins_over_the_environment_and_the_environment_over_the_default() {
    let table = r#"
        small | {"tiers": {"TEXT_SMALL": "a/profile"}} | OPENROUTER_SMALL_MODEL=a/env, SMALL_MODEL=a/plain
            | a/profile | profile `tiers.TEXT_SMALL`
        small | {} | OPENROUTER_SMALL_MODEL=a/env, SMALL_MODEL=a/plain | a/env | variable `OPENROUTER_SMALL_MODEL`
        small | {} | SMALL_MODEL=a/plain | a/plain | variable `SMALL_MODEL`
        small | {"tiers": {"small": {"split": {"a/less": 1, "a/more": 2}}}} | SMALL_MODEL=a/env
            | a/more | profile `tiers.small.split`
        nano | {"tiers": {"small": {"split": {"a/less": 1, "a/more": 2}}}} |
            | a/more | profile `tiers.small.split` through TEXT_SMALL
    "#;
    assert_choices(table);
}

#[test]
fn blank_values_count_as_absent() {
    let set = environment(&[("OPENROUTER_SMALL_MODEL", " \t"), ("SMALL_MODEL", " a/b ")]);
    let options = parsed(json!({"tiers": {"TEXT_SMALL": " ", "TEXT_LARGE": null}, "model": ""}));
    let chosen = [Tier::TextSmall, Tier::TextLarge].map(|tier| resolve(tier, &options, &set, None).configured);
    assert_eq!(chosen, ["a/b", "anthropic/claude-sonnet-4-5"]);
}

#[test]
fn the_profiles_model_is_used_for_a_large_tier_without_its_own() {
    let table = r#"
        large | {"model": "a/model"} | LARGE_MODEL=a/env | a/model | profile `model`
        mega | {"model": "a/model"} | | a/model | profile `model` through TEXT_LARGE
        small | {"model": "a/model"} | | anthropic/claude-haiku-4 | built-in default
        large | {"model": "a/model", "tiers": {"large": "a/tier"}} | | a/tier | profile `tiers.large`
        large | {"model": "a/model", "tiers": {"TEXT_LARGE": {"parameters": {"temperature": 0}}}} |
            | a/model | profile `model`
    "#;
    assert_choices(table);
}

#[test]
fn a_tier_without_a_model_inherits_its_nearest_ancestors() {
    let table = r#"
        RESPONSE_HANDLER | {"tiers": {"TEXT_NANO": {"model": "a/nano"}, "TEXT_SMALL": "a/small"}} |
            | a/nano | profile `tiers.TEXT_NANO` through TEXT_NANO
        ACTION_PLANNER | {} | SMALL_MODEL=a/small | a/small | variable `SMALL_MODEL` through TEXT_SMALL
        ACTION_PLANNER | {} | ACTION_PLANNER_MODEL=a/planner | a/planner | variable `ACTION_PLANNER_MODEL`
    "#;
    assert_choices(table);
}

#[test]
fn an_origin_is_written_with_source_place_and_parent_tier() {
    let origin = |choice: Choice| serde_json::to_value(choice.origin).expect("an origin is plain JSON");
    let table = r#"
        small | {"tiers": {"TEXT_SMALL": "a/b"}} | | {"source": "profile-tier", "at": "/tiers/TEXT_SMALL"}
        nano | {"tiers": {"TEXT_SMALL": "a/b"}} |
            | {"source": "profile-tier", "at": "/tiers/TEXT_SMALL", "via": "TEXT_SMALL"}
        large | {"model": "a/b"} | | {"source": "profile-model", "at": "/model"}
        IMAGE_DESCRIPTION | {} | IMAGE_MODEL=a/b | {"source": "environment", "at": "IMAGE_MODEL"}
        mega | {} | | {"source": "default", "via": "TEXT_LARGE"}
    "#;
    for [tier, profile, set, expected] in rows(table) {
        let options = parsed(serde_json::from_str(profile).expect("JSON"));
        let choice = resolve(Tier::parse(tier).expect("a tier"), &options, &variables(set), None);
        let expected: Value = serde_json::from_str(expected).expect("JSON");
        assert_eq!(origin(choice), expected, "{tier} {profile} {set}");
    }
    let by_call = Choice::by_call(Tier::TextLarge, " openrouter/a/b ");
    let found = (by_call.configured.as_str(), by_call.wire.as_str());
    assert_eq!(found, ("openrouter/a/b", "a/b"));
    assert_eq!(by_call.origin.to_string(), "the call");
    assert_eq!(origin(by_call), json!({"source": "call"}));
}

#[test]
fn every_tier_has_a_default() {
    let table = "
        TEXT_NANO | anthropic/claude-haiku-4.5 | built-in default through TEXT_SMALL
        TEXT_SMALL | anthropic/claude-haiku-4.5 | built-in default
        TEXT_MEDIUM | anthropic/claude-haiku-4.5 | built-in default through TEXT_SMALL
        TEXT_LARGE | anthropic/claude-sonnet-4.5 | built-in default
        TEXT_MEGA | anthropic/claude-sonnet-4.5 | built-in default through TEXT_LARGE
        TEXT_REASONING_LARGE | anthropic/claude-opus-4 | built-in default
        RESPONSE_HANDLER | anthropic/claude-haiku-4.5 | built-in default through TEXT_SMALL
        ACTION_PLANNER | anthropic/claude-haiku-4.5 | built-in default through TEXT_SMALL
        TEXT_EMBEDDING | openai/text-embedding-3-small | built-in default
        IMAGE_DESCRIPTION | anthropic/claude-sonnet-4.5 | built-in default through TEXT_LARGE
        IMAGE | google/gemini-2.5-flash-image | built-in default
    ";
    let found = tiers::all().iter().map(|tier| {
        let choice = resolve(*tier, &Options::default(), &BTreeMap::new(), None);
        [tier.name().to_owned(), choice.wire, choice.origin.to_string()]
    });
    assert_eq!(found.collect::<Vec<_>>(), rows(table));
}
