//! The variables that plugins are given, and where keys come from.
//!
//! The sources in order: what the program sets itself, the process's environment, the file given with `--env-file`,
//! the key stored with `agent-host keys`, `.env` of the working directory. The first source with a key gives it, whatever
//! the key's variable is called; in each, `NAME_FILE` may point to a file with the key instead. The key source in the
//! profile comes before all of them. A blank variable is an absent one. A plugin sees the variables that
//! its manifest asks for and no others.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::path::{self, Path, PathBuf};

use plugin_api::{Manifest, Role, Variable};
use zeroize::Zeroizing;

use super::dotenv;
use super::global::Global;
use super::keys::{CommandKeys, is_plain, read_key_file, stored_key_file};
use super::places::Places;
use super::protect::Secret;
use super::quotes::unquoted;
use crate::files::{ReadError, read_named};
use crate::profile::KeySource;
use crate::terminal::Failure;

/// The file of variables in the working directory.
pub const FOLDER_FILE: &str = ".env";

/// The largest file of variables, in bytes.
pub(super) const MAX_FILE_BYTES: u64 = 1 << 20;

/// How many lines of a file are reported one by one.
const MAX_WARNINGS: usize = 3;

/// All variables, with their places. Any of them may hold a key.
pub struct Environment {
    /// The first source wins.
    sources: Vec<Source>,
    /// The variables of the process whose values stood in quotes.
    quoted: BTreeSet<String>,
    /// The variables of the process whose values are not UTF-8.
    not_utf_8: BTreeSet<String>,
    /// The user's own folder, where keys are stored.
    config_folder: PathBuf,
    /// The keys that commands printed, for a later environment.
    pub command_keys: CommandKeys,
}

/// Variables from one place.
struct Source {
    place: Place,
    file: PathBuf,
    values: BTreeMap<String, Secret>,
}

/// Where variables come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The program itself; for people, where it got them.
    Own(&'static str),
    /// The process's environment.
    Process,
    /// The file given with `--env-file`.
    NamedFile,
    /// `.env` of the working directory, which may be somebody else's.
    Folder,
}

/// A variable's value and where it was found, for people.
pub struct Found {
    pub value: Secret,
    pub origin: String,
    pub place: Place,
}

/// A key that was found, read or not.
pub struct Candidate<'a> {
    pub variable: &'a Variable,
    pub origin: String,
    /// The place that provides the key. `.env` does not provide what another file holds.
    place: Option<Place>,
    pub at: KeyAt,
}

pub enum KeyAt {
    Value(Secret),
    File(PathBuf),
}

/// The file that a key was read from.
pub struct KeyFile {
    /// The variable that has the key.
    pub variable: String,
    pub path: PathBuf,
    /// Whether it was a regular file and no link, which it has to stay.
    pub was_plain: bool,
}

/// What a plugin is given.
#[derive(Default)]
pub struct Given {
    pub variables: BTreeMap<String, Secret>,
    /// Which key was found and where, for people: ``environment variable `NAME` ``.
    pub key_origin: Option<String>,
    /// The very variable, file or command that gave the key, for people.
    pub key_holder: Option<String>,
    pub key_file: Option<KeyFile>,
    /// Where the other secrets were found, for people.
    pub secret_origins: Vec<String>,
    /// An address in the file given with `--env-file` that does not count.
    pub ignored_address: Option<Found>,
    /// The addresses of the service, by the variables that set them.
    pub addresses: Vec<Found>,
    /// The variables from the working directory that are neither keys nor addresses.
    pub from_folder: Vec<String>,
    /// Warnings for people: a key file that others can read, a variable that was skipped.
    pub warnings: Vec<String>,
}

