//! The host's side: a plugin looks as if it lived in the host's own code.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::abi::{Instance, Module, Payload, module_of};
use crate::account::{Account, Credits, CreditsRequest};
use crate::catalogue::{ModelList, ModelsRequest};
use crate::chat::{ChatReply, ChatRequest, EventStream};
use crate::config::{Config, TierModel};
use crate::diagnose::{DiagnoseRequest, Finding};
use crate::embedding::{EmbedRequest, Embeddings};
use crate::error::{Error, ErrorKind, Problem};
use crate::http::{HttpAnswer, HttpRequest};
use crate::manifest::Manifest;
use crate::method;
use crate::provider::Provider;
use crate::services::HostServices;

/// A plugin's code and what it says of itself. It makes [`Plugin`]s.
#[derive(Clone)]
pub struct PluginModule {
    module: Module,
    manifest: Arc<Manifest>,
}

impl PluginModule {
    /// The module of a plugin that is linked into this program; it behaves like one from a file.
    ///
    /// - Errors: `config` if the manifest is not readable.
    pub fn linked<P: Provider>() -> Result<Self, Error> {
        Self::from_module(module_of::<P>()).map_err(|reason| Error::new(ErrorKind::CONFIG, reason))
    }

    pub(crate) fn from_module(module: Module) -> Result<Self, String> {
        let manifest = Manifest::parse(module.manifest_text())?;
        Ok(Self {
            module,
            manifest: Arc::new(manifest),
        })
    }

    /// What the plugin says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Creates an instance of the plugin.
    ///
    /// - Errors: the plugin's; `internal` if it panics.
    pub fn create(&self, services: Arc<dyn HostServices>, config: &Config) -> Result<Plugin, Error> {
        let config = Payload::of(config)?;
        let instance = self.module.create(services, config.json())?;
        Ok(Plugin {
            instance: Arc::new(instance),
            manifest: Arc::clone(&self.manifest),
        })
    }
}

/// An instance of a plugin. Clones share it. Futures and streams that it gave keep it alive.
#[derive(Clone)]
pub struct Plugin {
    instance: Arc<Instance>,
    manifest: Arc<Manifest>,
}

impl Plugin {
    /// What the plugin says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Sends a chat request and returns the whole answer. Dropping the future cancels the call.
    ///
    /// - Errors: the plugin's; what arrived of the answer is in `details.partial_text`.
    pub fn chat(&self, request: &ChatRequest) -> impl Future<Output = Result<ChatReply, Error>> + Send + use<> {
        let answer = Payload::of(request).map(|payload| self.instance.call(method::CHAT, payload));
        async move { answer?.await?.read() }
    }

    /// Sends a chat request and returns the answer's events as they arrive. Dropping the stream cancels the call.
    ///
    /// - Out: any number of events, the last of which is [`ChatEvent::Done`](crate::ChatEvent::Done).
    /// - Errors: what fails before the first event comes from the future, what fails later from the stream; `protocol`
    ///   from the stream if it ends without `Done`.
    pub fn stream(&self, request: &ChatRequest) -> impl Future<Output = Result<EventStream, Error>> + Send + use<> {
        let opening = Payload::of(request).map(|payload| self.instance.open(method::STREAM, payload));
        async move { Ok(EventStream::new(opening?.await?).until_done()) }
    }

    /// Which model each tier stands for under the present options, and why.
    pub async fn tiers(&self) -> Result<Vec<TierModel>, Error> {
        self.instance
            .call(method::TIERS, Payload::from_json("null".to_owned()))
            .await?
            .read()
    }

    /// What the plugin finds wrong with `options` beyond what their schema can express.
    pub async fn check(&self, options: &Value) -> Result<Vec<Problem>, Error> {
        self.instance.call(method::CHECK, Payload::of(options)?).await?.read()
    }

    /// Replaces the options. Calls that have begun keep the ones that they began with.
    ///
    /// - Errors: `config` with every problem in `details.problems`; the former options then stay.
    pub async fn configure(&self, config: &Config) -> Result<(), Error> {
        self.instance
            .call(method::CONFIGURE, Payload::of(config)?)
            .await
            .map(drop)
    }

    /// Lets the plugin check everything that a call depends on.
    pub async fn diagnose(&self, request: DiagnoseRequest) -> Result<Vec<Finding>, Error> {
        self.instance
            .call(method::DIAGNOSE, Payload::of(&request)?)
            .await?
            .read()
    }

    /// What the service says about the key and its credit.
    pub async fn account(&self) -> Result<Account, Error> {
        self.instance
            .call(method::ACCOUNT, Payload::from_json("null".to_owned()))
            .await?
            .read()
    }

    /// Sends any request to the service behind the plugin and returns its answer as it was written. Dropping the future cancels it.
    ///
    /// - Errors: an answer with another status than success is one, and stands in `details.answer`.
    pub fn raw(&self, request: HttpRequest) -> impl Future<Output = Result<HttpAnswer, Error>> + Send + use<> {
        let answer = request
            .into_payload()
            .map(|payload| self.instance.call(method::RAW, payload));
        async move { HttpAnswer::from_payload(answer?.await?) }
    }

    /// The same for an answer that is an event stream: `Head`, then `Raw` as it arrives, then `Done`. Signs of life and notices may
    /// come before the head. Dropping the stream cancels the request.
    ///
    /// - Errors: what fails before anything has arrived comes from the future, what fails later from the stream.
    pub fn raw_stream(&self, request: HttpRequest) -> impl Future<Output = Result<EventStream, Error>> + Send + use<> {
        let opening = request
            .into_payload()
            .map(|payload| self.instance.open(method::RAW, payload));
        async move { Ok(EventStream::new(opening?.await?).until_done()) }
    }

    /// The models of the service.
    pub async fn models(&self, request: ModelsRequest) -> Result<ModelList, Error> {
        self.instance.call(method::MODELS, Payload::of(&request)?).await?.read()
    }

    /// What is left to spend.
    pub async fn credits(&self, request: CreditsRequest) -> Result<Credits, Error> {
        self.instance
            .call(method::CREDITS, Payload::of(&request)?)
            .await?
            .read()
    }

    /// Turns texts into vectors.
    pub async fn embed(&self, request: &EmbedRequest) -> Result<Embeddings, Error> {
        Embeddings::from_payload(&self.instance.call(method::EMBED, Payload::of(request)?).await?)
    }

    /// Calls any method by name.
    pub fn call(&self, method: &str, payload: Payload) -> impl Future<Output = Result<Payload, Error>> + Send + use<> {
        self.instance.call(method, payload)
    }

    /// Calls any method by name that answers with a stream. What its end means is between the plugin and the caller.
    pub fn open(
        &self,
        method: &str,
        payload: Payload,
    ) -> impl Future<Output = Result<EventStream, Error>> + Send + use<> {
        let opening = self.instance.open(method, payload);
        async move { Ok(EventStream::new(opening.await?)) }
    }

    /// Ends the plugin's work, at the latest after `deadline`. Calls after it fail with `shut_down`.
    pub fn shutdown(&self, deadline: Duration) -> impl Future<Output = Result<(), Error>> + Send + use<> {
        self.instance.shutdown(deadline)
    }
}
