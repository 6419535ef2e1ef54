//! What a host gives a plugin to work with, and the models that come of it.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a host gives a plugin to work with.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// The profile's options for this plugin: an object that its schema allows.
    pub options: Value,
    /// The environment variables of the plugin's manifest that are set, keys included. A blank one is left out.
    pub environment: BTreeMap<String, String>,
}

impl fmt::Debug for Config {
    /// Names only: among the values is the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("environment", &self.environment.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// Which model a tier stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TierModel {
    /// The tier's name, such as `TEXT_LARGE`.
    pub tier: String,
    /// The id as it was configured.
    pub configured: String,
    /// The id that goes to the service.
    pub wire: String,
    /// Where the configured id comes from, for people.
    pub origin: String,
    /// The tier that this one follows, where nobody configured it itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<String>,
    /// Why `wire` differs from `configured`, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The models that stand behind it, in order, by their ids on the wire.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallbacks: Vec<String>,
}
