//! A streamed answer: the plugin's events on their way to the client, as they arrive.
//!
//! Events go out as soon as they arrive and as the service wrote them; events that are ready at once go out together.
//! The body owns the stream: when the client leaves, dropping the body cancels the request to the service.
//! What headers cannot say any more, such as who served and why others did not, stands in comments.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame};
use plugin_api::{ChatEvent, Done, Error, EventStream, Text};
use serde_json::{Value, json};

use super::cache::Kept;
use super::choices::filled;
use super::course::{Course, Interruption, cut_off};
use super::last_words::last_words;
use super::record::Record;
use super::reply::Body;
use super::route::Dialect;
use super::typed::Writer;

/// Events are combined into frames of up to this size, in bytes.
const MAX_FRAME_BYTES: usize = 64 << 10;

/// The frame behind which clients read nothing.
const LAST_FRAME: &str = "data: [DONE]\n\n";

/// A stream on its way to the client.
pub struct Events {
    /// `None` after the end.
    stream: Option<EventStream>,
    /// Events taken from the stream already, in reverse.
    held: Vec<Result<ChatEvent, Error>>,
    form: Form,
    /// The number of the last event, in a form that counts them.
    sequence_number: Option<u64>,
    /// The end of the raw form, which is kept for what must stand before it.
    last: Option<&'static str>,
    /// Whether the answer has events, and therefore room for comments.
    has_comments: bool,
    /// Whether everything up to here ends with the end of an event.
    is_between_events: bool,
    /// The next interruption.
    watched: Watched,
    record: Record,
    /// The answer so far, if it is to be kept.
    kept: Option<Kept>,
}

type Watched = Pin<Box<dyn Future<Output = (Interruption, Course)> + Send>>;

fn watched(mut course: Course) -> Watched {
    Box::pin(async move { (course.interrupted().await, course) })
}

/// In which form the events go out.
pub enum Form {
    /// As the service wrote them.
    Raw {
        dialect: Dialect,
        /// What replaces an empty list of choices, for clients that cannot read one.
        choice: Option<&'static str>,
    },
    /// Written here from typed events.
    Typed(Writer),
}

/// A plugin's text as bytes, without a copy.
struct InPlace(Text);

impl AsRef<[u8]> for InPlace {
    fn as_ref(&self) -> &[u8] {
        self.0.as_str().as_bytes()
    }
}

impl Events {
    /// - In: `held`, items that were taken from the stream, in their order.
    pub fn body(
        stream: EventStream,
        mut held: Vec<Result<ChatEvent, Error>>,
        form: Form,
        has_comments: bool,
        course: Course,
        record: Record,
        kept: Option<Kept>,
    ) -> Body {
        held.reverse();
        let events = Self {
            stream: Some(stream),
            held,
            form,
            sequence_number: None,
            last: None,
            has_comments,
            is_between_events: true,
            watched: watched(course),
            record,
            kept,
        };
        events.boxed_unsync()
    }

    fn take(&mut self, event: ChatEvent, out: &mut Vec<Bytes>) {
        match (event, &mut self.form) {
            (ChatEvent::KeepAlive(text), _) => out.push(comment(&text).into()),
            (ChatEvent::Notice(notice), _) if self.has_comments => {
                out.push(own_comment(&json!({"notice": notice.code, "message": notice.message})).into());
            }
            (ChatEvent::Raw(text), Form::Raw { dialect, choice }) if !text.is_empty() => {
                if *dialect == Dialect::Responses {
                    self.sequence_number = last_number(&text).or(self.sequence_number);
                }
                self.record.piece();
                out.extend(self.last.take().map(Bytes::from));
                let mut piece = match choice.and_then(|choice| filled(&text, choice)) {
                    Some(text) => text.into(),
                    None => Bytes::from_owner(InPlace(text)),
                };
                self.kept.iter_mut().for_each(|kept| kept.add(&piece));
                if piece.ends_with(LAST_FRAME.as_bytes()) {
                    piece.truncate(piece.len() - LAST_FRAME.len());
                    self.last = Some(LAST_FRAME);
                }
                out.extend(Some(piece).filter(|piece| !piece.is_empty()));
            }
            (event, Form::Typed(writer)) => {
                if let Some(text) = writer.event(&event) {
                    self.record.piece();
                    out.push(text.into());
                }
            }
            _ => {}
        }
    }

