//! One call: its attempts, from the request to an answer that has begun.
//!
//! Everything here runs on the runtime's thread. A call waits for its turn, asks the models of its chain in windows, and
//! after each failure lets [`crate::failure::retry`] decide what follows. Once a piece of an answer is there, nothing is tried again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use plugin_api::runtime::Runtime;
use plugin_api::{Attempt, ChatEvent, ChatReply, ChatRequest, Error, ErrorKind, Head, HttpAnswer, HttpRequest, Notice};
use plugin_api::{ServiceAnswer, View};
use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use tokio::sync::OwnedSemaphorePermit;

use crate::answer::decode::{Decoder, Reader};
use crate::answer::foreign::ForeignReader;
use crate::answer::reply::ReplyReader;
use crate::answer::shape::Shape;
use crate::call::Common;
use crate::call::advice;
use crate::call::closing::{Bill, Closing};
use crate::call::intake::{Intake, Writer};
use crate::call::jitter;
use crate::call::stream::{Answer, Begun, Limits};
use crate::call::turn;
use crate::failure;
use crate::failure::retry::{self, Class, Failed, Next, Situation, Tries};
use crate::request::Ask;
use crate::request::Dialect;
use crate::request::Plan;
use crate::request::body::Changes;
use crate::request::headers;
use crate::request::plan::plan;
use crate::service::clock::Clock;
use crate::service::gate::{Gate, Pass};
use crate::service::http::{self, Body, Sending};
use crate::service::transport;
use crate::service::{Service, Settings};
use crate::values::secret;
use crate::values::time::{milliseconds, seconds};

/// Sends a chat request and returns the answer in one piece.
pub async fn chat(settings: Arc<Settings>, common: Arc<Common>, request: ChatRequest) -> Result<ChatReply, Error> {
    let has_raw = request.view.has_raw();
    let whole = whole(settings, common, Ask::chat(request)).await?;
    let raw = has_raw.then(|| String::from_utf8_lossy(&whole.body).into_owned());
    Ok(ChatReply { raw, ..whole.reply })
}

/// Sends a request in the service's own form and returns the answer as it was written.
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
    /// As the service wrote it; empty where nobody wants it.
    pub body: Bytes,
}

/// Sends a request and returns the answer in one piece.
pub async fn whole(settings: Arc<Settings>, common: Arc<Common>, ask: Ask) -> Result<Whole, Error> {
    let mut call = Call::begin(settings, common, ask, false).await?;
    let mut notices = std::mem::take(&mut call.plan.notices);
    let mut tell = |notice: Notice| {
        // Nobody sees the answer's notices before the answer.
        tracing::warn!(wait_ms = notice.wait_ms.unwrap_or(0), "{}", notice.message);
        notices.push(notice);
    };
    let tried: Result<_, Error> = async {
        loop {
            call.pass(&mut tell).await?;
            match call.ask_whole().await {
                Ok(whole) => break Ok(whole),
                Err(failed) => call.after(failed, &mut tell).await?,
            }
        }
    }
    .await;
    let (mut reply, head, body) = match tried {
        Ok(whole) => whole,
        Err(mut error) => {
            // Of retries the attempts tell.
            notices.retain(|notice| notice.attempt.is_none() && notice.wait_ms.is_none());
            error.details.notices = notices;
            return Err(error);
        }
    };
    notices.extend(call.fallback_notice(reply.done.model.as_deref()));
    notices.append(&mut reply.notices);
    reply.notices = notices;
    let done = std::mem::take(&mut reply.done);
    let took = call.clock().elapsed();
    // It came in one piece, so there was no first token.
    reply.done = call.closing().close(Ok(done), None, took)?;
    Ok(Whole { reply, head, body })
}

/// Sends a request and returns the answer as it arrives.
///
/// - Errors: what the service says before it begins to answer, and before anything else is to be told.
pub async fn stream(
    runtime: &Runtime,
    settings: Arc<Settings>,
    common: Arc<Common>,
    ask: Ask,
) -> Result<Answer, Error> {
    let mut intake = Intake::begin(runtime, |writer| open(settings, common, ask, writer));
    intake.opened().await?;
    Ok(Answer::new(intake))
}

