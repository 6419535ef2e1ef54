//! One call, from request to events.
//!
//! The request is sent on the runtime's thread. The answer, which [`crate::intake`] takes off the network, is cut and
//! understood on the thread that polls it: what has arrived leaves at once. One timer serves all limits of a stream; it is set again when it fires too early, not with every event.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_core::Stream;
use plugin_api::{ChatEvent, ChatReply, ChatRequest, Error, ErrorKind};
use tokio::runtime::Handle;
use tokio::time::Sleep;

use crate::failure;
use crate::http;
use crate::intake::{Arrived, End, Intake};
use crate::options::Timeouts;
use crate::reply::{self, ReplyReader};
use crate::request;
use crate::settings::Settings;
use crate::sse::{self, Frame};

/// Reads without an event after which the thread is given back.
const MAX_FRUITLESS_READS: u32 = 32;

/// Sends a request and returns the answer in one piece.
pub async fn chat(settings: Arc<Settings>, request: ChatRequest) -> Result<ChatReply, Error> {
    let (head, begun) = begin(&settings, &request, false).await?;
    let Head {
        response,
        reader,
        notices,
    } = head;
    if is_event_stream(&response) {
        let events = Answer::new(response, reader, notices, settings.options.timeouts, begun);
        return plugin_api::EventStream::new(events).collect().await;
    }
    let body = http::whole_body(&settings, response, begun).await?;
    let mut reply = reply::whole(reader, &body)?;
    reply.done.duration_ms = milliseconds(begun.elapsed());
    reply.notices = notices;
    Ok(reply)
}

/// Sends a request and returns the answer as it arrives.
///
/// - Errors: what the service says before it begins to answer.
pub async fn stream(settings: Arc<Settings>, request: ChatRequest) -> Result<Answer, Error> {
    let (head, begun) = begin(&settings, &request, true).await?;
    let Head {
        response,
        reader,
        notices,
    } = head;
    let timeouts = settings.options.timeouts;
    if is_event_stream(&response) {
        return Ok(Answer::new(response, reader, notices, timeouts, begun));
    }
    // Some providers ignore `stream`; their one piece is as good as many.
    let body = http::whole_body(&settings, response, begun).await?;
    Ok(Answer::of_one_piece(reader, &body, notices, timeouts, begun))
}

struct Head {
    response: reqwest::Response,
    reader: ReplyReader,
    notices: Vec<plugin_api::Notice>,
}

async fn begin(settings: &Settings, request: &ChatRequest, stream: bool) -> Result<(Head, Instant), Error> {
    let begun = Instant::now();
    let mut prepared = request::prepare(settings, request, stream)?;
    let notices = std::mem::take(&mut prepared.notices);
    let model = prepared.model.clone();
    tracing::debug!(model = model.as_str(), bytes = prepared.body.len(), stream, "request");
    let response = http::send(settings, prepared, begun).await.map_err(|mut error| {
        error.details.model.get_or_insert_with(|| model.clone());
        tracing::debug!(
            kind = error.kind.code(),
            status = error.details.status.unwrap_or(0),
            "refused"
        );
        error
    })?;
    let generation_id = response
        .headers()
        .get("x-generation-id")
        .and_then(|id| id.to_str().ok())
        .map(str::to_owned);
    let reader = ReplyReader::new(model, generation_id, settings.key()?.secret.clone());
    let head = Head {
        response,
        reader,
        notices,
    };
    Ok((head, begun))
}

fn is_event_stream(response: &reqwest::Response) -> bool {
    response
        .headers()
        .get("content-type")
        .is_some_and(|kind| kind.as_bytes().to_ascii_lowercase().starts_with(b"text/event-stream"))
}

/// The events of one answer.
pub struct Answer {
    /// `None` once the answer has ended, well or not.
    body: Option<Intake>,
    frames: sse::Reader,
    reader: ReplyReader,
    ready: VecDeque<ChatEvent>,
    /// Told when the events before it are gone.
    failure: Option<Error>,
    limits: Limits,
}

