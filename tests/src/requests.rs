//! Configurations, plugins and requests in one line.

use std::sync::{Arc, LazyLock};

use plugin_api::{ChatReply, ChatRequest, Config, Error, LogOnly, Message, Plugin, PluginModule, loader};
use sandbox::Sandbox;
use serde_json::Value;

use crate::artefacts::openrouter_plugin;
use crate::canary::trace_this_process;
use crate::wait::block_on;

/// What a host gives the OpenRouter plugin to make it talk to this address with this key.
pub fn config_at(base_url: &str, key: &str, options: Value) -> Config {
    let environment = [("OPENROUTER_API_KEY", key), ("OPENROUTER_BASE_URL", base_url)];
    Config {
        options,
        environment: environment
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
    }
}

/// What a host gives the OpenRouter plugin to make it talk to `sandbox`.
pub fn openrouter_config(sandbox: &Sandbox, options: Value) -> Config {
    config_at(&sandbox.base_url(), sandbox.key(), options)
}

/// The OpenRouter plugin, loaded from its file for a host that only logs.
///
/// - Panics: if it does not load, or refuses the configuration.
pub fn openrouter(config: &Config) -> Plugin {
    // Each load is a copy of its own.
    static MODULE: LazyLock<PluginModule> =
        LazyLock::new(|| loader::load(&openrouter_plugin()).expect("the plugin loads"));
    let services = Arc::new(LogOnly::new("openrouter"));
    MODULE
        .create(services, config)
        .expect("the plugin takes the configuration")
}

/// A request of one message to a model.
pub fn request(model: &str, text: &str) -> ChatRequest {
    trace_this_process();
    let request = ChatRequest::new(&[Message::user(text)]).expect("a text can be written as JSON");
    ChatRequest {
        model: Some(model.to_owned()),
        ..request
    }
}

/// Sends a model one message and waits for the whole answer.
///
/// - Errors: the plugin's.
pub fn ask(plugin: &Plugin, model: &str, text: &str) -> Result<ChatReply, Error> {
    block_on(plugin.chat(&request(model, text)))
}
