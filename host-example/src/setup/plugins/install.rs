//! Installs, accepts and removes plugins.

use std::env::consts::DLL_EXTENSION;
use std::fs;
use std::path::{Path, PathBuf};

use plugin_api::Manifest;
use plugin_api::loader::{self, Image};

use super::lock::{Lock, check_sum, sum_beside};
use super::{Folder, try_now};
use crate::setup::atomic::write_atomically;
use crate::terminal::{Exit, Failure};

impl Folder {
    /// Copies a plugin into the folder. The copy appears whole or not at all, and replaces a previous one of the same
    /// name.
    ///
    /// - Errors: the file is not a plugin, or is not named like one; the folder has the same plugin under another
    ///   name, or another plugin under this name.
    pub fn install(&self, from: &Path) -> Result<(Manifest, PathBuf), Failure> {
        let image = Image::read(from)?;
        let manifest = image.manifest();
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
        check_sum(from, image.sha256())?;
        try_now(&image, from)?;
        fs::create_dir_all(&self.path).map_err(|cause| {
            Failure::new(
                Exit::Plugin,
                format!("cannot create the folder `{}`: {cause}", self.path.display()),
            )
        })?;
        // That of other bytes, if it is there.
        let _ = fs::remove_file(sum_beside(&to));
        write_atomically(&to, image.bytes())?;
        Lock::record(&self.path, &image, &name.to_string_lossy(), false)?;
        Ok((image.manifest().clone(), to))
    }

    /// Records the bytes that a plugin's file has now, after a trial.
    ///
    /// - Errors: no plugin has the id, or its file is refused.
    pub fn accept(&self, id: &str) -> Result<Image, Failure> {
        // Found even if its last trial failed: it may only have run out of time, and is tried again.
        let entry = match self.entries.iter().find(|entry| entry.plugin_id() == Some(id)) {
            Some(entry) => entry,
            None => self.find(id)?.0,
        };
        let image = Image::read(&entry.file)?;
        check_sum(&entry.file, image.sha256())?;
        try_now(&image, &entry.file)?;
        Lock::record(&self.path, &image, &entry.file_name(), false)?;
        Ok(image)
    }

    /// Deletes a plugin's files, copies included, and its record.
    ///
    /// - Out: the files that were deleted.
    pub fn remove(&self, id: &str) -> Result<Vec<PathBuf>, Failure> {
        let sha256 = self.find(id)?.0.sha256.as_ref();
        let copies = self.entries.iter().filter(|entry| entry.sha256.as_ref() == sha256);
        let files: Vec<PathBuf> = copies.map(|entry| entry.file.clone()).collect();
        for file in &files {
            let _ = fs::remove_file(sum_beside(file));
            fs::remove_file(file)
                .map_err(|cause| Failure::new(Exit::Plugin, format!("cannot delete `{}`: {cause}", file.display())))?;
        }
        Lock::forget(&self.path, id)?;
        Ok(files)
    }
}
