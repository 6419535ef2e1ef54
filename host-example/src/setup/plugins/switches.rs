//! Which plugins the user disabled.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::lock::{hold, read_trusted};
use crate::setup::atomic::write_atomically;
use crate::terminal::{Exit, Failure};

/// The file in the plugin folder that remembers it.
pub const FILE: &str = "plugins.json";

/// The largest such file that is read, in bytes.
const MAX_BYTES: u64 = 1 << 20;

#[derive(Default, Serialize, Deserialize)]
pub struct Switches {
    /// By plugin id, or by the name of a file whose plugin is not known.
    #[serde(default)]
    plugins: BTreeMap<String, Switch>,
}

#[derive(Default, Serialize, Deserialize)]
struct Switch {
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    disabled: bool,
}

impl Switches {
    /// - Errors: the file cannot be read, or another user may change it.
    pub fn read(folder: &Path) -> Result<Self, Failure> {
        let path = folder.join(FILE);
        let damaged = |cause: String| {
            Failure::new(Exit::Plugin, format!("`{}` cannot be used: {cause}", path.display()))
                .with_hint("fix or remove it; it only records which plugins are disabled")
        };
        match read_trusted(&path, MAX_BYTES).map_err(damaged)? {
            Some(text) => serde_json::from_slice(&text).map_err(|cause| damaged(cause.to_string())),
            None => Ok(Self::default()),
        }
    }

    /// Disables a plugin, or enables it again, and keeps what other programs changed meanwhile.
    pub fn set(folder: &Path, name: &str, disabled: bool) -> Result<Self, Failure> {
        let _held = hold(folder);
        let mut switches = Self::read(folder)?;
        switches.plugins.entry(name.to_owned()).or_default().disabled = disabled;
        let text = serde_json::to_string_pretty(&switches).unwrap_or_default();
        write_atomically(&folder.join(FILE), (text + "\n").as_bytes())?;
        Ok(switches)
    }

    pub fn has_off(&self, name: &str) -> bool {
        self.plugins.get(name).is_some_and(|switch| switch.disabled)
    }
}
