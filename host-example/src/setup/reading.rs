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
    pub trust_profile: bool,
}

/// A profile, and its document.
pub struct Chosen {
    pub document: Document,
    pub profile: Profile,
}

impl Setup {
    pub fn read(global: &Global) -> Result<Self, Failure> {
        Self::read_with(global, true, CommandKeys::default())
    }

    /// The same; `.env` counts only if it `may_read_folder`. In: keys that commands printed before.
    pub fn read_with(global: &Global, may_read_folder: bool, command_keys: CommandKeys) -> Result<Self, Failure> {
        let reads_folder = may_read_folder && !global.no_env_file;
        let places = Places::from(global)?;
        Ok(Self {
            environment: Environment::read(global, &places, reads_folder, command_keys)?,
            folder: Folder::read(&places)?,
            places,
            allow_any_key: global.allow_any_key,
            trust_profile: global.trust_profile,
        })
    }
}

/// Whether the path exists, dangling links included.
pub fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}
