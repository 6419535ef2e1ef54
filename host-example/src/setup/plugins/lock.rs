//! The lock file of the plugin folder: which bytes of which plugin may be used.
//!
//! A plugin is recorded when it is installed or first used. From then on other bytes are refused until the user accepts
//! them, so changing a file does not change what runs.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use plugin_api::loader::{Image, Refusal};
use serde::{Deserialize, Serialize};

use super::signature::Key;
use crate::files::{Guard, ReadError, read, read_named};
use crate::setup::atomic::write_atomically;
use crate::terminal::{Exit, Failure};

/// The name of the file.
pub const FILE: &str = "plugins.lock.json";

/// The largest lock file that is read, in bytes.
const MAX_BYTES: u64 = 4 << 20;

/// The largest file with a checksum that is read, in bytes.
const MAX_SUM_BYTES: u64 = 4 << 10;

/// What is recorded, by plugin id.
#[derive(Default, Serialize, Deserialize)]
pub struct Lock {
    plugins: BTreeMap<String, Record>,
}

/// One plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub version: String,
    /// The SHA-256 of the file, in lower-case hexadecimal digits.
    pub sha256: String,
    /// The version of plugin-api that it was built with.
    pub plugin_api: String,
    /// The file's name, for people.
    pub file: String,
    /// When these bytes were recorded, in RFC 3339.
    pub first_seen: String,
    /// The key that they are signed with, and later ones must be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<Key>,
}

/// What the lock file says about a plugin's bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum State<'a> {
    Recorded,
    Unrecorded,
    /// Other bytes are recorded.
    Changed(&'a Record),
}

impl Lock {
    /// Reads the lock file of a plugin folder.
    ///
    /// - Errors: it exists but cannot be read, so what is recorded is unknown.
    pub fn read(folder: &Path) -> Result<Self, Failure> {
        let path = folder.join(FILE);
        let failed = |cause: String| {
            Failure::new(Exit::Plugin, format!("`{}` cannot be used: {cause}", path.display())).with_hint(
                "if others may write to it: chmod go-w FILE; if it is damaged, restore it, since without it any plugin in \
                the folder is recorded anew",
            )
        };
        match read_trusted(&path, MAX_BYTES).map_err(failed)? {
            Some(text) => serde_json::from_slice(&text).map_err(|cause| failed(cause.to_string())),
            None => Ok(Self::default()),
        }
    }

    /// - In: `file`, the name of the file with the bytes. A plugin in a file that is recorded for another one is changed
    ///   too.
    pub fn state(&self, id: &str, sha256: &str, file: &str) -> State<'_> {
        let in_that_file = || self.plugins.values().find(|record| record.file == file);
        match self.plugins.get(id).or_else(in_that_file) {
            None => State::Unrecorded,
            Some(record) if record.sha256 == sha256 => State::Recorded,
            Some(record) => State::Changed(record),
        }
    }

    /// Whether these bytes of a plugin are recorded, wherever they are.
    pub fn records(&self, id: &str, sha256: &str) -> bool {
        self.record_of(id).is_some_and(|record| record.sha256 == sha256)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&String, &Record)> {
        self.plugins.iter()
    }

    pub fn record_of(&self, id: &str) -> Option<&Record> {
        self.plugins.get(id)
    }

    /// The key that these bytes of a plugin are signed with.
    pub fn signer_of(&self, id: &str, sha256: &str) -> Option<&Key> {
        let record = self.record_of(id).filter(|record| record.sha256 == sha256);
        record?.signer.as_ref()
    }

    /// The keys of all plugins.
    pub fn signers(&self) -> impl Iterator<Item = &Key> {
        self.plugins.values().filter_map(|record| record.signer.as_ref())
    }

    /// Adds the bytes of a plugin to the lock file of its folder, which is read again first.
    ///
    /// - In: `signer`, the key that they are signed with; `is_first`, whether other bytes must not have been recorded
    ///   meanwhile.
    /// - Errors: the folder cannot be written.
    pub fn record(
        folder: &Path,
        image: &Image,
        file: &str,
        signer: Option<Key>,
        is_first: bool,
    ) -> Result<(), Failure> {
        let manifest = image.manifest();
        let _held = hold(folder);
        let mut lock = Self::read(folder)?;
        if let (true, State::Changed(record)) = (is_first, lock.state(&manifest.id, image.sha256(), file)) {
            return Err(changed(Path::new(file), &manifest.id, record, image.sha256()).into());
        }
        let record = Record {
            version: manifest.version.clone(),
            sha256: image.sha256().to_owned(),
            plugin_api: manifest.plugin_api.clone(),
            file: file.to_owned(),
            first_seen: jiff::Timestamp::now().strftime("%FT%TZ").to_string(),
            signer,
        };
        lock.plugins.retain(|_, other| other.file != file);
        lock.plugins.insert(manifest.id.clone(), record);
        lock.write(folder)
    }

    /// Forgets a plugin, and what is recorded for these files.
    pub fn forget(folder: &Path, id: Option<&str>, files: &[String]) -> Result<(), Failure> {
        let _held = hold(folder);
        let mut lock = Self::read(folder)?;
        let n_before = lock.plugins.len();
        lock.plugins
            .retain(|other, record| Some(other.as_str()) != id && !files.contains(&record.file));
        if lock.plugins.len() == n_before {
            Ok(())
        } else {
            lock.write(folder)
        }
    }

    fn write(&self, folder: &Path) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(self).unwrap_or_default() + "\n";
        write_atomically(&folder.join(FILE), text.as_bytes())
    }
}

