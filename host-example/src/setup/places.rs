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

pub struct Places {
    /// The profile file.
    pub config: PathBuf,
    /// Whether the user named that file, so that its absence is an error.
    pub config_was_named: bool,
    /// The plugin folder.
    pub plugins: PathBuf,
    /// Whether only plugins are used that the lock file of that folder records.
    pub is_locked: bool,
    /// The name of the profile in the file.
    pub profile: String,
    /// The history of the conversations' input lines.
    pub history: PathBuf,
}

impl Places {
    pub fn from(global: &Global) -> Result<Self, Failure> {
        let xdg = xdg()?;
        let named = |given: &Option<PathBuf>, variable: &str| {
            let given = given.clone();
            given.or_else(|| set_variable(variable).map(PathBuf::from))
        };
        let config = named(&global.config, "AGENT_HOST_CONFIG");
        let plugins = named(&global.plugins, "AGENT_HOST_PLUGINS");
        let profile = set_variable("AGENT_HOST_PROFILE").map(|name| name.to_string_lossy().into_owned());
        Ok(Self {
            config_was_named: config.is_some(),
            config: config.unwrap_or_else(|| xdg.config_dir().join("agent-host/profile.json")),
            plugins: plugins.unwrap_or_else(|| xdg.data_dir().join("agent-host/plugins")),
            is_locked: global.locked,
            profile: global
                .profile
                .clone()
                .or(profile)
                .unwrap_or_else(|| "default".to_owned()),
            history: state_file("history")?,
        })
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
