//! Reloads profile, variables, key and the plugin's own file while a plugin is active.
//!
//! A mistake in the new ones changes nothing: the plugin keeps the previous ones.

use std::mem;
use std::path::Path;
use std::sync::Arc;

use plugin_api::{Error, ErrorKind, TierModel};
use serde_json::{Value, json};

use super::activation::Active;
use super::bounded::{LIMIT, bounded_future};
use super::choice::no_key;
use super::destination::Bound;
use super::environment::FOLDER_FILE;
use super::global::Global;
use super::plugins::{Verdict, short};
use super::profiles::warn_of_others;
use super::reading::{Chosen, Setup, exists};
use super::services::Checked;
use super::used_key::UsedKey;
use crate::profile;
use crate::terminal::{BAD, Failure, clean_line};

/// What is reloaded while a plugin is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// The profile was edited. A key command is not run again.
    Profile,
    /// On request: the profile, the files of variables, and the key from wherever it comes.
    Everything,
    /// The plugin folder changed: a plugin was installed, accepted, disabled, enabled or removed.
    Plugins,
}

impl Reload {
    fn what(self) -> &'static str {
        match self {
            Self::Plugins => "plugin folder",
            Self::Profile => "profile",
            Self::Everything => "profile, variables and key",
        }
    }

    /// The lines about a reload that failed.
    pub fn ignored(self, failure: &Failure) -> String {
        let what = match self {
            Self::Plugins => "new plugin ignored; still using the previous one",
            Self::Profile => "edit ignored; still using the previous profile",
            Self::Everything => "reload failed; still using the previous profile and key",
        };
        format!("{BAD}✗{BAD:#} {what}\n{failure}")
    }
}

/// Reads profile, variables and key again and gives them to the plugin. On any error the previous ones stay;
/// so does the previous profile when its file is gone.
///
/// - Out: one line for people, and what was read. A plugin that was replaced ends with the last of its answers.
pub async fn follow(active: &mut Active, global: &Global, reload: Reload) -> Result<(String, Setup), Failure> {
    let command_keys = match reload {
        Reload::Profile | Reload::Plugins => active.command_keys.clone(),
        Reload::Everything => active.command_keys.without_outcomes(),
    };
    command_keys.forget_failures();
    let setup = Setup::read_with(global, active.reads_folder, command_keys)?;
    let file = &setup.places.config;
    let id = active.plugin.manifest().id.clone();
    let off = why_off(&id, &setup);
    let chosen = match exists(file) {
        true => setup.profile().await,
        false => Ok(None),
    };
    // The profile of a plugin that was removed cannot be checked.
    let other = match &chosen {
        Ok(chosen) => setup
            .choose(chosen.as_ref())
            .ok()
            .map(|(_, manifest)| manifest.id.clone()),
        Err(_) => None,
    };
    let chosen = match chosen {
        Err(_) if off.is_some() => None,
        chosen => chosen?,
    };
    setup.run_key_command(chosen.as_ref()).await;
    let gone = format!(
        "the profile file `{}` is gone; still using the previous profile",
        file.display()
    );
    let file_is_gone = chosen.is_none() && (active.chosen.is_some() || reload == Reload::Profile);
    let code = new_code(active, &setup);
    let was_off = mem::replace(&mut active.off, off.clone()).is_some();
    let provider = chosen.as_ref().map(|chosen| chosen.profile.provider.clone());
    let line = if let Some(provider) = provider.filter(|provider| *provider != id) {
        replace(active, &setup, chosen.as_ref()).await?;
        format!("profile reloaded: {provider} instead of {id}, from the next message on")
    } else if let Some(off) = off {
        match other.filter(|other| *other != id) {
            Some(other) => match replace(active, &setup, chosen.as_ref()).await {
                Ok(()) => format!("{}: {other} answers instead, from the next message on", off.message),
                Err(failure) => format!("{}: nothing answers; {other} cannot: {}", off.message, failure.message),
            },
            None => format!("{}: nothing answers, from the next message on", off.message),
        }
    } else if code == NewCode::Usable {
        rebuilt(active, &setup, chosen.as_ref()).await?
    } else if was_off {
        format!("plugin folder reloaded: {id} answers again, from the next message on")
    } else if reload == Reload::Plugins {
        "plugin folder reloaded: nothing changed".to_owned()
    } else if chosen.is_none() && file_is_gone && reload == Reload::Profile {
        // Only the profile was to be read.
        gone
    } else {
        let changed = configure(active, &setup, chosen, reload).await?;
        if file_is_gone {
            format!("variables and key reloaded; {gone}")
        } else {
            changed
        }
    };
    let is_unread = !active.reads_folder && !global.no_env_file && Path::new(FOLDER_FILE).is_file();
    let line = match is_unread && reload == Reload::Everything {
        true => format!("{line}; `{FOLDER_FILE}` was not read at the start: restart to use it"),
        false => line,
    };
    let line = match code {
        NewCode::Refused(why) => clean_line(&format!("{line}; the plugin's file changed and is not used: {why}")),
        NewCode::Usable | NewCode::None => line,
    };
    Ok((line, setup))
}

/// Replaces the active plugin by another build of it; the hashes tell builds of one version apart.
///
/// - Out: the line about it.
async fn rebuilt(active: &mut Active, setup: &Setup, chosen: Option<&Chosen>) -> Result<String, Failure> {
    let build = |active: &Active| {
        let sha256 = short(active.sha256.as_deref().unwrap_or_default()).to_owned();
        (active.plugin.manifest().version.clone(), sha256)
    };
    let before = build(active);
    replace(active, setup, chosen).await?;
    let now = build(active);
    let is_same = before.0 == now.0;
    let [before, now] = [before, now].map(|(version, sha256)| match is_same {
        true => format!("{version} ({sha256}…)"),
        false => version,
    });
    let id = &active.plugin.manifest().id;
    Ok(format!(
        "plugin reloaded: {id} {now} instead of {before}, from the next message on"
    ))
}

