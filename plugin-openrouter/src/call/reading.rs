//! One attempt: sends the request, and reads a whole answer, or a stream up to its first piece.
//!
//! In: a call that may begin an attempt. Out: an answer, whole or just begun, or the failure with its class.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Instant;

use bytes::Bytes;
use plugin_api::{ChatEvent, ChatReply, Error, ErrorKind, Head, Notice, ServiceAnswer, View};
use reqwest::header::CONTENT_TYPE;
use serde::de::IgnoredAny;

use crate::answer::decode::{Decoder, Reader};
use crate::answer::foreign::ForeignReader;
use crate::answer::heard::Heard;
use crate::answer::reply::ReplyReader;
use crate::answer::shape::Shape;
use crate::call::attempts::Call;
use crate::call::events::Begun;
use crate::call::intake::Writer;
use crate::failure;
use crate::failure::retry::{Class, Failed};
use crate::request::Dialect;
use crate::service::http::{self, Body};
use crate::service::transport;
use crate::values::secret;

/// How many bytes that have already arrived are decoded at once.
const STREAM_PIECE_BYTES: usize = 64 << 10;

impl Call {
    fn limit_bytes(&self) -> usize {
        self.settings.profile.options.limits.answer_bytes()
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
        let mut heard = Heard::new(model, generation_id, secret);
        heard.request_id = failure::request_id(response.headers(), secret);
        let reader = match self.ask.dialect {
            Dialect::Chat => Reader::Chat(Box::new(ReplyReader::new(heard, self.ask.view, self.limit_bytes()))),
            dialect => Reader::Foreign(Box::new(ForeignReader::new(dialect, heard))),
        };
        Ok((response, head, reader))
    }

    /// Makes one attempt for a whole answer.
    pub(super) async fn ask_whole(&mut self) -> Result<(ChatReply, Head, Bytes), Failed> {
        let (response, head, reader) = self.send().await?;
        let content_type = response.headers().get(CONTENT_TYPE).cloned();
        let mut body = http::whole_body(response, self.limit_bytes(), self.clock()).await?;
        let mut reply = ChatReply::default();
        // The body itself is the raw form.
        let mut decoder = Decoder::new(reader, View::Typed, self.limit_bytes());
        match Shape::of(&body, content_type.as_ref()) {
            // Other paths may answer with anything.
            _ if self.ask.dialect == Dialect::Other => decoder.read_document(&body),
            Shape::Document => decoder.read_document(&body),
            Shape::Page => return Err(http::not_an_answer(&body, self.service().secret())),
            // Not requested, but just as good.
            Shape::Stream => {
                for piece in body.chunks(STREAM_PIECE_BYTES) {
                    decoder.push(piece);
                    decoder.read();
                    // Decoded tiny events take many times the size of the body.
                    decoder.ready.drain(..).for_each(|event| reply.add(event));
                    if decoder.end.is_some() {
                        break;
                    }
                }
                decoder.read_end();
            }
        }
        if self.ask.view.has_raw() && !decoder.reader.has_begun() && decoder.is_reported {
            decoder.reported = Some(body.to_vec());
        }
        if !self.ask.view.has_types() && decoder.reader.has_begun() && !decoder.is_cut {
            // The service returns and bills a partial answer with an error in it, so it is passed on.
            decoder.forgive();
        }
        if !self.ask.view.has_raw() {
            body = Bytes::new();
        } else if memchr::memmem::find(&body, self.service().secret().as_bytes()).is_some() {
            // Errors may quote the key, and on some paths nothing else tells them from answers.
            body = secret::without_keys(&String::from_utf8_lossy(&body), self.service().secret()).into();
        }
        let mut decoder = self.settled(decoder)?;
        let done = match decoder.end.take() {
            Some(Ok(done)) => done,
            Some(Err(error)) => return Err(Failed::new(Class::Answered, error)),
            None => return Err(Failed::new(Class::Empty, empty_answer())),
        };
        for event in decoder.ready {
            reply.add(event);
        }
        reply.done = done;
        Ok((reply, head, body))
    }

    /// Makes one attempt for a stream, and reads it up to its first piece.
    pub(super) async fn ask_stream(
        &mut self,
        writer: &Writer<Box<Begun>>,
    ) -> Result<(Decoder, Head, Option<Body>), Failed> {
        let (response, head, reader) = self.send().await?;
        if self.ask.view.has_types() {
            writer.head();
        }
        let clock = self.clock();
        let mut decoder = Decoder::new(reader, self.ask.view, self.limit_bytes());
        let content_type = response.headers().get(CONTENT_TYPE).cloned();
        let mut shape = None;
        let mut body = Box::pin(reqwest::Body::from(response));
        loop {
            let due = clock
                .idle(Instant::now())
                .or(clock.first_token("no first token arrived"))
                .or(clock.total());
            let frame = std::future::poll_fn(|context| http_body::Body::poll_frame(body.as_mut(), context));
            match due.wait(frame).await {
                Ok(Some(Ok(frame))) => {
                    let Ok(piece) = frame.into_data() else { continue };
                    if *shape.get_or_insert_with(|| Shape::of(&piece, content_type.as_ref())) != Shape::Stream {
                        // Some providers ignore `stream` and send a document, which is just as good.
                        let whole = http::rest_of_body(piece, body, self.limit_bytes(), clock, true).await?;
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

    /// Decides whether an answer that has ended is passed on or is a failed attempt.
    fn settled(&self, mut decoder: Decoder) -> Result<Decoder, Failed> {
        if decoder.reader.has_begun() {
            // The text so far is passed on, with the error that ended the answer if there is one.
            return Ok(decoder);
        }
        if let (Some(Err(error)), Some(reported)) = (&mut decoder.end, decoder.reported.take()) {
            error.details.is_told = false;
            error.details.answer = self.answer_of(error, &reported).map(Box::new);
        }
        match decoder.end {
            Some(Err(error)) if decoder.is_cut => Err(Failed::new(Class::Ambiguous, error)),
            Some(Err(error)) if error.kind == ErrorKind::INTERRUPTED => Err(Failed::new(Class::Empty, error)),
            Some(Err(error)) => Err(Failed::reported(error)),
            Some(Ok(_)) if decoder.is_empty => {
                let failed = Failed::new(Class::Empty, empty_answer());
                let may_repeat = self.tries.empty == 0 && self.retry().attempts > 1;
                if may_repeat || self.has_more_models(&failed) {
                    return Err(failed);
                }
                let notice = Notice::new("empty_answer", "the model returned an empty answer");
                decoder.ready.push_back(ChatEvent::Notice(notice));
                Ok(decoder)
            }
            _ => Ok(decoder),
        }
    }

    /// Builds an error response of the service from an error that it reported inside an answer; `None` if the error is
    /// not an object, such as plain words.
    fn answer_of(&self, error: &Error, reported: &[u8]) -> Option<ServiceAnswer> {
        serde_json::from_slice::<BTreeMap<Cow<'_, str>, IgnoredAny>>(reported).ok()?;
        let status = error.details.status.filter(|status| *status >= 400);
        Some(ServiceAnswer {
            status: status.unwrap_or(502),
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: secret::without_keys(&String::from_utf8_lossy(reported), self.service().secret()),
        })
    }
}

fn empty_answer() -> Error {
    Error::new(ErrorKind::INTERRUPTED, "the answer ended before anything arrived").with_hint("try again")
}