    /// Ends the answer, or finds out whether its client is still there.
    fn interrupted(&mut self, interruption: Interruption, out: &mut Vec<Bytes>) {
        match interruption {
            // What it is sent is the probe; events may be far between.
            Interruption::HalfClosed if self.has_comments && self.is_between(out) => {
                out.push(Bytes::from_static(b":\n\n"));
            }
            Interruption::HalfClosed => {}
            // The record, which knows nothing of an end, says who left.
            Interruption::Left => self.stream = None,
            Interruption::Cut => self.fail(&cut_off(), out),
        }
    }

    /// Whether what has gone out, and `out`, end with the end of an event.
    fn is_between(&self, out: &[Bytes]) -> bool {
        let ends = |last: &Bytes| [&b"\n\n"[..], b"\n\r\n", b"\r\r"].iter().any(|end| last.ends_with(end));
        out.last().map_or(self.is_between_events, ends)
    }

    fn fail(&mut self, error: &Error, out: &mut Vec<Bytes>) {
        self.record.broke_off(error);
        if !error.details.is_told {
            if self.has_comments && !self.is_between(out) {
                out.push(Bytes::from_static(b"\n\n"));
            }
            out.push(self.last_words(error).into());
        }
        self.stream = None;
    }

    fn last_words(&self, error: &Error) -> String {
        match &self.form {
            Form::Raw { dialect, .. } => {
                let id = error.details.generation_id.as_deref().unwrap_or_default();
                last_words(error, *dialect, id, self.sequence_number)
            }
            Form::Typed(writer) => last_words(error, Dialect::Chat, &writer.id, None),
        }
    }
}

impl HttpBody for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        let mut out = Vec::new();
        let mut n_bytes = 0;
        while this.stream.is_some()
            && let Poll::Ready((interruption, course)) = this.watched.as_mut().poll(context)
        {
            this.watched = watched(course);
            this.interrupted(interruption, &mut out);
        }
        while let Some(stream) = &mut this.stream {
            let n_before = out.len();
            let next = match this.held.pop() {
                Some(item) => Some(item),
                None => match pin!(stream.next()).poll(context) {
                    Poll::Ready(next) => next,
                    Poll::Pending if out.is_empty() => return Poll::Pending,
                    Poll::Pending => break,
                },
            };
            match next {
                Some(Ok(ChatEvent::Done(done))) => {
                    if this.has_comments {
                        out.push(own_comment(&served(&done)).into());
                    }
                    match &mut this.form {
                        Form::Typed(writer) => out.push(writer.end(&done).into()),
                        Form::Raw { .. } => out.extend(this.last.take().map(Bytes::from)),
                    }
                    if let Some(kept) = this.kept.take() {
                        kept.complete(&done);
                    }
                    this.record.complete(done);
                    this.stream = None;
                }
                Some(Ok(event)) => this.take(event, &mut out),
                Some(Err(error)) => this.fail(&error, &mut out),
                None => {
                    out.extend(this.last.take().map(Bytes::from));
                    this.stream = None;
                }
            }
            n_bytes += out[n_before..].iter().map(Bytes::len).sum::<usize>();
            if n_bytes >= MAX_FRAME_BYTES {
                break;
            }
        }
        this.is_between_events = this.is_between(&out);
        // A single piece goes out as the plugin gave it, without a copy.
        let frame = match out.len() {
            0 | 1 => out.pop(),
            _ => Some(out.concat().into()),
        };
        Poll::Ready(frame.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.stream.is_none()
    }
}

/// The number of the last event in a piece of a stream of responses.
fn last_number(piece: &str) -> Option<u64> {
    let (_, rest) = piece.rsplit_once("\"sequence_number\":")?;
    let rest = rest.trim_start();
    let end = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

/// Who served an answer, how long it took, and which attempts failed before.
fn served(done: &Done) -> Value {
    json!({
        "model": done.model,
        "provider": done.provider,
        "attempts": done.attempts,
        "first_token_ms": done.time_to_first_token_ms,
        "duration_ms": done.duration_ms,
    })
}

/// A comment of this endpoint's own.
fn own_comment(content: &Value) -> String {
    comment(&format!("agent-host {content}"))
}

/// A comment of an event stream, which clients ignore.
fn comment(text: &str) -> String {
    let mut lines = String::with_capacity(text.len() + 4);
    // A newline in it would start a line that is not a comment.
    for line in text.split(['\n', '\r']) {
        lines.push_str(": ");
        lines.push_str(line);
        lines.push('\n');
    }
    lines.push('\n');
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_cannot_break_out_of_its_lines() {
        assert_eq!(comment("PROCESSING"), ": PROCESSING\n\n");
        assert_eq!(comment(""), ": \n\n");
        assert_eq!(comment("a\n\ndata: b\rc"), ": a\n: \n: data: b\n: c\n\n");
    }
}
