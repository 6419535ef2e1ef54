//! OpenRouter's models for any agent host that speaks plugin-api.
//!
//! A request is read top to bottom: the profile's options become `settings`, a chat request becomes a body
//! (`request`), goes out (`http`), and what comes back is cut into frames (`sse`), understood (`reply`) and
//! handed on as events (`call`). What decides is pure; what waits is in `http` and `call`.

// In the order in which data travels.
mod manifest;
mod wire;
mod slug;
mod parameters;
mod preferences;
mod policy;
mod options;
mod model_id;
mod tiers;
mod base_url;
mod check;
mod client;
mod settings;
mod fetch;
mod catalogue;
mod ledger;
mod spend;
mod account;
mod diagnose;
mod request;
mod http;
mod intake;
mod sse;
mod usage;
mod reply;
mod failure;
mod call;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use plugin_api::runtime::Runtime;
use plugin_api::{ChatReply, ChatRequest, Config, Error, ErrorKind, EventStream, Host, Problem, Provider, TierModel};
use serde_json::Value;

use crate::settings::Settings;

/// The plugin.
pub struct OpenRouter {
    /// What calls that begin now work with.
    settings: ArcSwap<Settings>,
    runtime: Runtime,
}

impl OpenRouter {
    fn settings(&self) -> Result<Arc<Settings>, Error> {
        if self.runtime.is_shut_down() {
            return Err(Error::new(ErrorKind::SHUT_DOWN, "the plugin was shut down"));
        }
        Ok(self.settings.load_full())
    }
}

impl Provider for OpenRouter {
    const MANIFEST: &'static str = manifest::TEXT;

    fn create(_host: Host, config: &str) -> Result<Self, Error> {
        let settings = Settings::from_config(&read_config(config)?, None)?;
        tracing::info!(base_url = settings.base_url.as_str(), "initialised");
        Ok(Self {
            settings: ArcSwap::new(settings),
            runtime: Runtime::start("openrouter")?,
        })
    }

    async fn chat(&self, request: ChatRequest) -> Result<ChatReply, Error> {
        let settings = self.settings()?;
        self.runtime.spawn(call::chat(settings, request)).await
    }

    async fn stream(&self, request: ChatRequest) -> Result<EventStream, Error> {
        let settings = self.settings()?;
        let answer = self.runtime.spawn(call::stream(settings, request)).await?;
        Ok(EventStream::new(answer))
    }

    fn tiers(&self) -> Result<Vec<TierModel>, Error> {
        let settings = self.settings()?;
        let models = tiers::all().iter().map(|tier| {
            let choice = tiers::resolve(*tier, &settings.options, &settings.environment);
            TierModel {
                tier: tier.name().to_owned(),
                configured: choice.configured,
                wire: choice.wire,
                origin: choice.origin.to_string(),
                follows: choice.origin.via().map(|tier| tier.name().to_owned()),
                note: choice.note,
                fallbacks: Vec::new(),
            }
        });
        Ok(models.collect())
    }

    fn check(options: &Value) -> Vec<Problem> {
        settings::problems_of(options)
    }

    fn configure(&self, config: &str) -> Result<(), Error> {
        let config = read_config(config)?;
        let settings = Settings::from_config(&config, Some(&*self.settings()?))?;
        self.settings.store(settings);
        tracing::info!("options replaced");
        Ok(())
    }

    async fn shutdown(&self, deadline: Duration) {
        self.runtime.shutdown(deadline).await;
    }
}

fn read_config(config: &str) -> Result<Config, Error> {
    serde_json::from_str(config).map_err(|_| {
        Error::new(
            ErrorKind::CONFIG,
            "the host's configuration is not readable: expected a `Config`",
        )
    })
}

#[cfg(feature = "export")]
plugin_api::export_plugin!(OpenRouter);
