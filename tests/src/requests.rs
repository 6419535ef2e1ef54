//! Requests and configurations in one line.

use plugin_api::{ChatReply, ChatRequest, Config, Error, Message, Plugin};
use sandbox::Sandbox;
use serde_json::Value;

use crate::canary::trace_this_process;
use crate::wait::block_on;

/// A request of one message to a model.
pub fn request(model: &str, text: &str) -> ChatRequest {
    trace_this_process();
    let request = ChatRequest::new(&[Message::user(text)]).expect("a text can be written as JSON");
    ChatRequest {
        model: Some(model.to_owned()),
        ..request
    }
}

/// Asks a model one thing and waits for the whole answer.
///
/// - Errors: the plugin's.
pub fn ask(plugin: &Plugin, model: &str, text: &str) -> Result<ChatReply, Error> {
    block_on(plugin.chat(&request(model, text)))
}

/// What a host gives the OpenRouter plugin to make it talk to `sandbox`.
pub fn openrouter_config(sandbox: &Sandbox, options: Value) -> Config {
    let environment = [
        ("OPENROUTER_API_KEY", sandbox.key().to_owned()),
        ("OPENROUTER_BASE_URL", sandbox.base_url()),
    ];
    Config {
        options,
        environment: environment.map(|(name, value)| (name.to_owned(), value)).into(),
    }
}
