//! OpenRouter's models for any agent host that speaks plugin-api.
//!
//! The options of a profile become `service::Settings`. `request` plans a call and builds its body, `service` sends it,
//! and `answer` turns the response into events. `failure` classifies errors and decides on retries and fallbacks.
//! `call` runs these steps for one call, and `service::gate` holds the state that calls share.
//! `models` and `money` keep the model list, the balance and the ledger.
//! Decisions are pure functions; waits and I/O are in `service`, `models`, `money`, `call`, `refresh` and `diagnose`.

// In the order in which data travels.
mod values;
mod profile;
mod request;
mod failure;
mod files;
mod service;
mod models;
mod money;
mod answer;
mod call;
mod refresh;
mod diagnose;
#[cfg(test)]
mod kit;

#[cfg(fuzzing)]
pub use crate::answer::golden;

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use plugin_api::runtime::Runtime;
use plugin_api::{
    Account, CacheUse, ChatReply, ChatRequest, Config, Credits, CreditsRequest, DiagnoseRequest, EmbedRequest,
    Embeddings, Error, EventStream, Finding, Host, HttpAnswer, HttpRequest, ModelList, ModelsRequest, Problem,
    Provider, Redeem, SignIn, SignInRequest, SignedIn, TierModel,
};
use serde_json::Value;
use zeroize::Zeroize;

use crate::call::Common;
use crate::refresh::Refresher;
use crate::request::Ask;
use crate::service::Settings;
use crate::service::kept::Refresh;
use crate::service::sign_in;
use crate::values::base_url::origin_of;

/// Shortest time that shutdown leaves for writing the last bookings, whatever the deadline.
const LAST_BOOKINGS: Duration = Duration::from_millis(200);

/// The plugin.
pub struct OpenRouter {
    /// The settings for calls that begin now.
    settings: Arc<ArcSwap<Settings>>,
    common: Arc<Common>,
    runtime: Arc<Runtime>,
    refresher: Refresher,
}

impl OpenRouter {
    fn settings(&self) -> Result<Arc<Settings>, Error> {
        self.runtime.ready()?;
        Ok(self.settings.load_full())
    }

    /// Returns what a new call needs, and starts a refresh of the caches if one is due.
    fn for_a_call(&self) -> Result<(Arc<Settings>, Arc<Common>), Error> {
        let settings = self.settings()?;
        self.refresher.touch(&self.runtime, &self.settings, &self.common);
        Ok((settings, Arc::clone(&self.common)))
    }
}

impl Provider for OpenRouter {
    const MANIFEST: &'static str = profile::manifest::TEXT;

    fn create(_host: Host, config: &str) -> Result<Self, Error> {
        let settings = settings_from(config, None)?;
        tracing::info!(base_url = origin_of(&settings.service.base_url), "initialised");
        Ok(Self {
            settings: Arc::new(ArcSwap::new(settings)),
            common: Arc::default(),
            runtime: Arc::new(Runtime::start("openrouter")?),
            refresher: Refresher::default(),
        })
    }

    async fn chat(&self, request: ChatRequest) -> Result<ChatReply, Error> {
        let (settings, common) = self.for_a_call()?;
        self.runtime.spawn(call::chat(settings, common, request)).await
    }

    async fn stream(&self, request: ChatRequest) -> Result<EventStream, Error> {
        let (settings, common) = self.for_a_call()?;
        let answer = call::stream(&self.runtime, settings, common, || Ok(Ask::chat(request))).await?;
        Ok(EventStream::of(answer))
    }

    async fn raw(&self, request: HttpRequest) -> Result<HttpAnswer, Error> {
        let (settings, common) = self.for_a_call()?;
        self.runtime.spawn(call::raw(settings, common, request)).await
    }

    async fn raw_stream(&self, request: HttpRequest) -> Result<EventStream, Error> {
        let (settings, common) = self.for_a_call()?;
        let answer = call::stream(&self.runtime, settings, common, || Ask::raw(request)).await?;
        Ok(EventStream::of(answer))
    }

