//! Where things are: the profile file, the plugin folder, the history.
//!
//! The standard places of the XDG specification, each of which a flag or a variable moves.

use std::path::PathBuf;

use etcetera::BaseStrategy;
use etcetera::base_strategy::Xdg;

use crate::cli::Global;
use crate::exit::{Exit, Failure};

pub struct Places {
    /// The profile file.
    pub config: PathBuf,
    /// Whether somebody named that file, so that its absence is an error.
    pub config_was_named: bool,
    /// The plugin folder.
    pub plugins: PathBuf,
    /// The history of the conversations' input lines.
    pub history: PathBuf,
}

impl Places {
    pub fn from(global: &Global) -> Result<Self, Failure> {
        let xdg = Xdg::new().map_err(|_| {
            Failure::new(Exit::Usage, "the home folder is not known: `HOME` is not set").with_hint("set `HOME`")
        })?;
        let state = xdg.state_dir().unwrap_or_else(|| xdg.data_dir());
        Ok(Self {
            config: global
                .config
                .clone()
                .unwrap_or_else(|| xdg.config_dir().join("agent-host/profile.json")),
            config_was_named: global.config.is_some(),
            plugins: global
                .plugins
                .clone()
                .unwrap_or_else(|| xdg.data_dir().join("agent-host/plugins")),
            history: state.join("agent-host/history"),
        })
    }
}
