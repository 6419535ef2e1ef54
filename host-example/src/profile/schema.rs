//! The JSON Schemas of the profile: one entry for checking, the whole file for editors.
//!
//! The host's part is derived from the types here; the options of a provider come from its plugin
//! as draft 2020-12. Editors know draft-07 best, so the schema of the file is written in that.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::generate::SchemaSettings;
use schemars::transform::{
    RecursiveTransform, RemoveRefSiblings, ReplacePrefixItems, ReplaceUnevaluatedProperties, Transform,
};
use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// A file with profiles. Sections other than `auth` belong to other programs.
#[derive(JsonSchema)]
#[schemars(title = "Profiles of agent-host")]
#[expect(dead_code, reason = "only its schema is used; the file is checked as a value")]
struct ProfileFile {
    /// Where the models come from.
    auth: AuthSection,
}

/// Where the models come from.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used; the file is checked as a value")]
struct AuthSection {
    /// The profiles by name; `default` is used unless another is selected.
    profiles: BTreeMap<String, HostKeys>,
}

/// The host's own keys of a profile. All other keys are options of the provider's plugin.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct HostKeys {
    /// Id of the plugin that provides the models.
    pub provider: String,
    /// Where the provider's key comes from. Default: the environment variable that the plugin names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "KeySource")]
    pub api_key: Option<KeySource>,
    /// Whether calls are recorded for `agent-host usage`, and conversations kept. Default: true.
    #[serde(default = "kept")]
    pub history: bool,
}

fn kept() -> bool {
    true
}

