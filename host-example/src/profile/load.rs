//! Takes one profile out of a document: whole when everything is right, or what can be saved of it.

use std::env;
use std::path::Path;

use serde_json::Value;

use super::check::all_problems;
use super::document::Document;
use super::normalise::{normalised, pointer_in};
use super::pointer::{PROFILES, join, segments};
use super::problem::{Problem, Severity};
use super::read::LoadError;
use super::schema::{HostKeys, KeySource, ProviderSchema, entry_schema};
use super::words::names_in;
use crate::near::{closest, fold};
use crate::terminal::listed;

/// One profile, checked.
#[derive(Debug, Clone)]
pub struct Profile {
    /// Its name in the file.
    pub name: String,
    /// Id of the provider.
    pub provider: String,
    /// Where the key comes from; none: the environment variable that the plugin names.
    pub api_key: Option<KeySource>,
    /// Whether calls and conversations are kept.
    pub history: bool,
    /// The plugin's options: the entry without the host's keys, in camelCase.
    pub options: Value,
    /// What is odd in the file and does not concern this profile.
    pub warnings: Vec<Problem>,
}

/// Returns one profile of a parsed document, after checking all of them.
///
/// - Errors: see [`LoadError`]. A mistake in another profile is only a warning.
pub fn profile_from(document: &Document, name: &str, providers: &[ProviderSchema]) -> Result<Profile, LoadError> {
    let base = join(PROFILES, name);
    let mut problems = all_problems(document, providers);
    for problem in &mut problems {
        if profile_at(&problem.pointer).is_some_and(|other| other != name) {
            problem.severity = Severity::Warning;
        }
    }
    if problems.iter().any(|problem| problem.severity == Severity::Error) {
        return Err(LoadError::Report(document.report(providers, problems)));
    }
    let entry = document.value.pointer(&base);
    let provider = entry.and_then(|entry| entry.get("provider")).and_then(Value::as_str);
    let schema = providers.iter().find(|known| Some(known.provider.as_str()) == provider);
    let (Some(entry), Some(schema)) = (entry, schema) else {
        return Err(no_such_profile(document, name));
    };
    let mut options = normalised(entry, &entry_schema(schema)).value;
    let host = host_keys(&mut options, document).map_err(|error| {
        // The schema is derived from the same type, so this is a difference between the two.
        let problem = document.problem(&base, true, format!("cannot read the host's keys: {error}"), None);
        LoadError::Report(document.report(providers, vec![problem]))
    })?;
    Ok(Profile {
        name: name.to_owned(),
        provider: host.provider,
        api_key: host.api_key,
        history: host.history,
        options,
        warnings: problems,
    })
}

/// The options of an entry without the values that have problems, so that the plugin can be asked about the rest.
///
/// - In: the entry as it stands in the file; `problems` of the whole file.
pub fn without_problems(entry: &Value, name: &str, problems: &[Problem]) -> Value {
    let mut options = entry.clone();
    let base = join(PROFILES, name);
    let host_keys = ["/provider", "/apiKey", "/api_key", "/history"].map(str::to_owned);
    let inside = problems
        .iter()
        .filter_map(|problem| problem.pointer.strip_prefix(&base).map(str::to_owned));
    for pointer in inside.chain(host_keys) {
        let Some((parent, key)) = pointer.rsplit_once('/') else {
            return Value::Null;
        };
        let key = key.replace("~1", "/").replace("~0", "~");
        match options.pointer_mut(parent) {
            Some(Value::Object(members)) => drop(members.shift_remove(&key)),
            // Taking an element out would move those behind it, so the list goes as a whole.
            Some(list @ Value::Array(_)) => *list = Value::Null,
            _ => {}
        }
    }
    options
}

