//! One file of the plugin folder, as it was read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use plugin_api::Manifest;
use plugin_api::loader::{Image, Refusal};

use super::known::{Known, stamp_of};
use super::lock::Lock;
use crate::terminal::few;

/// One library of the plugin folder, or one that is recorded and missing.
pub struct Entry {
    pub file: PathBuf,
    /// The plugin's id, if it is known.
    pub known_id: Option<String>,
    /// What the file declares, if it can be read as data.
    pub manifest: Option<Manifest>,
    /// Why it is not used.
    pub refusal: Option<Refusal>,
    /// The SHA-256 of the file, if it could be read.
    pub sha256: Option<String>,
    /// What is allowed but should be changed, such as permissions.
    pub warnings: Vec<String>,
    /// Whether only a trial can tell if it may be used.
    pub is_untried: bool,
}

impl Entry {
    pub fn read(file: PathBuf, known: &mut Known) -> Self {
        let before = stamp_of(&file);
        let found = match known.file(&file) {
            Some(found) => Ok((found.manifest, found.sha256, found.warnings)),
            None => Image::read(&file).map(|image| {
                known.remember(&file, &image, before);
                let sha256 = image.sha256().to_owned();
                (image.manifest().clone(), sha256, image.warnings().to_vec())
            }),
        };
        match found {
            Ok((manifest, sha256, warnings)) => Self {
                file,
                known_id: Some(manifest.id.clone()),
                manifest: Some(manifest),
                refusal: None,
                sha256: Some(sha256),
                warnings,
                is_untried: false,
            },
            Err(refusal) => Self::refused(file, None, refusal),
        }
    }

    pub fn refused(file: PathBuf, known_id: Option<String>, refusal: Refusal) -> Self {
        Self {
            file,
            known_id,
            manifest: None,
            refusal: Some(refusal),
            sha256: None,
            warnings: Vec::new(),
            is_untried: false,
        }
    }

    /// What the plugin declares, if it may be used.
    pub fn usable(&self) -> Option<&Manifest> {
        self.manifest.as_ref().filter(|_| self.refusal.is_none())
    }

    /// The id and the SHA-256 of a plugin that was not refused so far.
    pub fn bytes(&self) -> Option<(&str, &str)> {
        Some((&self.usable()?.id, self.sha256.as_deref()?))
    }

    pub fn has_id(&self, id: &str) -> bool {
        self.known_id.as_deref() == Some(id)
    }

    /// The plugin's id, or the file's name where it is not known.
    pub fn id(&self) -> String {
        self.known_id.clone().unwrap_or_else(|| self.file_name())
    }

    /// What no other entry is called: the id of a plugin that may be used, or the file's name.
    pub fn label(&self) -> String {
        self.usable()
            .map_or_else(|| self.file_name(), |manifest| manifest.id.clone())
    }

    pub fn file_name(&self) -> String {
        file_name_of(&self.file)
    }
}

pub fn file_name_of(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Of two files with the same plugin, uses only the recorded one; if neither is, refuses both, so that neither shadows
/// the other.
pub fn refuse_twins(entries: &mut [Entry], lock: &Lock) {
    let mut files: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for entry in entries.iter() {
        if let Some((id, sha256)) = entry.bytes() {
            let twins = files.entry(id.to_owned()).or_default();
            twins.push((entry.file_name(), sha256.to_owned()));
        }
    }
    files.retain(|_, twins| twins.len() > 1);
    for entry in entries {
        let Some((id, sha256)) = entry.bytes() else { continue };
        let Some(twins) = files.get(id) else { continue };
        let first_with = |wanted: &str| twins.iter().find(|(_, sha256)| sha256 == wanted).map(|(name, _)| name);
        let used = lock.record_of(id).and_then(|record| first_with(&record.sha256));
        let all_same = twins.iter().all(|(_, other)| other == sha256);
        let used = used.or_else(|| first_with(sha256).filter(|_| all_same));
        let reason = match used {
            Some(used) if *used == entry.file_name() => continue,
            Some(used) if first_with(sha256) == Some(used) => format!("it is a copy of `{used}`, which is used"),
            Some(used) => format!("it contains the plugin `{id}` too, and `{used}` is the recorded one"),
            None => {
                let names: Vec<String> = twins.iter().map(|(name, _)| name.clone()).collect();
                format!("{} contain the same plugin `{id}`", few(&names))
            }
        };
        entry.refusal = Some(Refusal::new(&entry.file, "twins", reason).with_hint("remove all but one of them"));
    }
}
