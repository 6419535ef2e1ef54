//! Fetches the model list and caches it, in memory and on disk.
//!
//! In: the answers of `GET /models`, page by page, or the file of an earlier process. Out: a [`Catalogue`].
//! Many callers at once cause one request. A failed refresh leaves the old list in use.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use plugin_api::Error;
use tokio::sync::Mutex;

use crate::models::disk::Disk;
use crate::models::page::page_from;
use crate::models::{Catalogue, Model};
use crate::service::kept::{PAUSE_AFTER_FAILURE, Refresh, Uses, ttl};
use crate::service::{Settings, fetch};
use crate::values::time::milliseconds;

/// How long a catalogue is cached by default, in milliseconds.
const DEFAULT_TTL_MS: u64 = 3_600_000;

/// The most pages that are read. By default the service lists all models on one.
const MAX_PAGES: usize = 64;

/// A catalogue, and why it is not newer.
#[derive(Debug)]
pub struct Listed {
    pub catalogue: Arc<Catalogue>,
    /// Why the refresh failed, if there was one.
    pub problem: Option<Error>,
}

/// Caches the catalogue, and fetches it when it is missing or expired.
#[derive(Default)]
pub struct Store {
    /// The query of the list; empty for the models that write text, whose list is also cached on disk.
    query: &'static str,
    /// Of the service that was asked last.
    latest: ArcSwapOption<Catalogue>,
    /// The service whose list was looked for on the disk, which is done once.
    looked_for: ArcSwapOption<String>,
    /// The last answer. Locked while the service is asked, so that all callers wait for one answer.
    answer: Mutex<Option<Answer>>,
    pub uses: Uses,
    has_warned_of_time: AtomicBool,
    has_warned_of_folder: AtomicBool,
    pub has_warned_of_names: AtomicBool,
}

struct Answer {
    /// The service that was asked.
    base_url: String,
    failure: Option<Error>,
    at: Instant,
}

impl Store {
    /// Lists every model, whatever it writes.
    pub fn of_every_model() -> Self {
        Self {
            query: "?output_modalities=all",
            ..Self::default()
        }
    }

    /// The catalogue; an expired one if the service fails to answer, see [`Catalogue::age`].
    ///
    /// - Errors: if there is none at all, those of the request; `protocol` for an answer that is not a model list.
    pub async fn catalogue(&self, settings: &Settings) -> Result<Arc<Catalogue>, Error> {
        Ok(self.listed(settings, Refresh::IfExpired).await?.catalogue)
    }

    /// The cached catalogue, however old. Does not wait or send a request.
    pub fn known(&self, settings: &Settings) -> Option<Arc<Catalogue>> {
        let latest = self.latest.load();
        let latest = latest.as_ref()?;
        (latest.base_url == settings.service.base_url).then(|| Arc::clone(latest))
    }

    /// The cached catalogue, however old, from memory or from the disk. Sends no request.
    pub async fn at_hand(&self, settings: &Settings) -> Option<Arc<Catalogue>> {
        let base_url = &settings.service.base_url;
        let known = self.known(settings);
        if known.is_some() || self.looked_for.load().as_deref() == Some(base_url) {
            return known;
        }
        let found = match self.disk(settings) {
            Some(disk) => disk.read().await,
            None => None,
        };
        self.looked_for.store(Some(Arc::new(base_url.clone())));
        // A request may have brought a newer list meanwhile.
        if let (Some((models, age)), None) = (found, self.known(settings)) {
            self.latest.store(Some(Arc::new(Catalogue::new(base_url, models, age))));
        }
        self.known(settings)
    }

