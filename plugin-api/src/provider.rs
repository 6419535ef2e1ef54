//! The author's side: a plain async trait, and how the methods that cross find their way to it.

use std::future::{self, Future};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::abi::{Host, Payload};
use crate::chat::{ChatReply, ChatRequest, EventStream};
use crate::error::{Error, ErrorKind, Problem};

/// The names of the methods of this version, as they cross the boundary.
pub mod method {
    /// [`super::Provider::chat`].
    pub const CHAT: &str = "chat";
    /// [`super::Provider::stream`].
    pub const STREAM: &str = "stream";
    /// [`super::Provider::tiers`].
    pub const TIERS: &str = "tiers";
    /// [`super::Provider::check`].
    pub const CHECK: &str = "check";
    /// [`super::Provider::configure`].
    pub const CONFIGURE: &str = "configure";
}

/// A plugin. Implement it and write `export_plugin!(TheType);`.
///
/// Only the manifest, `create` and one of `chat` and `stream` are needed; what is not implemented answers
/// `unsupported`. A panic anywhere becomes an `internal` error of the call it happened in, and the host lives on.
pub trait Provider: Send + Sync + Sized + 'static {
    /// The plugin's [`crate::Manifest`] as JSON text, without `plugin_api`.
    const MANIFEST: &'static str;

    /// Creates an instance.
    ///
    /// - In: `config`, a [`Config`] as JSON.
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
    /// - In: `config`, a [`Config`] as JSON.
    /// - Errors: `config` with every problem in `details.problems`; the former options then stay.
    fn configure(&self, _config: &str) -> Result<(), Error> {
        Err(Error::unsupported(method::CONFIGURE))
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

/// What a host gives a plugin to work with.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// The profile's options for this plugin: an object that its schema allows.
    pub options: Value,
    /// The environment variables of the plugin's manifest that are set, keys included. A blank one is left out.
    pub environment: std::collections::BTreeMap<String, String>,
}

impl std::fmt::Debug for Config {
    /// Names only: among the values is the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("environment", &self.environment.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// Which model a tier stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct TierModel {
    /// The tier's name, such as `TEXT_LARGE`.
    pub tier: String,
    /// The id as it was configured.
    pub configured: String,
    /// The id that goes to the service.
    pub wire: String,
    /// Where the configured id comes from, for people.
    pub origin: String,
    /// The tier that this one follows, where nobody configured it itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<String>,
    /// Why `wire` differs from `configured`, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Finds the method of `provider` that a raw call means.
pub(crate) async fn dispatch_call<P: Provider>(provider: &P, method: &str, payload: Payload) -> Result<Payload, Error> {
    match method {
        method::CHAT => Payload::of(&provider.chat(json_alone(method, &payload)?.read()?).await?),
        method::TIERS => {
            json_alone(method, &payload)?;
            Payload::of(&provider.tiers()?)
        }
        method::CHECK => Payload::of(&P::check(&json_alone(method, &payload)?.read()?)),
        method::CONFIGURE => {
            provider.configure(json_alone(method, &payload)?.json())?;
            Ok(Payload::from_json("null".to_owned()))
        }
        other => provider.call(other, payload).await,
    }
}

/// Finds the method of `provider` that a raw call for a stream means.
pub(crate) async fn dispatch_open<P: Provider>(
    provider: &P,
    method: &str,
    payload: Payload,
) -> Result<EventStream, Error> {
    match method {
        method::STREAM => provider.stream(json_alone(method, &payload)?.read()?).await,
        other => provider.open(other, payload).await,
    }
}

/// The payload, once it is known to have no blobs: these methods would lose them without a word.
fn json_alone<'a>(method: &str, payload: &'a Payload) -> Result<&'a Payload, Error> {
    if payload.blobs().len() == 0 {
        return Ok(payload);
    }
    Err(Error::new(
        ErrorKind::INVALID_REQUEST,
        format!("`{method}` takes no blobs in this version"),
    ))
}
