//! The options that every command accepts.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueHint};
use plugin_api::Manifest;

use super::protect::Secret;
use crate::terminal::Looks;

/// What every command accepts.
#[derive(Args, Clone, Default)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    /// The profile file [env: AGENT_HOST_CONFIG] [default: ~/.config/agent-host/profile.json]
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    /// The plugin folder [env: AGENT_HOST_PLUGINS] [default: ~/.local/share/agent-host/plugins]
    #[arg(long, global = true, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub plugins: Option<PathBuf>,
    /// Use no plugin that the lock file of the plugin folder does not record
    #[arg(long, global = true)]
    pub locked: bool,
    /// The profile in the file [env: AGENT_HOST_PROFILE] [default: default]
    #[arg(long, global = true, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub profile: Option<String>,
    /// A file of variables; the environment wins over it, and it wins over `.env` of the working directory
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub env_file: Option<PathBuf>,
    /// Do not read `.env` of the working directory
    #[arg(long, global = true)]
    pub no_env_file: bool,
    /// Let a profile or agent file outside your config folder use its own addresses, commands and folders
    #[arg(long, global = true)]
    pub trust_profile: bool,
    /// Accept a key that does not look like one of the service's
    #[arg(long, global = true)]
    pub allow_any_key: bool,
    /// Log more: -v for information, -vv for debugging, -vvv for everything
    ///
    /// RUST_LOG is more detailed and wins. Without either, DEBUG=ID:* logs the details of one plugin,
    /// and LOG_LEVEL=info sets the level.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Append the log to a file instead; warnings are still printed [env: AGENT_HOST_LOG_FILE]
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub log_file: Option<PathBuf>,
    #[command(flatten)]
    pub looks: Looks,
    #[arg(skip)]
    pub own: Own,
}

/// Variables that the program sets for itself, before all others: a key that is tried, the sandbox's address.
#[derive(Clone, Default)]
pub struct Own {
    /// Where they come from, for people.
    pub origin: &'static str,
    pub values: BTreeMap<String, Secret>,
}

impl Global {
    /// The same with another key for this plugin.
    pub fn with_key(&self, manifest: &Manifest, key: Secret, origin: &'static str) -> Self {
        let variable = manifest.keys().next().map(|variable| variable.name.clone());
        let values = variable.map(|name| (name, key)).into_iter().collect();
        Self {
            own: Own { origin, values },
            ..self.clone()
        }
    }
}
