use serde_json::{Value, json};

use super::*;
use crate::kit::parsed;

/// Each problem as one line: `!` for an error or `?` for a warning, pointer, message, hint.
fn problems(value: Value) -> Vec<String> {
    let line = |problem: Problem| {
        let mark = if problem.warning { "?" } else { "!" };
        let hint = problem.hint.map(|hint| format!(" | {hint}")).unwrap_or_default();
        format!("{mark} {}: {}{hint}", problem.pointer, problem.message)
    };
    parsed::<Options>(value).problems().into_iter().map(line).collect()
}

#[test]
fn options_that_the_schema_refuses_are_named_one_by_one() {
    let options = json!({"model": 1, "baseUrl": "https://a.example", "un/known": true});
    let places: Vec<String> = problems_of(&options)
        .into_iter()
        .map(|problem| problem.pointer)
        .collect();
    assert_eq!(places, ["/model", "/un~1known"]);
    // Neither of two spellings is wrong by itself.
    let twice = json!({"baseUrl": "https://a.example", "base_url": "https://a.example"});
    assert_eq!(problems_of(&twice).len(), 1);
}

#[test]
fn strict_privacy_overrides_looser_preferences_with_a_warning() {
    let profile = json!({
        "privacy": "strict",
        "tiers": {"small": {"providerPreferences": {"zdr": false, "dataCollection": "allow"}}},
    });
    let wire = parsed::<Options>(profile.clone())
        .preferences_for(Some(Tier::TextSmall))
        .to_wire();
    assert_eq!(Value::Object(wire), json!({"data_collection": "deny", "zdr": true}));
    assert_eq!(
        problems(profile),
        [("dataCollection", "allow"), ("zdr", "false")].map(|(key, value)| format!(
            "? /tiers/small/providerPreferences/{key}: `{value}` has no effect while `privacy` is `strict` | \
             remove it, or remove `privacy`"
        )),
    );
}

#[test]
fn a_split_needs_a_weight_and_no_model_beside_it() {
    let split = json!({"tiers": {"small": {"model": "a/b", "split": {"c/d": 0, "https://e": 0}}}});
    let expected = [
        "! /tiers/small/split/https:~1~1e: expected a model id, found a URL | \
         write the id alone, such as `anthropic/claude-sonnet-4.5`",
        "! /tiers/small/split: expected a weight above 0, found none | \
         give each model its share of the calls, such as 80 and 20",
        "! /tiers/small/split: the tier has both `model` and `split` | remove `model`; `split` names the models",
    ];
    assert_eq!(problems(split), expected);
    assert!(problems(json!({"tiers": {"small": {"split": {"a/b": 80, "c/d": 20}}}})).is_empty());
}

#[test]
fn unknown_and_duplicate_tiers_are_problems() {
    assert_eq!(
        problems(json!({"tiers": {"TEXT_HUGE/~": "a/b", "TEXT_SMALL": "a/b", "small": "a/b"}})),
        [
            "! /tiers/TEXT_HUGE~1~0: unknown tier `TEXT_HUGE/~` | the tiers are TEXT_NANO, TEXT_SMALL, TEXT_MEDIUM, \
             TEXT_LARGE, TEXT_MEGA, TEXT_REASONING_LARGE, RESPONSE_HANDLER, ACTION_PLANNER, TEXT_EMBEDDING, \
             IMAGE_DESCRIPTION, IMAGE",
            "! /tiers/small: the tier TEXT_SMALL is configured twice | keep one of the two",
        ],
    );
}

#[test]
fn model_ids_with_blanks_separators_or_quotes_and_urls_are_problems() {
    let hint = "a model id has no spaces, commas or semicolons; list further models in `fallbackModels`";
    assert_eq!(
        problems(json!({"model": " a/b ", "fallbackModels": ["a/b", "c d"],
            "tiers": {"large": "a/x,b/y", "small": {"model": "a/b c"}, "mega": "a/b;c", "nano": "`a/b`",
                "medium": "\"a/b\"", "reasoning": "https://user:password@example.com/a/b"}})),
        [
            format!("! /tiers/large: expected one model id, found `a/x,b/y` | {hint}"),
            "! /tiers/medium: expected a model id, found quotes in \"a/b\" | remove the quotes inside the value"
                .to_owned(),
            format!("! /tiers/mega: expected one model id, found `a/b;c` | {hint}"),
            "! /tiers/nano: expected a model id, found quotes in `a/b` | remove the quotes inside the value".to_owned(),
            "! /tiers/reasoning: expected a model id, found a URL | write the id alone, such as \
             `anthropic/claude-sonnet-4.5`"
                .to_owned(),
            format!("! /tiers/small/model: expected one model id, found `a/b c` | {hint}"),
            format!("! /fallbackModels/1: expected one model id, found `c d` | {hint}"),
        ],
    );
}