    /// The catalogue, and why it is not newer.
    ///
    /// - Errors: those of [`Self::catalogue`].
    pub async fn listed(&self, settings: &Settings, refresh: Refresh) -> Result<Listed, Error> {
        let asked = Instant::now();
        let ttl = self.time_to_live(settings);
        let enough = |known: &Option<Arc<Catalogue>>| {
            let catalogue = known
                .as_ref()
                .filter(|catalogue| refresh == Refresh::IfExpired && catalogue.age() < ttl)?;
            tracing::debug!("models from cache");
            self.uses.count(refresh, true);
            Some(listed(catalogue, None))
        };
        if let Some(listed) = enough(&self.known(settings)) {
            return Ok(listed);
        }
        let mut answer = self.answer.lock().await;
        let mut known = self.known(settings);
        if let Some(answer) = answer
            .as_ref()
            .filter(|answer| answer.base_url == settings.service.base_url)
        {
            // An answer that arrived while this caller waited for the lock is new enough.
            let is_new = answer.at >= asked;
            let is_paused =
                refresh == Refresh::IfExpired && known.is_some() && answer.at.elapsed() < PAUSE_AFTER_FAILURE;
            match (&known, &answer.failure) {
                (Some(catalogue), None) if is_new => {
                    self.uses.count(refresh, true);
                    return Ok(listed(catalogue, None));
                }
                (Some(catalogue), Some(failure)) if is_new || is_paused => {
                    self.uses.count(refresh, true);
                    return Ok(listed(catalogue, Some(failure)));
                }
                (None, Some(failure)) if is_new => return Err(failure.clone()),
                _ => {}
            }
        }
        let disk = if ttl.is_zero() { None } else { self.disk(settings) };
        if let Some(disk) = &disk
            && (known.is_none() || refresh == Refresh::IfExpired)
            && let Some((models, age)) = disk.read().await
            && known.as_ref().is_none_or(|known| age < known.age())
        {
            let catalogue = Arc::new(Catalogue::new(&settings.service.base_url, models, age));
            self.latest.store(Some(Arc::clone(&catalogue)));
            known = Some(catalogue);
        }
        if let Some(listed) = enough(&known) {
            return Ok(listed);
        }
        self.uses.count(refresh, false);
        match refresh {
            Refresh::InBackground => tracing::debug!("fetching models"),
            Refresh::IfExpired | Refresh::Now => tracing::info!("fetching models"),
        }
        let fetched = fetch_all(settings, &format!("/models{}", self.query)).await;
        *answer = Some(Answer {
            base_url: settings.service.base_url.clone(),
            failure: fetched.as_ref().err().cloned(),
            at: Instant::now(),
        });
        match (fetched, known) {
            (Ok(models), _) => {
                let catalogue = Arc::new(Catalogue::new(&settings.service.base_url, models, Duration::ZERO));
                self.latest.store(Some(Arc::clone(&catalogue)));
                if let Some(disk) = disk {
                    disk.write(&catalogue, settings.service.secret()).await;
                }
                Ok(listed(&catalogue, None))
            }
            (Err(error), Some(catalogue)) => {
                let age_ms = milliseconds(catalogue.age());
                match refresh {
                    Refresh::InBackground => tracing::debug!(age_ms, "no newer model list: {error}"),
                    Refresh::IfExpired | Refresh::Now => tracing::warn!(age_ms, "no newer model list: {error}"),
                }
                Ok(listed(&catalogue, Some(&error)))
            }
            (Err(error), None) => Err(error),
        }
    }

    /// How long a catalogue is cached.
    pub fn time_to_live(&self, settings: &Settings) -> Duration {
        let variable = "OPENROUTER_CACHE_TTL_MODELS";
        let value = settings.profile.environment.get(variable).map(String::as_str);
        let (ttl, wrong) = ttl(settings.profile.options.caches.models_ms, value, DEFAULT_TTL_MS);
        if let Some(wrong) = wrong
            && !self.has_warned_of_time.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(variable, "{wrong}");
        }
        ttl
    }

    /// The file of the catalogue, if the disk is used.
    fn disk(&self, settings: &Settings) -> Option<Disk> {
        if !self.query.is_empty() {
            return None;
        }
        match Disk::of(settings) {
            Ok(disk) => disk,
            Err(problem) => {
                if !self.has_warned_of_folder.swap(true, Ordering::Relaxed) {
                    tracing::warn!("the model list is not cached on disk: {problem}");
                }
                None
            }
        }
    }

    /// A store that already has these entries of `GET /models`.
    #[cfg(test)]
    pub fn with(settings: &Settings, entries: &serde_json::Value) -> Self {
        let body = serde_json::json!({"data": entries}).to_string();
        let models = page_from(body.as_bytes()).expect("a list").models;
        let catalogue = Catalogue::new(&settings.service.base_url, models, Duration::ZERO);
        Self {
            latest: ArcSwapOption::from_pointee(catalogue),
            ..Self::default()
        }
    }
}

fn listed(catalogue: &Arc<Catalogue>, problem: Option<&Error>) -> Listed {
    Listed {
        catalogue: Arc::clone(catalogue),
        problem: problem.cloned(),
    }
}

/// The models on this page of the list and on all that follow it.
pub(super) async fn fetch_all(settings: &Settings, path: &str) -> Result<Vec<Model>, Error> {
    let mut models = Vec::new();
    let mut links = HashSet::new();
    let mut n_unreadable = 0_usize;
    let mut fetched = fetch::get(settings, path).await?;
    loop {
        let page = page_from(&fetched.body)?;
        n_unreadable += page.n_unreadable;
        models.extend(page.models);
        let Some(next) = page.next else { break };
        // Links in a circle would never end.
        if links.len() + 1 >= MAX_PAGES || !links.insert(next.clone()) {
            tracing::warn!(pages = links.len() + 1, "the model list has no end; dropping the rest");
            break;
        }
        fetched = fetch::get_next(settings, &next).await?;
    }
    if n_unreadable > 0 {
        tracing::warn!(entries = n_unreadable, "dropped unreadable entries of the model list");
    }
    Ok(models)
}

#[cfg(test)]
mod tests;
