//! The boundary between an agent host and its plugins: a stable ABI, an SDK for plugin authors, a loader for hosts.
//!
//! A plugin is one shared library. Its author implements [`Provider`], a plain async trait, and never sees a
//! foreign-function type; the host gets a [`Plugin`] with the same methods, as ordinary futures and streams, and
//! lives on whatever the plugin does. Host and plugin may be built by different compilers, and with different minor
//! versions of this crate: its major version is the version of the ABI.
//!
//! # A complete plugin
//!
//! In a crate of type `cdylib` whose only dependency is `plugin-api`:
//!
//! ```
#![doc = include_str!("../examples/echo.rs")]
//! ```
//!
//! # A host
//!
//! ```no_run
//! use std::sync::Arc;
//! use plugin_api::{ChatRequest, Config, LogOnly, Message, loader};
//!
//! # async fn host() -> Result<(), Box<dyn std::error::Error>> {
//! for candidate in loader::scan("plugins".as_ref())? {
//!     let module = loader::load(&candidate)?;
//!     let plugin = module.create(Arc::new(LogOnly::new(&*module.manifest().id)), &Config::default())?;
//!     let reply = plugin.chat(&ChatRequest::new(&[Message::user("Hello?")])?).await?;
//!     println!("{}", reply.text);
//! }
//! # Ok(()) }
//! ```

#![warn(missing_docs)]

// In the order in which data travels: from what a plugin says of itself, over the words of a call, to the boundary.
pub mod manifest;
mod config;
mod services;
mod error;
mod explain;
mod verbatim;
mod outcome;
mod chat;
mod embedding;
mod http;
mod catalogue;
mod account;
mod diagnose;
pub mod method;
mod provider;
mod dispatch;
mod plugin;
#[doc(hidden)]
pub mod abi;
mod log_bridge;
#[cfg(feature = "loader")]
pub mod loader;
#[cfg(feature = "runtime")]
pub mod runtime;

pub use abi::{Blob, Host, Payload, Text};
pub use account::{Account, CreditStatus, Credits, CreditsRequest};
pub use catalogue::{Model, ModelList, ModelsRequest};
pub use chat::{Attribution, ChatEvent, ChatReply, ChatRequest, EventStream, Events, Message, ToolCall, View};
pub use config::{Config, TierModel};
pub use diagnose::{DiagnoseRequest, Finding, FindingStatus};
pub use embedding::{EmbedRequest, Embeddings};
pub use error::{Details, Error, ErrorKind, Problem, ServiceAnswer};
pub use explain::{Explanation, Fault};
pub use http::{Head, HttpAnswer, HttpRequest};
pub use manifest::{Manifest, Role, ServiceError, Variable};
pub use outcome::{Attempt, Done, Notice, Usage};
pub use plugin::{Plugin, PluginModule};
pub use provider::Provider;
pub use services::{BoxFuture, HostServices, Level, LogOnly};
pub use verbatim::Verbatim;

/// The version of this crate; its major version is the version of the ABI.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

#[cfg(test)]
mod schemas {
    //! Holds the committed JSON Schemas of what crosses the boundary against the types.

    use schemars::{JsonSchema, schema_for};

    fn is_published<T: JsonSchema>(name: &str) {
        let file = format!("{}/../schemas/{name}.schema.json", env!("CARGO_MANIFEST_DIR"));
        let expected = serde_json::to_string_pretty(&schema_for!(T)).expect("a schema is JSON") + "\n";
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            std::fs::write(&file, &expected).expect("the schema file is writable");
        }
        let found = std::fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(
            found, expected,
            "to rewrite it: UPDATE_EXPECTED=1 cargo test -p plugin-api schemas"
        );
    }

    #[test]
    fn the_published_schemas_are_those_of_the_types() {
        is_published::<crate::Manifest>("manifest");
        is_published::<crate::ChatRequest>("chat-request");
        is_published::<crate::ChatReply>("chat-reply");
        is_published::<crate::ToolCall>("tool-call-event");
        is_published::<crate::Notice>("notice-event");
        is_published::<crate::Done>("done-event");
        is_published::<crate::Finding>("finding");
        is_published::<crate::Account>("account");
        is_published::<crate::Credits>("credits");
        is_published::<crate::ModelList>("model-list");
        is_published::<crate::EmbedRequest>("embed-request");
        is_published::<crate::Embeddings>("embeddings");
        is_published::<crate::HttpRequest>("http-request");
        is_published::<crate::HttpAnswer>("http-answer");
        is_published::<crate::Head>("head-event");
        is_published::<crate::Details>("error-details");
    }
}
