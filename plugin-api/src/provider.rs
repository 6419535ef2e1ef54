//! The author's side of the boundary: one async trait. [`Plugin`](crate::Plugin) is the same trait seen by a host.

use std::future::{self, Future};
use std::time::Duration;

use serde_json::Value;

use crate::abi::{Host, Payload};
use crate::account::{Account, Credits, CreditsRequest};
use crate::cache::CacheUse;
use crate::catalogue::{ModelList, ModelsRequest};
use crate::chat::{ChatReply, ChatRequest, EventStream};
use crate::config::TierModel;
use crate::diagnose::{DiagnoseRequest, Finding};
use crate::embedding::{EmbedRequest, Embeddings};
use crate::error::{Error, Problem};
use crate::http::{HttpAnswer, HttpRequest};
use crate::method;
use crate::sign_in::{Redeem, SignIn, SignInRequest, SignedIn};

/// A plugin. Implement it and export it with `export_plugin!(TheType);`.
///
/// `MANIFEST`, `create` and either `stream` or `chat` are all a plugin needs; a method without an implementation fails
/// with `unsupported`. When the host drops a call, the method's future or stream is dropped: stop the work there. A
/// panic becomes an `internal` error of the call it happened in; its text reaches only a log at level trace.
///
/// # When what is called
///
/// | | when | with | deadline |
/// |---|---|---|---|
/// | [`check`](Self::check) | before `create` and `configure` | options alone: no instance, no key | none: answer at once |
/// | [`create`](Self::create) | for each instance | options that `check` accepts, environment | none: answer at once |
/// | [`configure`](Self::configure) | for each accepted edit, and for a new key | as `create` | none: answer at once |
/// | all other methods | between `create` and `shutdown` | their requests | yours; the host may drop the call |
/// | [`shutdown`](Self::shutdown) | at the end; a host may also just drop the instance | a deadline | that one |
///
/// All methods may run concurrently, `create` for several instances and `configure` during calls among them. Methods
/// that are not `async` run on a thread of the host, which waits for them, so they must not block.
pub trait Provider: Send + Sync + Sized + 'static {
    /// The plugin's [`Manifest`](crate::Manifest) as JSON, without `plugin_api`. Hosts read it from the library file
    /// before they run any code.
    const MANIFEST: &'static str;

    /// Creates an instance. It uses no network; what needs one is checked by the first call and by `diagnose`.
    ///
    /// - In: `config`, a [`Config`](crate::Config) as JSON, for [`Config::parse`](crate::Config::parse). Its options
    ///   may be absent, and may break the schema: a host should check them first, but need not. Its environment has
    ///   those variables of the manifest that are set. Keep `host` if the plugin calls the host's services.
    /// - Errors: `config` if the options cannot be used; `auth` if the key is malformed. A missing key is no error
    ///   here, because hosts list tiers without one. The calls that need it fail with `auth`.
    fn create(host: Host, config: &str) -> Result<Self, Error>;

    /// Answers a chat request with a stream of events, the last of which is [`Done`](crate::ChatEvent::Done).
    ///
    /// - Errors: return those known before the first event, such as a refused key; send later ones through the stream.
    fn stream(&self, _request: ChatRequest) -> impl Future<Output = Result<EventStream, Error>> + Send {
        future::ready(Err(Error::unsupported(method::STREAM)))
    }

    /// Answers a chat request in one piece. The default collects `stream`.
    fn chat(&self, request: ChatRequest) -> impl Future<Output = Result<ChatReply, Error>> + Send {
        async move { self.stream(request).await?.collect().await }
    }

    /// Lists the model that each tier stands for with the current options, and why.
    fn tiers(&self) -> Result<Vec<TierModel>, Error> {
        Err(Error::unsupported(method::TIERS))
    }

    /// Lists the problems of `options` that their JSON Schema cannot express. Pure: it changes nothing, and knows no
    /// instance, no environment and no key. Options with a problem that is not a warning are not used.
    ///
    /// - In: the options as they were edited. The host reports what breaks the schema by itself; skip such values.
    /// - Out: every problem, each with the JSON pointer of its place in `options`.
    fn check(_options: &Value) -> Vec<Problem> {
        Vec::new()
    }

    /// Replaces options and environment. Calls in flight keep those they started with, so swap them in one step.
    ///
    /// - In: `config`, as for [`create`](Self::create): the whole of it, key included. What it lacks is no longer set.
    /// - Errors: `config` with every problem in `details.problems`; the previous options then stay in force.
    fn configure(&self, _config: &str) -> Result<(), Error> {
        Err(Error::unsupported(method::CONFIGURE))
    }

    /// Checks everything that a call depends on: key, account, service, models, settings.
    ///
    /// - Out: one finding for each check, also for those that failed or were impossible.
    /// - Since: 1.1.
    fn diagnose(&self, _request: DiagnoseRequest) -> impl Future<Output = Result<Vec<Finding>, Error>> + Send {
        future::ready(Err(Error::unsupported(method::DIAGNOSE)))
    }

    /// Asks the service about the key: its limit, its use, its expiry.
    ///
    /// - Errors: `auth` if the service refuses the key.
    /// - Since: 1.1.
    fn account(&self) -> impl Future<Output = Result<Account, Error>> + Send {
        future::ready(Err(Error::unsupported(method::ACCOUNT)))
    }

    /// Sends any HTTP request to the service, with the plugin's key and failure policy, and returns the answer as
    /// written.
    ///
    /// - In: a body may name a tier as its model (`TEXT_SMALL` or `tier/small`); the options fill in what it leaves
    ///   out.
    /// - Errors: an answer whose status is not a success is an error, with the answer in `details.answer`.
    /// - Since: 1.2.
    fn raw(&self, _request: HttpRequest) -> impl Future<Output = Result<HttpAnswer, Error>> + Send {
        future::ready(Err(Error::unsupported(method::RAW)))
    }

    /// Sends any HTTP request whose answer is an event stream, and passes that answer on as it arrives.
    ///
    /// - Out: `Head`, any number of `Raw`, `Done`. Keep-alive comments and notices may come before `Head`.
    /// - Errors: as for [`raw`](Self::raw) before the answer starts; later ones through the stream.
    /// - Since: 1.2.
    fn raw_stream(&self, _request: HttpRequest) -> impl Future<Output = Result<EventStream, Error>> + Send {
        future::ready(Err(Error::unsupported(method::RAW)))
    }

    /// Lists the service's models. Cache the list; an old one, marked as stale, is better than an error.
    ///
    /// - Since: 1.2.
    fn models(&self, _request: ModelsRequest) -> impl Future<Output = Result<ModelList, Error>> + Send {
        future::ready(Err(Error::unsupported(method::MODELS)))
    }

    /// Reports the credit that is left. Cache the balance, and subtract what is billed in the meantime.
    ///
    /// - Since: 1.2.
    fn credits(&self, _request: CreditsRequest) -> impl Future<Output = Result<Credits, Error>> + Send {
        future::ready(Err(Error::unsupported(method::CREDITS)))
    }

    /// Counts what its caches had and lacked since the instance was created. Returns at once.
    ///
    /// - Since: 1.3.
    fn caches(&self) -> Result<Vec<CacheUse>, Error> {
        Err(Error::unsupported(method::CACHES))
    }

    /// Turns texts into vectors.
    ///
    /// - Since: 1.2.
    fn embed(&self, _request: EmbedRequest) -> impl Future<Output = Result<Embeddings, Error>> + Send {
        future::ready(Err(Error::unsupported(method::EMBED)))
    }

    /// Begins to sign in, for users without a key. Hosts offer it only if the manifest lists `sign_in` and `redeem`
    /// among its methods.
    ///
    /// - Since: 1.3.
    fn sign_in(&self, _request: SignInRequest) -> impl Future<Output = Result<SignIn, Error>> + Send {
        future::ready(Err(Error::unsupported(method::SIGN_IN)))
    }

    /// Exchanges the code of a sign-in for a key.
    ///
    /// - Errors: those of the service, without the code.
    /// - Since: 1.3.
    fn redeem(&self, _redeem: Redeem) -> impl Future<Output = Result<SignedIn, Error>> + Send {
        future::ready(Err(Error::unsupported(method::REDEEM)))
    }

    /// Answers a method that is not in [`method`].
    fn call(&self, method: &str, _payload: Payload) -> impl Future<Output = Result<Payload, Error>> + Send {
        future::ready(Err(Error::unsupported(method)))
    }

    /// Answers a method that is not in [`method`] with a stream.
    fn open(&self, method: &str, _payload: Payload) -> impl Future<Output = Result<EventStream, Error>> + Send {
        future::ready(Err(Error::unsupported(method)))
    }

    /// Ends all work, within `deadline`. Calls that come later fail with `shut_down` before they reach the provider.
    fn shutdown(&self, _deadline: Duration) -> impl Future<Output = ()> + Send {
        future::ready(())
    }
}
