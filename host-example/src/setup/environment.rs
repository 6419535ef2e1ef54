//! The variables that plugins are given, and where keys come from.
//!
//! In order: the key source that the profile names, the environment, `.env` of the current folder, the file given with
//! `--env-file`, and for keys the file that `NAME_FILE` points to. A blank variable is an absent one. A plugin sees the
//! variables that its manifest asks for and no others.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use plugin_api::{Manifest, Role};

use super::dotenv;
use crate::profile::KeySource;
use crate::setup::protect::Secret;
use crate::terminal::exit::{Exit, Failure};

/// The largest file that can be a key, in bytes.
const MAX_KEY_BYTES: u64 = 64 << 10;

/// The longest time that a key command may take; somebody may have to unlock something.
const COMMAND_LIMIT: Duration = Duration::from_secs(60);

/// All variables, with their places. Any of them may hold a key.
pub struct Environment {
    process: BTreeMap<String, Secret>,
    /// Files of variables, the first one first.
    files: Vec<(PathBuf, BTreeMap<String, Secret>)>,
    command_keys: CommandKeys,
}

/// What the key commands said: each is run once, because it may ask a person to unlock something. Clones share it.
#[derive(Clone, Default)]
pub struct CommandKeys(Rc<RefCell<Outcomes>>);

/// By the words of the command.
type Outcomes = BTreeMap<Vec<String>, Result<Secret, Failure>>;

impl CommandKeys {
    /// Forgets the commands that gave no key, so that they are tried again.
    pub fn forget_failures(&self) {
        self.0.borrow_mut().retain(|_, outcome| outcome.is_ok());
    }
}

/// A variable's value and where it was found, for people.
pub struct Found {
    pub value: Secret,
    pub origin: String,
    from_file: Option<PathBuf>,
}

/// What a plugin is given.
pub struct Given {
    pub variables: BTreeMap<String, Secret>,
    /// Which key was found and where, for people: ``environment `NAME` ``.
    pub key_origin: Option<String>,
    /// What people should know: a key file that others can read, a variable that was left out.
    pub warnings: Vec<String>,
}

impl Environment {
    /// Reads the environment and the files.
    ///
    /// - In: `command_keys`, what key commands said before, where that still holds.
    /// - Errors: the file that was named cannot be read. An `.env` is not asked for, so it is only warned of.
    pub fn read(env_file: Option<&Path>, command_keys: CommandKeys) -> Result<Self, Failure> {
        let mut files = Vec::new();
        let here = Path::new(".env");
        if here.exists() && !here.is_dir() {
            match read_file(here) {
                Ok(variables) => files.push((here.to_owned(), variables)),
                Err(failure) => tracing::warn!("{}; it is skipped", failure.message),
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

    /// What the key commands said, for a later environment.
    pub fn command_keys(&self) -> CommandKeys {
        self.command_keys.clone()
    }

    /// Where variables come from, in the order in which they count, for people.
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
                origin: format!("environment `{name}`"),
                from_file: None,
            });
        }
        self.files.iter().find_map(|(path, variables)| {
            let value = variables.get(name).filter(|value| !value.is_blank())?;
            Some(Found {
                value: value.trimmed(),
                origin: format!("`{name}` of the file `{}`", path.display()),
                from_file: Some(path.clone()),
            })
        })
    }

    /// Whether the variable is there, with nothing in it.
    pub fn is_blank(&self, name: &str) -> bool {
        self.variable(name).is_none() && self.process.contains_key(name)
    }

    /// Collects what `manifest` asks for.
    ///
    /// - Errors: a key source that the profile names and that gives no key; a file of variables that is not one.
    pub fn give(&self, manifest: &Manifest, source: Option<&KeySource>, profile: &str) -> Result<Given, Failure> {
        let mut given = Given {
            variables: BTreeMap::new(),
            key_origin: None,
            warnings: Vec::new(),
        };
        let mut key_file = None;
        if let Some(source) = source {
            let (key, warning) = self.key_from(source)?;
            given.warnings.extend(warning);
            given.key_origin = Some(format!("profile `{profile}`, its `apiKey`"));
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
            // Whoever leaves an `.env` in a folder must not be able to have somebody else's key sent elsewhere.
            if variable.role == Role::Endpoint && found.from_file.is_some() && found.from_file != key_file {
                let warning = format!(
                    "{} was left out: a file may move the service only if the key comes from the same file",
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
                    Failure::new(
                        Exit::Usage,
                        format!("no key: the profile takes it from `{name}`, which is not set"),
                    )
                    .with_hint(format!("set `{name}`, or change `apiKey` in the profile"))
                })?;
                Ok((found.value, None))
            }
            KeySource::File(path) => read_key_file(path),
            KeySource::Command(words) => {
                let mut known = self.command_keys.0.borrow_mut();
                let outcome = known.entry(words.clone()).or_insert_with(|| key_of_command(words));
                Ok((outcome.clone()?, None))
            }
        }
    }
}

