//! The plugin folder: what is in it, and a verdict with its reason for every file.
//!
//! Verdicts come from the files as data. Code is loaded only for the plugin that answers, from the bytes that were
//! checked, and only if they are recorded in the [`lock`] file or have passed a [`trial`].

// In the order in which data travels.
mod known;
mod lock;
pub mod trial;
pub mod checks;
mod install;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use plugin_api::loader::{self, Image, Refusal};
use plugin_api::{Manifest, Role, Variable};
use serde::{Deserialize, Serialize};

use self::known::{Known, stamp_of};
pub use self::lock::FILE as LOCK_FILE;
use self::lock::{Lock, State};
use super::atomic::write_atomically;
use super::places::Places;
use crate::files::{ReadError, read_named};
use crate::profile::ProviderSchema;
use crate::terminal::{Exit, Failure, clean_line, say};

/// The file in the plugin folder that remembers what was switched off.
const SWITCHES: &str = "plugins.json";

/// The largest such file that is read, in bytes.
const MAX_SWITCHES_BYTES: u64 = 1 << 20;

/// One library of the plugin folder.
pub struct Entry {
    pub file: PathBuf,
    pub manifest: Result<Manifest, Refusal>,
    /// The plugin's id, if it is refused but may be the one that is wanted.
    pub refused_id: Option<String>,
    /// The SHA-256 of the file, if it could be read.
    pub sha256: Option<String>,
    /// What is allowed but should be changed, such as permissions.
    pub warnings: Vec<String>,
}

impl Entry {
    fn read(file: PathBuf, known: &mut Known) -> Self {
        let before = stamp_of(&file);
        let (manifest, sha256, warnings) = match known.file(&file) {
            Some(found) => (Ok(found.manifest), Some(found.sha256), found.warnings),
            None => match Image::read(&file) {
                Ok(image) => {
                    known.remember(&file, &image, before);
                    let sha256 = image.sha256().to_owned();
                    (Ok(image.manifest().clone()), Some(sha256), image.warnings().to_vec())
                }
                Err(refusal) => (Err(refusal), None, Vec::new()),
            },
        };
        let outcome = sha256.as_ref().and_then(|sha256| known.outcome(sha256));
        let (manifest, refused_id) = match (manifest, outcome.and_then(|outcome| outcome.refusal(&file).err())) {
            (Ok(manifest), Some(failed)) => (Err(failed), Some(manifest.id)),
            (manifest, _) => (manifest, None),
        };
        Self {
            manifest,
            file,
            refused_id,
            sha256,
            warnings,
        }
    }

    /// The id of the plugin in the file, whether it may be used or not.
    fn plugin_id(&self) -> Option<&str> {
        match &self.manifest {
            Ok(manifest) => Some(&manifest.id),
            Err(_) => self.refused_id.as_deref(),
        }
    }

    /// The plugin's id, or the file's name where there is none.
    pub fn id(&self) -> String {
        match &self.manifest {
            Ok(manifest) => manifest.id.clone(),
            Err(_) => self.file_name(),
        }
    }

    pub fn file_name(&self) -> String {
        file_name_of(&self.file)
    }
}

fn file_name_of(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Whether a plugin is on, and why.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "lowercase", tag = "verdict", content = "reason")]
pub enum Verdict {
    Enabled(String),
    Idle(String),
    Disabled(String),
    Refused(String),
    Failed(String),
}

impl Verdict {
    pub fn word(&self) -> &'static str {
        match self {
            Self::Enabled(_) => "enabled",
            Self::Idle(_) => "idle",
            Self::Disabled(_) => "disabled",
            Self::Refused(_) => "refused",
            Self::Failed(_) => "failed",
        }
    }

    pub fn reason(&self) -> &str {
        match self {
            Self::Enabled(reason)
            | Self::Idle(reason)
            | Self::Disabled(reason)
            | Self::Refused(reason)
            | Self::Failed(reason) => reason,
        }
    }
}

/// The plugin folder as it is now.
pub struct Folder {
    pub path: PathBuf,
    pub entries: Vec<Entry>,
    pub lock: Lock,
    switches: Switches,
    /// Whether only recorded plugins are used.
    is_locked: bool,
}

#[derive(Default, Serialize, Deserialize)]
struct Switches {
    /// By plugin id.
    #[serde(default)]
    plugins: BTreeMap<String, Switch>,
}

#[derive(Default, Serialize, Deserialize)]
struct Switch {
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    disabled: bool,
}

