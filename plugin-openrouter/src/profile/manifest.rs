//! The plugin's manifest.
//!
//! A constant, because hosts read it from the library as data.
//! Its options schema is generated from the types in [`crate::profile::options`], its errors from
//! [`crate::failure::table`]. Both are committed in `schemas/`, and tests keep them up to date.

/// The manifest as JSON.
pub const TEXT: &str = concat!(
    r#"{
  "id": "openrouter",
  "name": "OpenRouter",
  "version": ""#,
    env!("CARGO_PKG_VERSION"),
    r#"",
  "description": "Models from many authors through one service, chosen by tier",
  "environment": [
    {"name": "OPENROUTER_API_KEY", "role": "key", "prefix": "sk-or-", "page": "https://openrouter.ai/settings/keys", "description": "The API key; the plugin is enabled if it is set"},
    {"name": "OPENROUTER_KEY", "role": "key", "prefix": "sk-or-", "description": "Another name for OPENROUTER_API_KEY"},
    {"name": "OPENROUTER_BASE_URL", "role": "endpoint", "option": "/baseUrl", "description": "Address of the service, if not openrouter.ai"},
    {"name": "OPENROUTER_SECONDARY_API_KEY", "role": "secret", "description": "The key of the secondary service, if the profile has one"},
    {"name": "OPENROUTER_CACHE_TTL_MODELS", "role": "setting", "option": "/caches/modelsMs", "description": "How long the model list is cached, in milliseconds"},
    {"name": "OPENROUTER_CACHE_TTL_CREDITS", "role": "setting", "option": "/caches/creditsMs", "description": "How long the account is cached, in milliseconds"},
    {"name": "OPENROUTER_BACKGROUND_REFRESH", "role": "setting", "description": "How often the model list and the account are refreshed in the background, in milliseconds; true: whenever they expire"},
    {"name": "OPENROUTER_MODELS", "role": "setting", "description": "The models to list, as ids separated by commas; author/* means all of an author"},
    {"name": "OPENROUTER_SITE_URL", "role": "setting", "option": "/attribution/siteUrl", "description": "The application's web address, for attribution"},
    {"name": "OPENROUTER_SITE_NAME", "role": "setting", "option": "/attribution/appName", "description": "The application's name, for attribution"},
    {"name": "OPENROUTER_SMALL_MODEL", "role": "setting", "option": "/tiers/TEXT_SMALL/model"},
    {"name": "SMALL_MODEL", "role": "setting", "option": "/tiers/TEXT_SMALL/model"},
    {"name": "OPENROUTER_LARGE_MODEL", "role": "setting", "option": "/tiers/TEXT_LARGE/model"},
    {"name": "LARGE_MODEL", "role": "setting", "option": "/tiers/TEXT_LARGE/model"},
    {"name": "OPENROUTER_REASONING_LARGE_MODEL", "role": "setting", "option": "/tiers/TEXT_REASONING_LARGE/model"},
    {"name": "REASONING_LARGE_MODEL", "role": "setting", "option": "/tiers/TEXT_REASONING_LARGE/model"},
    {"name": "OPENROUTER_NANO_MODEL", "role": "setting", "option": "/tiers/TEXT_NANO/model"},
    {"name": "NANO_MODEL", "role": "setting", "option": "/tiers/TEXT_NANO/model"},
    {"name": "OPENROUTER_MEDIUM_MODEL", "role": "setting", "option": "/tiers/TEXT_MEDIUM/model"},
    {"name": "MEDIUM_MODEL", "role": "setting", "option": "/tiers/TEXT_MEDIUM/model"},
    {"name": "OPENROUTER_MEGA_MODEL", "role": "setting", "option": "/tiers/TEXT_MEGA/model"},
    {"name": "MEGA_MODEL", "role": "setting", "option": "/tiers/TEXT_MEGA/model"},
    {"name": "OPENROUTER_RESPONSE_HANDLER_MODEL", "role": "setting", "option": "/tiers/RESPONSE_HANDLER/model"},
    {"name": "RESPONSE_HANDLER_MODEL", "role": "setting", "option": "/tiers/RESPONSE_HANDLER/model"},
    {"name": "OPENROUTER_ACTION_PLANNER_MODEL", "role": "setting", "option": "/tiers/ACTION_PLANNER/model"},
    {"name": "ACTION_PLANNER_MODEL", "role": "setting", "option": "/tiers/ACTION_PLANNER/model"},
    {"name": "OPENROUTER_EMBEDDING_MODEL", "role": "setting", "option": "/tiers/TEXT_EMBEDDING/model"},
    {"name": "EMBEDDING_MODEL", "role": "setting", "option": "/tiers/TEXT_EMBEDDING/model"},
    {"name": "OPENROUTER_IMAGE_MODEL", "role": "setting", "option": "/tiers/IMAGE_DESCRIPTION/model"},
    {"name": "IMAGE_MODEL", "role": "setting", "option": "/tiers/IMAGE_DESCRIPTION/model"},
    {"name": "OPENROUTER_IMAGE_GENERATION_MODEL", "role": "setting", "option": "/tiers/IMAGE/model"},
    {"name": "IMAGE_GENERATION_MODEL", "role": "setting", "option": "/tiers/IMAGE/model"}
  ],
  "tiers": ["TEXT_NANO", "TEXT_SMALL", "TEXT_MEDIUM", "TEXT_LARGE", "TEXT_MEGA", "TEXT_REASONING_LARGE",
    "RESPONSE_HANDLER", "ACTION_PLANNER", "TEXT_EMBEDDING", "IMAGE_DESCRIPTION", "IMAGE"],
  "links": [
    {"name": "status", "url": "https://status.openrouter.ai"},
    {"name": "keys", "url": "https://openrouter.ai/settings/keys"},
    {"name": "credits", "url": "https://openrouter.ai/settings/credits"},
    {"name": "activity", "url": "https://openrouter.ai/activity"},
    {"name": "privacy settings", "url": "https://openrouter.ai/settings/privacy"},
    {"name": "models", "url": "https://openrouter.ai/models"},
    {"name": "documentation", "url": "https://openrouter.ai/docs"},
    {"name": "support", "url": "mailto:support@openrouter.ai"}
  ],
  "methods": ["chat", "stream", "tiers", "check", "configure", "diagnose", "account", "raw", "models", "credits", "caches", "embed", "sign_in", "redeem"],
  "options_schema": "#,
    include_str!("../../../schemas/openrouter-options.schema.json"),
    r#",
  "errors": "#,
    include_str!("../../../schemas/openrouter-errors.json"),
    "}"
);

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use crate::profile::options::Options;
    use crate::profile::tiers;

    const SCHEMA_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../schemas/openrouter-options.schema.json");

    #[test]
    fn the_published_schema_matches_the_types() {
        let schema = serde_json::to_value(schemars::schema_for!(Options)).expect("a schema is JSON");
        let expected = serde_json::to_string_pretty(&schema).expect("a schema is JSON") + "\n";
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            std::fs::write(SCHEMA_FILE, &expected).expect("the schema file is writable");
        }
        assert_eq!(
            std::fs::read_to_string(SCHEMA_FILE).unwrap_or_default(),
            expected,
            "to rewrite it: UPDATE_EXPECTED=1 cargo test -p plugin-openrouter the_published_schema"
        );
    }

    #[test]
    fn the_manifest_lists_every_tier_and_every_variable() {
        let manifest: Value = serde_json::from_str(super::TEXT).expect("the manifest is JSON");
        let names = |list: &str, field: &str| -> BTreeSet<String> {
            let entries = manifest[list].as_array().expect("a list").iter();
            entries
                .map(|entry| entry[field].as_str().or(entry.as_str()).expect("a name").to_owned())
                .collect()
        };
        let named = names("environment", "name");
        for tier in tiers::all() {
            for variable in tier.variables() {
                assert!(named.contains(*variable), "{variable} is read but not listed");
                let mut listed = manifest["environment"].as_array().expect("a list").iter();
                let entry = listed.find(|entry| entry["name"] == *variable).expect("it is listed");
                assert_eq!(entry["option"], format!("/tiers/{tier}/model"));
            }
        }
        let tiers: BTreeSet<String> = tiers::all().iter().map(|tier| tier.name().to_owned()).collect();
        assert_eq!(names("tiers", ""), tiers);
    }
}
