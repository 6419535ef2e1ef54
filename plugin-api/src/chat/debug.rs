//! What `{:?}` prints of chat: names and sizes.
//!
//! Debug output ends up in logs and in messages of failed tests, so it never contains what a person or a model said.
//! It does contain words that services and plugins choose, such as ids, models and notices.

use std::fmt;

use serde_json::Value;

use super::{ChatReply, ChatRequest, Message, Part, ToolCall};

impl fmt::Debug for ChatRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatRequest")
            .field("tier", &self.tier)
            .field("model", &self.model)
            .field("messages_bytes", &self.messages.get().len())
            .field("parameters", &self.parameters.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let content = match &self.content {
            Value::Null => "nothing",
            Value::String(_) => "text",
            Value::Array(_) => "parts",
            Value::Bool(_) | Value::Number(_) | Value::Object(_) => "unknown",
        };
        f.debug_struct("Message")
            .field("role", &self.role)
            .field("content", &format_args!("{content}"))
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ToolCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolCall")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("argument_bytes", &self.arguments.len())
            .finish()
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text(_) => "Text",
            Self::Image { .. } => "Image",
            Self::Audio { .. } => "Audio",
            Self::File { .. } => "File",
        })
    }
}

impl fmt::Debug for ChatReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatReply")
            .field("text_bytes", &self.text.len())
            .field("reasoning_bytes", &self.reasoning.len())
            .field("tool_calls", &self.tool_calls)
            .field("notices", &self.notices)
            .field("done", &self.done)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::abi::{Payload, RawEvent, Text};
    use crate::chat::ChatEvent;
    use crate::error::{Error, ErrorKind};

    const CANARY: &str = "a-private-matter";

    fn message() -> Message {
        let others = json!({"tool_calls": [CANARY]});
        Message {
            content: json!([{"type": "text", "text": CANARY}]),
            others: others.as_object().expect("it is an object").clone(),
            ..Message::user(CANARY)
        }
    }

    fn tool_call() -> ToolCall {
        ToolCall {
            id: "call-1".to_owned(),
            name: "weather".to_owned(),
            arguments: CANARY.to_owned(),
            ..ToolCall::default()
        }
    }

    fn request() -> ChatRequest {
        let mut request = ChatRequest::new(&[Message::user(CANARY)]).expect("a text can be written as JSON");
        request.model = Some("acme/any".to_owned());
        let value = serde_json::value::to_raw_value(CANARY).expect("a text can be written as JSON");
        request.parameters.insert("stop".to_owned(), value);
        request
    }

    fn reply() -> ChatReply {
        ChatReply {
            text: CANARY.to_owned(),
            reasoning: CANARY.to_owned(),
            tool_calls: vec![tool_call()],
            ..ChatReply::default()
        }
    }

    fn error() -> Error {
        let mut error = Error::new(ErrorKind::INTERRUPTED, "the answer broke off");
        error.details.partial_text = Some(CANARY.to_owned());
        error
    }

    fn events() -> Vec<ChatEvent> {
        vec![
            ChatEvent::text(CANARY),
            ChatEvent::Reasoning(CANARY.into()),
            ChatEvent::KeepAlive(CANARY.into()),
            ChatEvent::ToolCall(tool_call()),
            ChatEvent::Other {
                kind: 99,
                text: CANARY.into(),
                json: CANARY.into(),
            },
        ]
    }

    #[test]
    fn debug_output_never_contains_the_conversation() {
        let error = error();
        let payload = Payload::of(&CANARY).expect("a text can be written as JSON");
        let mut printed = vec![
            format!("{:?}", Text::from(CANARY)),
            format!("{:?}", message()),
            format!("{:?}", Message::user(CANARY)),
            format!("{:?}", Part::image(CANARY)),
            format!("{:?}", request()),
            format!("{:?}", reply()),
            format!("{:?}", payload.with_blob(CANARY.into())),
            format!("{error:?} {error}"),
        ];
        for event in events() {
            printed.push(format!("{event:?}"));
            printed.push(format!("{:?}", RawEvent::from(event)));
        }
        for text in printed {
            assert!(!text.contains(CANARY) && !text.contains("private"), "{text}");
        }
    }

    #[test]
    fn debug_output_contains_names_and_sizes() {
        let expected = [
            (format!("{:?}", Text::from(CANARY)), "Text(16 bytes)"),
            (
                format!("{:?}", request()),
                "ChatRequest { tier: None, model: Some(\"acme/any\"), messages_bytes: 46, parameters: [\"stop\"], .. }",
            ),
            (
                format!("{:?}", message()),
                "Message { role: \"user\", content: parts, .. }",
            ),
            (
                format!("{:?}", Message::user(CANARY)),
                "Message { role: \"user\", content: text, .. }",
            ),
            (
                format!("{:?}", tool_call()),
                "ToolCall { id: \"call-1\", name: \"weather\", argument_bytes: 16 }",
            ),
        ];
        for (printed, expected) in expected {
            assert_eq!(printed, expected);
        }
        let reply = format!("{:?}", reply());
        assert!(
            reply.starts_with("ChatReply { text_bytes: 16, reasoning_bytes: 16, tool_calls: [ToolCall {"),
            "{reply}"
        );
        let error = format!("{:?}", error());
        assert!(error.contains("partial_text_bytes: Some(16)"), "{error}");
    }
}
