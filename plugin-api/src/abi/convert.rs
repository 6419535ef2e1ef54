//! Converts events and errors between the form that crosses and the form that both sides work with.
//!
//! Text and reasoning events cross without any JSON. Event kinds that this version does not know pass through as
//! [`ChatEvent::Other`].

use serde::{Deserialize, Serialize};

use super::types::{RawError, RawEvent, RawEventKind, Text};
use crate::chat::ChatEvent;
use crate::error::{Details, Error, ErrorKind};

impl From<ChatEvent> for RawEvent {
    fn from(event: ChatEvent) -> Self {
        fn json(kind: RawEventKind, value: &impl Serialize) -> RawEvent {
            // These types have no maps whose keys are not text, so writing them cannot fail.
            raw(
                kind,
                Text::default(),
                serde_json::to_string(value).unwrap_or_default().into(),
            )
        }
        fn raw(kind: RawEventKind, text: Text, json: Text) -> RawEvent {
            RawEvent {
                kind,
                index: 0,
                text,
                json,
            }
        }
        let text = |kind, text| raw(kind, text, Text::default());
        match event {
            ChatEvent::Text(piece) => text(RawEventKind::TEXT, piece),
            ChatEvent::Reasoning(piece) => text(RawEventKind::REASONING, piece),
            ChatEvent::KeepAlive(comment) => text(RawEventKind::KEEP_ALIVE, comment),
            ChatEvent::ToolCall(call) => json(RawEventKind::TOOL_CALL, &call),
            ChatEvent::Notice(notice) => json(RawEventKind::NOTICE, &notice),
            ChatEvent::Done(done) => json(RawEventKind::DONE, &done),
            ChatEvent::Head(head) => json(RawEventKind::HEAD, &head),
            ChatEvent::Raw(piece) => text(RawEventKind::RAW, piece),
            ChatEvent::Other { kind, text, json } => raw(RawEventKind::from_number(kind), text, json),
        }
    }
}

impl TryFrom<RawEvent> for ChatEvent {
    type Error = Error;

    fn try_from(raw: RawEvent) -> Result<Self, Error> {
        fn read<'a, T: Deserialize<'a>>(kind: RawEventKind, json: &'a Text) -> Result<T, Error> {
            serde_json::from_str(json).map_err(|_| {
                Error::new(
                    ErrorKind::PROTOCOL,
                    format!("the plugin sent a `{kind}` event that cannot be parsed"),
                )
            })
        }
        Ok(match raw.kind {
            RawEventKind::TEXT => Self::Text(raw.text),
            RawEventKind::REASONING => Self::Reasoning(raw.text),
            RawEventKind::KEEP_ALIVE => Self::KeepAlive(raw.text),
            RawEventKind::TOOL_CALL => Self::ToolCall(read(raw.kind, &raw.json)?),
            RawEventKind::NOTICE => Self::Notice(read(raw.kind, &raw.json)?),
            RawEventKind::DONE => Self::Done(read(raw.kind, &raw.json)?),
            RawEventKind::HEAD => Self::Head(read(raw.kind, &raw.json)?),
            RawEventKind::RAW => Self::Raw(raw.text),
            other => Self::Other {
                kind: other.number(),
                text: raw.text,
                json: raw.json,
            },
        })
    }
}

impl From<Error> for RawError {
    fn from(error: Error) -> Self {
        let details = if *error.details == Details::default() {
            String::new()
        } else {
            serde_json::to_string(&error.details).unwrap_or_default()
        };
        Self {
            kind: error.kind,
            retry_after_ms: error.retry_after_ms.into(),
            message: error.message.into(),
            details: details.into(),
        }
    }
}

impl From<RawError> for Error {
    fn from(raw: RawError) -> Self {
        Self {
            kind: raw.kind,
            message: raw.message.into(),
            retry_after_ms: raw.retry_after_ms.into(),
            // An error with unreadable details is still that error.
            details: Box::new(serde_json::from_str(raw.details.as_str()).unwrap_or_default()),
        }
    }
}
