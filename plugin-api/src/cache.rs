//! How much a plugin's caches are worth.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How often a cache had what was wanted, since the plugin's instance was created.
///
/// Since: 1.3.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CacheUse {
    /// What it keeps, as a stable word: `models`, `credits`.
    pub name: String,
    /// How often it answered.
    pub hits: u64,
    /// How often the service was asked instead. Refreshes in the background, and those that a caller insisted on, are
    /// neither hits nor misses.
    pub misses: u64,
}