/// Opens an answer, hands it over and reads it to its end.
async fn open(settings: Arc<Settings>, common: Arc<Common>, ask: Ask, writer: Writer<Box<Begun>>) {
    // In a box that is gone once the answer has begun: a stream may live long, and need not carry its request with it.
    let opening = Box::pin(begin_answer(settings, common, ask, &writer));
    match opening.await {
        Ok(Some((body, patience))) => writer.read(body, patience).await,
        Ok(None) => writer.whole(),
        Err(error) => writer.failed(error),
    }
}

/// Tries until an answer begins, and hands its beginning over.
///
/// - Out: the rest of the body, if there is one, and the shortest time that is too long a wait for it.
async fn begin_answer(
    settings: Arc<Settings>,
    common: Arc<Common>,
    ask: Ask,
    writer: &Writer<Box<Begun>>,
) -> Result<Option<(Body, Duration)>, Error> {
    let mut call = Call::begin(settings, common, ask, true).await?;
    let mut tell = |notice: Notice| writer.event(ChatEvent::Notice(notice));
    std::mem::take(&mut call.plan.notices).into_iter().for_each(&mut tell);
    let (mut decoder, head, body) = loop {
        call.pass(&mut tell).await?;
        match call.ask_stream(writer).await {
            Ok(begun) => break begun,
            Err(failed) => call.after(failed, &mut tell).await?,
        }
    };
    if call.ask.view.has_raw() {
        decoder.ready.push_front(ChatEvent::Head(Box::new(head)));
    }
    if let Some(notice) = call.fallback_notice(decoder.reader.model()) {
        decoder.ready.push_front(ChatEvent::Notice(notice));
    }
    let begun = Begun {
        decoder,
        limits: Limits::new(call.clock()),
        closing: call.closing(),
    };
    let patience = begun.limits.patience();
    writer.begun(Box::new(begun));
    Ok(body.map(|body| (body, patience)))
}

/// A call that has not been answered yet.
struct Call {
    settings: Arc<Settings>,
    common: Arc<Common>,
    ask: Ask,
    stream: bool,
    plan: Plan,
    changes: Changes,
    begun: Instant,
    /// When the present attempt began.
    attempt_begun: Instant,
    /// Where in the chain the models begin that are asked.
    window: usize,
    /// Those of them that may be asked.
    asked: Vec<String>,
    is_at_secondary: bool,
    tries: Tries,
    /// The attempts that failed.
    attempts: Vec<Attempt>,
    /// What its retries took from the budget of retries.
    paid: u32,
    bill: Bill,
    permit: OwnedSemaphorePermit,
}

impl Call {
    /// Plans a call and waits for its turn.
    ///
    /// - Errors: `invalid_request`, `auth` without a key, `spend_limit`, `overloaded`, `timeout`.
    async fn begin(settings: Arc<Settings>, common: Arc<Common>, ask: Ask, stream: bool) -> Result<Self, Error> {
        let begun = Instant::now();
        settings.key()?;
        let mut plan = plan(&settings.profile, &ask, None)?;
        let clock = Clock {
            timeouts: settings.profile.options.timeouts,
            begun,
            attempt: begun,
        };
        advice::advise(&settings, &common, &ask, &mut plan, clock).await?;
        plan.notices.extend(common.account.credits().low_balance());
        let permit = turn::permit(&settings, clock).await?;
        let mut reservation = None;
        if settings.profile.options.budget.is_some() && !plan.models.is_empty() {
            let budget = turn::within_budget(&settings, &common, &ask, plan);
            (plan, reservation) = clock.total().wait(budget).await??;
        }
        Ok(Self {
            settings,
            common,
            ask,
            stream,
            plan,
            changes: Changes::default(),
            begun,
            attempt_begun: begun,
            window: 0,
            asked: Vec::new(),
            is_at_secondary: false,
            tries: Tries::default(),
            attempts: Vec::new(),
            paid: 0,
            bill: Bill {
                reservation,
                is_open: false,
                n_unknown: 0,
            },
            permit,
        })
    }