/// Why the active plugin may not answer any more.
fn why_off(id: &str, setup: &Setup) -> Option<Error> {
    let entry = setup.folder.entries.iter().find(|entry| entry.has_id(id));
    let why = match entry {
        None => "was removed",
        Some(entry) if setup.folder.is_disabled(entry) => "is disabled",
        Some(_) => return None,
    };
    Some(Error::new(ErrorKind::SHUT_DOWN, format!("the plugin `{id}` {why}")))
}

/// Whether the file of the active plugin has other bytes than those that are loaded.
#[derive(PartialEq, Eq)]
enum NewCode {
    None,
    Usable,
    /// Why they are not used.
    Refused(String),
}

fn new_code(active: &Active, setup: &Setup) -> NewCode {
    let id = &active.plugin.manifest().id;
    let entries = || setup.folder.entries.iter().filter(|entry| entry.has_id(id));
    match entries().find(|entry| entry.usable().is_some()).or(entries().next()) {
        Some(entry) if entry.sha256 != active.sha256 => match &entry.refusal {
            None => NewCode::Usable,
            Some(refusal) => NewCode::Refused(refusal.reason.clone()),
        },
        _ => NewCode::None,
    }
}

/// Replaces the active plugin.
///
/// - Errors: the next one was active before with another address or source of the key, or was never active and has an
///   address that is not its service's own.
async fn replace(active: &mut Active, setup: &Setup, chosen: Option<&Chosen>) -> Result<(), Failure> {
    let (_, manifest) = setup.choose(chosen)?;
    let found = Bound::of(setup, manifest, chosen, &setup.give(manifest, chosen)?);
    active.check(&manifest.id, &found)?;
    let mut next = setup.activate(true).await?;
    // The files were read again.
    active.check(&next.plugin.manifest().id, &next.bound)?;
    next.read_tiers().await?;
    next.earlier = mem::take(&mut active.earlier);
    let before = active.plugin.manifest().id.clone();
    next.earlier.insert(before, active.bound.clone());
    // Nothing shuts the previous plugin down, because that would cancel its answers: it ends with the last of them.
    *active = next;
    Ok(())
}

/// Gives the active plugin its new settings.
///
/// - Out: a line about what changed.
async fn configure(
    active: &mut Active,
    setup: &Setup,
    chosen: Option<Chosen>,
    reload: Reload,
) -> Result<String, Failure> {
    let holding = chosen.as_ref().or(active.chosen.as_ref());
    let manifest = active.plugin.manifest();
    if let Ok((entry, _)) = setup.folder.find(&manifest.id)
        && let Verdict::Idle(reason) = setup.verdict(entry, holding)
    {
        return Err(no_key(manifest, holding, &reason));
    }
    let options = setup.options(manifest, holding.map(|chosen| &chosen.profile));
    let checked = Checked::of(active.module.clone(), options).await;
    let checked = checked.map_err(|failure| setup.place(failure, holding))?;
    warn_of_others(&active.module, holding).await;
    let given = setup.give(manifest, holding)?;
    active.bound.check(&Bound::of(setup, manifest, holding, &given))?;
    given.warn();
    let config = checked.config(&given);
    let (plugin, id) = (active.plugin.clone(), manifest.id.clone());
    let used_key = Arc::clone(&active.used_key);
    let _held = used_key.hold().await;
    let (configured, config) = bounded_future(&id, "be configured", LIMIT, async move {
        let configured = plugin.configure(&config).await;
        (configured, config)
    })
    .await?;
    if let Err(error) = configured {
        return Err(setup.place(error.into(), holding));
    }
    used_key.supersede();
    active.used_key = Arc::new(UsedKey::new(given, &active.plugin, config));
    active.command_keys = setup.environment.command_keys.clone();
    let tiers_before = active.tiers.clone();
    let options_before = options_of(active.chosen.as_ref());
    if chosen.is_some() {
        active.chosen = chosen;
    }
    if let Err(failure) = active.read_tiers().await {
        // The plugin has its new options by now.
        tracing::warn!("the tiers are those of before the reload: {}", failure.message);
    }
    let options = options_of(active.chosen.as_ref());
    let mut changes = changed_tiers(&tiers_before, &active.tiers);
    changes.extend(changed_options(&options_before, &options));
    let what = reload.what();
    Ok(match changes.as_slice() {
        [] => format!("{what} reloaded: nothing changed"),
        changes => format!("{what} reloaded: {} (from the next message on)", changes.join(", ")),
    })
}

fn options_of(chosen: Option<&Chosen>) -> Value {
    chosen.map_or_else(|| json!({}), |chosen| chosen.profile.options.clone())
}

/// The tiers with another model, and their models. Those that follow another tier change with it and are not listed.
fn changed_tiers(before: &[TierModel], now: &[TierModel]) -> Vec<String> {
    let own = now.iter().filter(|now| now.follows.is_none());
    own.filter_map(|now| {
        let then = before.iter().find(|then| then.tier == now.tier)?;
        (then.wire != now.wire).then(|| clean_line(&format!("{} {} → {}", now.tier, then.wire, now.wire)))
    })
    .collect()
}

/// The options that differ, by their names. Changed models are in the list of tiers already.
fn changed_options(before: &Value, now: &Value) -> Vec<String> {
    let is_model = |place: &String| {
        place == "model" || place.starts_with("tiers.") && place.matches('.').count() == 1 || place.ends_with(".model")
    };
    let places = profile::differences(before, now).into_iter();
    places
        .filter(|place| !is_model(place))
        .map(|place| clean_line(&place))
        .collect()
}
