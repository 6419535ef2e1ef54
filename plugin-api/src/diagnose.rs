//! What a plugin finds when it looks at everything that a call depends on.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a diagnosis may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct DiagnoseRequest {
    /// Whether it may send a small request that is billed, to see an answer stream. Without it, that check is skipped.
    pub may_cost: bool,
}

/// One thing that a diagnosis looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// A stable word, such as `key_valid`.
    pub id: String,
    /// The heading that it stands under, such as `Key`.
    pub group: String,
    /// How it is.
    pub status: FindingStatus,
    /// What was found, in one line.
    pub summary: String,
    /// What to do about it, in one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// How long the look took, in milliseconds.
    #[serde(default)]
    pub duration_ms: u64,
}

/// How a thing is that was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FindingStatus {
    /// As it should be.
    Ok,
    /// It works, but not as well as it could.
    Warning,
    /// It does not work.
    Failed,
    /// It was not looked at. Also what a later version's status reads as.
    #[default]
    #[serde(other)]
    Skipped,
}
