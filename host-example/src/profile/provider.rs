//! What the host knows about a provider when it checks a profile.

use serde_json::Value;

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
