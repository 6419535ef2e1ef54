//! Where things are: the profile file, the plugin folder, the history.
//!
//! The standard places of the XDG specification; a flag or a variable overrides each.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use etcetera::BaseStrategy;
use etcetera::base_strategy::Xdg;

use super::global::Global;
use crate::terminal::Failure;

// The names of the files that are kept between runs.
pub const HISTORY: &str = "history";
pub const KNOWN: &str = "known-plugins.json";
pub const MODEL_IDS: &str = "model-ids";
pub const STORE: &str = "store.db";
pub const TOKEN: &str = "token";
pub const TRUSTED: &str = "trusted-addresses";

pub struct Places {
    /// The profile file.
    pub config: PathBuf,
    /// How the user named that file. If named, it must exist.
    pub config_named: Option<Named>,
    /// The user's own folder for profile files.
    pub config_folder: PathBuf,
    /// The plugin folder.
    pub plugins: PathBuf,
    /// Whether only plugins that the lock file of that folder records are used.
    pub is_locked: bool,
    /// The name of the profile in the file.
    pub profile: String,
    /// The history of the conversations' input lines.
    pub history: PathBuf,
}

/// How a path was named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    Option,
    Variable,
}

impl Places {
    pub fn from(global: &Global) -> Result<Self, Failure> {
        let xdg = xdg()?;
        let named = |given: &Option<PathBuf>, variable: &str| {
            let given = given.clone();
            given.or_else(|| set_variable(variable).map(PathBuf::from))
        };
        let config = named(&global.config, "AGENT_HOST_CONFIG");
        let by = if global.config.is_some() {
            Named::Option
        } else {
            Named::Variable
        };
        let config_folder = xdg.config_dir().join("agent-host");
        let plugins = named(&global.plugins, "AGENT_HOST_PLUGINS");
        let profile = set_variable("AGENT_HOST_PROFILE").map(|name| name.to_string_lossy().into_owned());
        Ok(Self {
            config_named: config.is_some().then_some(by),
            config: config.unwrap_or_else(|| config_folder.join("profile.json")),
            config_folder,
            plugins: plugins.unwrap_or_else(|| xdg.data_dir().join("agent-host/plugins")),
            is_locked: global.locked,
            profile: global
                .profile
                .clone()
                .or(profile)
                .unwrap_or_else(|| "default".to_owned()),
            history: state_file(HISTORY)?,
        })
    }

    /// The folder of the prompts that `run` fills in.
    pub fn templates(&self) -> PathBuf {
        self.config_folder.join("templates")
    }
}

/// A file that is kept between runs.
pub fn state_file(name: &str) -> Result<PathBuf, Failure> {
    let xdg = xdg()?;
    let state = xdg.state_dir().unwrap_or_else(|| xdg.data_dir());
    Ok(state.join("agent-host").join(name))
}

fn xdg() -> Result<Xdg, Failure> {
    Xdg::new().map_err(|_| Failure::usage("the home folder is unknown: `HOME` is not set").with_hint("set `HOME`"))
}

/// The value of a variable of the process. A blank variable counts as absent, here as everywhere.
pub fn set_variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.to_string_lossy().trim().is_empty())
}
