//! The models that the service has, with their prices and abilities.
//!
//! In: the answers of `GET /models`, page by page, or what an earlier process kept of them on the disk. Out: a [`Catalogue`],
//! kept by its [`Store`] for a while. It advises: a model that is not in it may still be served, and is only without a known
//! price.

use crate::models::{Catalogue, Model};
use crate::service::kept::{PAUSE_AFTER_FAILURE, Wish, ttl};
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use plugin_api::Error;
use tokio::sync::Mutex;

use super::disk::Disk;
use super::page::page_from;
use crate::service::{Settings, fetch};
use crate::values::time::milliseconds;

/// How long a catalogue is kept unless somebody says otherwise, in milliseconds.
const DEFAULT_TTL_MS: u64 = 3_600_000;

/// Pages that are read; the service gives all models on one unless asked for less.
const MAX_PAGES: usize = 64;

/// A catalogue, and how it stands with it.
#[derive(Debug)]
pub struct Listed {
    pub catalogue: Arc<Catalogue>,
    /// Why there is no newer one, where one was wanted.
    pub problem: Option<Error>,
}

/// Keeps the catalogue, and asks for it when it is missing or old.
#[derive(Default)]
pub struct Store {
    /// Of the service that was asked last.
    latest: ArcSwapOption<Catalogue>,
    /// How the service answered the last time. It is locked while the service is asked, so that all who want a newer catalogue
    /// wait for one answer.
    answer: Mutex<Option<Answer>>,
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
    /// The catalogue. An old one is given where the service fails to give a newer one; see [`Catalogue::age`].
    ///
    /// - Errors: those of the request, where there is none at all; `protocol` for an answer that is no catalogue.
    pub async fn catalogue(&self, settings: &Settings) -> Result<Arc<Catalogue>, Error> {
        Ok(self.listed(settings, Wish::Kept).await?.catalogue)
    }

    /// The catalogue if there is one, however old. Nobody is asked or waited for.
    pub fn known(&self, settings: &Settings) -> Option<Arc<Catalogue>> {
        let latest = self.latest.load();
        let latest = latest.as_ref()?;
        (latest.base_url == settings.service.base_url).then(|| Arc::clone(latest))
    }

    /// The catalogue, as new as it is wished for where the service can be asked.
    ///
    /// - Errors: those of [`Self::catalogue`].
    pub async fn listed(&self, settings: &Settings, wish: Wish) -> Result<Listed, Error> {
        let asked = Instant::now();
        let ttl = self.time_to_live(settings);
        let enough = |known: &Option<Arc<Catalogue>>| {
            let catalogue = known
                .as_ref()
                .filter(|catalogue| wish == Wish::Kept && catalogue.age() < ttl)?;
            tracing::debug!("models from cache");
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
            // What arrived while this one waited its turn is as new as anything it could ask for.
            let is_new = answer.at >= asked;
            let is_paused = wish == Wish::Kept && known.is_some() && answer.at.elapsed() < PAUSE_AFTER_FAILURE;
            match (&known, &answer.failure) {
                (Some(catalogue), None) if is_new => return Ok(listed(catalogue, None)),
                (Some(catalogue), Some(failure)) if is_new || is_paused => {
                    return Ok(listed(catalogue, Some(failure)));
                }
                (None, Some(failure)) if is_new => return Err(failure.clone()),
                _ => {}
            }
        }
        let disk = if ttl.is_zero() { None } else { self.disk(settings) };
        if let Some(disk) = &disk
            && (known.is_none() || wish == Wish::Kept)
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
        match wish {
            Wish::NewQuietly => tracing::debug!("fetching models"),
            Wish::Kept | Wish::New => tracing::info!("fetching models"),
        }
        let fetched = fetch_all(settings).await;
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
                match wish {
                    Wish::NewQuietly => tracing::debug!(age_ms, "no newer list of models: {error}"),
                    Wish::Kept | Wish::New => tracing::warn!(age_ms, "no newer list of models: {error}"),
                }
                Ok(listed(&catalogue, Some(&error)))
            }
            (Err(error), None) => Err(error),
        }
    }

    /// How long a catalogue is kept.
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

    /// Where the catalogue is kept beyond this process, if it is.
    fn disk(&self, settings: &Settings) -> Option<Disk> {
        match Disk::of(settings) {
            Ok(disk) => disk,
            Err(problem) => {
                if !self.has_warned_of_folder.swap(true, Ordering::Relaxed) {
                    tracing::warn!("the list of models is not kept on the disk: {problem}");
                }
                None
            }
        }
    }

    /// A store that has these entries of `GET /models` already.
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

async fn fetch_all(settings: &Settings) -> Result<Vec<Model>, Error> {
    let mut models = Vec::new();
    let mut links = HashSet::new();
    let mut n_unreadable = 0_usize;
    let mut fetched = fetch::get(settings, "/models").await?;
    loop {
        let page = page_from(&fetched.body)?;
        n_unreadable += page.n_unreadable;
        models.extend(page.models);
        let Some(next) = page.next else { break };
        // A service that leads in a circle would be asked for ever.
        if links.len() + 1 >= MAX_PAGES || !links.insert(next.clone()) {
            tracing::warn!(
                pages = links.len() + 1,
                "the list of models has no end; the rest is left out"
            );
            break;
        }
        fetched = fetch::get_next(settings, &next).await?;
    }
    if n_unreadable > 0 {
        tracing::warn!(
            entries = n_unreadable,
            "some models of the list are unreadable and were left out"
        );
    }
    Ok(models)
}