impl Environment {
    /// Reads the environment and the files.
    ///
    /// - In: `reads_folder`, whether `.env` counts; `command_keys`, the keys that commands printed before and that are
    ///   still valid.
    /// - Errors: the file given with `--env-file` cannot be read. A bad `.env` is only a warning.
    pub fn read(
        global: &Global,
        places: &Places,
        reads_folder: bool,
        command_keys: CommandKeys,
    ) -> Result<Self, Failure> {
        let mut process = BTreeMap::new();
        let mut quoted = BTreeSet::new();
        let mut not_utf_8 = BTreeSet::new();
        for (name, value) in env::vars_os() {
            // Nobody asks for a variable whose name is not UTF-8.
            let Ok(name) = name.into_string() else { continue };
            let Ok(value) = value.into_string() else {
                not_utf_8.insert(name);
                continue;
            };
            let mut value = Secret::new(value);
            if let Some(inside) = unquoted(value.reveal()) {
                value = Secret::new(inside.to_owned());
                quoted.insert(name.clone());
            }
            process.insert(name, value);
        }
        let mut sources = vec![
            Source {
                place: Place::Own(global.own.origin),
                file: PathBuf::new(),
                values: global.own.values.clone(),
            },
            Source {
                place: Place::Process,
                file: PathBuf::new(),
                values: process,
            },
        ];
        if let Some(path) = &global.env_file {
            sources.push(Source {
                place: Place::NamedFile,
                file: path.to_owned(),
                values: read_file(path)?,
            });
        }
        let here = Path::new(FOLDER_FILE);
        if reads_folder && here.exists() && !here.is_dir() {
            match read_file(here) {
                Ok(values) => sources.push(Source {
                    place: Place::Folder,
                    file: here.to_owned(),
                    values,
                }),
                Err(failure) => tracing::warn!("{}; the file is ignored", failure.message),
            }
        }
        Ok(Self {
            sources,
            quoted,
            not_utf_8,
            config_folder: places.config_folder.clone(),
            command_keys,
        })
    }

    /// The sources of variables in order of precedence, for people.
    pub fn described(&self) -> String {
        let places = self.sources.iter().filter_map(|source| match source.place {
            Place::Own(_) => None,
            Place::Process => Some("the environment".to_owned()),
            Place::NamedFile | Place::Folder => Some(format!("`{}`", source.file.display())),
        });
        format!("from {}", places.collect::<Vec<_>>().join(", then "))
    }

    /// Whether variables of the working directory's `.env` count.
    pub fn has_folder(&self) -> bool {
        self.sources.iter().any(|source| source.place == Place::Folder)
    }

    /// The variable's value, unless it is blank.
    pub fn variable(&self, name: &str) -> Option<Found> {
        self.sources.iter().find_map(|source| source.variable(name))
    }

    /// Whether the variable is set but blank.
    pub fn is_blank(&self, name: &str) -> bool {
        self.variable(name).is_none() && self.sources.iter().any(|source| source.values.contains_key(name))
    }

    /// Collects what `manifest` asks for.
    ///
    /// - Errors: the key source in the profile, or a key file, gives no key.
    pub fn give(&self, manifest: &Manifest, source: Option<&KeySource>, profile: &str) -> Result<Given, Failure> {
        let mut given = Given::default();
        let keys = manifest
            .keys()
            .flat_map(|key| [key.name.clone(), format!("{}_FILE", key.name)]);
        let others = manifest
            .environment
            .iter()
            .filter(|variable| variable.role != Role::Key);
        let keys = keys.filter(|_| source.is_none());
        self.expect_utf_8(keys.chain(others.map(|variable| variable.name.clone())))?;
        let is_own = |found: Candidate<'_>| matches!(found.place, Some(Place::Own(_)));
        let has_own = self.candidates(manifest).next().is_some_and(is_own);
        let key_place = match (source.filter(|_| !has_own), manifest.keys().next()) {
            (Some(source), variable) => {
                let found = self.key_from(source, &mut given)?;
                given.key_origin = Some(format!("`apiKey` of profile `{profile}`"));
                given.key_holder = Some(found.origin);
                if let Some(variable) = variable {
                    if let KeySource::File(path) = source {
                        given.key_file = Some(KeyFile::new(variable, path));
                    }
                    given.variables.insert(variable.name.clone(), found.value);
                }
                Some(found.place).filter(|place| *place == Place::NamedFile)
            }
            (None, _) => self.give_key(manifest, &mut given)?,
        };
        let others = manifest.environment.iter();
        for variable in others.filter(|variable| variable.role != Role::Key) {
            if let Some(found) = self.variable(&variable.name) {
                give_other(variable, found, key_place, &mut given);
            }
        }
        let quoted: Vec<String> = given
            .variables
            .keys()
            .filter(|name| self.quoted.contains(*name))
            .cloned()
            .collect();
        if !quoted.is_empty() {
            given.warnings.push(super::quotes::warning(&quoted));
        }
        Ok(given)
    }

