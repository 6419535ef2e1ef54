//! Reads profile, variables and key again while a plugin is at work, and says in one line what that changed.
//!
//! What is wrong with the new ones changes nothing: the former ones hold on.

use std::fs;

use plugin_api::TierModel;
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedSender;

use crate::cli::Global;
use crate::profile::{self, ProfileWatch};
use crate::setup::environment::CommandKeys;
use crate::setup::places::Places;
use crate::setup::plugins::Verdict;
use crate::setup::{Active, Chosen, Setup, exists, no_key};
use crate::terminal;
use crate::terminal::exit::{Exit, Failure};

/// What is read again while a plugin is at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// The profile was edited. A key command is not run again unless the edit names another one.
    Profile,
    /// Somebody asked for it: the profile, the files of variables, and the key from wherever it comes.
    Everything,
}

/// Reads profile, variables and key again and gives them to the plugin. On any error the former ones stay, as the former
/// profile does where the file is gone.
///
/// - Out: one line for people, and what was read. Where another plugin came, the former one is in `active.former`, and still answers.
pub async fn follow(active: &mut Active, global: &Global, reload: Reload) -> Result<(String, Setup), Failure> {
    let command_keys = match reload {
        Reload::Profile => active.command_keys.clone(),
        Reload::Everything => CommandKeys::default(),
    };
    command_keys.forget_failures();
    let setup = Setup::read_with(global, command_keys)?;
    let file = &setup.places.config;
    let chosen = if exists(file) { setup.profile().await? } else { None };
    let file_is_gone = chosen.is_none() && (active.chosen.is_some() || reload == Reload::Profile);
    let gone = format!(
        "the profile file `{}` is gone; the former profile still holds",
        file.display()
    );
    if file_is_gone && reload == Reload::Profile {
        return Ok((gone, setup));
    }
    let id = active.plugin.manifest().id.clone();
    if let Some(chosen) = chosen.as_ref().filter(|chosen| chosen.profile.provider != id) {
        let provider = chosen.profile.provider.clone();
        let next = setup.activate(true).await?;
        let former = std::mem::replace(active, next);
        active.former = Some(former.plugin);
        active.read_tiers().await?;
        let line = format!("profile reloaded: {provider} instead of {id}, from the next message on");
        return Ok((line, setup));
    }
    let holding = chosen.as_ref().or(active.chosen.as_ref());
    let manifest = active.plugin.manifest();
    if let Ok((entry, _)) = setup.folder.find(&id)
        && let Verdict::Idle(reason) = setup.verdict(entry, holding)
    {
        return Err(no_key(manifest, &reason));
    }
    let config = setup.config(manifest, holding)?;
    if let Err(error) = active.plugin.configure(&config).await {
        return Err(setup.place(error.into(), holding));
    }
    active.command_keys = setup.environment.command_keys();
    let tiers_before = std::mem::take(&mut active.tiers);
    let options_before = options_of(active.chosen.as_ref());
    if chosen.is_some() {
        active.chosen = chosen;
    }
    active.read_tiers().await?;
    let what = match reload {
        Reload::Profile => "profile",
        Reload::Everything => "profile, variables and key",
    };
    if file_is_gone {
        return Ok((format!("variables and key reloaded; {gone}"), setup));
    }
    Ok((changes(what, active, &tiers_before, &options_before), setup))
}

fn options_of(chosen: Option<&Chosen>) -> Value {
    chosen.map_or_else(|| json!({}), |chosen| chosen.profile.options.clone())
}

/// What an edit changed, in one line: the tiers with their models, anything else by its name.
fn changes(what: &str, active: &Active, tiers_before: &[TierModel], options_before: &Value) -> String {
    // Tiers that follow another change with it and need no words of their own.
    let tiers = active
        .tiers
        .iter()
        .filter(|now| now.follows.is_none())
        .filter_map(|now| {
            let then = tiers_before.iter().find(|then| then.tier == now.tier)?;
            (then.wire != now.wire).then(|| terminal::clean_line(&format!("{} {} → {}", now.tier, then.wire, now.wire)))
        });
    let mut changes: Vec<String> = tiers.collect();
    let places = profile::differences(options_before, &options_of(active.chosen.as_ref()));
    // Models were named above, where they changed anything.
    let is_model = |place: &String| {
        place == "model" || place.starts_with("tiers.") && place.matches('.').count() == 1 || place.ends_with(".model")
    };
    changes.extend(
        places
            .into_iter()
            .filter(|place| !is_model(place))
            .map(|place| terminal::clean_line(&place)),
    );
    if changes.is_empty() {
        return format!("{what} reloaded: nothing changed");
    }
    format!("{what} reloaded: {} (from the next message on)", changes.join(", "))
}

/// Takes SIGHUP for the wish to have everything read again, as servers do.
///
/// - In: `may_go_on`, asked first: a terminal that hangs up sends the signal too.
#[cfg(unix)]
pub fn listen_for_hangups(reloads: UnboundedSender<Reload>, may_go_on: impl Fn() -> bool + Send + 'static) {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::hangup()) {
        Ok(mut hangups) => drop(tokio::spawn(async move {
            while hangups.recv().await.is_some() {
                if !may_go_on() {
                    std::process::exit(Exit::Interrupted as i32);
                }
                if reloads.send(Reload::Everything).is_err() {
                    break;
                }
            }
        })),
        Err(cause) => tracing::warn!("SIGHUP cannot be listened to: {cause}"),
    }
}

#[cfg(not(unix))]
pub fn listen_for_hangups(_reloads: UnboundedSender<Reload>, _may_go_on: impl Fn() -> bool + Send + 'static) {}

/// Edits of the profile file as they happen, for as long as what is returned is kept.
pub fn watch(places: &Places, edits: UnboundedSender<Reload>) -> Option<ProfileWatch> {
    let config = &places.config;
    if let Some(folder) = config.parent().filter(|_| !places.config_was_named) {
        // What does not exist cannot be watched. If it cannot be made, the watch says so.
        let _ = fs::create_dir_all(folder);
    }
    let watch = profile::watch(config, move || {
        // Whoever followed them has ended when nobody listens.
        let _ = edits.send(Reload::Profile);
    });
    watch
        .map_err(|cause| tracing::warn!("edits of `{}` will not be noticed: {cause}", config.display()))
        .ok()
}
