//! The author's side: a plain async trait, and how the methods that cross find their way to it.

use std::future::{self, Future};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::abi::{Host, Payload};
use crate::account::{Account, Credits, CreditsRequest};
use crate::catalogue::{ModelList, ModelsRequest};
use crate::chat::{ChatReply, ChatRequest, EventStream};
use crate::embedding::{EmbedRequest, Embeddings};
use crate::error::{Error, ErrorKind, Problem};
use crate::http::{HttpAnswer, HttpRequest};

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
    /// [`super::Provider::diagnose`].
    pub const DIAGNOSE: &str = "diagnose";
    /// [`super::Provider::account`].
    pub const ACCOUNT: &str = "account";
    /// [`super::Provider::raw`] and [`super::Provider::raw_stream`].
    pub const RAW: &str = "raw";
    /// [`super::Provider::models`].
    pub const MODELS: &str = "models";
    /// [`super::Provider::credits`].
    pub const CREDITS: &str = "credits";
    /// [`super::Provider::embed`].
    pub const EMBED: &str = "embed";
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
    /// The models that stand behind it, in order, by their ids on the wire.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallbacks: Vec<String>,
}

/// What a diagnosis may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct DiagnoseRequest {
    /// Whether it may send a small request that is billed, to see an answer stream. Without it, that check is skipped.
    pub may_cost: bool,
}

/// One thing that a diagnosis looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Finding {
    /// A stable word, such as `key_valid`.
    pub id: String,
    /// The heading that it stands under, such as `Key`.
    pub group: String,
    /// How it is.
    pub status: FindingStatus,
    /// What was found, in one line.
    pub summary: String,
    /// What to do about it, in one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// How long the look took, in milliseconds.
    #[serde(default)]
    pub duration_ms: u64,
}

/// How a thing is that was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FindingStatus {
    /// As it should be.
    Ok,
    /// It works, but not as well as it could.
    Warning,
    /// It does not work.
    Failed,
    /// It was not looked at. Also what a later version's status reads as.
    #[default]
    #[serde(other)]
    Skipped,
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
        method::DIAGNOSE => Payload::of(&provider.diagnose(json_alone(method, &payload)?.read()?).await?),
        method::ACCOUNT => {
            json_alone(method, &payload)?;
            Payload::of(&provider.account().await?)
        }
        method::RAW => provider.raw(HttpRequest::from_payload(payload)?).await?.into_payload(),
        method::MODELS => Payload::of(&provider.models(json_alone(method, &payload)?.read()?).await?),
        method::CREDITS => Payload::of(&provider.credits(json_alone(method, &payload)?.read()?).await?),
        method::EMBED => {
            let embeddings = provider.embed(json_alone(method, &payload)?.read()?).await?;
            embeddings.into_payload()
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
        method::RAW => provider.raw_stream(HttpRequest::from_payload(payload)?).await,
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
