//! What all requests share: the plugin that answers now, the rules, the counters.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};
use bytes::Bytes;
use plugin_api::{Error, Plugin, TierModel};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::{Mutex, watch};

use super::body_memory::BodyMemory;
use super::cache::Caching;
use super::course::Phase;
use super::guard::Rules;
use super::record::Telemetry;
use crate::agents::Shelf;
use crate::history::Asker;
use crate::setup::{Secret, UsedKey};

/// What every request needs.
pub struct Shared {
    pub serving: ArcSwap<Serving>,
    pub rules: Rules,
    pub telemetry: Arc<Telemetry>,
    pub bodies: BodyMemory,
    pub started: Instant,
    /// How far the endpoint is.
    pub phase: watch::Sender<Phase>,
}

/// The plugin that answers, and its state; a reload replaces it.
pub struct Serving {
    pub plugin: Plugin,
    /// Why it answers no more, if it was disabled or removed.
    pub off: Option<Error>,
    /// If answers are given again.
    pub caching: Option<Caching>,
    pub tiers: Vec<TierModel>,
    /// In whose name calls are recorded.
    pub asker: Asker,
    /// The agents of this host.
    pub shelf: Shelf,
    pub used_key: Arc<UsedKey>,
    /// The plugin's own keys by their variables. They are tokens as well; see [`Self::keys`].
    pub keys_at_start: BTreeMap<String, Arc<Secret>>,
    /// What is in the plugin folder.
    pub plugins: Vec<PluginRow>,
    pub models_page: ArcSwapOption<Page>,
    /// Why the last attempt to get the list of models failed.
    pub models_failed: ArcSwapOption<Failed>,
    /// Locked while the list is fetched, so that all who want it wait for one answer.
    pub models_asked: Mutex<()>,
    /// The service's last answer to a caller without the token who asked for its providers.
    pub providers: Mutex<Option<(Instant, Result<Bytes, Error>)>>,
}

/// A failure that is served for a while before the service is asked again.
pub struct Failed {
    pub at: Instant,
    pub error: Error,
}

/// A plugin of the folder, for `/health`.
#[derive(Clone, Serialize)]
pub struct PluginRow {
    pub id: String,
    pub verdict: &'static str,
    pub reason: String,
    /// Whether it is the one that answers.
    pub is_active: bool,
}

impl Serving {
    /// The plugin's own keys as they are now.
    pub fn keys(&self) -> Vec<Arc<Secret>> {
        let newest = self.used_key.newest();
        let now = |(variable, key): (&String, &Arc<Secret>)| match &newest {
            Some((renewed, newest)) if renewed == variable => Arc::clone(newest),
            _ => Arc::clone(key),
        };
        self.keys_at_start.iter().map(now).collect()
    }

    /// Asks the plugin, and once more if its key was renewed after the service had refused it.
    pub async fn asked<T, F>(&self, ask: impl Fn() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let n_before = self.used_key.n_renewals();
        let outcome = match ask().await {
            Err(error) if self.used_key.renewed(&error, n_before).await => ask().await,
            outcome => outcome,
        };
        outcome.map_err(|error| self.used_key.explained(error))
    }

    /// Whether the plugin has this method.
    pub fn has(&self, method: &str) -> bool {
        self.plugin.manifest().methods.iter().any(|name| name == method)
    }
}

impl Shared {
    pub fn new(serving: Serving, rules: Rules, telemetry: Telemetry, bodies: BodyMemory) -> Self {
        Self {
            serving: ArcSwap::from_pointee(serving),
            rules,
            telemetry: Arc::new(telemetry),
            bodies,
            started: Instant::now(),
            phase: watch::Sender::default(),
        }
    }
}

/// The page of `/v1/models`, and what is known of the list in it.
pub struct Page {
    pub made_at: Instant,
    pub body: Bytes,
    /// The tiers' entries in it, in their order.
    pub tiers: Vec<Value>,
    /// The entries of models behind tiers that the list does not have, by their ids; empty if the service has none.
    pub unlisted: BTreeMap<String, String>,
    /// When the service was last asked for each of those models, even in vain.
    pub unlisted_asked: BTreeMap<String, Instant>,
    pub age: Duration,
    pub warning: Option<String>,
}

impl Page {
    /// How old the service's list is by now.
    pub fn age(&self) -> Duration {
        self.age + self.made_at.elapsed()
    }
}
