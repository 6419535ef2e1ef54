//! What is on disk and in the environment, read once per command.

use std::fs;
use std::path::Path;

use super::environment::Environment;
use super::global::Global;
use super::keys::CommandKeys;
use super::places::Places;
use super::plugins::Folder;
use crate::profile::{Document, Profile};
use crate::terminal::Failure;

/// What is on disk and in the environment.
pub struct Setup {
    pub places: Places,
    pub environment: Environment,
    pub folder: Folder,
    pub allow_any_key: bool,
}

/// A profile, and its document.
pub struct Chosen {
    pub document: Document,
    pub profile: Profile,
}

impl Setup {
    pub fn read(global: &Global) -> Result<Self, Failure> {
        Self::read_with(global, CommandKeys::default())
    }

    /// The same, with keys that commands printed before.
    pub fn read_with(global: &Global, command_keys: CommandKeys) -> Result<Self, Failure> {
        let places = Places::from(global)?;
        Ok(Self {
            environment: Environment::read(global.env_file.as_deref(), command_keys)?,
            folder: Folder::read(&places)?,
            places,
            allow_any_key: global.allow_any_key,
        })
    }
}

/// Whether the path exists, dangling links included.
pub fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}
