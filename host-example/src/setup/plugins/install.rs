//! Installs, accepts and removes plugins.

use std::env::consts::DLL_EXTENSION;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use plugin_api::Manifest;
use plugin_api::loader::{self, Image, Refusal};

use super::lock::{Lock, check_sum, sum_beside};
use super::signature::{Key, Signature, signature_beside, signer};
use super::{Entry, Folder, try_now};
use crate::setup::atomic::write_atomically;
use crate::terminal::{Exit, Failure};

impl Folder {
    /// Copies a plugin into the folder. The copy appears whole or not at all, and replaces a previous one of the same
    /// name.
    ///
    /// - In: `key`, which it must be signed with.
    /// - Errors: the file is not a plugin, or is not named like one; the folder has the same plugin under another
    ///   name, or another plugin under this name; others may change the folder; its checksum or signature is wrong.
    pub fn install(&self, from: &Path, key: Option<&Key>) -> Result<(Manifest, PathBuf), Failure> {
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
            .find(|entry| entry.file != to && entry.has_id(&manifest.id) && entry.sha256.is_some());
        if let Some(twin) = twin {
            let shown = twin.file.display();
            return Err(Failure::new(
                Exit::Plugin,
                format!("the plugin `{}` is already installed as `{shown}`", manifest.id),
            )
            .with_hint(format!("remove that file first: rm {shown}")));
        }
        fs::create_dir_all(&self.path).map_err(|cause| {
            Failure::new(
                Exit::Plugin,
                format!("cannot create the folder `{}`: {cause}", self.path.display()),
            )
        })?;
        loader::check_folder(&to)?;
        check_sum(from, image.sha256())?;
        let signer = signer(from, &image, &self.lock, key)?;
        let signature = Signature::beside(from)?;
        try_now(&image, from)?;
        remove_beside(&to);
        write_atomically(&to, image.bytes())?;
        if let Some(signature) = signature {
            write_atomically(&signature_beside(&to), signature.text.as_bytes())?;
        }
        Lock::record(&self.path, &image, &name.to_string_lossy(), signer, false)?;
        Ok((image.manifest().clone(), to))
    }

    /// Records the bytes that a plugin's file has now, after a trial.
    ///
    /// - In: the plugin's id, or the name of its file; `key`, which they must be signed with.
    /// - Errors: no file is meant, or several are; its bytes are refused.
    pub fn accept(&self, name: &str, key: Option<&Key>) -> Result<Image, Failure> {
        // Found even if its last trial failed: it may only have run out of time, and is tried again.
        let entry = self.named(name)?;
        let image = Image::read(&entry.file).map_err(|found| entry.refusal.clone().unwrap_or(found))?;
        check_sum(&entry.file, image.sha256())?;
        let signer = signer(&entry.file, &image, &self.lock, key)?;
        try_now(&image, &entry.file)?;
        Lock::record(&self.path, &image, &entry.file_name(), signer, false)?;
        Ok(image)
    }

    /// Records every plugin that is not recorded and may be used. What is recorded stays as it is.
    ///
    /// - Out: one outcome for each file.
    pub fn record_all(&mut self) -> Vec<Result<&Entry, Failure>> {
        self.try_all();
        let record = |entry: &Entry| {
            if let Some(refusal) = &entry.refusal {
                return Err(Failure::from(refusal.clone()));
            }
            if entry.bytes().is_none_or(|(id, sha256)| self.lock.records(id, sha256)) {
                return Ok(());
            }
            let image = Image::read(&entry.file)?;
            if Some(image.sha256()) != entry.sha256.as_deref() {
                return Err(Refusal::new(&entry.file, "changing", "it was replaced just now").into());
            }
            let signer = signer(&entry.file, &image, &self.lock, None)?;
            Lock::record(&self.path, &image, &entry.file_name(), signer, true)
        };
        self.entries.iter().map(|entry| record(entry).map(|()| entry)).collect()
    }

    /// Deletes a plugin's files, copies included, and its record.
    ///
    /// - In: the plugin's id; or the name of a file, which is then the only one that goes.
    /// - Out: the files that were deleted.
    pub fn remove(&self, name: &str) -> Result<Vec<PathBuf>, Failure> {
        let named = self.named(name)?;
        let is_one = |entry: &&Entry| entry.file == named.file;
        let is_same = |entry: &&Entry| entry.sha256 == named.sha256 && entry.known_id == named.known_id;
        let has_copy = self.entries.iter().filter(is_same).any(|entry| !is_one(&entry));
        let by_file = named.file_name() == name;
        let gone: Vec<&Entry> = match by_file || named.sha256.is_none() {
            true => vec![named],
            false => self.entries.iter().filter(is_same).collect(),
        };
        let mut deleted = Vec::new();
        for file in gone.iter().map(|entry| &entry.file) {
            remove_beside(file);
            match fs::remove_file(file) {
                Ok(()) => deleted.push(file.clone()),
                Err(cause) if cause.kind() == ErrorKind::NotFound => {}
                Err(cause) => {
                    let message = format!("cannot delete `{}`: {cause}", file.display());
                    return Err(Failure::new(Exit::Plugin, message));
                }
            }
        }
        let id = named.known_id.as_ref().filter(|_| !by_file);
        // A copy that stays is still the recorded plugin.
        let files = gone
            .iter()
            .map(|entry| entry.file_name())
            .filter(|_| !(by_file && has_copy));
        Lock::forget(&self.path, id.map(String::as_str), &files.collect::<Vec<_>>())?;
        Ok(deleted)
    }
}

/// Removes the checksum and the signature of bytes that go.
fn remove_beside(file: &Path) {
    for beside in [sum_beside(file), signature_beside(file)] {
        let _ = fs::remove_file(beside);
    }
}
