//! The author's side: a plain async trait, and how the methods that cross find their way to it.

use std::future::{self, Future};
use std::time::Duration;

use serde_json::Value;

use crate::abi::{Host, Payload};
use crate::account::{Account, Credits, CreditsRequest};
use crate::catalogue::{ModelList, ModelsRequest};
use crate::chat::{ChatReply, ChatRequest, EventStream};
use crate::config::TierModel;
use crate::diagnose::{DiagnoseRequest, Finding};
use crate::embedding::{EmbedRequest, Embeddings};
use crate::error::{Error, Problem};
use crate::http::{HttpAnswer, HttpRequest};
use crate::method;

/// A plugin. Implement it and write `export_plugin!(TheType);`.
///
/// Only the manifest, `create` and one of `chat` and `stream` are needed; what is not implemented answers
/// `unsupported`. A panic anywhere becomes an `internal` error of the call it happened in, and the host lives on.
pub trait Provider: Send + Sync + Sized + 'static {
    /// The plugin's [`crate::Manifest`] as JSON text, without `plugin_api`.
    const MANIFEST: &'static str;

    /// Creates an instance.
    ///
    /// - In: `config`, a [`crate::Config`] as JSON.
    /// - Errors: `config` for options that cannot be used, `auth` for a missing or malformed key. It does not talk to
    ///   a network.
    fn create(host: Host, config: &str) -> Result<Self, Error>;

    /// Answers a chat request as a stream of events, the last of which is `Done`.
    ///
    /// - Errors: what is known before the first event, such as a refused key, is returned here; what happens later
    ///   comes from the stream.
    fn stream(&self, _request: ChatRequest) -> impl Future<Output = Result<EventStream, Error>> + Send {
        future::ready(Err(Error::unsupported(method::STREAM)))
    }

    /// Answers a chat request in one piece. Without an implementation, the stream is collected.
    fn chat(&self, request: ChatRequest) -> impl Future<Output = Result<ChatReply, Error>> + Send {
        async move { self.stream(request).await?.collect().await }
    }

    /// Says which model each tier stands for under the present options, and why.
    fn tiers(&self) -> Result<Vec<TierModel>, Error> {
        Err(Error::unsupported(method::TIERS))
    }

    /// Says what is wrong with `options` beyond what their schema can express. Pure: nothing changes.
    fn check(_options: &Value) -> Vec<Problem> {
        Vec::new()
    }

    /// Replaces the options. Calls that have begun keep the ones that they began with.
    ///
    /// - In: `config`, a [`crate::Config`] as JSON.
    /// - Errors: `config` with every problem in `details.problems`; the former options then stay.
    fn configure(&self, _config: &str) -> Result<(), Error> {
        Err(Error::unsupported(method::CONFIGURE))
    }

    /// Checks everything that a call depends on, as far as the plugin can see it: key, account, service, models, settings. It never
    /// fails as a whole: what cannot be checked is a finding that says so.
    fn diagnose(&self, _request: DiagnoseRequest) -> impl Future<Output = Result<Vec<Finding>, Error>> + Send {
        future::ready(Err(Error::unsupported(method::DIAGNOSE)))
    }

    /// Asks the service about the key and its credit.
    ///
    /// - Errors: `auth` if the key is refused.
    fn account(&self) -> impl Future<Output = Result<Account, Error>> + Send {
        future::ready(Err(Error::unsupported(method::ACCOUNT)))
    }

    /// Sends any request to the service, with the key and the failure policy, and returns its answer as it was written.
    ///
    /// - In: a model may be named by its tier, `TEXT_SMALL` or `tier/small`; what the request leaves out, the options fill.
    /// - Errors: an answer with another status than success is one, and stands in `details.answer`.
    fn raw(&self, _request: HttpRequest) -> impl Future<Output = Result<HttpAnswer, Error>> + Send {
        future::ready(Err(Error::unsupported(method::RAW)))
    }

    /// The same for an answer that is an event stream: `Head`, then `Raw` as it arrives, then `Done`. A sign of life may come before
    /// the head.
    ///
    /// - Errors: as those of [`Self::raw`], where they are known before anything has arrived; else from the stream.
    fn raw_stream(&self, _request: HttpRequest) -> impl Future<Output = Result<EventStream, Error>> + Send {
        future::ready(Err(Error::unsupported(method::RAW)))
    }

    /// Lists the models of the service. The plugin keeps the list for a while, and gives an old one where there is no newer.
    fn models(&self, _request: ModelsRequest) -> impl Future<Output = Result<ModelList, Error>> + Send {
        future::ready(Err(Error::unsupported(method::MODELS)))
    }

    /// Says what is left to spend. The plugin keeps the answer for a while, and takes off what is billed meanwhile.
    fn credits(&self, _request: CreditsRequest) -> impl Future<Output = Result<Credits, Error>> + Send {
        future::ready(Err(Error::unsupported(method::CREDITS)))
    }

    /// Turns texts into vectors.
    fn embed(&self, _request: EmbedRequest) -> impl Future<Output = Result<Embeddings, Error>> + Send {
        future::ready(Err(Error::unsupported(method::EMBED)))
    }

    /// Answers any other method.
    fn call(&self, method: &str, _payload: Payload) -> impl Future<Output = Result<Payload, Error>> + Send {
        future::ready(Err(Error::unsupported(method)))
    }

    /// Answers any other method with a stream.
    fn open(&self, method: &str, _payload: Payload) -> impl Future<Output = Result<EventStream, Error>> + Send {
        future::ready(Err(Error::unsupported(method)))
    }

    /// Ends the plugin's work, at the latest after `deadline`. No call is made afterwards.
    fn shutdown(&self, _deadline: Duration) -> impl Future<Output = ()> + Send {
        future::ready(())
    }
}
