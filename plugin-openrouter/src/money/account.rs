//! Caches what the service reports about the key and its credit.
//!
//! In: the replies of `/key` and `/credits`, fetched together by [`crate::money::asked`].
//! Out: an [`Account`], and the balance that [`crate::money::credits`] keeps up to date.
//! Concurrent callers share one fetch. A stale balance is returned rather than an error, and says that it is stale.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use plugin_api::{Account, Credits, Error};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use crate::money::asked::{ask, no_account};
use crate::money::credits;
use crate::service::Settings;
use crate::service::kept::{PAUSE_AFTER_FAILURE, Refresh, Uses, ttl};

/// How long an account is cached unless the profile or the environment sets a time, in milliseconds.
const DEFAULT_TTL_MS: u64 = 300_000;

/// Caches the service's report, and fetches it when it is missing or old.
#[derive(Default)]
pub struct Store {
    last: ArcSwapOption<Last>,
    /// Locked during a fetch, so that everybody who needs a newer report waits for the same one.
    fetching: Mutex<()>,
    credits: credits::Store,
    pub uses: Uses,
    has_warned: AtomicBool,
}

/// The service's latest report. It has no `Debug`, because it contains the key.
struct Last {
    /// The service and the key that the report is about.
    base_url: String,
    secret: Zeroizing<String>,
    account: Result<Account, Error>,
    /// Why the credit is missing, if it is. The credit itself is in [`credits::Store`].
    credit: Result<(), Error>,
    at: Instant,
}

impl Store {
    /// The credit as far as it is known without a fetch.
    pub fn credits(&self) -> &credits::Store {
        &self.credits
    }

    /// What the service reports about the key and its credit.
    ///
    /// - Out: no balance if the key may not read it, which is true of most keys.
    /// - Errors: `auth` if the key is missing or refused; `unsupported` if the service has no `/key`; `protocol` for an
    ///   unreadable reply; those of [`fetch::get`]. Errors are not cached.
    /// - Source: OpenRouter docs, `api_reference/limits` and `api_reference/credits`.
    pub async fn account(&self, settings: &Settings) -> Result<Account, Error> {
        let ttl = self.time_to_live(settings);
        let is_enough = |last: &Last| last.account.is_ok() && last.at.elapsed() < ttl;
        self.report(settings, Refresh::IfExpired, is_enough)
            .await?
            .account
            .clone()
    }

    /// The remaining credit. If the service fails to report a newer balance, the old one is returned as stale.
    ///
    /// - Errors: those of [`Self::account`], if no balance is known at all.
    pub async fn balance(&self, settings: &Settings, refresh: Refresh) -> Result<Credits, Error> {
        let ttl = self.time_to_live(settings);
        let is_enough = |last: &Last| {
            let time = match last.credit {
                Ok(()) => ttl,
                Err(_) if self.credits.known().is_some() => PAUSE_AFTER_FAILURE,
                Err(_) => Duration::ZERO,
            };
            last.at.elapsed() < time
        };
        let report = self.report(settings, refresh, is_enough).await?;
        let problem = report.credit.as_ref().err();
        match (self.credits.known(), problem) {
            (Some(credits), None) => Ok(credits),
            (Some(credits), Some(problem)) => Ok(Credits {
                is_stale: true,
                problem: Some(problem.message.clone()),
                ..credits
            }),
            (None, problem) => Err(problem.cloned().unwrap_or_else(no_account)),
        }
    }

    /// The latest report if `refresh` allows it and it is recent enough, otherwise a new one.
    ///
    /// - Errors: `auth` without a key.
    async fn report(
        &self,
        settings: &Settings,
        refresh: Refresh,
        is_enough: impl Fn(&Last) -> bool,
    ) -> Result<Arc<Last>, Error> {
        let begun = Instant::now();
        let secret = &settings.key()?.secret;
        let last = || {
            let last = self.last.load_full();
            last.filter(|last| last.base_url == settings.service.base_url && last.secret == *secret)
        };
        let from_cache = |last: Arc<Last>| {
            tracing::debug!("credits from cache");
            self.uses.count(refresh, true);
            Ok(last)
        };
        let is_enough = |last: &Last| refresh == Refresh::IfExpired && is_enough(last);
        if let Some(last) = last().filter(|last| is_enough(last)) {
            return from_cache(last);
        }
        let _fetching = self.fetching.lock().await;
        // A report that arrived during the wait for the lock is as new as anything this caller could fetch.
        if let Some(last) = last().filter(|last| last.at >= begun || is_enough(last)) {
            return from_cache(last);
        }
        let previous_source = match last() {
            Some(_) => self.credits.source(),
            // The known credit belongs to another key.
            None => {
                self.credits.forget();
                None
            }
        };
        self.uses.count(refresh, false);
        let replies = ask(settings).await;
        let credit = replies
            .credit(settings, previous_source)
            .map(|reported| self.credits.update(reported));
        if let (Err(error), Some(credits)) = (&credit, self.credits.known()) {
            let age_ms = credits.age_ms;
            match refresh {
                Refresh::InBackground => tracing::debug!(age_ms, "no newer credits: {error}"),
                Refresh::IfExpired | Refresh::Now => tracing::warn!(age_ms, "no newer credits: {error}"),
            }
        }
        let last = Arc::new(Last {
            base_url: settings.service.base_url.clone(),
            secret: secret.clone(),
            account: replies.read(settings).map(|known| known.account),
            credit,
            at: Instant::now(),
        });
        self.last.store(Some(Arc::clone(&last)));
        Ok(last)
    }

    /// How long a report is cached.
    pub fn time_to_live(&self, settings: &Settings) -> Duration {
        let variable = "OPENROUTER_CACHE_TTL_CREDITS";
        let value = settings.profile.environment.get(variable).map(String::as_str);
        let (ttl, wrong) = ttl(settings.profile.options.caches.credits_ms, value, DEFAULT_TTL_MS);
        if let Some(wrong) = wrong
            && !self.has_warned.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(variable, "{wrong}");
        }
        ttl
    }
}

#[cfg(test)]
mod tests;