impl Answer {
    fn new(
        response: reqwest::Response,
        reader: ReplyReader,
        notices: Vec<plugin_api::Notice>,
        timeouts: Timeouts,
        begun: Instant,
    ) -> Self {
        Self {
            body: Some(Intake::begin(response)),
            frames: sse::Reader::new(sse::Limits::DEFAULT),
            reader,
            ready: notices.into_iter().map(ChatEvent::Notice).collect(),
            failure: None,
            limits: Limits::new(timeouts, begun),
        }
    }

    fn of_one_piece(
        reader: ReplyReader,
        body: &[u8],
        notices: Vec<plugin_api::Notice>,
        timeouts: Timeouts,
        begun: Instant,
    ) -> Self {
        let mut answer = Self {
            body: None,
            frames: sse::Reader::new(sse::Limits::DEFAULT),
            reader,
            ready: notices.into_iter().map(ChatEvent::Notice).collect(),
            failure: None,
            limits: Limits::new(timeouts, begun),
        };
        let read = answer.reader.frame(body, &mut answer.ready);
        answer.note_first_token();
        match read {
            Ok(()) => answer.finish(),
            Err(error) => answer.fail(error),
        }
        answer
    }

    /// Reads what a piece of the body holds.
    fn read(&mut self, piece: &Bytes) {
        self.frames.push(piece);
        while let Some(frame) = self.frames.next_frame() {
            match frame {
                Ok(Frame::Comment(text)) => {
                    self.ready
                        .push_back(ChatEvent::KeepAlive(sse::text(text).trim().into()));
                }
                Ok(Frame::Event { data: b"[DONE]", .. }) => {
                    self.note_first_token();
                    return self.finish();
                }
                Ok(Frame::Event { data: b"", .. }) => {}
                Ok(Frame::Event { data, .. }) => {
                    if let Err(error) = self.reader.frame(data, &mut self.ready) {
                        self.note_first_token();
                        return self.fail(error);
                    }
                }
                Err(overflow) => {
                    let error = Error::new(ErrorKind::TOO_LARGE, overflow.to_string());
                    return self.fail(self.reader.attach_partial(error));
                }
            }
        }
        self.note_first_token();
    }

    /// The body has ended without `[DONE]`. An answer whose finish reason was seen is whole all the same.
    fn read_end(&mut self) {
        let left_over = match self.frames.finish() {
            Some(Ok(rest)) => rest.data.map(<[u8]>::to_vec),
            Some(Err(_)) | None => None,
        };
        if let Some(data) = left_over
            && data != b"[DONE]"
        {
            let mut events = VecDeque::new();
            match self.reader.frame(&data, &mut events) {
                Ok(()) => self.ready.append(&mut events),
                Err(error) if error.kind != ErrorKind::PROTOCOL => return self.fail(error),
                // Half a frame is no frame; what counts is whether a finish reason was seen before it.
                Err(_) => {}
            }
        }
        self.finish();
    }

    fn note_first_token(&mut self) {
        if self.limits.first_token.is_none() && self.reader.has_begun() {
            self.limits.first_token();
        }
    }

    fn finish(&mut self) {
        if let Some(body) = self.body.take() {
            body.drain(&self.limits.runtime);
        }
        match self.reader.finish(&mut self.ready) {
            Ok(mut done) => {
                done.duration_ms = milliseconds(self.limits.begun.elapsed());
                done.time_to_first_token_ms = self.limits.first_token.map(milliseconds);
                self.ready.push_back(ChatEvent::Done(Box::new(done)));
            }
            Err(error) => self.failure = Some(error),
        }
    }

    fn fail(&mut self, error: Error) {
        self.body = None;
        self.failure = Some(error);
    }
}