    fn clock(&self) -> Clock {
        Clock {
            timeouts: self.settings.profile.options.timeouts,
            begun: self.begun,
            attempt: self.attempt_begun,
        }
    }

    fn service(&self) -> &Service {
        match &self.settings.secondary {
            Some(secondary) if self.is_at_secondary => secondary,
            _ => &self.settings.service,
        }
    }

    fn gate(&self) -> &Gate {
        &self.service().gate
    }

    /// The models that are asked now.
    fn models(&self) -> &[String] {
        &self.asked
    }

    /// The model that is asked first.
    fn model(&self) -> &str {
        self.asked.first().map_or("", String::as_str)
    }

    /// The models that are asked now, for people.
    fn names(&self) -> String {
        match self.asked.len() {
            0 => format!("`{}`", self.ask.path.split('?').next().unwrap_or_default()),
            1 => format!("`{}`", self.model()),
            n_models => format!("`{}` and the {} behind it", self.model(), n_models - 1),
        }
    }

    /// Chooses the models of the present window that may be asked now; where none of them may, those of the next.
    ///
    /// - Out: how long to wait, if there is none at all: providers asked for it.
    fn choose(&mut self, tell: &mut impl FnMut(Notice)) -> Option<Duration> {
        let now = Instant::now();
        loop {
            let window = self.plan.window(self.window);
            // Only this service understands a list.
            let window = if self.is_at_secondary {
                &window[..window.len().min(1)]
            } else {
                window
            };
            let held = |model: &String| self.gate().held(now, model);
            let free: Vec<String> = window.iter().filter(|model| held(model).is_none()).cloned().collect();
            let wait = window.iter().filter_map(held).min();
            let first = window.first().cloned().unwrap_or_default();
            if let Some(next) = free.first() {
                if *next != first {
                    let message = format!("`{first}` may not be asked yet, so `{next}` is");
                    tell(Notice::new("fallback", message));
                }
                self.asked = free;
                return None;
            }
            let next = self.window + window.len();
            if wait.is_none() || self.is_at_secondary || next >= self.plan.models.len() {
                self.asked = window.to_vec();
                return wait;
            }
            self.window = next;
            self.tries.move_on();
        }
    }

    /// Waits until an attempt may begin.
    ///
    /// - Errors: the wait is longer than may be waited; the service is being left alone.
    async fn pass(&mut self, tell: &mut (impl FnMut(Notice) + Send)) -> Result<(), Error> {
        let longest = Duration::from_millis(self.settings.profile.options.retry.max_wait_ms);
        let mut per_minute = self.settings.profile.options.limits.requests_per_minute;
        let mut n_waits = 0;
        loop {
            let left = self.clock().left();
            if left.is_zero() {
                let late = self.clock().total().error();
                return Err(self.give_up(late));
            }
            let (wait, whose) = match self.choose(tell) {
                Some(wait) => (wait, format!("`{}` may not be asked", self.model())),
                None => match self.gate().pass(Instant::now(), per_minute, left) {
                    Pass::Go => {
                        self.attempt_begun = Instant::now();
                        return Ok(());
                    }
                    Pass::Turn(wait) => {
                        per_minute = None;
                        tokio::time::sleep(wait).await;
                        continue;
                    }
                    Pass::Resting(_) if self.go_to_secondary(tell) => continue,
                    Pass::Resting(rest) => {
                        let host = self.service().host();
                        let rests = format!(
                            "{host} failed again and again, and is asked no more for {}",
                            seconds(rest)
                        );
                        let error = Error::new(ErrorKind::UNAVAILABLE, rests)
                            .with_hint("wait, or name a second service as `secondary` in the profile");
                        return Err(self.give_up(after_a_wait(error, rest)));
                    }
                    Pass::TurnTooLate(wait) => {
                        let late = format!(
                            "its turn among the requests of this minute would come in {} only",
                            seconds(wait)
                        );
                        let error = Error::new(ErrorKind::RATE_LIMIT, late)
                            .with_hint("ask less often, or raise `limits.requestsPerMinute` in the profile");
                        return Err(self.give_up(after_a_wait(error, wait)));
                    }
                    Pass::Wait(wait) => (wait, "this key may not be used".to_owned()),
                },
            };
            // What is refused anew to others after each wait would be refused to this one as well.
            n_waits += 1;
            let is_refused_again = n_waits > self.settings.profile.options.retry.attempts;
            if wait > longest || wait >= left || is_refused_again {
                let error = Error::new(ErrorKind::RATE_LIMIT, format!("{whose} for another {}", seconds(wait)))
                    .with_hint("wait, or ask less often: the service asks for it");
                return Err(self.give_up(after_a_wait(error, wait)));
            }
            // A little more, so that the calls of a process do not all come back in the same moment.
            let spread = wait.mul_f64(0.1 * jitter::throw()).min(Duration::from_secs(1));
            tokio::time::sleep((wait + spread).min(left)).await;
        }
    }

