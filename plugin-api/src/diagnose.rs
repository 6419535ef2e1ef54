//! The result of a plugin's self-diagnosis: one finding for each thing that a call depends on.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a diagnosis is allowed to do.
///
/// Since: 1.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct DiagnoseRequest {
    /// Whether it may send a small billed request to see an answer stream. Default: no, and that check is skipped.
    pub may_cost: bool,
    /// Whether the options lack a part of the profile that is invalid, so that settings may look unset. Since: 1.3.
    pub is_partial: bool,
}

/// One thing that a diagnosis checked.
///
/// Since: 1.1.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// A stable id for programs, such as `key_valid`.
    pub id: String,
    /// The heading to show it under, such as `Key`.
    pub group: String,
    /// The result of the check.
    pub status: FindingStatus,
    /// What was found, in one line.
    pub summary: String,
    /// What to do about it, in one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// How long the check took, in milliseconds.
    #[serde(default)]
    pub duration_ms: u64,
}

/// The result of one check.
///
/// Since: 1.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FindingStatus {
    /// As it should be.
    Ok,
    /// It works, but could be better.
    Warning,
    /// It does not work.
    Failed,
    /// Not checked. Unknown values from later versions read as this too.
    #[default]
    #[serde(other)]
    Skipped,
}