impl Stream for Answer {
    type Item = Result<ChatEvent, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let mut fruitless_reads = 0;
        loop {
            if let Some(event) = this.ready.pop_front() {
                return Poll::Ready(Some(Ok(event)));
            }
            if let Some(error) = this.failure.take() {
                return Poll::Ready(Some(Err(error)));
            }
            let Some(body) = &mut this.body else {
                return Poll::Ready(None);
            };
            match body.poll(context) {
                Poll::Ready(Arrived::Pieces(pieces)) => {
                    this.limits.heard();
                    for piece in pieces {
                        // An answer that has ended is not read beyond its end.
                        if this.body.is_some() {
                            this.read(&piece);
                        }
                    }
                    if this.body.is_some()
                        && let Some(error) = this.limits.total_passed()
                    {
                        let error = this.reader.attach_partial(error);
                        this.fail(error);
                    }
                    fruitless_reads += 1;
                    if fruitless_reads > MAX_FRUITLESS_READS && this.ready.is_empty() && this.failure.is_none() {
                        // A flood without events must not keep the host's thread from everything else.
                        context.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                }
                Poll::Ready(Arrived::Ended(End::Whole)) => this.read_end(),
                Poll::Ready(Arrived::Ended(End::ShutDown)) => {
                    let error = Error::new(
                        ErrorKind::SHUT_DOWN,
                        "the plugin was shut down while the answer arrived",
                    );
                    let error = this.reader.attach_partial(error);
                    this.fail(error);
                }
                Poll::Ready(Arrived::Ended(End::Broken(cause))) => {
                    let error = this.reader.attach_partial(failure::from_body(&cause));
                    this.fail(error);
                }
                Poll::Pending => match this.limits.poll(context) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(error) => {
                        let error = this.reader.attach_partial(error);
                        this.fail(error);
                    }
                },
            }
        }
    }
}

/// What is said when the total time has passed.
const INCOMPLETE: &str = "the answer was not complete";

/// The time limits of one answer. Silence is counted while somebody waits, so a host that is slow to poll is never taken
/// for a service that is silent.
struct Limits {
    timeouts: Timeouts,
    begun: Instant,
    /// From the beginning of the call to the first token.
    first_token: Option<Duration>,
    /// Since when the host has been waiting for the next piece.
    waiting_since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
    /// The plugin's runtime.
    runtime: Handle,
}

impl Limits {
    /// Must be called on the runtime's thread.
    fn new(timeouts: Timeouts, begun: Instant) -> Self {
        Self {
            timeouts,
            begun,
            first_token: None,
            waiting_since: None,
            timer: None,
            runtime: Handle::current(),
        }
    }

    /// A piece has arrived.
    fn heard(&mut self) {
        self.waiting_since = None;
    }

    fn first_token(&mut self) {
        self.first_token = Some(self.begun.elapsed());
        // The limit that holds from now on may be the shorter one.
        self.timer = None;
    }

    /// The next moment at which the answer is late, and what is to be said then.
    fn due(&self, waiting_since: Instant) -> (Instant, &'static str, u64, &'static str) {
        let milliseconds = |limit_ms: u64| Duration::from_millis(limit_ms);
        let total_ms = self.timeouts.total_ms;
        let total = (self.begun + milliseconds(total_ms), INCOMPLETE, total_ms, "totalMs");
        let idle_ms = self.timeouts.idle_ms;
        let idle = (
            waiting_since + milliseconds(idle_ms),
            "the service sent nothing",
            idle_ms,
            "idleMs",
        );
        let silent = match self.first_token {
            Some(_) => idle,
            None => {
                let limit_ms = self.timeouts.first_token_ms;
                let first = (
                    self.begun + milliseconds(limit_ms),
                    "no first token came",
                    limit_ms,
                    "firstTokenMs",
                );
                if first.0 < idle.0 { first } else { idle }
            }
        };
        if total.0 < silent.0 { total } else { silent }
    }

    /// The error of the total time, once it has passed: it holds also while there is always something to read.
    fn total_passed(&self) -> Option<Error> {
        let limit = Duration::from_millis(self.timeouts.total_ms);
        (self.begun.elapsed() >= limit).then(|| failure::timed_out(INCOMPLETE, limit, "totalMs"))
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Error> {
        let now = Instant::now();
        let waiting_since = *self.waiting_since.get_or_insert(now);
        let (due, what, limit_ms, option) = self.due(waiting_since);
        let timer = self.timer.get_or_insert_with(|| {
            // The host polls on a thread of its own, where a timer has to be told whose it is. Once made, it knows.
            let _entered = self.runtime.enter();
            Box::pin(tokio::time::sleep_until(due.into()))
        });
        while timer.as_mut().poll(context).is_ready() {
            if Instant::now() >= due {
                return Poll::Ready(failure::timed_out(what, Duration::from_millis(limit_ms), option));
            }
            timer.as_mut().reset(due.into());
        }
        Poll::Pending
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
