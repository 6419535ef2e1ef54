//! What an agent is: its model, its system prompt, its tools and its limits. Types only.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::ValueEnum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::mcp::Server;

/// An agent: a model, the tools that it may use, and how far it may go.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "An agent of agent-host")]
pub struct Definition {
    /// The schema of this file, for editors.
    #[serde(default, rename = "$schema")]
    pub _schema: Option<String>,
    /// What the agent is for; `agent list` shows it.
    #[serde(default)]
    pub description: Option<String>,
    /// The plugin that asks the model; default: the one that the profile selects.
    #[serde(default)]
    pub provider: Option<String>,
    /// The tier whose model answers, such as `large`; default: the plugin's.
    #[serde(default)]
    pub tier: Option<String>,
    /// The id of the model that answers, instead of a tier.
    #[serde(default)]
    pub model: Option<String>,
    /// The models to ask when that one fails, in order; default: the profile's.
    #[serde(default)]
    pub fallbacks: Vec<String>,
    /// What the model is told before the task.
    #[serde(default)]
    pub system_prompt: Option<String>,
    /// The tools that the model may use; default: none.
    #[serde(default)]
    pub tools: Vec<Wish>,
    /// MCP servers by their names, as in other programs; the agent may use all of their tools, unless `tools` names
    /// some as `mcp:NAME/TOOL`.
    #[serde(default, rename = "mcpServers")]
    pub mcp_servers: BTreeMap<String, Server>,
    /// Whether calls run: one word for all tools, or one for each by its name. Default: tools that only read here or
    /// calculate run; those that write, ask other machines or belong to MCP servers ask.
    #[serde(default)]
    pub approval: Approvals,
    /// Whether clients of `agent-host serve` may run it by its name; default: no.
    #[serde(default)]
    pub endpoint: bool,
    /// Further fields of each request, by their names on the wire, such as `temperature`.
    #[serde(default)]
    pub parameters: Map<String, Value>,
    /// The maximum number of model answers, including the last one; default 8.
    #[serde(default = "usual_steps")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_steps: u32,
    /// The maximum cost of all answers, in US dollars; no further request is sent when it is reached. Default: none.
    #[serde(default)]
    #[schemars(range(min = 0.000001, max = 1_000_000.0))]
    pub max_cost_usd: Option<f64>,
    /// The maximum time for everything, in seconds; default: none.
    #[serde(default)]
    #[schemars(range(min = 1, max = 86400))]
    pub max_seconds: Option<u64>,
}

fn usual_steps() -> u32 {
    8
}

impl Default for Definition {
    fn default() -> Self {
        serde_json::from_value(Value::Object(Map::new())).expect("every member has a default")
    }
}

/// Whether tools may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Approval {
    /// No call runs.
    Never,
    /// Each call is shown at the terminal first; without a terminal the agent stops.
    Ask,
    /// Every call runs.
    Always,
}

/// One word for all tools, or one for each.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Approvals {
    All(Approval),
    /// By the name of the tool: `files`, `files_write`, `fetch`, `mcp:NAME` or `mcp:NAME/TOOL`.
    Each(BTreeMap<String, Approval>),
}

impl Default for Approvals {
    fn default() -> Self {
        Self::Each(BTreeMap::new())
    }
}

/// A tool that the model may use.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Wish {
    /// `clock`, `calc`, `fetch`, or the tools of an MCP server: `mcp:NAME`, one of them: `mcp:NAME/TOOL`.
    Named(String),
    Files(FilesWish),
    Fetch(FetchWish),
    Service(ServiceWish),
}

/// Files below one folder.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FilesWish {
    pub files: Files,
}

/// Which files.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Files {
    /// The folder; `~/` is your home, other relative paths start where the program runs. Nothing outside is reached.
    pub folder: PathBuf,
    /// Whether the model may also write there; each time with approval, unless `approval` says `always`.
    #[serde(default)]
    pub write: bool,
}

/// Pages and files of public https addresses.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FetchWish {
    pub fetch: Fetched,
}

/// Which addresses.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fetched {
    /// The only hosts that are asked; those below them count too. Default: every public one.
    #[serde(default)]
    pub hosts: Vec<String>,
}

/// A tool that the service runs itself; the object goes to it as it is.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct ServiceWish {
    /// The service's name for the tool.
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

/// The JSON Schema of a definition.
pub fn schema() -> Value {
    schemars::schema_for!(Definition).to_value()
}

#[cfg(test)]
mod tests {
    use std::{env, fs};

    use super::*;

    #[test]
    fn the_published_schema_of_agents_matches_the_types() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../schemas/agent.schema.json");
        let expected = format!("{:#}\n", schema());
        if env::var_os("UPDATE_EXPECTED").is_some() {
            fs::write(file, &expected).expect("the schema file is writable");
        }
        assert!(
            fs::read_to_string(file).unwrap_or_default() == expected,
            "to rewrite it: UPDATE_EXPECTED=1 cargo test -p host-example the_published_schema"
        );
    }
}