    /// Asks the second service from now on, if there is one.
    fn go_to_secondary(&mut self, tell: &mut impl FnMut(Notice)) -> bool {
        let may_go = !self.is_at_secondary && self.ask.dialect == Dialect::Chat;
        let Some(secondary) = self.settings.secondary.as_ref().filter(|_| may_go) else {
            return false;
        };
        let message = format!(
            "{} cannot be reached, so {} is asked",
            self.settings.service.host(),
            secondary.host()
        );
        self.is_at_secondary = true;
        self.tries.move_on();
        // What the first service's retries cost is not the second one's to give back.
        self.paid = 0;
        tell(Notice::new("secondary_used", message));
        true
    }

    /// What the present attempt sends.
    fn sending(&self) -> Result<Sending, Failed> {
        let (options, models, request) = (&self.settings.profile.options, self.models(), &self.ask.request);
        let mut headers = self.plan.headers.clone();
        headers.insert(CONTENT_TYPE, headers::content_type(&self.ask));
        let mut url = self.service().chat_url.clone();
        let body = match &self.settings.secondary {
            Some(secondary) if self.is_at_secondary => {
                let model = models.first().map_or("", String::as_str);
                let model = secondary_model(&self.settings, model);
                tracing::debug!(host = secondary.host(), model, "request");
                // The first service's own headers are no matter of another company's.
                let others = [CONTENT_TYPE.as_str(), "http-referer", "x-title"];
                headers = headers
                    .iter()
                    .filter(|(name, _)| others.contains(&name.as_str()))
                    .map(|(name, value)| (name.clone(), value.clone()))
                    .collect();
                let body = self.plan.plain_body(options, request, model, self.changes, self.stream);
                Some(body.into())
            }
            _ => {
                if self.ask.view.has_types() {
                    // How the answer came about: which models and providers were tried. Whoever reads the raw form asks for it there.
                    headers.insert("x-openrouter-metadata", HeaderValue::from_static("enabled"));
                }
                if !self.ask.view.has_types() {
                    url = self.url()?;
                }
                match (&self.ask.body, self.ask.dialect) {
                    (Some(given), _) => Some(self.plan.given_body(options, &self.ask, given, models)),
                    (None, Dialect::Other) => {
                        headers.remove(CONTENT_TYPE);
                        None
                    }
                    (None, _) => Some(
                        self.plan
                            .body(options, request, models, self.changes, self.stream)
                            .into(),
                    ),
                }
            }
        };
        tracing::debug!(
            model = self.model(),
            bytes = body.as_ref().map_or(0, Bytes::len),
            stream = self.stream,
            attempt = self.attempts.len() + 1,
            "request"
        );
        Ok(Sending {
            method: self.ask.method.clone(),
            url,
            body,
            headers,
            stream: self.stream,
            has_raw: self.ask.view.has_raw(),
            takes_any_success: self.ask.dialect == Dialect::Other,
        })
    }

