//! The plugin folder: what is in it, and a verdict with its reason for every file.
//!
//! Verdicts come from the files as data. Code is loaded only for the plugin that answers, from the bytes that were
//! checked, and only if they are recorded in the [`lock`] file or have passed a [`trial`].

// In the order in which data travels.
mod known;
mod lock;
mod signature;
mod switches;
pub mod trial;
pub mod checks;
mod entry;
mod install;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;

use plugin_api::loader::{self, Image, Refusal};
use plugin_api::{Manifest, Role, Variable};
use serde::Serialize;

pub use self::entry::Entry;
use self::entry::{file_name_of, refuse_twins};
use self::known::Known;
pub use self::lock::{FILE as LOCK_FILE, short};
use self::lock::{Lock, State};
pub use self::signature::Key;
pub use self::switches::FILE as SWITCHES_FILE;
use self::switches::Switches;
use self::trial::Outcome;
use super::places::Places;
use crate::profile::ProviderSchema;
use crate::terminal::{Exit, Failure, clean_line, few, say};

/// The maximum number of trials at a time.
const MAX_TRIALS: usize = 16;

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

    /// Inspects every library in the folder: what is recorded may be used, what is not may be too if it passes a trial.
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
        for entry in &mut entries {
            let Some((id, sha256)) = entry.bytes().filter(|(id, sha256)| !lock.records(id, sha256)) else {
                continue;
            };
            let outcome = known.outcome(sha256);
            let failed = outcome.and_then(|outcome| outcome.refusal(&entry.file, id).err());
            entry.refusal = failed.or_else(|| refusal_of_signature(&entry.file, &lock));
            entry.is_untried = outcome.is_none();
        }
        for entry in &mut entries {
            let unchecked = |(id, sha256)| signature::unchecked(&entry.file, id, sha256, &lock);
            let unchecked = entry.bytes().and_then(unchecked);
            entry.warnings.extend(unchecked);
        }
        refuse_twins(&mut entries, &lock);
        let mut folder = Self {
            path: path.clone(),
            entries,
            lock,
            switches: Switches::read(path)?,
            is_locked: places.is_locked,
        };
        let refusals = folder.entries.iter().map(|entry| {
            let (id, sha256) = entry.bytes()?;
            folder.is_recorded(&folder.lock, &entry.file, id, sha256).err()
        });
        let refusals: Vec<Option<Refusal>> = refusals.collect();
        for (entry, refusal) in folder.entries.iter_mut().zip(refusals) {
            entry.refusal = entry.refusal.take().or(refusal);
        }
        folder.add_missing();
        Ok(folder)
    }

    /// Adds what is recorded and has no file.
    fn add_missing(&mut self) {
        let has = |id: &str, file: &str| {
            let mut entries = self.entries.iter();
            entries.any(|entry| entry.has_id(id) || entry.file_name() == file)
        };
        let missing = self.lock.iter().filter(|(id, record)| !has(id, &record.file));
        let missing = missing.map(|(id, record)| {
            let file = self.path.join(&record.file);
            let refusal = Refusal::new(&file, "missing", "it is recorded, but its file is missing").with_hint(format!(
                "put the file back, or forget the plugin: agent-host plugins remove {id}"
            ));
            Entry::refused(file, Some(id.clone()), refusal)
        });
        let missing: Vec<Entry> = missing.collect();
        self.entries.extend(missing);
    }

    /// Tries what was never tried, several plugins at a time: one that hangs takes as long as the trial may.
    pub fn try_all(&mut self) {
        let untried = self
            .entries
            .iter_mut()
            .filter(|entry| entry.is_untried && entry.refusal.is_none());
        let untried: Vec<&mut Entry> = untried.collect();
        let n_workers = untried.len().min(MAX_TRIALS);
        let (queue, outcomes) = (Mutex::new(untried.into_iter()), Mutex::new(Vec::new()));
        let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
        let work = || {
            while let Some(entry) = next() {
                let tried = try_entry(entry);
                outcomes.lock().unwrap_or_else(PoisonError::into_inner).extend(tried);
            }
        };
        thread::scope(|scope| {
            for _ in 1..n_workers {
                // Without a thread, the others do its work.
                let _ = thread::Builder::new().spawn_scoped(scope, work);
            }
            work();
        });
        remember(outcomes.into_inner().unwrap_or_else(PoisonError::into_inner));
    }

    /// Reads the file of a plugin and decides whether its bytes may be loaded: they are recorded, or pass a trial now.
    /// The first use records them, where the folder can be written.
    pub fn admit(&self, entry: &Entry) -> Result<Image, Failure> {
        let image = Image::read(&entry.file)?;
        let id = &image.manifest().id;
        if let Some(manifest) = &entry.manifest
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
        let signer = signature::signer(&entry.file, &image, &self.lock, None)?;
        match Known::read().outcome(image.sha256()) {
            Some(outcome) => outcome.refusal(&entry.file, id)?,
            None => try_now(&image, &entry.file)?,
        }
        match Lock::record(&self.path, &image, &entry.file_name(), signer, true) {
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

    /// The schema of every plugin, to check profiles against: also of those that are refused, because a profile for one
    /// is no mistake.
    pub fn schemas(&self) -> Vec<ProviderSchema> {
        let refused = self.entries.iter().filter(|entry| entry.refusal.is_some());
        let usable = self.entries.iter().filter(|entry| entry.refusal.is_none());
        let mut seen = BTreeSet::new();
        let manifests = usable.chain(refused).filter_map(|entry| entry.manifest.as_ref());
        manifests
            .filter(|manifest| seen.insert(&manifest.id))
            .map(|manifest| ProviderSchema {
                provider: manifest.id.clone(),
                options_schema: manifest
                    .options_schema
                    .clone()
                    .unwrap_or_else(|| serde_json::json!({"type": "object", "additionalProperties": false})),
                key_prefixes: key_prefixes(manifest),
            })
            .collect()
    }

    /// The plugin with this id, to use it.
    ///
    /// - Errors: no plugin has it, or it is refused. The failure names what was found instead.
    pub fn find(&self, id: &str) -> Result<(&Entry, &Manifest), Failure> {
        let with_id = || self.entries.iter().filter(|entry| entry.has_id(id));
        if let Some(found) = with_id().find_map(|entry| Some((entry, entry.usable()?))) {
            return Ok(found);
        }
        if let Some(refusal) = with_id().find_map(|entry| entry.refusal.clone()) {
            return Err(refusal.into());
        }
        let failure = Failure::usage(format!("there is no plugin `{id}` in `{}`", self.path.display()));
        Err(match self.entries.iter().find_map(|entry| entry.refusal.as_ref()) {
            Some(refusal) => failure.with_hint(format!("{refusal}; see `agent-host plugins list`")),
            None => failure.with_hint("install one with `agent-host plugins install PATH`"),
        })
    }

    /// The entry that a command is about, refused ones included.
    ///
    /// - In: the plugin's id, or the name of its file.
    /// - Errors: there is none; files with different bytes have the id.
    pub fn named(&self, name: &str) -> Result<&Entry, Failure> {
        let with_id = || self.entries.iter().filter(|entry| entry.has_id(name));
        if let Some(entry) = self.entries.iter().find(|entry| entry.file_name() == name) {
            return Ok(entry);
        }
        let Some(first) = with_id().next() else {
            return self.find(name).map(|(entry, _)| entry);
        };
        if with_id().all(|entry| entry.sha256 == first.sha256) {
            return Ok(with_id().find(|entry| entry.usable().is_some()).unwrap_or(first));
        }
        let files: Vec<String> = with_id().map(|entry| format!("`{}`", entry.file_name())).collect();
        let (message, first) = (few(&files), first.file_name());
        Err(
            Failure::usage(format!("{message} contain different builds of the plugin `{name}`"))
                .with_hint(format!("name the file instead of the plugin, such as `{first}`")),
        )
    }

    /// The plugin's id and its file's name; any of its files will do.
    pub fn of(&self, name: &str) -> Result<(String, String), Failure> {
        let mut entries = self.entries.iter();
        let entry = entries.find(|entry| entry.has_id(name) || entry.file_name() == name);
        let entry = entry.map_or_else(|| self.named(name), Ok)?;
        Ok((entry.id(), entry.file_name()))
    }

    /// Whether a plugin is disabled, by its id or by the name of its file.
    pub fn is_disabled(&self, entry: &Entry) -> bool {
        self.switches.has_off(&entry.file_name()) || entry.known_id.as_ref().is_some_and(|id| self.switches.has_off(id))
    }

    /// Disables a plugin, or enables it again.
    pub fn set_disabled(&mut self, id: &str, disabled: bool) -> Result<(), Failure> {
        self.switches = Switches::set(&self.path, id, disabled)?;
        Ok(())
    }
}

/// How the keys of a plugin begin.
pub fn key_prefixes(manifest: &Manifest) -> Vec<String> {
    let secrets = manifest.environment.iter().filter(|variable| is_secret(variable));
    secrets.filter_map(|variable| variable.prefix.clone()).collect()
}

/// Whether a variable's value is never shown.
pub fn is_secret(variable: &Variable) -> bool {
    matches!(variable.role, Role::Key | Role::Secret)
}

/// Why a file whose bytes are not recorded could not be, if it has a signature. Others are not read for that.
fn refusal_of_signature(file: &Path, lock: &Lock) -> Option<Refusal> {
    let has_one = signature::Signature::beside(file).map(|signature| signature.is_some());
    let read = || signature::signer(file, &Image::read(file)?, lock, None);
    has_one
        .and_then(|has_one| if has_one { read().map(drop) } else { Ok(()) })
        .err()
}

/// Tries these bytes, and remembers how that ended.
fn try_now(image: &Image, file: &Path) -> Result<(), Refusal> {
    let outcome = outcome_of(image, file)?;
    remember(vec![(image.sha256().to_owned(), outcome.clone())]);
    outcome.refusal(file, &image.manifest().id)
}

/// Tries the bytes that an entry is about, and refuses it if they fail.
fn try_entry(entry: &mut Entry) -> Option<(String, Outcome)> {
    let tried = Image::read(&entry.file).and_then(|image| {
        let outcome = outcome_of(&image, &entry.file)?;
        Ok((image.manifest().id.clone(), image.sha256().to_owned(), outcome))
    });
    match tried {
        Ok((id, sha256, outcome)) => {
            entry.refusal = outcome.refusal(&entry.file, &id).err();
            Some((sha256, outcome))
        }
        Err(refusal) => {
            entry.refusal = Some(refusal);
            None
        }
    }
}

fn outcome_of(image: &Image, file: &Path) -> Result<Outcome, Refusal> {
    trial::run(image).map_err(|cause| {
        Refusal::new(
            file,
            "trial",
            format!("it cannot be tried in a process of its own: {cause}"),
        )
        .with_hint("make room for another process, or record the plugin on another machine")
    })
}

fn remember(outcomes: Vec<(String, Outcome)>) {
    if outcomes.is_empty() {
        return;
    }
    let mut known = Known::read();
    for (sha256, outcome) in outcomes {
        known.set_outcome(&sha256, outcome);
    }
    known.keep();
}
