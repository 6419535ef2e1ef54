//! Which plugin answers: the one that the profile names, or the one that is on.
//!
//! Verdicts come from manifests and the environment alone; no plugin is loaded for them.

use plugin_api::Manifest;

use super::environment::{Found, Given};
use super::plugins::{Entry, Verdict};
use super::practice;
use super::reading::{Chosen, Setup};
use crate::profile::KeySource;
use crate::terminal::{Exit, Failure, clean_line};

impl Setup {
    /// What `manifest` is given under `chosen`.
    ///
    /// - Errors: there is no key where the profile says; a command that may be somebody else's would run; the address
    ///   in the file given with `--env-file` does not count, and no other is set.
    pub fn give(&self, manifest: &Manifest, chosen: Option<&Chosen>) -> Result<Given, Failure> {
        let profile = chosen
            .map(|chosen| &chosen.profile)
            .filter(|profile| profile.provider == manifest.id);
        let source = profile.and_then(|profile| profile.api_key.as_ref());
        if let Some(KeySource::Command(words)) = source
            && let Some(failure) = self.distrust_command(words)
        {
            return Err(failure);
        }
        let given = self.environment.give(manifest, source, &self.places.profile)?;
        match &given.ignored_address {
            Some(address) if profile.is_none_or(|profile| profile.options.get("baseUrl").is_none()) => {
                Err(ignored_address(manifest, address, &given))
            }
            _ => Ok(given),
        }
    }

    /// Runs the key command of a profile, if it may run, so that [`Self::give`] need not wait for it.
    pub async fn run_key_command(&self, chosen: Option<&Chosen>) {
        if let Some(KeySource::Command(words)) = chosen.and_then(|chosen| chosen.profile.api_key.as_ref())
            && self.distrust_command(words).is_none()
        {
            self.environment.command_keys.run_ahead(words).await;
        }
    }

    /// Whether the plugin is on, and why; from its file and the environment alone.
    pub fn verdict(&self, entry: &Entry, chosen: Option<&Chosen>) -> Verdict {
        if self.folder.is_disabled(entry) {
            return Verdict::Disabled(format!("by `agent-host plugins disable {}`", entry.id()));
        }
        let manifest = match (&entry.refusal, &entry.manifest) {
            (None, Some(manifest)) => manifest,
            (refusal, _) => return Verdict::Refused(refusal.iter().map(|refusal| refusal.reason.clone()).collect()),
        };
        let keys: Vec<String> = manifest.keys().map(|variable| format!("`{}`", variable.name)).collect();
        match self.give(manifest, chosen) {
            Err(failure) => Verdict::Failed(failure.message),
            Ok(Given {
                key_origin: Some(origin),
                ..
            }) => Verdict::Enabled(format!("by {origin}")),
            Ok(_) if keys.is_empty() => Verdict::Enabled("it needs no key".to_owned()),
            Ok(_) => {
                let blank = manifest
                    .keys()
                    .find(|variable| self.environment.is_blank(&variable.name));
                Verdict::Idle(match blank {
                    Some(variable) => format!("`{}` is set but blank", variable.name),
                    None => format!("{} is not set", keys[0]),
                })
            }
        }
    }

    /// What to do about a verdict.
    pub fn remedy(&self, entry: &Entry, verdict: &Verdict, chosen: Option<&Chosen>) -> Option<String> {
        let manifest = entry.manifest.as_ref();
        match verdict {
            Verdict::Enabled(_) => None,
            Verdict::Idle(_) => manifest.map(key_hint),
            Verdict::Disabled(_) => Some(format!("enable it with `agent-host plugins enable {}`", entry.id())),
            Verdict::Refused(_) => entry.refusal.as_ref()?.hint.clone(),
            Verdict::Failed(_) => self.give(manifest?, chosen).err()?.hint,
        }
    }