    /// Where a request goes that is no chat request. It stays below the service's address, where the key may go.
    fn url(&self) -> Result<Url, Failed> {
        let base_url = &self.service().base_url;
        let url = Url::parse(&format!("{base_url}{}", self.ask.path)).ok();
        let stays = |url: &Url| Url::parse(base_url).is_ok_and(|base| url.path().starts_with(base.path()));
        url.filter(stays).ok_or_else(|| {
            let message = "the path of the request leads away from the service";
            Failed::new(Class::Final, Error::new(ErrorKind::INVALID_REQUEST, message))
        })
    }

    async fn send(&mut self) -> Result<(reqwest::Response, Head, Reader), Failed> {
        let sending = self.sending()?;
        self.bill.is_open = true;
        let response = http::send(self.service(), sending, self.clock()).await;
        let response = response.map_err(|mut failed| {
            if failed.error.details.status == Some(404) && self.ask.is_for_something_new() {
                failed.class = Class::Refused;
            }
            failed
        })?;
        self.gate().answered();
        let secret = self.service().secret();
        let head = if self.ask.view.has_raw() {
            http::head_of(response.status().as_u16(), response.headers(), secret)
        } else {
            Head::default()
        };
        let generation_id = response
            .headers()
            .get("x-generation-id")
            .and_then(|id| id.to_str().ok())
            .map(|id| secret::scrub(id, secret));
        let model = self.models().first().cloned();
        let reader = match self.ask.dialect {
            Dialect::Chat => {
                let model = model.unwrap_or_default();
                Reader::Chat(Box::new(ReplyReader::new(model, generation_id, secret, self.ask.view)))
            }
            dialect => Reader::Foreign(Box::new(ForeignReader::new(dialect, model, generation_id, secret))),
        };
        Ok((response, head, reader))
    }

    /// One attempt for an answer in one piece.
    async fn ask_whole(&mut self) -> Result<(ChatReply, Head, Bytes), Failed> {
        let (response, head, reader) = self.send().await?;
        let content_type = response.headers().get(CONTENT_TYPE).cloned();
        let mut body = http::whole_body(response, self.clock()).await?;
        // Its raw form is the body itself.
        let mut decoder = Decoder::new(reader, View::Typed);
        match Shape::of(&body, content_type.as_ref()) {
            // It may be anything.
            _ if self.ask.dialect == Dialect::Other => decoder.read_document(&body),
            Shape::Document => decoder.read_document(&body),
            Shape::Page => return Err(http::not_an_answer(&body, self.service().secret())),
            // Not asked for, but as good.
            Shape::Stream => {
                decoder.push(&body);
                decoder.read_end();
            }
        }
        if self.ask.view.has_raw() && !decoder.reader.has_begun() && decoder.is_reported {
            decoder.reported = Some(body.to_vec());
        }
        if !self.ask.view.has_types() && decoder.reader.has_begun() && !decoder.is_cut {
            // Part of an answer with an error in it is what the service gives, and what it bills.
            decoder.forgive();
        }
        if !self.ask.view.has_raw() {
            body = Bytes::new();
        }
        let mut decoder = self.settled(decoder)?;
        let done = match decoder.end.take() {
            Some(Ok(done)) => done,
            Some(Err(error)) => return Err(Failed::new(Class::Answered, error)),
            None => return Err(Failed::new(Class::Empty, nothing_came())),
        };
        let mut reply = ChatReply::default();
        for event in decoder.ready {
            reply.add(event);
        }
        reply.done = done;
        Ok((reply, head, body))
    }

