//! Calls with a streamed answer.
//!
//! A task on the plugin's runtime opens the answer and reads its body; the host polls [`Answer`].

use std::sync::Arc;
use std::time::Duration;

use plugin_api::runtime::Runtime;
use plugin_api::{ChatEvent, Error, Notice};

use crate::call::Common;
use crate::call::attempts::Call;
use crate::call::events::{Answer, Begun};
use crate::call::intake::{Intake, Writer};
use crate::call::limits::Limits;
use crate::request::Ask;
use crate::service::Settings;
use crate::service::http::Body;

/// Sends a request and returns the answer as a stream.
///
/// - In: `ask` makes the request on the plugin's thread, because reading a large one takes long.
/// - Errors: the call's, if it fails before the service responds and before there is a notice.
pub async fn stream(
    runtime: &Runtime,
    settings: Arc<Settings>,
    common: Arc<Common>,
    ask: impl FnOnce() -> Result<Ask, Error> + Send + 'static,
) -> Result<Answer, Error> {
    let mut intake = Intake::begin(runtime, |writer| open(settings, common, ask, writer));
    intake.opened().await?;
    Ok(Answer::new(intake))
}

/// Opens an answer, hands it over and reads it to its end.
async fn open(
    settings: Arc<Settings>,
    common: Arc<Common>,
    ask: impl FnOnce() -> Result<Ask, Error> + Send,
    writer: Writer<Box<Begun>>,
) {
    // Boxed and dropped once the answer has begun, because a stream may live long and does not need its request.
    let opening = Box::pin(begin_answer(settings, common, ask, &writer));
    match opening.await {
        Ok(Some((body, patience))) => writer.read(body, patience).await,
        Ok(None) => writer.whole(),
        Err(error) => writer.failed(error),
    }
}

/// Makes attempts until an answer begins, and hands its beginning over.
///
/// - Out: the rest of the body, if there is one, and the time until its earliest deadline.
async fn begin_answer(
    settings: Arc<Settings>,
    common: Arc<Common>,
    ask: impl FnOnce() -> Result<Ask, Error> + Send,
    writer: &Writer<Box<Begun>>,
) -> Result<Option<(Body, Duration)>, Error> {
    let mut call = Call::begin(settings, common, ask()?, true).await?;
    let mut report = |notice: Notice| writer.event(ChatEvent::Notice(notice));
    std::mem::take(&mut call.plan.notices).into_iter().for_each(&mut report);
    let (mut decoder, head, body) = loop {
        call.pass(&mut report).await?;
        match call.ask_stream(writer).await {
            Ok(begun) => break begun,
            Err(failed) => call.after(failed, &mut report).await?,
        }
    };
    if call.ask.view.has_raw() {
        decoder.ready.push_front(ChatEvent::Head(Box::new(head)));
    }
    let heard = decoder.reader.heard();
    let mut passed_over = call.passed_over(heard.model());
    if let Some(found) = &passed_over {
        let notice = found.notice(&heard.done.attempts);
        if found.reasons(&heard.done.attempts).is_some() {
            passed_over = None;
        }
        decoder.ready.push_front(ChatEvent::Notice(notice));
    }
    let begun = Begun {
        decoder,
        limits: Limits::new(call.clock()),
        passed_over,
        closing: call.closing(),
    };
    let patience = begun.limits.patience();
    writer.begun(Box::new(begun));
    Ok(body.map(|body| (body, patience)))
}
