//! Remembers files between runs: which bytes each had, and how their trial ended.
//!
//! This saves reading every file to list the folder. For loading, a file is read and hashed again. But whoever can
//! write this memory could make bytes pass a trial that they never had, so it must be the user's alone.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::sync::Once;

use plugin_api::Manifest;
use plugin_api::loader::Image;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::trial::Outcome;
use crate::files::{Guard, ReadError, check_kept, read};
use crate::setup::atomic::write_private;
use crate::setup::places::{KNOWN, state_file};
use crate::terminal::{clean_line, say};

/// The largest memory that is read, in bytes.
const MAX_BYTES: u64 = 64 << 20;

/// The maximum number of files that are remembered.
const MAX_FILES: usize = 10_000;

/// The memory of earlier runs, in the state folder.
#[derive(Default, Serialize, Deserialize)]
pub struct Known {
    /// By device and inode.
    files: BTreeMap<String, File>,
    /// By the SHA-256 of their bytes.
    plugins: BTreeMap<String, Plugin>,
    #[serde(skip)]
    path: Option<PathBuf>,
    #[serde(skip)]
    has_news: bool,
}

#[derive(Serialize, Deserialize)]
struct File {
    stamp: String,
    sha256: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Plugin {
    /// As it is sealed in the file.
    manifest: Value,
    /// With the version of the host that ran it, because another version may decide differently.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trial: Option<(String, Outcome)>,
}

/// What is known about a file.
pub struct Remembered {
    pub sha256: String,
    pub manifest: Manifest,
    pub warnings: Vec<String>,
}

impl Known {
    /// Reads the memory. If it cannot be read, it is empty: losing it costs only time.
    pub fn read() -> Self {
        static NOTICE: Once = Once::new();
        let Ok(path) = state_file(KNOWN) else {
            return Self::default();
        };
        let known = match read(&path, MAX_BYTES, Guard::Private) {
            Ok((text, _)) => serde_json::from_slice(&text).ok(),
            Err(ReadError::Missing) => None,
            Err(ReadError::Refused(why)) => {
                let line = format!(
                    "note: `{}` is not used, so plugins are tried again: {why}",
                    path.display()
                );
                NOTICE.call_once(|| say(&clean_line(&line)));
                None
            }
        };
        Self {
            path: Some(path),
            ..known.unwrap_or_default()
        }
    }

    /// What is known about the file in its present state.
    pub fn file(&self, file: &Path) -> Option<Remembered> {
        let Stamp { name, stamp } = stamp_of(file)?;
        let found = self.files.get(&name).filter(|found| found.stamp == stamp)?;
        let plugin = self.plugins.get(&found.sha256)?;
        Some(Remembered {
            sha256: found.sha256.clone(),
            manifest: Manifest::parse(&plugin.manifest.to_string()).ok()?,
            warnings: found.warnings.clone(),
        })
    }

    /// Remembers a file that was read just now.
    ///
    /// - In: `before`, its stamp from before it was read.
    pub fn remember(&mut self, file: &Path, image: &Image, before: Option<Stamp>) {
        let stamp = stamp_of(file).filter(|stamp| Some(stamp) == before.as_ref());
        let Some(Stamp { name, stamp }) = stamp else { return };
        let manifest = image.manifest();
        self.plugins.entry(image.sha256().to_owned()).or_insert_with(|| Plugin {
            manifest: json!({"plugin_api": manifest.plugin_api, "manifest": manifest}),
            trial: None,
        });
        let (sha256, warnings) = (image.sha256().to_owned(), image.warnings().to_vec());
        self.files.insert(
            name,
            File {
                stamp,
                sha256,
                warnings,
            },
        );
        self.has_news = true;
    }

    /// How the trial of these bytes ended in this version of the host.
    pub fn outcome(&self, sha256: &str) -> Option<&Outcome> {
        let (version, outcome) = self.plugins.get(sha256)?.trial.as_ref()?;
        (version == env!("CARGO_PKG_VERSION") && outcome.holds()).then_some(outcome)
    }

    pub fn set_outcome(&mut self, sha256: &str, outcome: Outcome) {
        if let Some(plugin) = self.plugins.get_mut(sha256) {
            plugin.trial = Some((env!("CARGO_PKG_VERSION").to_owned(), outcome));
            self.has_news = true;
        }
    }

    /// Writes the memory, if anything in it is new.
    pub fn keep(&mut self) {
        let Some(path) = self.path.as_ref().filter(|_| self.has_news) else {
            return;
        };
        if self.files.len() > MAX_FILES {
            self.files.clear();
        }
        let used: Vec<&String> = self.files.values().map(|file| &file.sha256).collect();
        self.plugins.retain(|sha256, _| used.contains(&sha256));
        let text = serde_json::to_string(self).unwrap_or_default();
        let kept = check_kept(path, u64::MAX);
        let written = kept.and_then(|()| write_private(path, text.as_bytes()).map_err(|failure| failure.message));
        if let Err(why) = written {
            tracing::debug!("`{}` is not written: {why}", path.display());
        }
        self.has_news = false;
    }
}

/// What tells whether a file is still the same.
#[derive(PartialEq, Eq)]
pub struct Stamp {
    /// By which the file is remembered.
    name: String,
    /// Changes with the file's bytes, and with who may change them.
    stamp: String,
}

#[cfg(unix)]
pub fn stamp_of(file: &Path) -> Option<Stamp> {
    use std::os::unix::fs::MetadataExt;
    let rights = |metadata: &Metadata| format!("{:o} {}", metadata.mode(), metadata.uid());
    let metadata = fs::metadata(file).ok()?;
    let folder = fs::metadata(file.parent()?).ok()?;
    let (size, seconds, nanos) = (metadata.size(), metadata.mtime(), metadata.mtime_nsec());
    let is_link = fs::symlink_metadata(file).ok()?.is_symlink();
    let rights = [rights(&metadata), rights(&folder)].join(" ");
    Some(Stamp {
        name: format!("{}:{}", metadata.dev(), metadata.ino()),
        stamp: format!("{size} {seconds}.{nanos} {rights} {is_link}"),
    })
}

#[cfg(not(unix))]
pub fn stamp_of(file: &Path) -> Option<Stamp> {
    let metadata: Metadata = fs::metadata(file).ok()?;
    Some(Stamp {
        name: file.display().to_string(),
        stamp: format!("{} {:?}", metadata.len(), metadata.modified().ok()?),
    })
}
