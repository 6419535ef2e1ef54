//! What causes a reload: an edit of the profile file, a plugin that was installed, disabled or removed,
//! or SIGHUP.

use std::fs;

use tokio::sync::mpsc::UnboundedSender;

#[cfg(unix)]
use super::log;
use super::places::Places;
use super::plugins::{LOCK_FILE, SWITCHES_FILE};
use super::reload::Reload;
use crate::profile::{self, ProfileWatch};
#[cfg(unix)]
use crate::terminal::Exit;

/// Reloads everything on SIGHUP, as servers do, and opens the log file again.
///
/// - In: `may_go_on`, checked first: a terminal that hangs up sends the signal too.
#[cfg(unix)]
pub fn listen_for_hangups(reloads: UnboundedSender<Reload>, may_go_on: impl Fn() -> bool + Send + 'static) {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::hangup()) {
        Ok(mut hangups) => drop(tokio::spawn(async move {
            while hangups.recv().await.is_some() {
                if !may_go_on() {
                    Exit::Interrupted.end();
                }
                log::reopen();
                if reloads.send(Reload::Everything).is_err() {
                    break;
                }
            }
        })),
        Err(cause) => tracing::warn!("cannot listen for SIGHUP: {cause}"),
    }
}

#[cfg(not(unix))]
pub fn listen_for_hangups(_reloads: UnboundedSender<Reload>, _may_go_on: impl Fn() -> bool + Send + 'static) {}

/// Reports edits of the profile file, and of what the plugin folder says about its plugins, until the returned watches
/// are dropped.
pub fn watch(places: &Places, edits: &UnboundedSender<Reload>) -> [Option<ProfileWatch>; 3] {
    let config = &places.config;
    if let Some(folder) = config.parent().filter(|_| places.config_named.is_none()) {
        // A missing folder cannot be watched. If it cannot be created, the watch fails below.
        let _ = fs::create_dir_all(folder);
    }
    let [lock, switches] = [LOCK_FILE, SWITCHES_FILE].map(|name| places.plugins.join(name));
    let watched = [
        (config, Reload::Profile),
        (&lock, Reload::Plugins),
        (&switches, Reload::Plugins),
    ];
    watched.map(|(file, reload)| {
        let edits = edits.clone();
        let watch = profile::watch(file, move || {
            // If nobody listens, the program is ending.
            let _ = edits.send(reload);
        });
        watch
            .map_err(|cause| tracing::warn!("cannot watch `{}`, so edits go unnoticed: {cause}", file.display()))
            .ok()
    })
}
