//! Names for completions in a shell: from files on disk only, and never with a message.
//!
//! Shells ask at each press of a key, so no plugin is loaded and nothing is fetched. `--config` and `--plugins` of the
//! line are not known here; their variables are.

use std::fs;
use std::path::Path;

use clap_complete::CompletionCandidate;
use serde_json::Value;

use super::atomic::write_private;
use super::global::Global;
use super::places::{MODEL_IDS, Places, state_file};
use super::plugins::Folder;
use crate::files::{check_kept, read_named};
use crate::profile::{Document, read};
use crate::terminal::Failure;

/// The largest list of ids, in bytes.
const MAX_IDS_BYTES: u64 = 1 << 20;

/// Keeps the ids of a model list for completions.
pub fn keep_model_ids<'a>(ids: impl Iterator<Item = &'a str>) -> Result<(), Failure> {
    let ids: Vec<&str> = ids.filter(|id| !id.contains(char::is_control)).collect();
    write_private(&state_file(MODEL_IDS)?, ids.join("\n").as_bytes())
}

/// The ids that were listed last.
pub fn models() -> Vec<CompletionCandidate> {
    let Ok(file) = state_file(MODEL_IDS) else {
        return Vec::new();
    };
    let kept = check_kept(&file, MAX_IDS_BYTES).ok();
    let bytes = kept
        .and_then(|()| read_named(&file, MAX_IDS_BYTES).ok())
        .unwrap_or_default();
    candidates(String::from_utf8_lossy(&bytes).lines())
}

/// The tiers of the plugins, in their short forms too.
pub fn tiers() -> Vec<CompletionCandidate> {
    let short = ["small", "large", "reasoning"].map(str::to_owned);
    let all = folder().into_iter().flat_map(|folder| folder.entries);
    let tiers = all
        .filter_map(|entry| entry.manifest)
        .flat_map(|manifest| manifest.tiers);
    candidates(short.into_iter().chain(tiers))
}

/// The ids of the plugins in the folder.
pub fn plugins() -> Vec<CompletionCandidate> {
    let all = folder().into_iter().flat_map(|folder| folder.entries);
    candidates(all.filter_map(|entry| entry.manifest).map(|manifest| manifest.id))
}

/// The names of the templates.
pub fn templates() -> Vec<CompletionCandidate> {
    candidates(
        places()
            .map(|places| template_names(&places.templates()))
            .into_iter()
            .flatten(),
    )
}

/// The names of the templates in a folder, in alphabetic order.
pub fn template_names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let files = entries
        .map(|entry| entry.path())
        .filter(|file| file.extension().is_some_and(|end| end == "md"));
    let mut names: Vec<String> = files
        .filter_map(|file| Some(file.file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    names
}

/// The names of the profiles in the file.
pub fn profiles() -> Vec<CompletionCandidate> {
    let document = places().and_then(|places| Document::parse("", read(&places.config).ok()?).ok());
    let value = document.map(|document| document.value).unwrap_or_default();
    let profiles = value.pointer("/auth/profiles").and_then(Value::as_object);
    candidates(profiles.into_iter().flatten().map(|(name, _)| name))
}

/// The options of the plugins.
pub fn options() -> Vec<CompletionCandidate> {
    let all = folder().map(|folder| folder.schemas()).unwrap_or_default();
    let names = |schema: &Value| schema["properties"].as_object().cloned().unwrap_or_default();
    candidates(
        all.iter()
            .flat_map(|schema| names(&schema.options_schema))
            .map(|(name, _)| name),
    )
}

fn candidates(names: impl Iterator<Item = impl Into<String>>) -> Vec<CompletionCandidate> {
    names.map(|name| CompletionCandidate::new(name.into())).collect()
}

fn places() -> Option<Places> {
    Places::from(&Global::default()).ok()
}

fn folder() -> Option<Folder> {
    Folder::read(&places()?).ok()
}
