//! What the service says about the key and its credit.
//!
//! In: the answers of `/key` and `/credits`, which are asked for together and here only. Out: an [`Account`], and what
//! [`crate::money::credits`] makes of it, both kept by the [`Store`] for a while. Amounts stay the decimal numbers that the service
//! wrote, and what it does not tell stays unknown: nothing here becomes zero for want of an answer.

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
use crate::service::kept::{PAUSE_AFTER_FAILURE, Refresh, ttl};

/// How long an account is kept unless somebody says otherwise, in milliseconds.
const DEFAULT_TTL_MS: u64 = 300_000;

/// Keeps what the service says, and asks for it when it is missing or old.
#[derive(Default)]
pub struct Store {
    last: ArcSwapOption<Last>,
    /// Is locked while the service is asked, so that all who want a newer answer wait for one.
    asking: Mutex<()>,
    credits: credits::Store,
    has_warned: AtomicBool,
}

/// What the service said the last time. It has no `Debug`, because of the key.
struct Last {
    /// The service and the key that all of this is about.
    base_url: String,
    secret: Zeroizing<String>,
    account: Result<Account, Error>,
    /// Why it says nothing of the credit, if it does not. What it says, the store of the credit has.
    credit: Result<(), Error>,
    at: Instant,
}

impl Store {
    /// What is known of the credit without asking.
    pub fn credits(&self) -> &credits::Store {
        &self.credits
    }

    /// What the service says about the key and its credit.
    ///
    /// - Out: no balance where the key may not ask for it, which is so for most keys.
    /// - Errors: `auth` if the key is missing or refused; `unsupported` by a service that has no `/key`; `protocol` for an
    ///   answer that cannot be read; those of [`fetch::get`]. None of them is kept.
    /// - Source: OpenRouter docs, `api_reference/limits` and `api_reference/credits`.
    pub async fn account(&self, settings: &Settings) -> Result<Account, Error> {
        let ttl = self.time_to_live(settings);
        let is_enough = |last: &Last| last.account.is_ok() && last.at.elapsed() < ttl;
        self.answer(settings, Refresh::IfExpired, is_enough)
            .await?
            .account
            .clone()
    }

    /// What is left to spend. An old balance is given where the service fails to tell a newer one.
    ///
    /// - Errors: where nothing is known at all: those of [`Self::account`].
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
        let answer = self.answer(settings, refresh, is_enough).await?;
        let problem = answer.credit.as_ref().err();
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

    /// The last answer if it is wished for and enough, or else a new one.
    ///
    /// - Errors: `auth` without a key.
    async fn answer(
        &self,
        settings: &Settings,
        refresh: Refresh,
        is_enough: impl Fn(&Last) -> bool,
    ) -> Result<Arc<Last>, Error> {
        let asked = Instant::now();
        let secret = &settings.key()?.secret;
        let last = || {
            let last = self.last.load_full();
            last.filter(|last| last.base_url == settings.service.base_url && last.secret == *secret)
        };
        let from_cache = |last: Arc<Last>| {
            tracing::debug!("credits from cache");
            Ok(last)
        };
        let is_enough = |last: &Last| refresh == Refresh::IfExpired && is_enough(last);
        if let Some(last) = last().filter(|last| is_enough(last)) {
            return from_cache(last);
        }
        let _asking = self.asking.lock().await;
        // What arrived while this one waited its turn is as new as anything it could ask for.
        if let Some(last) = last().filter(|last| last.at >= asked || is_enough(last)) {
            return from_cache(last);
        }
        let former = match last() {
            Some(_) => self.credits.source(),
            // What is known is about another key.
            None => {
                self.credits.forget();
                None
            }
        };
        let answers = ask(settings).await;
        let credit = answers.credit(settings, former).map(|told| self.credits.tell(told));
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
            account: answers.read(settings).map(|known| known.account),
            credit,
            at: Instant::now(),
        });
        self.last.store(Some(Arc::clone(&last)));
        Ok(last)
    }

    /// How long an answer is kept.
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