#[test]
fn a_fallback_chain_with_the_auto_router_is_a_warning() {
    let warning = |place: &str| {
        let message = "the fallback models are ignored with `openrouter/auto`, which chooses its own";
        format!("? {place}/fallbackModels: {message} | remove them, or set another model")
    };
    let once = json!({"model": "openrouter/auto:nitro", "fallbackModels": ["a/b"]});
    assert_eq!(problems(once), [warning("")]);
    let tiers = json!({"small": "auto", "large": "openrouter/auto"});
    let found = problems(json!({"tiers": tiers, "fallbackModels": ["a/b"]}));
    assert_eq!(found, [warning("")]);
    let own = json!({"small": {"model": "openrouter/auto", "fallbackModels": ["a/b"]}});
    assert_eq!(problems(json!({"tiers": own})), [warning("/tiers/small")]);
    assert_eq!(problems(json!({"model": "openrouter/auto"})), [""; 0]);
}

#[test]
fn contradicting_preferences_are_problems() {
    let sorted = json!({"providerPreferences": {"order": ["openai"], "sort": "price"}});
    let message = "? /providerPreferences/sort: `sort` has no effect while `order` is set | keep one of the two";
    assert_eq!(problems(sorted), [message]);
    let both = json!({
        "only": ["AWS Bedrock", "google-vertex/us-east5", "openai"],
        "ignore": ["azure", "amazon-bedrock", "Google", "openai/priority", "open"],
    });
    assert_eq!(
        problems(json!({"providerPreferences": both})),
        [
            "! /providerPreferences/ignore/1: `amazon-bedrock` is ignored, but `only` contains \
             `AWS Bedrock` | remove it from one of the two",
            "! /providerPreferences/ignore/2: `google-vertex` is ignored, but `only` contains \
             `google-vertex/us-east5` | remove it from one of the two",
        ],
    );
}

#[test]
fn attribution_must_fit_into_headers() {
    let odd = json!({"siteUrl": "https://grüße.example", "appName": "a\r\nb", "categories": ["cli-agent", "a,b"]});
    assert_eq!(
        problems(json!({"attribution": odd})),
        [
            "! /attribution/siteUrl: expected ASCII without spaces, because it becomes an HTTP header",
            "! /attribution/appName: expected text on one line, because it becomes an HTTP header",
            "! /attribution/categories/1: expected ASCII without spaces or commas, because it becomes an HTTP header",
        ],
    );
    assert_eq!(problems(json!({"attribution": {"appName": "Grüße 🦀"}})), [""; 0]);
}

#[test]
fn extra_cannot_replace_fields_that_are_set_elsewhere() {
    let extra = json!({"extra": {"model": "a/b", "messages": [], "new_field": 1}});
    let profile = json!({"parameters": extra, "tiers": {"TEXT_SMALL": {"parameters": extra}}});
    let expected = [
        "! /parameters/extra/model: `model` cannot be set in `extra` | set `model` of the profile or of the tier",
        "! /parameters/extra/messages: `messages` cannot be set in `extra` | the messages come from the conversation",
    ];
    let of_tier = expected.map(|line| line.replace("! /", "! /tiers/TEXT_SMALL/"));
    assert_eq!(problems(profile), [of_tier, expected.map(str::to_owned)].concat());
}

#[test]
fn an_error_lists_every_problem_of_the_options() {
    let options = json!({"model": "two words", "baseUrl": "ftp://example.com"});
    let error = read_options(&options).expect_err("two problems");
    assert_eq!((error.kind, error.details.problems.len()), (ErrorKind::CONFIG, 2));
}
