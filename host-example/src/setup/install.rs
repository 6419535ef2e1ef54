//! Copies a plugin into the folder, after a look at it.

use std::env::consts::DLL_EXTENSION;
use std::fs;
use std::path::{Path, PathBuf};

use plugin_api::Manifest;
use plugin_api::loader;

use super::atomic::write_atomically;
use super::plugins::{Folder, manifest_path};
use crate::terminal::{Exit, Failure};

impl Folder {
    /// Copies a plugin into the folder. The copy appears whole or not at all, and replaces a previous one of the same
    /// name.
    ///
    /// - Errors: the file is not a plugin, or is not named like one; the folder has the same plugin under another
    ///   name, or another plugin under this name.
    pub fn install(&self, from: &Path) -> Result<(Manifest, PathBuf), Failure> {
        let manifest = loader::inspect(from)?;
        let name = from
            .file_name()
            .ok_or_else(|| Failure::usage("expected the path to a file"))?;
        if from.extension().is_none_or(|extension| extension != DLL_EXTENSION) {
            let name = name.display();
            return Err(Failure::new(
                Exit::Plugin,
                format!("expected a file name ending in `.{DLL_EXTENSION}`, found `{name}`: the plugin folder ignores other files"),
            )
            .with_hint(format!("rename it: mv {name} {name}.{DLL_EXTENSION}")));
        }
        let to = self.path.join(name);
        if let Ok(held) = loader::inspect(&to)
            && held.id != manifest.id
        {
            let shown = to.display();
            return Err(Failure::new(
                Exit::Plugin,
                format!("`{shown}` already holds another plugin, `{}`", held.id),
            )
            .with_hint(format!(
                "rename one of the files, or remove the old one first: rm {shown}"
            )));
        }
        let twin = self
            .entries
            .iter()
            .find(|entry| entry.file != to && entry.plugin_id() == Some(manifest.id.as_str()));
        if let Some(twin) = twin {
            let shown = twin.file.display();
            return Err(Failure::new(
                Exit::Plugin,
                format!("the plugin `{}` is already installed as `{shown}`", manifest.id),
            )
            .with_hint(format!("remove that file first: rm {shown}")));
        }
        let unreadable = |cause| Failure::new(Exit::Plugin, format!("`{}` cannot be read: {cause}", from.display()));
        let bytes = fs::read(from).map_err(unreadable)?;
        fs::create_dir_all(&self.path).map_err(|cause| {
            Failure::new(
                Exit::Plugin,
                format!("cannot create the folder `{}`: {cause}", self.path.display()),
            )
        })?;
        write_atomically(&to, &bytes)?;
        let text = serde_json::to_string_pretty(&manifest).unwrap_or_default() + "\n";
        write_atomically(&manifest_path(&to), text.as_bytes())?;
        Ok((manifest, to))
    }
}
