//! The plugins of these tests, loaded and ready to call.

use std::sync::Arc;

use plugin_api::{
    ChatReply, ChatRequest, Config, Error, EventStream, HostServices, LogOnly, Plugin, PluginModule, loader,
};
use serde_json::json;
use tests::{PluginFolder, block_on, second_plugin};

/// An instance with the services of a plain host.
pub fn created(module: &PluginModule, config: &Config) -> Plugin {
    let services = LogOnly::new(&*module.manifest().id);
    module
        .create(Arc::new(services), config)
        .expect("the configuration is right")
}

pub fn parrot_module() -> PluginModule {
    loader::load(&second_plugin()).expect("it fits")
}

pub fn parrot() -> Plugin {
    created(&parrot_module(), &Config::default())
}

/// A configuration that makes Parrot greet with these words, or panic.
pub fn greeting(words: &str) -> Config {
    Config {
        options: json!({"greeting": words}),
        ..Config::default()
    }
}

/// Parrot with these services. It is loaded from a copy, because a plugin's log goes to the first host of the process
/// that loads its file.
pub fn parrot_with(services: Arc<dyn HostServices>) -> Plugin {
    let module = loader::load(&PluginFolder::new().copy(&second_plugin())).expect("it fits");
    module
        .create(services, &Config::default())
        .expect("no options are needed")
}

pub fn opened(plugin: &Plugin, request: &ChatRequest) -> EventStream {
    block_on(plugin.stream(request)).expect("it opens")
}

/// A streamed answer, collected.
///
/// - Errors: the plugin's.
pub fn streamed(plugin: &Plugin, request: &ChatRequest) -> Result<ChatReply, Error> {
    block_on(async { plugin.stream(request).await?.collect().await })
}