    /// The same without keys and addresses, for a plugin that asks nobody.
    pub fn give_without_key(&self, manifest: &Manifest) -> Result<Given, Failure> {
        let mut given = Given::default();
        let is_given = |variable: &&Variable| !matches!(variable.role, Role::Key | Role::Endpoint);
        let variables = || manifest.environment.iter().filter(is_given);
        self.expect_utf_8(variables().map(|variable| variable.name.clone()))?;
        for variable in variables() {
            if let Some(found) = self.variable(&variable.name) {
                give_other(variable, found, None, &mut given);
            }
        }
        Ok(given)
    }

    fn expect_utf_8(&self, names: impl IntoIterator<Item = String>) -> Result<(), Failure> {
        match names.into_iter().find(|name| self.not_utf_8.contains(name)) {
            Some(name) => Err(Failure::usage(format!(
                "expected UTF-8 in the environment variable `{name}`, found bytes that are not"
            ))
            .with_hint(format!("set `{name}` again, or unset it"))),
            None => Ok(()),
        }
    }

    /// The file for the plugin's stored key, which need not exist.
    pub fn stored_key(&self, manifest: &Manifest) -> PathBuf {
        stored_key_file(&self.config_folder, &manifest.id)
    }

    /// The keys that were found, in order of precedence: the first one is used.
    pub fn candidates<'a>(&'a self, manifest: &'a Manifest) -> impl Iterator<Item = Candidate<'a>> {
        let sources = |of_folder: bool| {
            let is_wanted = move |source: &&Source| (source.place == Place::Folder) == of_folder;
            let sources = self.sources.iter().filter(is_wanted);
            sources.flat_map(|source| source.keys(manifest))
        };
        let stored = manifest.keys().take(1).filter_map(|variable| {
            let path = self.stored_key(manifest);
            path.symlink_metadata().is_ok().then(|| Candidate {
                variable,
                origin: described_file(&path),
                place: None,
                at: KeyAt::File(path),
            })
        });
        // A folder may be somebody else's, and its key may come with an address: the user's own key is before it.
        sources(false).chain(stored).chain(sources(true))
    }

    /// Takes the first key that was found.
    ///
    /// - Out: the place that provides it.
    fn give_key(&self, manifest: &Manifest, given: &mut Given) -> Result<Option<Place>, Failure> {
        let Some(found) = self.candidates(manifest).next() else {
            return Ok(None);
        };
        let (key, holder) = match found.at {
            KeyAt::Value(key) => (key, found.origin.clone()),
            KeyAt::File(path) => {
                let (key, warning) = read_key_file(&path)?;
                given.warnings.extend(warning);
                given.key_file = Some(KeyFile::new(found.variable, &path));
                let file = described_file(&path);
                match found.origin == file {
                    true => (key, file),
                    false => (key, format!("{}, {file}", found.origin)),
                }
            }
        };
        given.key_origin = Some(found.origin);
        given.key_holder = Some(holder);
        given.variables.insert(found.variable.name.clone(), key);
        Ok(found.place)
    }

    fn key_from(&self, source: &KeySource, given: &mut Given) -> Result<Found, Failure> {
        let found = |value, origin| Found {
            value,
            origin,
            place: Place::Process,
        };
        match source {
            KeySource::Env(name) => {
                self.expect_utf_8([name.clone()])?;
                self.variable(name).ok_or_else(|| {
                    Failure::usage(format!("no key: the profile reads it from `{name}`, which is not set"))
                        .with_hint(format!("set `{name}`, or change `apiKey` in the profile"))
                })
            }
            KeySource::File(path) => {
                let (key, warning) = read_key_file(path)?;
                given.warnings.extend(warning);
                Ok(found(key, described_file(path)))
            }
            KeySource::Command(words) => {
                let key = self.command_keys.key_of(words)?;
                Ok(found(key, format!("command `{}`", words.join(" "))))
            }
        }
    }
}

impl KeyFile {
    fn new(variable: &Variable, path: &Path) -> Self {
        Self {
            variable: variable.name.clone(),
            was_plain: is_plain(path),
            path: path.to_owned(),
        }
    }
}

