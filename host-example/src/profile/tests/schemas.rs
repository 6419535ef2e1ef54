//! The schemas that the host writes, and the starter that fits them.

use std::fs;

use serde_json::{Value, json};

use super::super::*;
use super::acme::acme;
use super::{entry, problems_of, profile_of};

#[test]
fn a_schema_that_cannot_be_used_is_the_plugins_fault() {
    let broken = ProviderSchema {
        options_schema: json!({ "properties": { "a": { "pattern": "(" } } }),
        ..acme()
    };
    let document = Document::parse("agent.json", entry("\"provider\": \"acme\"")).expect("it is JSON");
    let problems = check(&document, &[broken]);
    let message = &problems[0].message;
    assert!(
        message.starts_with("plugin `acme` has an unusable options schema"),
        "{message}"
    );
}

#[test]
fn a_starter_is_good_as_it_stands_and_with_its_lines_enabled() {
    for schema in [None, Some("schema.json")] {
        let text = starter("default", "acme", schema, &json!({}));
        let enabled = text.replace("// \"apiKey\": { \"env\"", "\"apiKey\": { \"env\"");
        let enabled = enabled.replace("// \"model\"", "\"model\"");
        assert_eq!((problems_of(&text), problems_of(&enabled)), (Vec::new(), Vec::new()));
    }
    let profile = profile_of(&starter("default", "acme", None, &json!({})), acme());
    assert_eq!((profile.provider.as_str(), profile.options), ("acme", json!({})));
    assert!(profile.warnings.is_empty());
}

#[test]
fn the_schema_for_editors_is_draft_07_and_agrees_with_the_check() {
    let second = ProviderSchema {
        provider: "other".to_owned(),
        options_schema: json!({ "type": "object", "properties": { "model": { "$ref": "#/$defs/ModelId" } },
            "$defs": { "ModelId": { "type": "integer" } } }),
        key_prefixes: Vec::new(),
    };
    let schema = document_schema(&[acme(), second]);
    assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
    assert_eq!(schema["title"], "Profiles of agent-host");
    let text = schema.to_string();
    assert!(!text.contains("$defs") && !text.contains("2020-12"), "{text}");
    jsonschema::draft7::meta::validate(&schema).expect("it is a schema of draft-07");
    let validator = jsonschema::draft7::new(&schema).expect("its references lead somewhere");
    let file = |entry: Value| json!({ "$schema": "x", "other": 1, "auth": { "profiles": { "default": entry } } });
    for good in [
        json!({ "provider": "acme", "model": "a/b", "tiers": { "X": { "model": "a/b" } } }),
        json!({ "provider": "other", "model": 5, "apiKey": { "env": "A" } }),
    ] {
        assert!(validator.is_valid(&file(good.clone())), "{good}");
    }
    for bad in [
        json!({ "provider": "acme", "model": 5 }),
        json!({ "provider": "other", "model": "a/b" }),
        json!({ "provider": "acme", "modle": "a/b" }),
        json!({ "provider": "acme", "tiers": { "X": { "model": 5 } } }),
        json!({ "provider": "acme", "apiKey": "sk-acme-1" }),
        json!({ "provider": "third" }),
        json!({ "model": "a/b" }),
    ] {
        assert!(!validator.is_valid(&file(bad.clone())), "{bad}");
    }
}

#[test]
fn the_published_schema_is_the_one_of_the_types() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../schemas");
    let options = fs::read_to_string(format!("{folder}/openrouter-options.schema.json")).expect("the plugin's schema");
    let openrouter = ProviderSchema {
        provider: "openrouter".to_owned(),
        options_schema: serde_json::from_str(&options).expect("a schema is JSON"),
        key_prefixes: vec!["sk-or-".to_owned()],
    };
    let schema = serde_json::to_string_pretty(&document_schema(&[openrouter])).expect("a schema is JSON") + "\n";
    let file = format!("{folder}/profile.schema.json");
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        fs::write(&file, &schema).expect("the schema file is writable");
    }
    assert_eq!(
        fs::read_to_string(&file).unwrap_or_default(),
        schema,
        "to rewrite it: UPDATE_EXPECTED=1 cargo test -p host-example the_published_schema"
    );
}