/// What can be used of a profile in a file with problems.
///
/// - In: `problems` of the whole file.
/// - Out: `None` if the provider, the source of the key, an address or what is kept is unclear: no key may go elsewhere
///   instead. An unknown option may be a misspelt one of these.
pub fn salvaged(
    document: &Document,
    name: &str,
    providers: &[ProviderSchema],
    problems: &[Problem],
) -> Option<Profile> {
    let base = join(PROFILES, name);
    let entry = document.value.pointer(&base)?;
    let provider = entry["provider"].as_str()?;
    let schema = providers.iter().find(|known| known.provider == provider)?;
    let schema = entry_schema(schema);
    let normal = normalised(entry, &schema);
    let is_unclear = |problem: &Problem| {
        let Some(place) = problem
            .pointer
            .strip_prefix(&base)
            .filter(|place| place.starts_with('/'))
        else {
            return false;
        };
        let names: Vec<String> = segments(place).map(|name| fold(&name)).collect();
        let is_known = names_in(&schema, &schema).iter().any(|known| fold(known) == names[0]);
        let is_sensitive = |name: &String| name.contains("key") || name.contains("url");
        !is_known || ["provider", "history"].contains(&names[0].as_str()) || names.iter().any(is_sensitive)
    };
    if problems.iter().any(is_unclear) {
        return None;
    }
    let mut whole = normal.value;
    let host = host_keys(&mut whole, document).ok()?;
    let mut options = without_problems(entry, name, problems);
    leave_out_emptied(&mut options, entry);
    Some(Profile {
        name: name.to_owned(),
        provider: host.provider,
        api_key: host.api_key,
        history: host.history,
        options: normalised(&options, &schema).value,
        warnings: Vec::new(),
    })
}

/// Removes the lists that [`without_problems`] emptied, so that their defaults apply.
fn leave_out_emptied(options: &mut Value, entry: &Value) {
    if let Some(members) = options.as_object_mut() {
        members.retain(|key, value| !(value.is_null() && entry[key].is_array()));
        for (key, value) in members {
            leave_out_emptied(value, &entry[key.as_str()]);
        }
    }
}

/// Maps a finding of the plugin to its place in the file.
///
/// - In: `pointer_in_options`, in the plugin's spelling, relative to the options.
/// - Out: a problem at that value, or at the nearest one around it which the file has; also if the
///   file has the snake_case form of a key.
pub fn map_plugin_problem(
    document: &Document,
    profile: &str,
    pointer_in_options: &str,
    message: String,
    hint: Option<String>,
) -> Problem {
    let base = join(PROFILES, profile);
    let pointer = pointer_in(document, &base, pointer_in_options);
    let is_profile = pointer == base;
    document.problem(&pointer, is_profile, message, hint)
}

/// The name of the profile that a pointer into the file is in.
pub fn profile_at(pointer: &str) -> Option<String> {
    segments(pointer.strip_prefix(PROFILES)?).next()
}

fn no_such_profile(document: &Document, name: &str) -> LoadError {
    let profiles = document.value.pointer(PROFILES).and_then(Value::as_object);
    let known = || profiles.into_iter().flat_map(|all| all.keys().map(String::as_str));
    LoadError::NoSuchProfile {
        message: format!("profile file `{}` has no profile `{name}`", document.name),
        hint: match closest(name, known()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known().next().is_none() => "the file has no profiles".to_owned(),
            None => format!("available profiles: {}", listed(known(), "and")),
        },
    }
}

/// Takes the host's keys out of a checked entry. `~/` at the start of a path becomes the home folder, if that is known;
/// any other relative path is one in the folder of the profile's file, wherever the program runs.
fn host_keys(entry: &mut Value, document: &Document) -> Result<HostKeys, serde_json::Error> {
    let mut host = serde_json::Map::new();
    if let Some(object) = entry.as_object_mut() {
        for key in ["provider", "apiKey", "history"] {
            host.extend(object.shift_remove_entry(key));
        }
    }
    let mut keys: HostKeys = serde_json::from_value(Value::Object(host))?;
    let folder = Path::new(&document.name).parent().unwrap_or(Path::new(""));
    match &mut keys.api_key {
        Some(KeySource::File(path)) => match (path.strip_prefix("~"), env::home_dir()) {
            (Ok(rest), Some(home)) => *path = home.join(rest),
            _ => *path = folder.join(&*path),
        },
        Some(KeySource::Command(words)) => {
            // A bare name is searched for in `PATH`.
            if let Some(program) = words.first_mut().filter(|program| program.contains('/'))
                && let Some(resolved) = folder.join(&*program).to_str()
            {
                *program = resolved.to_owned();
            }
        }
        Some(KeySource::Env(_)) | None => {}
    }
    Ok(keys)
}
