//! The host's side of the boundary: a loaded plugin, used like code of the host's own.
//!
//! [`PluginModule`] is the code, [`Plugin`] an instance of it. The methods mirror [`Provider`].

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::abi::{Instance, Module, Payload, module_of};
use crate::account::{Account, Credits, CreditsRequest};
use crate::cache::CacheUse;
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
use crate::sign_in::{Redeem, SignIn, SignInRequest, SignedIn};

/// A plugin's code and its manifest. It creates [`Plugin`]s.
///
/// Get one from a file with [`loader::load`](crate::loader::load), or from a linked crate with
/// [`linked`](Self::linked).
#[derive(Clone)]
pub struct PluginModule {
    module: Module,
    manifest: Arc<Manifest>,
}

impl PluginModule {
    /// The module of a plugin that is linked into this program. It behaves like one from a file, except that it shares
    /// the program's `tracing` and panic hook.
    ///
    /// - Errors: `config` if the manifest is malformed.
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

    /// What the plugin declares about itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Lists the problems of `options` that their JSON Schema cannot express. It needs neither an instance nor a key.
    ///
    /// Call it before [`create`](Self::create) and [`Plugin::configure`], and give them no options with a problem that
    /// is not a [warning](Problem::warning).
    ///
    /// - In: `services`, for a plugin older than 1.3: it needs an instance to check options, so one is created for it,
    ///   without options and key. Such a plugin may write its log to those of its first instance for good.
    /// - Errors: `internal` if the plugin panics.
    /// - Since: 1.3.
    pub async fn check(&self, services: Arc<dyn HostServices>, options: &Value) -> Result<Vec<Problem>, Error> {
        if let Some(problems) = self.module.check(Payload::of(options)?) {
            return problems?.read();
        }
        let config = Config {
            options: json!({}),
            ..Config::default()
        };
        self.create(services, &config)?.check(options).await
    }

    /// Creates an instance of the plugin. [`check`](Self::check) the options first.
    ///
    /// - Errors: those of [`Provider::create`]; `internal` if it panics.
    pub fn create(&self, services: Arc<dyn HostServices>, config: &Config) -> Result<Plugin, Error> {
        let config = Payload::of(config)?;
        let instance = self.module.create(services, config.json())?;
        Ok(Plugin {
            instance: Arc::new(instance),
            manifest: Arc::clone(&self.manifest),
        })
    }
}

/// An instance of a plugin. Clones share it.
///
/// Futures and streams keep the instance alive, and dropping one cancels its call. Every method can fail with
/// `unsupported` if the plugin does not have it, `internal` if the plugin panics, and `shut_down` after
/// [`shutdown`](Self::shutdown).
#[derive(Clone)]
pub struct Plugin {
    instance: Arc<Instance>,
    manifest: Arc<Manifest>,
}

impl Plugin {
    /// What the plugin declares about itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Sends a chat request and returns the whole answer.
    ///
    /// - Errors: the plugin's, with the part of the answer that arrived in `details.partial_text`.
    pub fn chat(&self, request: &ChatRequest) -> impl Future<Output = Result<ChatReply, Error>> + Send + use<> {
        let answer = Payload::of(request).map(|payload| self.instance.call(method::CHAT, payload));
        async move { answer?.await?.read() }
    }

    /// Sends a chat request and returns the answer's events as they arrive.
    ///
    /// - Out: any number of events, the last of which is [`ChatEvent::Done`](crate::ChatEvent::Done).
    /// - Errors: failures before the first event come from the future, later ones from the stream; `protocol` from the
    ///   stream if it ends without `Done`.
    pub fn stream(&self, request: &ChatRequest) -> impl Future<Output = Result<EventStream, Error>> + Send + use<> {
        let opening = Payload::of(request).map(|payload| self.instance.open(method::STREAM, payload));
        async move { Ok(EventStream::new(opening?.await?).until_done()) }
    }

    /// Lists the model that each tier stands for with the current options, and why.
    pub async fn tiers(&self) -> Result<Vec<TierModel>, Error> {
        self.ask(method::TIERS, &()).await
    }

    /// Lists the problems of `options` that their JSON Schema cannot express. Nothing changes.
    pub async fn check(&self, options: &Value) -> Result<Vec<Problem>, Error> {
        self.ask(method::CHECK, options).await
    }

    /// Replaces the options. Calls in flight keep those they started with.
    ///
    /// - Errors: `config` with every problem in `details.problems`; the previous options then stay in force.
    pub async fn configure(&self, config: &Config) -> Result<(), Error> {
        let payload = Payload::of(config)?;
        self.instance.call(method::CONFIGURE, payload).await.map(drop)
    }

