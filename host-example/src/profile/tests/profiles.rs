//! The way from a document to a profile.

use std::path::PathBuf;

use serde_json::json;

use super::super::*;
use super::acme::acme;
use super::{acme_entry, entry, profile_of};

#[test]
fn the_documented_profile_is_good() {
    let text = r#"{ "auth": { "profiles": { "default": {
    "provider": "openrouter",
    "model": "anthropic/claude-sonnet-4-5",
    "providerPreferences": { "order": ["Anthropic", "AWS Bedrock"], "allowFallbacks": true } } } } }"#;
    let mut provider = acme();
    provider.provider = "openrouter".to_owned();
    let profile = profile_of(text, provider);
    let named = (profile.name.as_str(), profile.provider.as_str(), profile.api_key);
    assert_eq!(named, ("default", "openrouter", None));
    assert_eq!(
        profile.options,
        json!({ "model": "anthropic/claude-sonnet-4-5",
                "providerPreferences": { "order": ["Anthropic", "AWS Bedrock"], "allowFallbacks": true } })
    );
}

#[test]
fn snake_case_becomes_camel_case_except_in_names_that_the_author_chose() {
    let text = acme_entry(
        r#""api_key": { "file": "~/key" }, "tiers": { "text_small": { "model": "a/b", "parameters": { "max_tokens": 5 } } },
           "provider_preferences": { "max_price": { "prompt": "1" } }"#,
    );
    let profile = profile_of(&text, acme());
    assert_eq!(
        profile.options,
        json!({ "tiers": { "text_small": { "model": "a/b", "parameters": { "maxTokens": 5 } } },
                "providerPreferences": { "maxPrice": { "prompt": "1" } } })
    );
    let Some(KeySource::File(path)) = profile.api_key else {
        panic!("the key is in a file")
    };
    assert!(path.ends_with("key") && !path.starts_with("~"), "{}", path.display());
}

#[test]
fn the_three_sources_of_a_key_are_read() {
    let command = ["pass", "show", "key"].map(str::to_owned).to_vec();
    for (form, source) in [
        (r#"{ "env": "MY_KEY" }"#, KeySource::Env("MY_KEY".to_owned())),
        (r#"{ "file": "/run/key" }"#, KeySource::File(PathBuf::from("/run/key"))),
        (r#"{ "command": ["pass", "show", "key"] }"#, KeySource::Command(command)),
    ] {
        let profile = profile_of(&acme_entry(&format!("\"apiKey\": {form}")), acme());
        assert_eq!(profile.api_key, Some(source), "{form}");
    }
}

#[test]
fn relative_paths_of_a_key_start_at_the_profiles_folder() {
    let key_of = |form: &str| {
        let text = acme_entry(&format!("\"apiKey\": {form}"));
        let document = Document::parse("/etc/agents/agent.json", text).expect("it is JSON");
        profile_from(&document, "default", &[acme()])
            .expect("a good profile")
            .api_key
    };
    let words = |program: &str| [program, "a/b"].map(str::to_owned).to_vec();
    for (form, source) in [
        (
            r#"{ "file": "keys/acme" }"#,
            KeySource::File(PathBuf::from("/etc/agents/keys/acme")),
        ),
        (r#"{ "file": "/run/key" }"#, KeySource::File(PathBuf::from("/run/key"))),
        (
            r#"{ "command": ["./key.sh", "a/b"] }"#,
            KeySource::Command(words("/etc/agents/./key.sh")),
        ),
        (r#"{ "command": ["pass", "a/b"] }"#, KeySource::Command(words("pass"))),
        (
            r#"{ "command": ["/bin/pass", "a/b"] }"#,
            KeySource::Command(words("/bin/pass")),
        ),
    ] {
        assert_eq!(key_of(form), Some(source), "{form}");
    }
}

#[test]
fn plugin_findings_get_their_place_in_the_file() {
    let text = entry("\"provider\": \"acme\",\n\"provider_preferences\": { \"order\": [\"A\", \"B\"] }");
    let document = Document::parse("agent.json", text).expect("it is JSON");
    let place = |pointer: &str| {
        let problem = map_plugin_problem(&document, "default", pointer, "unknown slug".to_owned(), None);
        (problem.line, problem.column, problem.pointer)
    };
    for (pointer, line, column, found) in [
        ("/providerPreferences/order/1", 2, 42, "/provider_preferences/order/1"),
        ("/providerPreferences/sort/by", 2, 25, "/provider_preferences"),
        ("/tiers/fast", 1, 27, ""),
        ("", 1, 27, ""),
    ] {
        let found = format!("/auth/profiles/default{found}");
        assert_eq!(place(pointer), (line, column, found), "{pointer}");
    }
}

#[test]
fn a_missing_profile_is_reported_with_the_known_ones() {
    let document = Document::parse("agent.json", entry("\"provider\": \"acme\"")).expect("it is JSON");
    for (name, hint) in [
        ("defualt", "did you mean `default`?"),
        ("work", "available profiles: `default`"),
    ] {
        let error = profile_from(&document, name, &[acme()]).expect_err("there is no such profile");
        let expected = format!("profile file `agent.json` has no profile `{name}`\nhint: {hint}");
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn mistakes_in_another_profile_are_warnings() {
    let text = "{ \"auth\": { \"profiles\": { \"default\": { \"provider\": \"acme\" }, \"b\": { \"provider\": \"other\" } } } }";
    let document = Document::parse("agent.json", text.to_owned()).expect("it is JSON");
    let profile = profile_from(&document, "default", &[acme()]).expect("the chosen profile is good");
    assert_eq!(
        profile.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["1:81: warning: at /auth/profiles/b/provider: expected the id of an installed provider, found `\"other\"`"]
    );
    let error = profile_from(&document, "b", &[acme()]).expect_err("the chosen profile has no plugin");
    assert!(matches!(error, LoadError::Report(report) if report.has_errors()));
}

#[test]
fn a_file_with_problems_gives_the_rest_of_its_profile() {
    let salvaged_from = |inner: &str| {
        let document = Document::parse("agent.json", entry(inner)).expect("it is JSON");
        let problems = check(&document, &[acme()]);
        assert!(!problems.is_empty(), "{inner}");
        salvaged(&document, "default", &[acme()], &problems)
    };
    let profile = salvaged_from(
        r#""provider": "acme", "apiKey": { "env": "MY_KEY" }, "model": "a/b", "fallback_models": ["a/b", 5],
           "timeouts": { "idleMs": null, "connectMs": "soon" }, "providerPreferences": { "sort": "speed" }"#,
    )
    .expect("a profile");
    assert_eq!(profile.api_key, Some(KeySource::Env("MY_KEY".to_owned())));
    assert_eq!(
        profile.options,
        json!({ "model": "a/b", "timeouts": { "idleMs": null }, "providerPreferences": {} })
    );
    // No other key may be used than the intended one.
    assert!(salvaged_from(r#""provider": "acme", "api_key": { "nv": "MY_KEY" }"#).is_none());
    assert!(salvaged_from(r#""provider": "acmee", "model": "a/b""#).is_none());
    // An unknown option may be a misspelt address.
    assert!(salvaged_from(r#""provider": "acme", "adress": "https://proxy.example""#).is_none());
}