    /// One attempt for an answer as a stream, to its first piece.
    async fn ask_stream(&mut self, writer: &Writer<Box<Begun>>) -> Result<(Decoder, Head, Option<Body>), Failed> {
        let (response, head, reader) = self.send().await?;
        if self.ask.view.has_types() {
            writer.head();
        }
        let clock = self.clock();
        let mut decoder = Decoder::new(reader, self.ask.view);
        let content_type = response.headers().get(CONTENT_TYPE).cloned();
        let mut shape = None;
        let mut body = Box::pin(reqwest::Body::from(response));
        loop {
            let due = clock
                .idle(Instant::now())
                .or(clock.first_token("no first token came"))
                .or(clock.total());
            let frame = std::future::poll_fn(|context| http_body::Body::poll_frame(body.as_mut(), context));
            match due.wait(frame).await {
                Ok(Some(Ok(frame))) => {
                    let Ok(piece) = frame.into_data() else { continue };
                    if *shape.get_or_insert_with(|| Shape::of(&piece, content_type.as_ref())) != Shape::Stream {
                        // Some providers ignore `stream`; their one piece is as good as many.
                        let whole = http::rest_of_body(piece, body, clock, true).await?;
                        if shape == Some(Shape::Page) && self.ask.dialect != Dialect::Other {
                            return Err(http::not_an_answer(&whole, self.service().secret()));
                        }
                        decoder.read_document(&whole);
                        return self.settled(decoder).map(|decoder| (decoder, head, None));
                    }
                    decoder.push(&piece);
                    decoder.read_until_begun();
                }
                Ok(Some(Err(cause))) => return Err(Failed::new(Class::Ambiguous, transport::from_body(&cause))),
                Ok(None) => decoder.read_end(),
                Err(late) => return Err(Failed::new(Class::Ambiguous, late)),
            }
            if decoder.reader.has_begun() {
                return Ok((decoder, head, Some(body)));
            }
            if decoder.end.is_some() {
                return self.settled(decoder).map(|decoder| (decoder, head, Some(body)));
            }
            decoder.ready.drain(..).for_each(|event| writer.event(event));
        }
    }

    /// Whether an answer that has ended, or came in one piece, is one to hand on.
    fn settled(&self, mut decoder: Decoder) -> Result<Decoder, Failed> {
        if decoder.reader.has_begun() {
            // What came is handed on, with the error that ended it if there is one.
            return Ok(decoder);
        }
        if let (Some(Err(error)), Some(reported)) = (&mut decoder.end, decoder.reported.take()) {
            error.details.is_told = false;
            error.details.answer = Some(Box::new(self.answer_of(error, &reported)));
        }
        match decoder.end {
            Some(Err(error)) if decoder.is_cut => Err(Failed::new(Class::Ambiguous, error)),
            Some(Err(error)) if error.kind == ErrorKind::INTERRUPTED => Err(Failed::new(Class::Empty, error)),
            Some(Err(error)) => Err(Failed::reported(error)),
            Some(Ok(_)) if decoder.is_empty => {
                if self.tries.empty == 0 && self.settings.profile.options.retry.attempts > 1 {
                    return Err(Failed::new(Class::Empty, nothing_came()));
                }
                let notice = Notice::new("empty_answer", "the model answered with nothing");
                decoder.ready.push_back(ChatEvent::Notice(notice));
                Ok(decoder)
            }
            _ => Ok(decoder),
        }
    }

    /// An error that came inside an answer, in the place of one that came with a status.
    fn answer_of(&self, error: &Error, reported: &[u8]) -> ServiceAnswer {
        let status = error.details.status.filter(|status| *status >= 400);
        ServiceAnswer {
            status: status.unwrap_or(502),
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: secret::without_keys(&String::from_utf8_lossy(reported), self.service().secret()),
        }
    }