    /// Lets the plugin check everything that a call depends on: key, account, service, models, settings.
    ///
    /// - Out: one finding for each check, also for those that failed or were impossible.
    /// - Since: 1.1.
    pub async fn diagnose(&self, request: DiagnoseRequest) -> Result<Vec<Finding>, Error> {
        self.ask(method::DIAGNOSE, &request).await
    }

    /// Asks the service about the key: its limit, its use, its expiry.
    ///
    /// - Errors: `auth` if the service refuses the key.
    /// - Since: 1.1.
    pub async fn account(&self) -> Result<Account, Error> {
        self.ask(method::ACCOUNT, &()).await
    }

    /// Sends any HTTP request to the service behind the plugin and returns its answer as written.
    ///
    /// - Errors: an answer whose status is not a success is an error, with the answer in `details.answer`.
    /// - Since: 1.2.
    pub fn raw(&self, request: HttpRequest) -> impl Future<Output = Result<HttpAnswer, Error>> + Send + use<> {
        let answer = request
            .into_payload()
            .map(|payload| self.instance.call(method::RAW, payload));
        async move { HttpAnswer::from_payload(answer?.await?) }
    }

    /// Sends any HTTP request whose answer is an event stream, and passes that answer on as it arrives.
    ///
    /// - Out: `Head`, any number of `Raw`, `Done`. Keep-alive comments and notices may come before `Head`.
    /// - Errors: failures before the answer starts come from the future, later ones from the stream.
    /// - Since: 1.2.
    pub fn raw_stream(&self, request: HttpRequest) -> impl Future<Output = Result<EventStream, Error>> + Send + use<> {
        let opening = request
            .into_payload()
            .map(|payload| self.instance.open(method::RAW, payload));
        async move { Ok(EventStream::new(opening?.await?).until_done()) }
    }

    /// Lists the service's models.
    ///
    /// - Since: 1.2.
    pub async fn models(&self, request: ModelsRequest) -> Result<ModelList, Error> {
        self.ask(method::MODELS, &request).await
    }

    /// Reports the credit that is left.
    ///
    /// - Since: 1.2.
    pub async fn credits(&self, request: CreditsRequest) -> Result<Credits, Error> {
        self.ask(method::CREDITS, &request).await
    }

    /// Counts what the plugin's caches had and lacked. Only for plugins that list `caches` in [`Manifest::methods`].
    ///
    /// - Since: 1.3.
    pub async fn caches(&self) -> Result<Vec<CacheUse>, Error> {
        self.ask(method::CACHES, &()).await
    }

    /// Turns texts into vectors.
    ///
    /// - Errors: `protocol` if the vectors differ in length.
    /// - Since: 1.2.
    pub async fn embed(&self, request: &EmbedRequest) -> Result<Embeddings, Error> {
        Embeddings::from_payload(&self.instance.call(method::EMBED, Payload::of(request)?).await?)
    }

    /// Begins to sign in, for users without a key. Only for plugins that list `sign_in` and `redeem` in
    /// [`Manifest::methods`].
    ///
    /// - Since: 1.3.
    pub async fn sign_in(&self, request: &SignInRequest) -> Result<SignIn, Error> {
        self.ask(method::SIGN_IN, request).await
    }

    /// Exchanges the code of a sign-in for a key.
    ///
    /// - Since: 1.3.
    pub async fn redeem(&self, redeem: &Redeem) -> Result<SignedIn, Error> {
        self.ask(method::REDEEM, redeem).await
    }

    /// Calls any method by name, such as one that the plugin adds to those in [`method`].
    pub fn call(&self, method: &str, payload: Payload) -> impl Future<Output = Result<Payload, Error>> + Send + use<> {
        self.instance.call(method, payload)
    }

    /// Calls any method by name that answers with a stream. The stream may end without `Done`.
    pub fn open(
        &self,
        method: &str,
        payload: Payload,
    ) -> impl Future<Output = Result<EventStream, Error>> + Send + use<> {
        let opening = self.instance.open(method, payload);
        async move { Ok(EventStream::new(opening.await?)) }
    }

    /// Ends all of the plugin's work, within `deadline`. Later calls fail with `shut_down`.
    pub fn shutdown(&self, deadline: Duration) -> impl Future<Output = Result<(), Error>> + Send + use<> {
        self.instance.shutdown(deadline)
    }

    /// Calls a method that takes and gives JSON alone.
    async fn ask<T: DeserializeOwned>(&self, method: &str, request: &impl Serialize) -> Result<T, Error> {
        self.instance.call(method, Payload::of(request)?).await?.read()
    }
}
