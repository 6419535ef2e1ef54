//! The body of an answer: whole, or the plugin's events as they arrive.
//!
//! A piece of a stream goes out as soon as it is there and as the service wrote it; pieces that are there at once go out together. The
//! body owns the stream, and nothing else does: when the client leaves, both go, and the request to the service with them.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use plugin_api::{ChatEvent, Error, EventStream, Text};
use serde_json::{Value, json};

use super::problem::error_object;
use super::record::Record;
use super::route::Dialect;
use super::typed::Writer;

/// The most that goes out in one piece, if more than one event makes it; in bytes.
const MAX_FRAME_BYTES: usize = 64 << 10;

pub enum Body {
    Whole(Bytes),
    Events(Box<Events>),
}

/// A stream on its way to the client.
pub struct Events {
    /// `None` after the end.
    stream: Option<EventStream>,
    /// What was looked at already, in reverse.
    held: Vec<Result<ChatEvent, Error>>,
    form: Form,
    /// The number of the last event, in a form that counts them.
    sequence_number: Option<u64>,
    record: Record,
}

/// In which form the events go out.
pub enum Form {
    /// As the service wrote them.
    Raw(Dialect),
    /// Written here, out of what they say.
    Typed(Writer),
}

/// What goes out next.
#[derive(Default)]
enum Out {
    #[default]
    Nothing,
    /// One piece, as the plugin gave it.
    One(Bytes),
    Several(BytesMut),
}

/// A text of the plugin's, as bytes, where it is.
struct InPlace(Text);

impl AsRef<[u8]> for InPlace {
    fn as_ref(&self) -> &[u8] {
        self.0.as_str().as_bytes()
    }
}