    async fn embed(&self, request: EmbedRequest) -> Result<Embeddings, Error> {
        let (settings, common) = self.for_a_call()?;
        self.runtime.spawn(call::embed(settings, common, request)).await
    }

    fn tiers(&self) -> Result<Vec<TierModel>, Error> {
        let settings = self.settings()?;
        let models = profile::tiers::all().iter().map(|tier| {
            let choice = settings.profile.choice(*tier);
            TierModel {
                tier: tier.name().to_owned(),
                split: settings.profile.split(&choice).cloned().unwrap_or_default(),
                configured: choice.configured,
                wire: choice.wire,
                origin: choice.origin.to_string(),
                follows: choice.origin.via().map(|tier| tier.name().to_owned()),
                note: choice.note,
                fallbacks: request::plan::fallbacks_of(&settings.profile, *tier),
            }
        });
        Ok(models.collect())
    }

    fn check(options: &Value) -> Vec<Problem> {
        profile::check::problems_of(options)
    }

    fn configure(&self, config: &str) -> Result<(), Error> {
        let settings = settings_from(config, Some(&*self.settings()?))?;
        self.settings.store(settings);
        tracing::info!("options replaced");
        Ok(())
    }

    async fn diagnose(&self, request: DiagnoseRequest) -> Result<Vec<Finding>, Error> {
        let (settings, common) = (self.settings()?, Arc::clone(&self.common));
        let runtime = Arc::clone(&self.runtime);
        let work = async move { Ok(diagnose::diagnose(&runtime, &settings, &common, request).await) };
        self.runtime.spawn(work).await
    }

    async fn account(&self) -> Result<Account, Error> {
        let (settings, common) = (self.settings()?, Arc::clone(&self.common));
        self.runtime
            .spawn(async move { common.account.account(&settings).await })
            .await
    }

    async fn models(&self, request: ModelsRequest) -> Result<ModelList, Error> {
        let (settings, common) = (self.settings()?, Arc::clone(&self.common));
        if !request.offline {
            self.refresher.touch(&self.runtime, &self.settings, &self.common);
        }
        let work = async move { common.catalogue.answer(&settings, &request).await };
        self.runtime.spawn(work).await
    }

    async fn credits(&self, request: CreditsRequest) -> Result<Credits, Error> {
        let (settings, common) = (self.settings()?, Arc::clone(&self.common));
        self.refresher.touch(&self.runtime, &self.settings, &self.common);
        let refresh = if request.force {
            Refresh::Now
        } else {
            Refresh::IfExpired
        };
        self.runtime
            .spawn(async move { common.account.balance(&settings, refresh).await })
            .await
    }

    fn caches(&self) -> Result<Vec<CacheUse>, Error> {
        let common = &self.common;
        Ok(vec![
            common.catalogue.uses.counted("models"),
            common.every_model.uses.counted("every_model"),
            common.account.uses.counted("credits"),
        ])
    }

    async fn sign_in(&self, request: SignInRequest) -> Result<SignIn, Error> {
        sign_in::begin(&self.settings()?.service.base_url, request.callback_url.as_deref())
    }

    async fn redeem(&self, redeem: Redeem) -> Result<SignedIn, Error> {
        let settings = self.settings()?;
        self.runtime
            .spawn(async move { sign_in::redeem(&settings, &redeem).await })
            .await
    }

    async fn shutdown(&self, deadline: Duration) {
        let begun = Instant::now();
        self.runtime.shutdown(deadline).await;
        // The cost of the last calls must be written before the host exits.
        let left = deadline.saturating_sub(begun.elapsed());
        self.common.guard.flush(left.max(LAST_BOOKINGS));
    }
}

/// Parses a configuration into settings, and wipes the keys in it.
fn settings_from(config: &str, previous: Option<&Settings>) -> Result<Arc<Settings>, Error> {
    let mut config = Config::parse(config)?;
    let settings = Settings::from_config(&config, previous);
    config.environment.values_mut().for_each(Zeroize::zeroize);
    settings
}

#[cfg(feature = "export")]
plugin_api::export_plugin!(OpenRouter);
