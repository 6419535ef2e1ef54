//! The profile file, checked against the plugins in the folder.
//!
//! The schema finds most problems; each plugin is then asked about the options that passed.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;

use plugin_api::PluginModule;
use serde_json::Value;

use super::reading::{Chosen, Setup};
use super::services;
use crate::profile::{self, Document, LoadError, Problem, Report, Severity};
use crate::terminal::{self, Exit, Failure};

impl Setup {
    /// The selected profile; `None` if there is no file and the user named none.
    ///
    /// - Errors: every problem of the file, if the profile has one.
    pub async fn profile(&self) -> Result<Option<Chosen>, Failure> {
        let document = match self.document(&self.places.config) {
            Err(LoadError::NotFound { .. })
                if self.places.config_named.is_none() && self.places.profile == "default" =>
            {
                return Ok(None);
            }
            document => document?,
        };
        let profile = match profile::profile_from(&document, &self.places.profile, &self.folder.schemas()) {
            Ok(profile) => profile,
            Err(LoadError::Report(_)) => {
                // Without a plugin no profile can be valid, so report the missing plugin instead.
                if self.folder.entries.iter().all(|entry| entry.usable().is_none()) {
                    self.choose(None)?;
                }
                return Err(LoadError::Report(self.report(&document).await?).into());
            }
            Err(error) => return Err(error.into()),
        };
        warn_of(&document, &profile.warnings);
        Ok(Some(Chosen { document, profile }))
    }

    pub fn document(&self, path: &Path) -> Result<Document, LoadError> {
        let text = profile::read(path)?;
        Document::parse(&path.display().to_string(), text).map_err(LoadError::Report)
    }

    /// The problems of a profile file: what its schema says, and what the plugins find beyond it. The plugins are asked
    /// about the selected profile, and about the others until there are too many problems to read.
    pub async fn report(&self, document: &Document) -> Result<Report, Failure> {
        let schemas = self.folder.schemas();
        let mut problems = profile::check(document, &schemas);
        let profiles = document.value.pointer("/auth/profiles").and_then(Value::as_object);
        let is_selected = |name: &String| *name == self.places.profile;
        let mut profiles: Vec<_> = profiles.into_iter().flatten().collect();
        profiles.sort_by_key(|(name, _)| !is_selected(name));
        let mut modules = BTreeMap::new();
        for (name, entry) in profiles {
            if problems.len() >= profile::MAX_PROBLEMS && !is_selected(name) {
                let message =
                    "this profile and those after it are checked in part: there are too many problems already";
                problems.push(profile::map_plugin_problem(
                    document,
                    name,
                    "",
                    message.to_owned(),
                    None,
                ));
                break;
            }
            let provider = entry["provider"].as_str().unwrap_or_default();
            let Ok((file, manifest)) = self.folder.find(provider) else {
                continue;
            };
            if self.folder.is_disabled(file) {
                // A disabled plugin is never loaded, not even to check options.
                continue;
            }
            let module = match modules.entry(&manifest.id) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => place.insert(services::load(self.folder.admit(file)?)?),
            };
            let options = profile::without_problems(entry, name, &problems);
            let found = services::problems_of(module, &options).await?;
            problems.extend(placed(document, name, found));
        }
        problems.sort_by_key(|problem| problem.range.start);
        Ok(document.report(&schemas, problems))
    }

    /// Maps the plugin's findings about its options to places in the profile file.
    pub fn place(&self, failure: Failure, chosen: Option<&Chosen>) -> Failure {
        let problems: Vec<plugin_api::Problem> =
            serde_json::from_value(failure.details["problems"].clone()).unwrap_or_default();
        match chosen {
            Some(chosen) if !problems.is_empty() => {
                let placed = placed(&chosen.document, &chosen.profile.name, problems);
                LoadError::Report(chosen.document.report(&self.folder.schemas(), placed)).into()
            }
            _ => failure,
        }
    }
}

/// Logs which other profiles of the plugin it would refuse. They stop nothing.
pub async fn warn_of_others(module: &PluginModule, chosen: Option<&Chosen>) {
    let Some(Chosen { document, profile }) = chosen else {
        return;
    };
    let profiles = document.value.pointer("/auth/profiles").and_then(Value::as_object);
    let others = profiles
        .into_iter()
        .flatten()
        .filter(|(name, entry)| **name != profile.name && entry["provider"] == *module.manifest().id);
    let mut found = Vec::new();
    for (name, entry) in others.take(profile::MAX_PROBLEMS) {
        // There is a warning already about what the schema refuses.
        let options = profile::without_problems(entry, name, &profile.warnings);
        let mut problems = match services::problems_of(module, &options).await {
            Ok(problems) => problems,
            Err(failure) => return tracing::warn!("profile `{name}` is not checked: {}", failure.message),
        };
        problems.retain(|problem| !problem.warning);
        problems.iter_mut().for_each(|problem| problem.warning = true);
        found.extend(placed(document, name, problems));
    }
    warn_of(document, &found);
}

/// Logs one line for each profile with problems.
fn warn_of(document: &Document, problems: &[Problem]) {
    let mut by_profile: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for problem in problems {
        by_profile
            .entry(profile::profile_at(&problem.pointer))
            .or_default()
            .push(problem);
    }
    for problems in by_profile.into_values() {
        let more = match problems.len() - 1 {
            0 => String::new(),
            n => format!(" (and {n} more; see `agent-host profile check`)"),
        };
        let first = Problem {
            severity: Severity::Error,
            ..problems[0].clone()
        };
        // The log says that it is a warning.
        tracing::warn!("{}:{first}{more}", document.name);
    }
}

/// The plugin's findings at their places in the file.
fn placed(document: &Document, profile: &str, problems: Vec<plugin_api::Problem>) -> Vec<Problem> {
    problems
        .into_iter()
        .map(|problem| {
            let warning = problem.warning;
            let mut placed =
                profile::map_plugin_problem(document, profile, &problem.pointer, problem.message, problem.hint);
            if warning {
                placed.severity = Severity::Warning;
            }
            placed
        })
        .collect()
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Report(report) => {
                let mut details = report.to_json();
                details["code"] = Value::from(Exit::Profile.word());
                details["message"] = Value::from("the profile file has problems");
                Self::of_report(Exit::Profile, report.render(terminal::stderr_has_colour()), details)
                    .with_hint("correct the file, then check it with `agent-host profile check`")
            }
            LoadError::NotFound { .. } => {
                Self::new(Exit::Profile, error.to_string()).with_hint("create one with `agent-host profile init`")
            }
            LoadError::NoSuchProfile { message, hint } => Self::new(Exit::Profile, message).with_hint(hint),
        }
    }
}
