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
    /// [`super::Provider::diagnose`].
    pub const DIAGNOSE: &str = "diagnose";
    /// [`super::Provider::account`].
    pub const ACCOUNT: &str = "account";
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

/// What a service says about a key and its credit. Absent means unknown, never zero. Amounts are US dollars, as decimal texts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct Account {
    /// The key's name at the service; the service may shorten the key itself for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// What the key may spend in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_usd: Option<String>,
    /// What is left of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remaining_usd: Option<String>,
    /// When the limit begins anew, in the service's word: `daily`, `weekly`, `monthly`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_reset: Option<String>,
    /// What the key has spent since it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage_usd: Option<String>,
    /// What the key has spent today.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage_today_usd: Option<String>,
    /// What the account has left, where the key may ask.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub balance_usd: Option<String>,
    /// Whether nothing was ever paid for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_free_tier: Option<bool>,
    /// When the key ends, as the service writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
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
