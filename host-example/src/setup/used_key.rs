//! The key that calls are sent with. When the service refuses it, its file is read again, because the key may have been
//! rotated. Errors say where the key came from.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwapOption;
use plugin_api::{Error, ErrorKind, Plugin};
use tokio::sync::{Mutex, MutexGuard};

use super::bounded::{LIMIT, bounded_future};
use super::environment::{self, Given};
use super::keys::{is_plain, read_key_file};
use super::protect::{Secret, WipedConfig};
use super::reading::exists;
use crate::terminal::Failure;

/// The status of an answer that refuses the key.
const UNAUTHORIZED: u16 = 401;

/// The key of an active plugin.
#[derive(Default)]
pub struct UsedKey {
    origin: Option<String>,
    file: Option<KeyFile>,
    /// How often the file turned out to have another key.
    n_renewals: AtomicU64,
    /// The key that the file turned out to have last.
    newest: ArcSwapOption<Secret>,
}

struct KeyFile {
    source: environment::KeyFile,
    plugin: Plugin,
    /// What the plugin is configured with now.
    config: Mutex<WipedConfig>,
}

impl UsedKey {
    /// - In: `config`, what `plugin` was configured with.
    pub fn new(given: Given, plugin: &Plugin, config: WipedConfig) -> Self {
        Self {
            origin: given.key_origin,
            file: given.key_file.map(|source| KeyFile {
                source,
                plugin: plugin.clone(),
                config: Mutex::new(config),
            }),
            n_renewals: AtomicU64::new(0),
            newest: ArcSwapOption::empty(),
        }
    }

    /// The variable whose key was renewed, and the key that it has now.
    pub fn newest(&self) -> Option<(&str, Arc<Secret>)> {
        Some((self.file.as_ref()?.source.variable.as_str(), self.newest.load_full()?))
    }

    /// Keeps others from configuring the plugin while the guard lives.
    pub async fn hold(&self) -> Option<MutexGuard<'_, WipedConfig>> {
        match &self.file {
            Some(file) => Some(file.config.lock().await),
            None => None,
        }
    }

    /// The plugin was configured anew: calls that were refused before may be sent once more, and this configuration is
    /// never used again.
    pub fn supersede(&self) {
        self.n_renewals.fetch_add(1, Ordering::SeqCst);
    }

    /// Whether the key is in a file, so that a refused call may be sent once more.
    pub fn has_file(&self) -> bool {
        self.file.is_some()
    }

    /// How often the key was renewed. Read it before a call.
    pub fn n_renewals(&self) -> u64 {
        self.n_renewals.load(Ordering::SeqCst)
    }

    /// Gives the plugin the key that its file has by now, and says whether it is another one, so that the call should be
    /// sent once more.
    ///
    /// - In: `n_before`, [`UsedKey::n_renewals`] from before the call.
    pub async fn renewed(&self, error: &Error, n_before: u64) -> bool {
        match self.file.as_ref().filter(|_| is_refused_key(error)) {
            Some(file) => self.renew(file, n_before, "the service refused the key").await,
            None => false,
        }
    }

    /// The same before a call that cannot be sent once more.
    pub async fn read_again(&self) {
        if let Some(file) = &self.file {
            self.renew(file, self.n_renewals(), "the key was compared with its file")
                .await;
        }
    }

    /// - In: `why` the file is read.
    async fn renew(&self, file: &KeyFile, n_before: u64, why: &str) -> bool {
        let mut config = file.config.lock().await;
        if self.n_renewals() != n_before {
            // Another call has already renewed it.
            return true;
        }
        let environment::KeyFile {
            variable,
            path,
            was_plain,
        } = &file.source;
        if *was_plain && !is_plain(path) && exists(path) {
            // Somebody else may have put a link to one of the user's files there.
            tracing::warn!(
                "the key file `{}` is no longer a regular file and is not read",
                path.display()
            );
            return false;
        }
        let key = match read_key_file(path) {
            Ok((key, _)) => key,
            Err(failure) => {
                let cause = failure.message.trim_start_matches("no key: ");
                tracing::warn!("{why}, and it cannot be read again: {cause}");
                return false;
            }
        };
        if config.environment.get(variable).map(String::as_str) == Some(key.reveal()) {
            return false;
        }
        let mut next = WipedConfig(config.0.clone());
        next.0.environment.insert(variable.clone(), key.reveal().to_owned());
        let (plugin, id) = (file.plugin.clone(), file.plugin.manifest().id.clone());
        let configured = bounded_future(&id, "be configured", LIMIT, async move {
            plugin.configure(&next).await.map(|()| next).map_err(Failure::from)
        });
        let next = match configured.await.and_then(|configured| configured) {
            Ok(next) => next,
            Err(failure) => {
                tracing::warn!("the new key in `{}` is not used: {}", path.display(), failure.message);
                return false;
            }
        };
        tracing::warn!("{why}; using the new one in `{}`", path.display());
        *config = next;
        self.newest.store(Some(Arc::new(key)));
        self.n_renewals.fetch_add(1, Ordering::SeqCst);
        true
    }

    /// The error, with where the refused key came from in its hint.
    pub fn explained(&self, error: Error) -> Error {
        let Some(origin) = self.origin.as_ref().filter(|_| is_refused_key(&error)) else {
            return error;
        };
        let hint = match error.hint() {
            Some(hint) => format!("{hint}; the key came from {origin}"),
            None => format!("the key came from {origin}"),
        };
        error.with_hint(hint)
    }
}

fn is_refused_key(error: &Error) -> bool {
    error.kind == ErrorKind::AUTH && error.details.status == Some(UNAUTHORIZED)
}