fn read_file(path: &Path) -> Result<BTreeMap<String, Secret>, Failure> {
    let failed = |cause: String| {
        Failure::new(
            Exit::Usage,
            format!("the file of variables `{}`: {cause}", path.display()),
        )
        .with_hint("expected a text file with lines such as `NAME=value`")
    };
    if !path.exists() {
        return Err(failed("it does not exist".to_owned()));
    }
    if !path.is_file() {
        return Err(failed("expected a regular file".to_owned()));
    }
    let text = fs::read_to_string(path).map_err(|cause| failed(format!("it cannot be read: {cause}")))?;
    let text = Secret::new(text);
    let variables = dotenv::parse(text.reveal());
    for line in variables.odd_lines {
        let shown = path.display();
        tracing::warn!("the file of variables `{shown}`, line {line}: expected `NAME=value`; the line is skipped");
    }
    let values = variables.values.into_iter();
    Ok(values.map(|(name, value)| (name, Secret::new(value))).collect())
}

fn read_key_file(path: &Path) -> Result<(Secret, Option<String>), Failure> {
    let failed = |cause: String| {
        Failure::new(
            Exit::Usage,
            format!("no key: the key file `{}` {cause}", path.display()),
        )
        .with_hint("write the key alone into the file, and let nobody else read it: chmod 600")
    };
    let metadata = fs::metadata(path).map_err(|cause| match cause.kind() {
        ErrorKind::NotFound => failed("does not exist".to_owned()),
        _ => failed(format!("cannot be read: {cause}")),
    })?;
    if !metadata.is_file() || metadata.len() > MAX_KEY_BYTES {
        return Err(failed("is not a small regular file".to_owned()));
    }
    let key = fs::read_to_string(path).map_err(|cause| failed(format!("cannot be read: {cause}")))?;
    let key = Secret::new(key);
    if key.is_blank() {
        return Err(failed("is empty".to_owned()));
    }
    Ok((key.trimmed(), readable_by_others(path, &metadata)))
}

#[cfg(unix)]
fn readable_by_others(path: &Path, metadata: &fs::Metadata) -> Option<String> {
    use std::os::unix::fs::PermissionsExt;
    let mode = metadata.permissions().mode() & 0o777;
    let shown = path.display();
    (mode & 0o077 != 0)
        .then(|| format!("the key file `{shown}` can be read by others (mode {mode:03o}): chmod 600 {shown}"))
}

#[cfg(not(unix))]
fn readable_by_others(_path: &Path, _metadata: &fs::Metadata) -> Option<String> {
    None
}

fn key_of_command(words: &[String]) -> Result<Secret, Failure> {
    let shown = words.first().map_or("", String::as_str);
    let failed = |cause: String| {
        Failure::new(Exit::Usage, format!("no key: the command `{shown}` {cause}"))
            .with_hint("the command of `apiKey` must print the key alone and end with success; try it in a shell")
    };
    let mut child = Command::new(shown)
        .args(words.get(1..).unwrap_or_default())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|cause| failed(format!("cannot be run: {cause}")))?;
    let stdout = child.stdout.take();
    let (sender, printed) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = stdout.map(|pipe| pipe.take(MAX_KEY_BYTES).read_to_end(&mut bytes));
        // Nobody listens any more when the wait was over before.
        let _ = sender.send((read, bytes));
    });
    let Ok((_, printed)) = printed.recv_timeout(COMMAND_LIMIT) else {
        // It may have ended by itself.
        let _ = child.kill();
        let _ = child.wait();
        return Err(failed(format!("had not ended after {} s", COMMAND_LIMIT.as_secs())));
    };
    let status = child
        .wait()
        .map_err(|cause| failed(format!("cannot be waited for: {cause}")))?;
    if !status.success() {
        return Err(failed(format!("failed: {status}")));
    }
    let key = String::from_utf8(printed).map_err(|_| failed("printed something that is not text".to_owned()))?;
    let key = Secret::new(key);
    if key.is_blank() {
        return Err(failed("printed nothing".to_owned()));
    }
    Ok(key.trimmed())
}