impl Body {
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        Self::Whole(bytes.into())
    }

    /// - In: `held`, items that were taken from the stream, in their order.
    pub fn events(stream: EventStream, mut held: Vec<Result<ChatEvent, Error>>, form: Form, record: Record) -> Self {
        held.reverse();
        Self::Events(Box::new(Events {
            stream: Some(stream),
            held,
            form,
            sequence_number: None,
            record,
        }))
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            Self::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Events(events) => events.poll(context).map(|bytes| Some(Ok(Frame::data(bytes?)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_empty(),
            Self::Events(events) => events.stream.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Events(_) => SizeHint::default(),
        }
    }
}

impl Events {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let mut out = Out::Nothing;
        while let Some(stream) = &mut self.stream {
            let next = match self.held.pop() {
                Some(item) => Some(item),
                None => match pin!(stream.next()).poll(context) {
                    Poll::Ready(next) => next,
                    Poll::Pending => match out.into_bytes() {
                        None => return Poll::Pending,
                        bytes => return Poll::Ready(bytes),
                    },
                },
            };
            match next {
                Some(Ok(ChatEvent::Done(done))) => {
                    if let Form::Typed(writer) = &mut self.form {
                        out.push(writer.end(&done).into());
                    }
                    self.record.complete(done);
                    self.stream = None;
                }
                Some(Ok(event)) => self.take(event, &mut out),
                Some(Err(error)) => {
                    self.record.broke_off(&error);
                    if !error.details.is_told {
                        out.push(self.last_words(&error).into());
                    }
                    self.stream = None;
                }
                None => self.stream = None,
            }
            if out.len() >= MAX_FRAME_BYTES {
                break;
            }
        }
        Poll::Ready(out.into_bytes())
    }

    fn take(&mut self, event: ChatEvent, out: &mut Out) {
        match (event, &mut self.form) {
            (ChatEvent::KeepAlive(text), _) => out.push(comment(&text).into()),
            (ChatEvent::Raw(text), Form::Raw(dialect)) if !text.is_empty() => {
                if *dialect == Dialect::Responses {
                    self.sequence_number = last_number(&text).or(self.sequence_number);
                }
                self.record.piece();
                out.push(Bytes::from_owner(InPlace(text)));
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

    /// How a stream ends that broke off without the service saying so itself.
    fn last_words(&self, error: &Error) -> String {
        let object = services_object(error).unwrap_or_else(|| error_object(error));
        let (dialect, id) = match &self.form {
            Form::Raw(dialect) => (*dialect, error.details.generation_id.as_deref().unwrap_or_default()),
            Form::Typed(writer) => (Dialect::Chat, writer.id()),
        };
        match dialect {
            Dialect::Responses => {
                let told = json!({
                    "type": "error",
                    "code": object["type"],
                    "message": error.message,
                    "param": null,
                    "sequence_number": self.sequence_number.map_or(0, |last| last + 1),
                    "error": object,
                });
                format!("event: error\ndata: {told}\n\n")
            }
            Dialect::Messages => {
                let told = json!({"type": "error", "error": {"type": "api_error", "message": error.message}});
                format!("event: error\ndata: {told}\n\n")
            }
            Dialect::Chat | Dialect::Completions | Dialect::Other => {
                let (kind, choice) = if dialect == Dialect::Completions {
                    (
                        "text_completion",
                        json!({"index": 0, "text": "", "finish_reason": "error"}),
                    )
                } else {
                    (
                        "chat.completion.chunk",
                        json!({"index": 0, "delta": {}, "finish_reason": "error"}),
                    )
                };
                let told = json!({
                    "id": id,
                    "object": kind,
                    "created": now_s(),
                    "model": error.details.model.as_deref().unwrap_or_default(),
                    "choices": [choice],
                    "error": object,
                });
                format!("data: {told}\n\n")
            }
        }
    }
}

/// The error in the service's own words, where it said any before anything of the answer went out.
fn services_object(error: &Error) -> Option<Value> {
    let answer = error.details.answer.as_ref()?;
    let mut told: Value = serde_json::from_str(&answer.body).ok()?;
    Some(told["error"].take()).filter(Value::is_object)
}

impl Out {
    fn len(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::One(bytes) => bytes.len(),
            Self::Several(bytes) => bytes.len(),
        }
    }

    fn push(&mut self, piece: Bytes) {
        *self = match std::mem::take(self) {
            Self::Nothing => Self::One(piece),
            Self::One(first) => {
                let mut bytes = BytesMut::with_capacity((first.len() + piece.len()) * 2);
                bytes.extend_from_slice(&first);
                bytes.extend_from_slice(&piece);
                Self::Several(bytes)
            }
            Self::Several(mut bytes) => {
                bytes.extend_from_slice(&piece);
                Self::Several(bytes)
            }
        };
    }

    fn into_bytes(self) -> Option<Bytes> {
        match self {
            Self::Nothing => None,
            Self::One(bytes) => Some(bytes),
            Self::Several(bytes) => Some(bytes.freeze()),
        }
    }
}

/// The number of the last event in a piece of a stream of responses.
fn last_number(piece: &str) -> Option<u64> {
    let (_, rest) = piece.rsplit_once("\"sequence_number\":")?;
    let rest = rest.trim_start();
    let end = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

/// A comment of an event stream, which clients pass over.
fn comment(text: &str) -> String {
    let mut lines = String::with_capacity(text.len() + 4);
    // A line end in it would begin something that is no comment.
    for line in text.split(['\n', '\r']) {
        lines.push_str(": ");
        lines.push_str(line);
        lines.push('\n');
    }
    lines.push('\n');
    lines
}

/// Seconds since 1970.
pub fn now_s() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// What the first event of an answer says of where it comes from, in the forms of OpenAI's and Anthropic's protocols.
#[derive(Debug, Default, PartialEq)]
pub struct Source {
    pub id: Option<String>,
    pub model: Option<String>,
    pub provider: Option<String>,
}

impl Source {
    /// - In: a piece of an answer as it was written, of which the first line with data is looked at.
    pub fn of(piece: &str) -> Self {
        /// A first event is small; what is larger is something else.
        const MAX_BYTES: usize = 16 << 10;
        let data = piece.lines().find_map(|line| line.strip_prefix("data:"));
        let Some(data) = data.filter(|data| data.len() <= MAX_BYTES) else {
            return Self::default();
        };
        let Ok(event) = serde_json::from_str::<Value>(data) else {
            return Self::default();
        };
        let inner = ["response", "message"]
            .iter()
            .find_map(|name| event.get(name))
            .unwrap_or(&event);
        let text = |name: &str| inner[name].as_str().map(str::to_owned);
        Self {
            id: text("id"),
            model: text("model"),
            provider: text("provider"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_stays_one_whatever_it_says() {
        assert_eq!(comment("PROCESSING"), ": PROCESSING\n\n");
        assert_eq!(comment(""), ": \n\n");
        assert_eq!(comment("a\n\ndata: b\rc"), ": a\n: \n: data: b\n: c\n\n");
    }

    #[test]
    fn the_first_event_says_who_answers() {
        let source = |id: &str, model: &str| Source {
            id: Some(id.to_owned()),
            model: Some(model.to_owned()),
            provider: None,
        };
        assert_eq!(
            Source::of("data: {\"id\":\"g1\",\"model\":\"acme/large\"}\n\n"),
            source("g1", "acme/large")
        );
        assert_eq!(
            Source::of(
                "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"r1\",\"model\":\"m\"}}\n\n"
            ),
            source("r1", "m")
        );
        assert_eq!(
            Source::of(
                "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"a1\",\"model\":\"m\"}}\n\n"
            ),
            source("a1", "m")
        );
        for nothing in ["", ": PROCESSING\n\n", "data: [DONE]\n\n", "data: {\"id\": 7}\n\n"] {
            assert_eq!(Source::of(nothing), Source::default(), "{nothing}");
        }
    }
}