    /// Notes an attempt that failed, and waits for what follows.
    ///
    /// - Errors: nothing follows; the failure is the outcome.
    async fn after(&mut self, failed: Failed, tell: &mut (impl FnMut(Notice) + Send)) -> Result<(), Error> {
        let mut failed = failed;
        let is_told_to_wait = matches!(failed.error.details.status, Some(429 | 503));
        if self.ask.dialect == Dialect::Other
            && !self.ask.is_idempotent()
            && failed.class != Class::NeverProcessed
            && !is_told_to_wait
        {
            // Nobody knows what it would do a second time.
            failed.class = Class::Final;
        }
        self.note(&failed);
        self.bill.is_open = false;
        self.bill.n_unknown += u32::from(matches!(failed.class, Class::Ambiguous | Class::Answered));
        let next_window = self.next_window(&failed);
        let situation = Situation {
            retry: &self.settings.profile.options.retry,
            stream: self.stream || self.ask.is_idempotent(),
            has_more_models: !self.is_at_secondary && next_window < self.plan.models.len(),
            left: self.clock().left(),
            dice: jitter::throw(),
        };
        let next = retry::next(&failed, &mut self.tries, &situation);
        let affordable = retry::affordable_tokens(&failed.error)
            .filter(|_| self.settings.profile.options.retry.reduce_tokens && self.changes.max_tokens.is_none());
        let error = failed.error;
        if let Some(tokens) = affordable {
            self.changes.max_tokens = Some(tokens);
            let message = format!("the credit suffices for {tokens} tokens only, so no more are asked for");
            tell(self.notice("tokens_reduced", message, None));
            return Ok(());
        }
        if next == Next::GiveUp {
            let is_away = matches!(
                failed.class,
                Class::NeverProcessed | Class::Refused | Class::ServerFault
            ) && !failure::is_the_services_own(&error);
            if is_away && self.go_to_secondary(tell) {
                return Ok(());
            }
            let mut error = self.give_up(error);
            if !self.is_at_secondary {
                advice::suggest(&self.settings, &self.common, &mut error);
            }
            return Err(error);
        }
        let is_free = self.ask.is_for_something_new();
        let cost = if is_free {
            Some(0)
        } else {
            self.gate().pay(error.kind == ErrorKind::RATE_LIMIT)
        };
        let Some(cost) = cost else {
            tracing::warn!("no retry: too many calls have failed lately");
            return Err(self.give_up(error));
        };
        self.paid += cost;
        match next {
            Next::MoveOn => {
                let former = self.names();
                self.window = next_window;
                self.tries.move_on();
                let model = self.plan.window(self.window).first().map_or("", String::as_str);
                let message = format!("{former}: {}; `{model}` is asked next", error.message);
                tell(self.notice("fallback", message, None));
            }
            Next::Repeat(wait) => {
                let message = format!("{}: {}; trying again", self.names(), error.message);
                tell(self.notice("retry", message, Some(milliseconds(wait))));
                tokio::time::sleep(wait).await;
            }
            Next::GiveUp => {}
        }
        Ok(())
    }

    /// Where in the chain the models begin that are asked after this failure.
    fn next_window(&self, failed: &Failed) -> usize {
        let models = self.plan.window(self.window);
        if failed.is_of_all_models {
            return self.window + models.len();
        }
        // The one that served is told, or else it is the one that was asked first.
        let served = failed.error.details.model.as_deref().unwrap_or_default();
        let at = models.iter().position(|model| model == served);
        let at = at.or_else(|| models.iter().position(|model| model == self.model()));
        self.window + at.unwrap_or(0) + 1
    }

    /// Remembers an attempt that failed, for the caller and for other calls.
    fn note(&mut self, failed: &Failed) {
        let error = &failed.error;
        tracing::debug!(
            kind = error.kind.code(),
            status = error.details.status.unwrap_or(0),
            "refused"
        );
        let asked = if self.model().is_empty() {
            &self.ask.path
        } else {
            self.model()
        };
        let attempt = failure::attempt_of(error, asked.split('?').next().unwrap_or(asked));
        self.attempts.extend(error.details.attempts.iter().cloned());
        // The service's own list may end with this one.
        if error
            .details
            .attempts
            .last()
            .is_none_or(|last| last.status != attempt.status)
        {
            self.attempts.push(attempt);
        }
        if self.ask.dialect == Dialect::Other {
            // What another path is refused says nothing about chat.
            return;
        }
        let now = Instant::now();
        if let Some(wait) = error
            .retry_after_ms
            .filter(|_| matches!(error.details.status, Some(429 | 503)) || failed.class == Class::Refused)
        {
            let model = Some(self.model()).filter(|_| !retry::concerns_the_key(error));
            self.gate().hold(now, model, Duration::from_millis(wait));
        }
        match failed.class {
            Class::NeverProcessed | Class::Ambiguous => self.circuit_failed(now),
            _ if failure::is_the_services_own(error) => self.gate().answered(),
            Class::Refused | Class::ServerFault => self.circuit_failed(now),
            Class::Empty | Class::Answered | Class::Final => {}
        }
    }