/// The file with its whole path, links included: another folder's `key` is another file.
pub fn described_file(path: &Path) -> String {
    let path = path::absolute(path).unwrap_or_else(|_| path.to_owned());
    format!("file `{}`", path.display())
}

impl Given {
    pub fn warn(&self) {
        for warning in &self.warnings {
            tracing::warn!("{warning}");
        }
    }
}

impl Source {
    /// The keys for a plugin, its variables before the files that others name.
    fn keys<'a>(&'a self, manifest: &'a Manifest) -> impl Iterator<Item = Candidate<'a>> {
        let values = manifest.keys().filter_map(|variable| {
            let found = self.variable(&variable.name)?;
            Some(Candidate {
                variable,
                origin: found.origin,
                place: Some(self.place),
                at: KeyAt::Value(found.value),
            })
        });
        let files = manifest.keys().filter_map(|variable| {
            let name = format!("{}_FILE", variable.name);
            let path = PathBuf::from(self.variable(&name)?.value.reveal());
            Some(Candidate {
                variable,
                origin: format!("`{name}`"),
                place: Some(self.place).filter(|place| *place == Place::NamedFile),
                at: KeyAt::File(path),
            })
        });
        values.chain(files)
    }

    /// The variable's value, unless it is blank.
    fn variable(&self, name: &str) -> Option<Found> {
        let value = self.values.get(name).filter(|value| !value.is_blank())?;
        let (value, origin) = match self.place {
            Place::Own(origin) => (value.clone(), origin.to_owned()),
            Place::Process => (value.clone(), format!("environment variable `{name}`")),
            Place::NamedFile | Place::Folder => (value.trimmed(), format!("`{name}` in `{}`", self.file.display())),
        };
        Some(Found {
            value,
            origin,
            place: self.place,
        })
    }
}

/// Gives the plugin a variable that is not its key.
///
/// - In: `key_place`, the place that provides the key.
fn give_other(variable: &Variable, found: Found, key_place: Option<Place>, given: &mut Given) {
    if variable.role == Role::Endpoint {
        // A file that somebody else left in a folder must not redirect the user's key to another service.
        if found.place == Place::NamedFile && key_place != Some(found.place) {
            given.ignored_address = Some(found);
            return;
        }
        if found.place == Place::Folder && key_place != Some(found.place) {
            given.warnings.push(format!(
                "{} is ignored: a file may change the service's address only if it also provides the key",
                found.origin
            ));
            return;
        }
        given.variables.insert(variable.name.clone(), found.value.clone());
        given.addresses.push(found);
        return;
    }
    if variable.role == Role::Secret {
        given.secret_origins.push(found.origin.clone());
    }
    if found.place == Place::Folder {
        given.from_folder.push(variable.name.clone());
    }
    given.variables.insert(variable.name.clone(), found.value);
}

fn read_file(path: &Path) -> Result<BTreeMap<String, Secret>, Failure> {
    let unread = |cause: &str| Failure::usage(format!("cannot read variables from `{}`: {cause}", path.display()));
    let failed = |cause: String| unread(&cause).with_hint("use a text file with lines such as `NAME=value`");
    let bytes = read_named(path, MAX_FILE_BYTES).map_err(|error| match error {
        ReadError::Missing => unread("there is no such file").with_hint(format!(
            "check the path; without `--env-file`, `{FOLDER_FILE}` of this folder is read if it is there"
        )),
        ReadError::Refused(why) => failed(why),
    })?;
    let bytes = Zeroizing::new(bytes);
    let text = std::str::from_utf8(&bytes).map_err(|cause| failed(cause.to_string()))?;
    let variables = dotenv::parse(text);
    let shown = path.display();
    for line in variables.odd_lines.iter().take(MAX_WARNINGS) {
        tracing::warn!("`{shown}`, line {line}: expected `NAME=value`; the line is ignored");
    }
    if let Some(n_more) = variables.odd_lines.len().checked_sub(MAX_WARNINGS).filter(|n| *n > 0) {
        tracing::warn!("`{shown}`: {n_more} more lines without `NAME=value` are ignored");
    }
    let values = variables.values.into_iter();
    Ok(values.map(|(name, value)| (name, Secret::new(value))).collect())
}
