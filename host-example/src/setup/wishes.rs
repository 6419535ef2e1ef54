//! Who asks for a reload: an edit of the profile file, or SIGHUP.

use std::fs;

use tokio::sync::mpsc::UnboundedSender;

#[cfg(unix)]
use super::log;
use super::places::Places;
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
                    std::process::exit(Exit::Interrupted as i32);
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

/// Reports edits of the profile file until the returned watch is dropped.
pub fn watch(places: &Places, edits: UnboundedSender<Reload>) -> Option<ProfileWatch> {
    let config = &places.config;
    if let Some(folder) = config.parent().filter(|_| places.config_named.is_none()) {
        // A missing folder cannot be watched. If it cannot be created, the watch fails below.
        let _ = fs::create_dir_all(folder);
    }
    let watch = profile::watch(config, move || {
        // If nobody listens, the program is ending.
        let _ = edits.send(Reload::Profile);
    });
    watch
        .map_err(|cause| tracing::warn!("cannot watch `{}`, so edits go unnoticed: {cause}", config.display()))
        .ok()
}
