//! Calls with an answer in one piece: chat, raw requests and embeddings.

use std::sync::Arc;

use bytes::Bytes;
use plugin_api::{ChatReply, ChatRequest, Error, Head, HttpAnswer, HttpRequest, Notice};

use crate::call::Common;
use crate::call::attempts::Call;
use crate::request::Ask;
use crate::service::Settings;

/// Sends a chat request and returns the answer in one piece.
pub async fn chat(settings: Arc<Settings>, common: Arc<Common>, request: ChatRequest) -> Result<ChatReply, Error> {
    let has_raw = request.view.has_raw();
    let whole = whole(settings, common, Ask::chat(request)).await?;
    let raw = has_raw.then(|| String::from_utf8_lossy(&whole.body).into_owned());
    Ok(ChatReply { raw, ..whole.reply })
}

/// Sends a raw request and returns the service's answer unchanged.
pub async fn raw(settings: Arc<Settings>, common: Arc<Common>, request: HttpRequest) -> Result<HttpAnswer, Error> {
    let whole = whole(settings, common, Ask::raw(request)?).await?;
    Ok(HttpAnswer {
        head: whole.head,
        body: Vec::from(whole.body).into(),
        notices: whole.reply.notices,
        done: whole.reply.done,
    })
}

/// An answer in one piece.
pub struct Whole {
    pub reply: ChatReply,
    pub head: Head,
    /// As the service wrote it; empty unless the caller wants the raw form.
    pub body: Bytes,
}

/// Sends a request and returns the answer in one piece.
pub async fn whole(settings: Arc<Settings>, common: Arc<Common>, ask: Ask) -> Result<Whole, Error> {
    let mut call = Call::begin(settings, common, ask, false).await?;
    let mut notices = std::mem::take(&mut call.plan.notices);
    let mut report = |notice: Notice| {
        // The caller sees notices only with the answer, so they are logged at once.
        tracing::warn!(wait_ms = notice.wait_ms.unwrap_or(0), "{}", notice.message);
        notices.push(notice);
    };
    let tried: Result<_, Error> = async {
        loop {
            call.pass(&mut report).await?;
            match call.ask_whole().await {
                Ok(whole) => break Ok(whole),
                Err(failed) => call.after(failed, &mut report).await?,
            }
        }
    }
    .await;
    let (mut reply, head, body) = match tried {
        Ok(whole) => whole,
        Err(mut error) => {
            // The attempts of the error cover its retries.
            notices.retain(|notice| notice.attempt.is_none() && notice.wait_ms.is_none());
            error.details.notices = notices;
            return Err(error);
        }
    };
    let passed_over = call.passed_over(reply.done.model.as_deref());
    notices.extend(passed_over.map(|passed_over| passed_over.notice(&reply.done.attempts)));
    notices.append(&mut reply.notices);
    reply.notices = notices;
    let done = std::mem::take(&mut reply.done);
    let took = call.clock().elapsed();
    // A whole answer has no first token.
    reply.done = call.closing().close(Ok(done), None, None, took)?;
    Ok(Whole { reply, head, body })
}