    fn circuit_failed(&self, now: Instant) {
        if let Some(rest) = self.gate().failed(now, self.attempt_begun) {
            let host = self.service().host();
            tracing::warn!(
                "{host} failed again and again, and is asked no more for {}",
                seconds(rest)
            );
        }
    }

    fn notice(&self, code: &str, message: String, wait_ms: Option<u64>) -> Notice {
        Notice {
            attempt: self.attempts.last().cloned().map(Box::new),
            wait_ms,
            ..Notice::new(code, message)
        }
    }

    /// Says that another model answers than the one that was asked for, where the service chose it.
    fn fallback_notice(&self, served: Option<&str>) -> Option<Notice> {
        let served = served?;
        let asked = self.models().first()?;
        // The service may add a date to an id, and leaves out a variant. One id may be the beginning of another.
        let base = |id: &str| {
            id.split(':')
                .next()
                .map_or(0, |base| if served.starts_with(base) { base.len() } else { 0 })
        };
        let serves = self
            .models()
            .iter()
            .max_by_key(|id| base(id))
            .filter(|id| base(id) > 0)?;
        if base(serves) == base(asked) {
            return None;
        }
        Some(Notice::new(
            "fallback",
            format!("`{asked}` could not answer, so `{served}` does"),
        ))
    }

    /// The outcome of a call that got no answer.
    fn give_up(&mut self, mut error: Error) -> Error {
        if self.is_at_secondary && error.details.status.is_some() {
            error.message = format!("the second service, {}: {}", self.service().host(), error.message);
            error.details.hint = Some(match error.kind {
                ErrorKind::AUTH => "check the key in `OPENROUTER_SECONDARY_API_KEY`".to_owned(),
                ErrorKind::NOT_FOUND | ErrorKind::INVALID_REQUEST => {
                    "say what the model is called there, as `secondary.models` of the profile".to_owned()
                }
                _ => "the first service cannot be reached now either".to_owned(),
            });
        }
        error.details.model = error.details.model.or_else(|| self.models().first().cloned());
        error.details.attempts = std::mem::take(&mut self.attempts);
        if error.details.attempts.len() == 1 && error.details.attempts[0].code.as_deref() == Some(error.kind.code()) {
            // It tells no more than the error itself.
            error.details.attempts.clear();
        }
        error
    }

    /// What remains to be done once the answer has ended.
    fn closing(self) -> Closing {
        Closing {
            gate: Arc::clone(&self.service().gate),
            common: self.common,
            is_of_the_account: !self.is_at_secondary,
            attempts: self.attempts,
            paid: self.paid,
            bill: self.bill,
            permit: self.permit,
        }
    }
}

/// What a model is called at the second service.
fn secondary_model<'a>(settings: &'a Settings, model: &'a str) -> &'a str {
    let names = settings
        .profile
        .options
        .secondary
        .as_ref()
        .map(|secondary| &secondary.models);
    names.and_then(|names| names.get(model)).map_or(model, String::as_str)
}

fn nothing_came() -> Error {
    Error::new(ErrorKind::INTERRUPTED, "the answer ended before anything had arrived").with_hint("try again")
}

fn after_a_wait(mut error: Error, wait: Duration) -> Error {
    error.retry_after_ms = Some(milliseconds(wait));
    error
}