    /// Whether the plugin is on without any profile.
    pub fn is_on(&self, manifest: &Manifest) -> bool {
        let found = self.folder.find(&manifest.id);
        found.is_ok_and(|(entry, _)| matches!(self.verdict(entry, None), Verdict::Enabled(_)))
    }

    /// The plugin that the profile names, or without a profile the one that is on.
    pub fn choose(&self, chosen: Option<&Chosen>) -> Result<(&Entry, &Manifest), Failure> {
        if let Some(chosen) = chosen {
            return self.folder.find(&chosen.profile.provider);
        }
        let usable = || {
            self.folder
                .entries
                .iter()
                .filter_map(|entry| Some((entry, entry.usable()?)))
        };
        let enabled: Vec<_> = usable()
            .filter(|(entry, _)| matches!(self.verdict(entry, None), Verdict::Enabled(_)))
            .collect();
        let folder = self.folder.path.display();
        // A refused plugin may be the intended one, so it must not be skipped silently.
        let mut refused = self
            .folder
            .entries
            .iter()
            .filter(|entry| !self.folder.is_disabled(entry));
        let refused = refused.find_map(|entry| entry.known_id.as_ref().and(entry.refusal.clone()));
        if let (true, Some(refusal)) = (enabled.is_empty(), refused) {
            return Err(refusal.into());
        }
        match (enabled.as_slice(), usable().next()) {
            ([only], _) => Ok(*only),
            ([], Some(first)) => Ok(first),
            ([], None) if self.folder.entries.is_empty() => {
                Err(Failure::usage(format!("there is no plugin in `{folder}`"))
                    .with_hint("install one with `agent-host plugins install PATH`"))
            }
            ([], None) => Err(
                Failure::new(Exit::Plugin, format!("no plugin in `{folder}` can be used"))
                    .with_hint("see why with `agent-host plugins list`"),
            ),
            (several, _) => {
                let ids: Vec<String> = several
                    .iter()
                    .map(|(_, manifest)| format!("`{}`", manifest.id))
                    .collect();
                Err(
                    Failure::usage(format!("several plugins are enabled: {}", ids.join(", ")))
                        .with_hint("choose one in a profile: agent-host profile init --provider ID"),
                )
            }
        }
    }
}

/// The failure for an address that the user set in a file without the key. The key must not go to the service's own
/// address instead.
fn ignored_address(manifest: &Manifest, address: &Found, given: &Given) -> Failure {
    let key = match &given.key_holder {
        Some(holder) => format!("the key comes from elsewhere ({holder})"),
        None => "the file has no key".to_owned(),
    };
    let message = format!("{} does not count: {key}", address.origin);
    let name = manifest.keys().next().map_or("key", |variable| &variable.name);
    Failure::usage(clean_line(&message)).with_hint(format!(
        "set `{name}` in the same file and nowhere else, or set the address in the environment or in the profile"
    ))
}

/// The failure for a plugin without a key.
pub fn no_key(manifest: &Manifest, chosen: Option<&Chosen>, reason: &str) -> Failure {
    let message = format!("no key for the plugin `{}`: {reason}", manifest.id);
    let mut steps = key_steps(manifest);
    if practice::fits(manifest, chosen) {
        steps.push("or try it without a key: agent-host chat --sandbox \"Hello?\"".to_owned());
    }
    let mut failure = Failure::usage(message).with_hint(steps.join("\n  "));
    failure.lacks_key = true;
    failure
}

/// How to give the plugin a key, in one line.
pub fn key_hint(manifest: &Manifest) -> String {
    key_steps(manifest).join("; ")
}

fn key_steps(manifest: &Manifest) -> Vec<String> {
    let Some(key) = manifest.keys().next() else {
        return vec!["see the plugin's documentation; its manifest names no key variable".to_owned()];
    };
    let page = key.page.as_ref().map(|page| format!("create a key at {page}"));
    let value = key.prefix.as_deref().unwrap_or_default();
    let set = format!(
        "store it with `agent-host keys set`, or set it: export {}={value}…",
        key.name
    );
    page.into_iter().chain([set]).collect()
}
