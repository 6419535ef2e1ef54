//! Routes a raw call to the method of [`Provider`] that its name means.
//!
//! In: a name from [`method`] and a payload. Out: the provider's answer as a payload or a stream. Names that are not
//! in [`method`] go to [`Provider::call`] and [`Provider::open`] with their payload untouched.

use serde::Deserialize;

use crate::abi::Payload;
use crate::chat::EventStream;
use crate::error::{Error, ErrorKind};
use crate::http::HttpRequest;
use crate::method;
use crate::provider::Provider;

/// Routes a call that is answered once.
pub(crate) async fn dispatch_call<P: Provider>(provider: &P, method: &str, payload: Payload) -> Result<Payload, Error> {
    let request = Request(method, &payload);
    match method {
        method::CHAT => Payload::of(&provider.chat(request.read()?).await?),
        method::TIERS => {
            request.payload()?;
            Payload::of(&provider.tiers()?)
        }
        method::CHECK => dispatch_check::<P>(&payload),
        method::CONFIGURE => Payload::of(&provider.configure(request.payload()?.json())?),
        method::DIAGNOSE => Payload::of(&provider.diagnose(request.read()?).await?),
        method::ACCOUNT => {
            request.payload()?;
            Payload::of(&provider.account().await?)
        }
        method::MODELS => Payload::of(&provider.models(request.read()?).await?),
        method::CREDITS => Payload::of(&provider.credits(request.read()?).await?),
        method::CACHES => {
            request.payload()?;
            Payload::of(&provider.caches()?)
        }
        method::EMBED => provider.embed(request.read()?).await?.into_payload(),
        method::SIGN_IN => Payload::of(&provider.sign_in(request.read()?).await?),
        method::REDEEM => Payload::of(&provider.redeem(request.read()?).await?),
        method::RAW => provider.raw(HttpRequest::from_payload(payload)?).await?.into_payload(),
        other => provider.call(other, payload).await,
    }
}

/// Answers [`method::CHECK`], which needs no instance.
pub(crate) fn dispatch_check<P: Provider>(payload: &Payload) -> Result<Payload, Error> {
    Payload::of(&P::check(&Request(method::CHECK, payload).read()?))
}

/// Routes a call that is answered with a stream.
pub(crate) async fn dispatch_open<P: Provider>(
    provider: &P,
    method: &str,
    payload: Payload,
) -> Result<EventStream, Error> {
    match method {
        method::STREAM => provider.stream(Request(method, &payload).read()?).await,
        method::RAW => provider.raw_stream(HttpRequest::from_payload(payload)?).await,
        other => provider.open(other, payload).await,
    }
}

/// A request to a method that takes JSON alone.
struct Request<'a>(&'a str, &'a Payload);

impl<'a> Request<'a> {
    /// The payload. One with blobs is refused, because these methods would drop the blobs silently.
    fn payload(&self) -> Result<&'a Payload, Error> {
        if self.1.blobs().len() == 0 {
            return Ok(self.1);
        }
        Err(Error::new(
            ErrorKind::INVALID_REQUEST,
            format!("`{}` accepts no blobs in this version", self.0),
        ))
    }

    fn read<T: Deserialize<'a>>(&self) -> Result<T, Error> {
        self.payload()?.read()
    }
}