/// Where the provider's key comes from: exactly one of `env`, `file` and `command`. Never the key itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum KeySource {
    /// The name of an environment variable.
    Env(
        #[schemars(
            regex(pattern = r"^[A-Za-z_][A-Za-z0-9_]*$"),
            description = "The name of an environment variable."
        )]
        String,
    ),
    /// The path of a file that contains only the key; `~/` is the home folder, and a relative path starts at the
    /// profile's folder.
    File(#[schemars(length(min = 1))] PathBuf),
    /// A program and its arguments; it prints the key to stdout. A relative path with a `/` starts at the profile's folder.
    Command(#[schemars(length(min = 1))] Vec<String>),
}

/// What the host knows of one provider when it checks a profile.
#[derive(Debug, Clone)]
pub struct ProviderSchema {
    /// Id of the provider, the value of `provider` in a profile.
    pub provider: String,
    /// JSON Schema of the plugin's options, draft 2020-12, an object with camelCase properties.
    pub options_schema: Value,
    /// How the provider's keys begin; text that begins so is refused everywhere in `auth`.
    pub key_prefixes: Vec<String>,
}

/// The schema of one profile of this provider: the host's keys and the plugin's options together,
/// and nothing else.
///
/// - Out: draft 2020-12, as the plugin's own.
pub fn entry_schema(provider: &ProviderSchema) -> Value {
    let mut entry = match &provider.options_schema {
        Value::Object(options) => options.clone(),
        _ => Map::new(),
    };
    let mut properties = host_properties();
    if let Some(constant) = properties.get_mut("provider").and_then(Value::as_object_mut) {
        constant.insert("const".to_owned(), json!(provider.provider));
    }
    if let Some(Value::Object(options)) = entry.remove("properties") {
        for (name, option) in options {
            properties.entry(name).or_insert(option);
        }
    }
    let mut required = vec![json!("provider")];
    if let Some(Value::Array(options)) = entry.remove("required") {
        required.extend(options.into_iter().filter(|name| name != "provider"));
    }
    entry.insert("type".to_owned(), json!("object"));
    entry.insert("properties".to_owned(), Value::Object(properties));
    entry.insert("required".to_owned(), Value::Array(required));
    entry.insert("additionalProperties".to_owned(), json!(false));
    Value::Object(entry)
}

/// The schema of the host's keys alone, for an entry whose provider is not known.
pub(super) fn host_schema() -> Value {
    json!({ "type": "object", "properties": host_properties() })
}

/// The schema of a whole profile file, for editors.
///
/// - Out: draft-07. The value of `provider` chooses among the complete schemas of the entries.
pub fn document_schema(providers: &[ProviderSchema]) -> Value {
    let generator = SchemaSettings::draft07().into_generator();
    let mut root = generator.into_root_schema_for::<ProfileFile>().to_value();
    let mut choices = Vec::new();
    let mut definitions = Map::new();
    for provider in providers {
        let name = format!("provider.{}", provider.provider);
        choices.push(json!({
            "if": { "properties": { "provider": { "const": provider.provider } }, "required": ["provider"] },
            "then": { "$ref": format!("#/definitions/{name}") },
        }));
        let (entry, parts) = draft07_from(&entry_schema(provider), &name);
        definitions.insert(name, entry);
        definitions.extend(parts);
    }
    let known = providers
        .iter()
        .map(|provider| json!(provider.provider))
        .collect::<Vec<_>>();
    let mut provider_key = host_properties().remove("provider").unwrap_or_default();
    if !known.is_empty() {
        provider_key["enum"] = Value::Array(known);
    }
    let mut profile = json!({
        "description": "One profile: a provider and its options.",
        "type": "object",
        "required": ["provider"],
        "properties": { "provider": provider_key },
    });
    if !choices.is_empty() {
        profile["allOf"] = Value::Array(choices);
    }
    definitions.insert("Profile".to_owned(), profile);
    if let Some(own) = root.get_mut("definitions").and_then(Value::as_object_mut) {
        // Replaced by `Profile` and by one complete schema for each provider.
        own.remove("HostKeys");
        own.remove("KeySource");
        own.extend(definitions);
    }
    if let Some(profiles) = root.pointer_mut("/definitions/AuthSection/properties/profiles") {
        profiles["additionalProperties"] = json!({ "$ref": "#/definitions/Profile" });
    }
    root
}

fn host_properties() -> Map<String, Value> {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<HostKeys>().to_value();
    match schema.get_mut("properties").map(Value::take) {
        Some(Value::Object(properties)) => properties,
        _ => Map::new(),
    }
}

/// A schema of draft 2020-12 as draft-07, and its `$defs` with names that begin with `name`.
fn draft07_from(schema: &Value, name: &str) -> (Value, Map<String, Value>) {
    let Ok(mut schema) = Schema::try_from(schema.clone()) else {
        return (json!({}), Map::new());
    };
    RecursiveTransform(|schema: &mut Schema| prefix_reference(schema, name)).transform(&mut schema);
    ReplaceUnevaluatedProperties::default().transform(&mut schema);
    RemoveRefSiblings::default().transform(&mut schema);
    ReplacePrefixItems::default().transform(&mut schema);
    for meta in ["$schema", "$id"] {
        schema.remove(meta);
    }
    let mut parts = Map::new();
    for keyword in ["$defs", "definitions"] {
        if let Some(Value::Object(definitions)) = schema.remove(keyword) {
            parts.extend(
                definitions
                    .into_iter()
                    .map(|(part, schema)| (format!("{name}.{part}"), schema)),
            );
        }
    }
    (schema.to_value(), parts)
}

/// Points a `$ref` at the place where [`document_schema`] puts the definitions.
fn prefix_reference(schema: &mut Schema, name: &str) {
    let reference = schema.get("$ref").and_then(Value::as_str).and_then(|reference| {
        let rest = reference.strip_prefix('#')?;
        let part = rest
            .strip_prefix("/$defs/")
            .or_else(|| rest.strip_prefix("/definitions/"));
        Some(match part {
            Some(part) => format!("#/definitions/{name}.{part}"),
            None => format!("#/definitions/{name}{rest}"),
        })
    });
    if let Some(reference) = reference {
        schema.insert("$ref".to_owned(), Value::String(reference));
    }
}
