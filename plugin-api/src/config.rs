//! What a host gives a plugin to work with, and the model that each tier stands for as a result.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, ErrorKind};

/// A plugin's options and environment, as the host passes them to [`Provider::create`](crate::Provider::create).
#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Config {
    /// The profile's options for this plugin: an object that fits the plugin's schema, or `null` without a profile.
    pub options: Value,
    /// The environment variables from the plugin's manifest that are set, keys included. Blank ones count as not set.
    pub environment: BTreeMap<String, String>,
}

impl Config {
    /// Parses what a host passes to `create` and `configure`.
    ///
    /// - Errors: `config`, without quoting anything: one of the values is the key.
    /// - Since: 1.3.
    pub fn parse(config: &str) -> Result<Self, Error> {
        serde_json::from_str(config).map_err(|_| {
            Error::new(
                ErrorKind::CONFIG,
                "cannot read the host's configuration: expected a `Config`",
            )
        })
    }
}

impl fmt::Debug for Config {
    /// Prints names only: one of the values is the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("environment", &self.environment.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// The model that a tier stands for, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TierModel {
    /// The tier's name, such as `TEXT_LARGE`.
    pub tier: String,
    /// The model id as it was configured.
    pub configured: String,
    /// The model id as it goes to the service.
    pub wire: String,
    /// Where the configured id comes from, for people.
    pub origin: String,
    /// The tier whose model this one uses. Absent: this tier is configured itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<String>,
    /// Why `wire` differs from `configured`, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The fallback chain behind the model, in order, as ids that go to the service.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallbacks: Vec<String>,
    /// The models that the tier's calls are divided between, each with its weight; `configured` is the heaviest.
    /// Empty: one model answers. Since: 1.3.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub split: BTreeMap<String, u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreadable_configuration_is_not_quoted() {
        let error =
            Config::parse(r#"{"environment": {"KEY": "secret", "MORE": ["secret"]}}"#).expect_err("a list is no text");
        assert_eq!(error.kind, ErrorKind::CONFIG);
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }
}
