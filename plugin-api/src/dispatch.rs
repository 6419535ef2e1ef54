//! Finds the author's method that a name means.

use crate::abi::Payload;
use crate::chat::EventStream;
use crate::error::{Error, ErrorKind};
use crate::http::HttpRequest;
use crate::method;
use crate::provider::Provider;

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
