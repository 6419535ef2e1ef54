//! Hands a request to the plugin and its answer back, both as they are.
//!
//! Hop-by-hop headers, credentials and what a browser adds are not passed on. An answer gets headers that say who
//! served it and what happened on the way.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use bytes::Bytes;
use hyper::header::{self, HeaderValue};
use hyper::{Response, StatusCode};
use plugin_api::{ChatEvent, ChatRequest, Error, EventStream, HttpAnswer, HttpRequest, Notice};
use serde_json::Value;

use super::body_memory::SMALL_BYTES;
use super::cache::Ticket;
use super::course::Course;
use super::error_object::{error_object, status_of};
use super::headers::{
    X_ACCEL_BUFFERING, X_ATTEMPTS, X_GENERATION_ID, X_HINT, X_SERVED_MODEL, X_SERVED_PROVIDER, pass, set, set_done,
    set_fallback, set_notices,
};
use super::record::Record;
use super::reply::{self, Body, error_response, json_response};
use super::shared::Serving;
use super::source::Source;
use super::stream::{Events, Form};
use super::typed::{self, Asked};

/// Gets a whole answer.
///
/// - In: `names_model`, where the path is not one for asking a model: whether the body has a `model` all the same.
pub async fn whole(
    serving: &Serving,
    request: HttpRequest,
    names_model: Option<bool>,
    mut record: Record,
    ticket: Option<Ticket>,
) -> Response<Body> {
    let asked = names_model.map(|names_model| {
        let path = request.path.split('?').next().unwrap_or_default();
        (format!("{} {path}", request.method), names_model)
    });
    let HttpAnswer {
        head,
        body,
        notices,
        done,
    } = match raw(serving, request).await {
        Ok(answer) => answer,
        Err(mut error) => {
            if let Some((asked, names_model)) = asked {
                about_the_path(&mut error, &asked, names_model);
            }
            return failure(&error, &[], &mut record);
        }
    };
    let mut response = Response::new(reply::whole(Bytes::new()));
    *response.status_mut() = StatusCode::from_u16(head.status).unwrap_or(StatusCode::OK);
    let headers = response.headers_mut();
    pass(&head.headers, headers);
    set_done(&done, headers);
    set_fallback(&notices, headers);
    set_notices(&notices, headers);
    if let Some(ticket) = ticket {
        let mut kept = ticket.passes(headers);
        if head.status == 200 {
            kept.add(&body);
            kept.complete(&done);
        }
    }
    *response.body_mut() = reply::whole(Bytes::from_owner(body));
    record.answered(response.status());
    if response.status().is_success() {
        record.complete(Box::new(done));
    }
    response
}

/// A request as it may be sent once more if the key is renewed after it was refused.
///
/// A copy of a large body would double its memory, so before that one is sent, the key's file is read.
async fn spare<T: Clone>(serving: &Serving, request: &T, n_bytes: usize) -> Option<T> {
    if !serving.used_key.has_file() {
        return None;
    }
    if n_bytes as u64 > SMALL_BYTES {
        serving.used_key.read_again().await;
        return None;
    }
    Some(request.clone())
}

/// Sends a request, and once more if the key was renewed after it was refused.
async fn raw(serving: &Serving, request: HttpRequest) -> Result<HttpAnswer, Error> {
    let used_key = &serving.used_key;
    let n_bytes = request.body.as_deref().map_or(0, <[u8]>::len);
    let (spare, n_before) = (spare(serving, &request, n_bytes).await, used_key.n_renewals());
    let outcome = serving.plugin.raw(request).await;
    let outcome = match (outcome, spare) {
        (Err(error), Some(again)) if used_key.renewed(&error, n_before).await => serving.plugin.raw(again).await,
        (outcome, _) => outcome,
    };
    outcome.map_err(|error| used_key.explained(error))
}

/// Makes a 404 to a path that is not about models an error about that path.
///
/// The service's words stay where they say what is missing; a web page or a bare `Not Found` does not.
fn about_the_path(error: &mut Error, asked: &str, names_model: bool) {
    if error.details.status != Some(404) {
        return;
    }
    let path = asked.split(' ').next_back().unwrap_or_default();
    let said = error.details.answer.as_ref().and_then(|answer| {
        let body: Value = serde_json::from_str(&answer.body).ok()?;
        body["error"]["message"].as_str().map(str::to_owned)
    });
    let said = said.filter(|said| !said.trim_end_matches('.').eq_ignore_ascii_case("not found"));
    let names_path = said.as_ref().is_some_and(|said| said.contains(path));
    // The service's words are in OpenAI's form.
    if said.is_none() || path.starts_with("/messages/") {
        error.details.answer = None;
        error.message = format!("the service has no path `{asked}`, or nothing of this name");
    }
    if said.is_none() || names_path || !names_model {
        error.details.hint = Some("check the path; `GET /` of this endpoint lists the usual ones".to_owned());
    }
}

/// A whole answer of a plugin that has no raw form.
pub async fn typed_whole(serving: &Serving, asked: &Asked, mut record: Record) -> Response<Body> {
    match serving.asked(|| serving.plugin.chat(&asked.request)).await {
        Ok(reply) => {
            let mut response = json_response(StatusCode::OK, &typed::completion(&reply));
            let headers = response.headers_mut();
            set_done(&reply.done, headers);
            set_fallback(&reply.notices, headers);
            set_notices(&reply.notices, headers);
            record.answered(StatusCode::OK);
            record.complete(Box::new(reply.done));
            response
        }
        Err(error) => failure(&error, &[], &mut record),
    }
}