/// Reads a file that decides which plugins are used; none where there is no file.
///
/// - Errors: it cannot be read, so what it says is unknown; another user may change it.
pub fn read_trusted(path: &Path, max_bytes: u64) -> Result<Option<Vec<u8>>, String> {
    match read(path, max_bytes, Guard::Trusted) {
        Ok((text, _)) => Ok(Some(text)),
        Err(ReadError::Missing) if path.is_symlink() => Err("it is a link to nothing".to_owned()),
        Err(ReadError::Missing) => Ok(None),
        Err(ReadError::Refused(why)) => Err(why),
    }
}

/// Keeps other programs from changing what the plugin folder records while the guard lives, where the system can.
pub fn hold(folder: &Path) -> Option<File> {
    let folder = File::open(folder).ok()?;
    folder.lock().ok().map(|()| folder)
}

/// Compares a plugin with the checksum in `FILE.sha256` beside it, as `sha256sum` writes it, where there is one.
pub fn check_sum(file: &Path, sha256: &str) -> Result<(), Refusal> {
    let beside = sum_beside(file);
    let refuse = |reason: String| {
        Err(
            Refusal::new(file, "checksum", format!("`{}`: {reason}", beside.display())).with_hint(
                "get the plugin and its checksum again from its author, or remove the file with the checksum",
            ),
        )
    };
    match read_named(&beside, MAX_SUM_BYTES) {
        Err(ReadError::Missing) => Ok(()),
        Err(ReadError::Refused(cause)) => refuse(cause),
        Ok(text) => match String::from_utf8_lossy(&text).split_whitespace().next() {
            Some(expected) if expected.eq_ignore_ascii_case(sha256) => Ok(()),
            expected => refuse(format!(
                "expected SHA-256 {}…, found {}…",
                short(expected.unwrap_or("nothing")),
                short(sha256)
            )),
        },
    }
}

/// Where the checksum of a file is.
pub fn sum_beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".sha256");
    name.into()
}

/// The refusal of bytes that are not the recorded ones.
pub fn changed(file: &Path, id: &str, record: &Record, sha256: &str) -> Refusal {
    let [expected, found] = [&*record.sha256, sha256].map(short);
    Refusal::new(
        file,
        "changed",
        format!(
            "its bytes are not those of {} that were recorded on {}: expected SHA-256 {expected}…, found {found}…",
            record.version,
            record.first_seen.get(..10).unwrap_or_default()
        ),
    )
    .with_hint(format!("if you replaced it yourself: agent-host plugins accept {id}"))
}

/// The refusal, with `--locked`, of bytes that are not recorded.
pub fn unrecorded(file: &Path, id: &str) -> Refusal {
    Refusal::new(
        file,
        "unrecorded",
        format!("the plugin `{id}` is not in the lock file, and `--locked` was given"),
    )
    .with_hint(format!("record it first: agent-host plugins accept {id}"))
}

/// The beginning of a hash, long enough to compare by eye.
pub fn short(sha256: &str) -> &str {
    sha256.get(..12).unwrap_or(sha256)
}
