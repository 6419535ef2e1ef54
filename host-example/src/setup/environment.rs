//! The variables that plugins are given, and where keys come from.
//!
//! In order: the key source in the profile, the environment, `.env` of the working directory, the file given with
//! `--env-file`, and for keys the file that `NAME_FILE` points to. A blank variable is an absent one. A plugin sees the
//! variables that its manifest asks for and no others.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use plugin_api::{Manifest, Role};

use super::dotenv;
use super::keys::{CommandKeys, read_key_file};
use super::protect::Secret;
use crate::profile::KeySource;
use crate::terminal::Failure;

/// All variables, with their places. Any of them may hold a key.
pub struct Environment {
    process: BTreeMap<String, Secret>,
    /// Files of variables, the first one first.
    files: Vec<(PathBuf, BTreeMap<String, Secret>)>,
    /// The keys that commands printed, for a later environment.
    pub command_keys: CommandKeys,
}

/// A variable's value and where it was found, for people.
pub struct Found {
    pub value: Secret,
    pub origin: String,
    from_file: Option<PathBuf>,
}

/// What a plugin is given.
#[derive(Default)]
pub struct Given {
    pub variables: BTreeMap<String, Secret>,
    /// Which key was found and where, for people: ``environment variable `NAME` ``.
    pub key_origin: Option<String>,
    /// Warnings for people: a key file that others can read, a variable that was skipped.
    pub warnings: Vec<String>,
}

impl Environment {
    /// Reads the environment and the files.
    ///
    /// - In: `command_keys`, the keys that commands printed before and that are still valid.
    /// - Errors: the file given with `--env-file` cannot be read. A bad `.env` is only a warning.
    pub fn read(env_file: Option<&Path>, command_keys: CommandKeys) -> Result<Self, Failure> {
        let mut files = Vec::new();
        let here = Path::new(".env");
        if here.exists() && !here.is_dir() {
            match read_file(here) {
                Ok(variables) => files.push((here.to_owned(), variables)),
                Err(failure) => tracing::warn!("{}; the file is ignored", failure.message),
            }
        }
        if let Some(path) = env_file {
            files.push((path.to_owned(), read_file(path)?));
        }
        let process = env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, Secret::new(value.into_string().ok()?))));
        Ok(Self {
            process: process.collect(),
            files,
            command_keys,
        })
    }

    /// The sources of variables in order of precedence, for people.
    pub fn described(&self) -> String {
        let mut places = vec!["the environment".to_owned()];
        places.extend(self.files.iter().map(|(path, _)| format!("`{}`", path.display())));
        format!("from {}", places.join(", then "))
    }

    /// The variable's value, unless it is blank.
    pub fn variable(&self, name: &str) -> Option<Found> {
        if let Some(value) = self.process.get(name).filter(|value| !value.is_blank()) {
            return Some(Found {
                value: value.clone(),
                origin: format!("environment variable `{name}`"),
                from_file: None,
            });
        }
        self.files.iter().find_map(|(path, variables)| {
            let value = variables.get(name).filter(|value| !value.is_blank())?;
            Some(Found {
                value: value.trimmed(),
                origin: format!("`{name}` in `{}`", path.display()),
                from_file: Some(path.clone()),
            })
        })
    }

    /// Whether the variable is set but blank.
    pub fn is_blank(&self, name: &str) -> bool {
        self.variable(name).is_none() && self.process.contains_key(name)
    }

    /// Collects what `manifest` asks for.
    ///
    /// - Errors: the key source in the profile, or a key file, gives no key.
    pub fn give(&self, manifest: &Manifest, source: Option<&KeySource>, profile: &str) -> Result<Given, Failure> {
        let mut given = Given::default();
        let mut key_file = None;
        if let Some(source) = source {
            let (key, warning) = self.key_from(source)?;
            given.warnings.extend(warning);
            given.key_origin = Some(format!("`apiKey` of profile `{profile}`"));
            if let Some(variable) = manifest.keys().next() {
                given.variables.insert(variable.name.clone(), key);
            }
        }
        for variable in manifest.keys() {
            if given.key_origin.is_some() {
                break;
            }
            if let Some(found) = self.variable(&variable.name) {
                given.key_origin = Some(found.origin);
                key_file = found.from_file;
                given.variables.insert(variable.name.clone(), found.value);
            } else if let Some(path) = self.variable(&format!("{}_FILE", variable.name)) {
                let (key, warning) = read_key_file(Path::new(path.value.reveal()))?;
                given.warnings.extend(warning);
                given.key_origin = Some(format!("`{}_FILE`", variable.name));
                given.variables.insert(variable.name.clone(), key);
            }
        }
        for variable in manifest
            .environment
            .iter()
            .filter(|variable| variable.role != Role::Key)
        {
            let Some(found) = self.variable(&variable.name) else {
                continue;
            };
            // An `.env` that somebody else left in a folder must not redirect the user's key to another service.
            if variable.role == Role::Endpoint && found.from_file.is_some() && found.from_file != key_file {
                let warning = format!(
                    "{} is ignored: a file may change the service's address only if it also provides the key",
                    found.origin
                );
                given.warnings.push(warning);
                continue;
            }
            given.variables.insert(variable.name.clone(), found.value);
        }
        Ok(given)
    }

    fn key_from(&self, source: &KeySource) -> Result<(Secret, Option<String>), Failure> {
        match source {
            KeySource::Env(name) => {
                let found = self.variable(name).ok_or_else(|| {
                    Failure::usage(format!("no key: the profile reads it from `{name}`, which is not set"))
                        .with_hint(format!("set `{name}`, or change `apiKey` in the profile"))
                })?;
                Ok((found.value, None))
            }
            KeySource::File(path) => read_key_file(path),
            KeySource::Command(words) => Ok((self.command_keys.key_of(words)?, None)),
        }
    }
}

fn read_file(path: &Path) -> Result<BTreeMap<String, Secret>, Failure> {
    let failed = |cause: String| {
        Failure::usage(format!("cannot read variables from `{}`: {cause}", path.display()))
            .with_hint("use a text file with lines such as `NAME=value`")
    };
    if !path.exists() {
        return Err(failed("there is no such file".to_owned()));
    }
    if !path.is_file() {
        return Err(failed("expected a regular file".to_owned()));
    }
    let text = fs::read_to_string(path).map_err(|cause| failed(cause.to_string()))?;
    let text = Secret::new(text);
    let variables = dotenv::parse(text.reveal());
    for line in variables.odd_lines {
        let shown = path.display();
        tracing::warn!("`{shown}`, line {line}: expected `NAME=value`; the line is ignored");
    }
    let values = variables.values.into_iter();
    Ok(values.map(|(name, value)| (name, Secret::new(value))).collect())
}
