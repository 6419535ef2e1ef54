//! What is on disk and in the environment, read once per command.

use std::fs;
use std::path::Path;

use super::environment::Environment;
use super::global::Global;
use super::keys::CommandKeys;
use super::places::Places;
use super::plugins::Folder;
use crate::profile::{Document, Profile, ProviderSchema};
use crate::terminal::Failure;

/// What is on disk and in the environment.
pub struct Setup {
    pub places: Places,
    pub environment: Environment,
    pub folder: Folder,
    pub(super) allow_any_key: bool,
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
        let environment = Environment::read(global.env_file.as_deref(), command_keys)?;
        let folder = Folder::read(&places.plugins)?;
        Ok(Self::of(places, environment, folder, global))
    }

    /// Combines parts that were read one by one.
    pub fn of(places: Places, environment: Environment, folder: Folder, global: &Global) -> Self {
        Self {
            places,
            environment,
            folder,
            allow_any_key: global.allow_any_key,
        }
    }

    pub fn schemas(&self) -> Vec<ProviderSchema> {
        self.folder.schemas()
    }
}

/// Whether the path exists, dangling links included.
pub fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}