/// A request for a streamed answer.
#[derive(Clone)]
pub enum Call<'a> {
    Raw(HttpRequest),
    Typed(&'a ChatRequest),
}

impl Call<'_> {
    /// How much a copy of it takes, in bytes.
    fn n_bytes(&self) -> usize {
        match self {
            Self::Raw(request) => request.body.as_deref().map_or(0, <[u8]>::len),
            Self::Typed(_) => 0,
        }
    }

    /// Sends it, and waits for the first event other than a notice.
    async fn begun(self, serving: &Serving, notices: &mut Vec<Notice>) -> Result<(EventStream, ChatEvent), Error> {
        let mut stream = match self {
            Self::Raw(request) => serving.plugin.raw_stream(request).await?,
            Self::Typed(request) => serving.plugin.stream(request).await?,
        };
        loop {
            match stream.next().await.transpose()? {
                Some(ChatEvent::Notice(notice)) => notices.push(notice),
                Some(event) => return Ok((stream, event)),
                // A stream reports an end without `Done` as an error, so this one is complete.
                None => return Ok((stream, ChatEvent::done(""))),
            }
        }
    }
}

/// Hands on a streamed answer. A failure before its first piece still gets its own status.
pub async fn in_pieces(
    serving: &Serving,
    call: Call<'_>,
    form: Form,
    course: Course,
    mut record: Record,
    ticket: Option<Ticket>,
) -> Response<Body> {
    let mut notices: Vec<Notice> = Vec::new();
    let used_key = &serving.used_key;
    let (spare, n_before) = (spare(serving, &call, call.n_bytes()).await, used_key.n_renewals());
    let begun = match (call.begun(serving, &mut notices).await, spare) {
        (Err(error), Some(again)) if used_key.renewed(&error, n_before).await => {
            again.begun(serving, &mut notices).await
        }
        (begun, _) => begun,
    };
    let (mut stream, first) = match begun {
        Ok(begun) => begun,
        Err(error) => return failure(&used_key.explained(error), &notices, &mut record),
    };
    let mut response = Response::new(reply::whole(Bytes::new()));
    let headers = response.headers_mut();
    let mut status = StatusCode::OK;
    let mut held = Vec::new();
    if let ChatEvent::Head(head) = first {
        status = StatusCode::from_u16(head.status).unwrap_or(StatusCode::OK);
        pass(&head.headers, headers);
        // An event that arrives together with the head may say who answers; do not wait for it.
        held.extend(at_once(&mut stream, &mut notices).await);
    } else {
        held.push(Ok(first));
    }
    let events = HeaderValue::from_static("text/event-stream");
    let is_events = headers
        .get(header::CONTENT_TYPE)
        .is_none_or(|sent| sent.as_bytes().starts_with(events.as_bytes()));
    if is_events {
        headers.insert(header::CONTENT_TYPE, events);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
    if let Some(Ok(ChatEvent::Raw(piece))) = held.first() {
        let source = Source::of(piece);
        set(headers, X_SERVED_MODEL, source.model.as_deref());
        set(headers, X_SERVED_PROVIDER, source.provider.as_deref());
        set(headers, X_GENERATION_ID, source.id.as_deref());
    }
    let failed = notices.iter().filter(|notice| notice.attempt.is_some()).count();
    headers.insert(X_ATTEMPTS, HeaderValue::from(failed + 1));
    set_fallback(&notices, headers);
    set_notices(&notices, headers);
    let kept = ticket.map(|ticket| ticket.passes(headers));
    let kept = kept.filter(|_| is_events && status == StatusCode::OK);
    *response.status_mut() = status;
    record.streams(status);
    *response.body_mut() = Events::body(stream, held, form, is_events, course, record, kept);
    response
}

/// The next item other than a notice, if it has arrived already.
async fn at_once(stream: &mut EventStream, notices: &mut Vec<Notice>) -> Option<Result<ChatEvent, Error>> {
    loop {
        let next = poll_fn(|context| match pin!(stream.next()).poll(context) {
            Poll::Ready(next) => Poll::Ready(next),
            Poll::Pending => Poll::Ready(None),
        });
        match next.await {
            Some(Ok(ChatEvent::Notice(notice))) => notices.push(notice),
            next => return next,
        }
    }
}

/// The answer to a request that failed: the service's own where it gave one.
pub fn failure(error: &Error, notices: &[Notice], record: &mut Record) -> Response<Body> {
    let mut response = match &error.details.answer {
        Some(answer) => {
            let mut response = Response::new(reply::whole(answer.body.clone()));
            *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or_else(|_| status_of(error));
            pass(&answer.headers, response.headers_mut());
            response
        }
        None => error_response(status_of(error), error_object(error)),
    };
    let headers = response.headers_mut();
    if let Some(wait_ms) = error.retry_after_ms
        && !headers.contains_key(header::RETRY_AFTER)
    {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(wait_ms.div_ceil(1000)));
    }
    let was_asked = error.details.status.is_some() || !error.details.attempts.is_empty();
    if was_asked {
        headers.insert(X_ATTEMPTS, HeaderValue::from(error.details.attempts.len().max(1)));
    }
    set(headers, X_GENERATION_ID, error.details.generation_id.as_deref());
    // The service's own body has no place for it.
    set(headers, X_HINT, error.hint().filter(|_| error.details.answer.is_some()));
    let notices: Vec<Notice> = notices.iter().chain(&error.details.notices).cloned().collect();
    set_notices(&notices, headers);
    record.failed(error);
    record.answered(response.status());
    response
}