impl Folder {
    /// A placeholder for a folder that cannot be read.
    pub fn unknown(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            entries: Vec::new(),
            lock: Lock::default(),
            switches: Switches::default(),
            is_locked: true,
        }
    }

    /// Inspects every library in the folder. Of two files with the same plugin, only the recorded one is used; if
    /// neither is, both are refused, so that neither shadows the other.
    pub fn read(places: &Places) -> Result<Self, Failure> {
        let path = &places.plugins;
        let files = loader::scan(path).map_err(|cause| {
            Failure::new(
                Exit::Plugin,
                format!("the plugin folder `{}` cannot be read: {cause}", path.display()),
            )
            .with_hint("make it readable for your user, or choose another with `--plugins`")
        })?;
        let mut known = Known::read();
        let mut entries: Vec<Entry> = files.into_iter().map(|file| Entry::read(file, &mut known)).collect();
        known.keep();
        let lock = Lock::read(path)?;
        refuse_twins(&mut entries, &lock);
        Ok(Self {
            path: path.clone(),
            entries,
            lock,
            switches: read_switches(path)?,
            is_locked: places.is_locked,
        })
    }

    /// Reads the file of a plugin and decides whether its bytes may be loaded: they are recorded, or pass a trial now.
    /// The first use records them, where the folder can be written.
    pub fn admit(&self, entry: &Entry) -> Result<Image, Failure> {
        let image = Image::read(&entry.file)?;
        let id = &image.manifest().id;
        if let Ok(manifest) = &entry.manifest
            && manifest.id != *id
        {
            let reason = format!(
                "it was replaced just now: expected the plugin `{}`, found `{id}`",
                manifest.id
            );
            return Err(Refusal::new(&entry.file, "changed", reason)
                .with_hint("see `agent-host plugins list`")
                .into());
        }
        if self.is_recorded(&Lock::read(&self.path)?, &entry.file, id, image.sha256())? {
            return Ok(image);
        }
        match Known::read().outcome(image.sha256()) {
            Some(outcome) => outcome.refusal(&entry.file)?,
            None => try_now(&image, &entry.file)?,
        }
        match Lock::record(&self.path, &image, &entry.file_name(), true) {
            Ok(()) => say(&clean_line(&format!(
                "note: the plugin {id} {} is used for the first time; from now on another `{}` is refused until `agent-host \
                 plugins accept {id}`",
                image.manifest().version,
                entry.file_name(),
            ))),
            Err(failure) if failure.exit == Exit::Plugin => return Err(failure),
            // A folder that cannot be written, such as that of a container's image, is as good as locked.
            Err(failure) => tracing::debug!("the plugin {id} is not recorded: {failure}"),
        }
        Ok(image)
    }

    /// Whether a file would be admitted. Does not read the file if its bytes are known.
    pub fn examine(&self, entry: &Entry) -> Result<(), Refusal> {
        let (Ok(manifest), Some(sha256)) = (&entry.manifest, &entry.sha256) else {
            return entry.manifest.as_ref().map(drop).map_err(Clone::clone);
        };
        if self.is_recorded(&self.lock, &entry.file, &manifest.id, sha256)? {
            return Ok(());
        }
        match Known::read().outcome(sha256) {
            Some(outcome) => outcome.refusal(&entry.file),
            None => try_now(&Image::read(&entry.file)?, &entry.file),
        }
    }

    /// Whether these bytes of a plugin are recorded.
    ///
    /// - Errors: other bytes are recorded; the checksum beside the file differs; nothing is recorded, with `--locked`.
    fn is_recorded(&self, lock: &Lock, file: &Path, id: &str, sha256: &str) -> Result<bool, Refusal> {
        lock::check_sum(file, sha256)?;
        match lock.state(id, sha256, &file_name_of(file)) {
            State::Recorded => Ok(true),
            State::Changed(record) => Err(lock::changed(file, id, record, sha256)),
            State::Unrecorded if self.is_locked => Err(lock::unrecorded(file, id)),
            State::Unrecorded => Ok(false),
        }
    }

    /// The schema of every usable plugin, to check profiles against.
    pub fn schemas(&self) -> Vec<ProviderSchema> {
        let manifests = self.entries.iter().filter_map(|entry| entry.manifest.as_ref().ok());
        manifests
            .map(|manifest| ProviderSchema {
                provider: manifest.id.clone(),
                options_schema: manifest
                    .options_schema
                    .clone()
                    .unwrap_or_else(|| serde_json::json!({"type": "object", "additionalProperties": false})),
                key_prefixes: manifest
                    .environment
                    .iter()
                    .filter(|variable| is_secret(variable))
                    .filter_map(|variable| variable.prefix.clone())
                    .collect(),
            })
            .collect()
    }

    /// The plugin with this id.
    ///
    /// - Errors: no plugin has it, or two files have it. The failure names what was found instead.
    pub fn find(&self, id: &str) -> Result<(&Entry, &Manifest), Failure> {
        let mut refused = None;
        for entry in &self.entries {
            match &entry.manifest {
                Ok(manifest) if manifest.id == id => return Ok((entry, manifest)),
                Ok(_) => {}
                Err(refusal) if entry.refused_id.as_deref() == Some(id) => return Err(refusal.clone().into()),
                Err(refusal) => refused = refused.or(Some(refusal)),
            }
        }
        let failure = Failure::usage(format!("there is no plugin `{id}` in `{}`", self.path.display()));
        Err(match refused {
            Some(refusal) => failure.with_hint(format!("{refusal}; see `agent-host plugins list`")),
            None => failure.with_hint("install one with `agent-host plugins install PATH`"),
        })
    }

    pub fn is_disabled(&self, id: &str) -> bool {
        self.switches.plugins.get(id).is_some_and(|switch| switch.disabled)
    }

    /// Disables a plugin, or enables it again.
    pub fn set_disabled(&mut self, id: &str, disabled: bool) -> Result<(), Failure> {
        self.switches.plugins.entry(id.to_owned()).or_default().disabled = disabled;
        let text = serde_json::to_string_pretty(&self.switches).unwrap_or_default();
        write_atomically(&self.path.join(SWITCHES), (text + "\n").as_bytes())
    }
}

