//! What was said in a conversation. Pure.

use plugin_api::Message;
use serde_json::{Value, json};

use crate::terminal::counted;

/// A message of the user.
#[derive(Clone)]
pub struct Prompt {
    /// As it was typed.
    pub typed: String,
    /// What was attached before it was typed.
    pub attached: Vec<Value>,
    /// As it is sent.
    pub message: Message,
}

/// A prompt and what arrived of its answer.
pub struct Exchange {
    pub prompt: Prompt,
    answer: Message,
}

impl Prompt {
    /// The parts of its message, if it has some.
    pub fn parts(&self) -> &[Value] {
        self.message.content.as_array().map_or(&[], Vec::as_slice)
    }
}

#[derive(Default)]
pub struct Dialogue {
    /// What the model gets before the conversation.
    pub system: Option<String>,
    exchanges: Vec<Exchange>,
    /// The last prompt, if nothing of an answer arrived.
    pub unanswered: Option<String>,
}

/// What goes to the model when it is to go on.
const GO_ON: &str = "Go on exactly where your last message ends. Repeat nothing of it, and do not comment on this.";

/// The message that the model gets before the conversation, if there is one.
pub fn system_message(text: Option<&str>) -> Vec<Message> {
    text.map(|text| Message::text("system", text)).into_iter().collect()
}

impl Dialogue {
    pub fn with(system: Option<String>) -> Self {
        Self {
            system,
            ..Self::default()
        }
    }

    /// Prompts and answers in turn.
    pub fn said(&self) -> Vec<Message> {
        let said = self.exchanges.iter();
        said.flat_map(|exchange| [&exchange.prompt.message, &exchange.answer].map(Message::clone))
            .collect()
    }

    fn messages(&self) -> Vec<Message> {
        let system = system_message(self.system.as_deref());
        system.into_iter().chain(self.said()).collect()
    }

    /// Everything said so far, with this after it.
    pub fn before(&self, message: &Message) -> Vec<Message> {
        let mut messages = self.messages();
        messages.push(message.clone());
        messages
    }

    pub fn keep(&mut self, prompt: Prompt, answer: Message) {
        self.exchanges.push(Exchange { prompt, answer });
        self.unanswered = None;
    }

    pub fn put_back(&mut self, exchange: Exchange) {
        self.exchanges.push(exchange);
    }

    /// Takes the last exchange away.
    pub fn pop(&mut self) -> Option<Exchange> {
        self.exchanges.pop()
    }

    /// What to send to let the model go on; `None` if nothing is there to go on from.
    pub fn going_on(&self) -> Option<Vec<Message>> {
        let last = &self.exchanges.last()?.answer;
        (!last.text_content().is_empty()).then(|| self.before(&Message::user(GO_ON)))
    }

    /// Adds to the last answer what followed.
    pub fn go_on(&mut self, more: &Message) {
        if let Some(Exchange { answer, .. }) = self.exchanges.last_mut() {
            *answer = Message::text("assistant", format!("{}{}", answer.text_content(), more.text_content()));
        }
    }

    pub fn clear(&mut self) {
        self.exchanges.clear();
        self.unanswered = None;
    }

    /// The conversation for a file of this name.
    pub fn document(&self, name: &str) -> String {
        document(&self.messages(), name)
    }
}

/// These messages for a file of this name: JSON or Markdown.
pub fn document(messages: &[Message], name: &str) -> String {
    if name.to_ascii_lowercase().ends_with(".json") {
        return format!("{:#}\n", json!({"messages": messages}));
    }
    let part = |message: &Message| {
        let who = match message.role.as_str() {
            "user" => "You",
            "assistant" => "Assistant",
            "tool" => "Tool",
            _ => "System",
        };
        let parts = message.content.as_array().map_or(&[][..], Vec::as_slice);
        let n_attached = match message.role.as_str() {
            "user" => parts.iter().filter(|part| part["type"] != "text").count(),
            _ => 0,
        };
        let attached = match n_attached {
            0 => String::new(),
            _ => format!("\n\n({})", counted(n_attached, "attachment")),
        };
        format!("## {who}\n\n{}{attached}\n", message.text_content().trim())
    };
    messages.iter().map(part).collect::<Vec<_>>().join("\n")
}