/// Whether a variable's value is never shown.
pub fn is_secret(variable: &Variable) -> bool {
    matches!(variable.role, Role::Key | Role::Secret)
}

/// Tries these bytes, and remembers how that ended.
fn try_now(image: &Image, file: &Path) -> Result<(), Refusal> {
    let outcome = trial::run(image).map_err(|cause| {
        Refusal::new(
            file,
            "trial",
            format!("it cannot be tried in a process of its own: {cause}"),
        )
        .with_hint("make room for another process, or record the plugin on another machine")
    })?;
    let mut known = Known::read();
    known.remember_plugin(image);
    known.set_outcome(image.sha256(), outcome.clone());
    known.keep();
    outcome.refusal(file)
}

fn refuse_twins(entries: &mut [Entry], lock: &Lock) {
    let mut files: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for entry in entries.iter() {
        if let (Ok(manifest), Some(sha256)) = (&entry.manifest, &entry.sha256) {
            files
                .entry(manifest.id.clone())
                .or_default()
                .push((entry.file_name(), sha256.clone()));
        }
    }
    for entry in entries {
        let (Ok(manifest), Some(sha256)) = (&entry.manifest, &entry.sha256) else {
            continue;
        };
        let (id, twins) = (manifest.id.clone(), &files[&manifest.id]);
        let is_first = |name: &String| *name == entry.file_name();
        let first_with = |wanted: &str| twins.iter().find(|(_, sha256)| sha256 == wanted).map(|(name, _)| name);
        let used = lock.record_of(&id).and_then(|record| first_with(&record.sha256));
        let all_same = twins.iter().all(|(_, other)| other == sha256);
        let used = used.or_else(|| first_with(sha256).filter(|_| all_same));
        let reason = match used {
            Some(used) if is_first(used) => continue,
            Some(used) if first_with(sha256) == Some(used) => format!("it is a copy of `{used}`, which is used"),
            Some(used) => format!("it contains the plugin `{id}` too, and `{used}` is the recorded one"),
            None => {
                let names: Vec<&str> = twins.iter().map(|(name, _)| name.as_str()).collect();
                entry.refused_id = Some(id.clone());
                format!("{} contain the same plugin `{id}`", names.join(" and "))
            }
        };
        entry.manifest = Err(Refusal::new(&entry.file, "twins", reason).with_hint("remove all but one of them"));
    }
}

fn read_switches(folder: &Path) -> Result<Switches, Failure> {
    let path = folder.join(SWITCHES);
    let damaged = |cause: String| {
        Failure::new(Exit::Plugin, format!("`{}` cannot be used: {cause}", path.display()))
            .with_hint("fix or remove it; it only records which plugins are disabled")
    };
    match read_named(&path, MAX_SWITCHES_BYTES) {
        Ok(text) => serde_json::from_slice(&text).map_err(|cause| damaged(cause.to_string())),
        // A link to nowhere counts as unreadable: what it recorded is not known.
        Err(ReadError::Missing) if fs::symlink_metadata(&path).is_err() => Ok(Switches::default()),
        Err(ReadError::Missing) => Err(damaged("it is a link to nothing".to_owned())),
        Err(ReadError::Refused(cause)) => Err(damaged(cause)),
    }
}
