//! Drop one shared library into a folder, and an agent host has a new model provider.
//!
//! This crate is the boundary between the two:
//!
//! - **Plugin authors** implement [`Provider`], an ordinary async trait, and export it with [`export_plugin!`].
//! - **Host authors** load libraries with [`loader`] and hold each as a [`Plugin`], which has the trait's methods as
//!   ordinary futures and streams.
//!
//! Neither side writes `unsafe` code or sees a foreign-function type. Host and plugin may come from different
//! compilers and use different minor versions of this crate: its major version is the version of the ABI. When a
//! plugin panics, one call fails with an [`Error`], and the host lives on.
//!
//! # A complete plugin
//!
//! It answers every request with the text of the last message. Its `Cargo.toml` says `crate-type =
//! ["cdylib"]` under `[lib]` and names one dependency, `plugin-api`. `cargo build --release` makes the library,
//! `libecho.so` on Linux.
//!
//! ```
#![doc = include_str!("../examples/echo.rs")]
//! ```
//!
//! # A complete host
//!
//! It asks every plugin in a folder the same question and prints the answers as they arrive. A plugin sees only the
//! environment variables that its manifest names. A file that is no plugin, a plugin that refuses its options and an
//! answer that fails are one line each, and the next file follows. Any async executor will do.
//!
//! ```no_run
//! use std::{error::Error, path::Path, sync::Arc, time::Duration};
//! use plugin_api::{ChatEvent, ChatRequest, LogOnly, Message, loader};
//!
//! # async fn host() -> Result<(), Box<dyn Error>> {
//! for file in loader::scan("plugins".as_ref())? {
//!     if let Err(error) = ask(&file).await {
//!         eprintln!("error: {error}");
//!     }
//! }
//! # Ok(()) }
//!
//! async fn ask(file: &Path) -> Result<(), Box<dyn Error>> {
//!     let module = loader::load(file)?;
//!     let services = LogOnly::new(&*module.manifest().id);
//!     let config = module.manifest().config_from_environment()?;
//!     let plugin = module.create(Arc::new(services), &config)?;
//!     let mut events = plugin.stream(&ChatRequest::new(&[Message::user("Hello?")])?).await?;
//!     while let Some(event) = events.next().await {
//!         if let ChatEvent::Text(text) = event? {
//!             print!("{text}");
//!         }
//!     }
//!     plugin.shutdown(Duration::from_secs(5)).await?;
//!     Ok(())
//! }
//! ```
//!
//! # Where to look next
//!
//! | To | see |
//! |---|---|
//! | start from a crate that builds, with options, a key, a runtime and tests | `agent-host plugins new NAME` |
//! | check whether a plugin does what every plugin must, without a key | `agent-host plugins verify FILE` |
//! | copy a whole host in one short file | `host-example/examples/minimal.rs` in the repository |
//! | answer more than chat: models, credit, embeddings | [`Provider`]; defaults answer `unsupported` |
//! | let users sign in instead of pasting a key | [`Provider::sign_in`], [`Provider::redeem`] |
//! | declare a key, options with a schema, model tiers | [`Manifest`] |
//! | read options and the key, and learn when which method is called | [`Config::parse`], [`Provider`] |
//! | send tools, pictures, a format for the answer | [`Tool`], [`Part`], [`ResponseFormat`], or any JSON |
//! | open sockets and set timers in a plugin | the `runtime` feature: a tokio runtime of its own |
//! | write to the host's log | `tracing`, whose events end up there, or [`Host::log`] |
//! | offer services to plugins | [`HostServices`] |
//! | react to an error | [`Error::is_retryable`], [`ErrorKind::explanation`] |
//! | pass the service's own protocol through, as a gateway does | [`HttpRequest`] and [`View`] |
//! | read a plugin's manifest without running its code | [`loader::inspect`] |
//! | link a plugin into the host, in tests for example | [`PluginModule::linked`] |
//! | see what crosses the boundary | [`method`], and the JSON Schemas in the repository's `schemas` folder |
//!
//! # Features
//!
//! - `loader` (default), for hosts: the module [`loader`], and a dependency that reads library files. A plugin needs
//!   neither: `plugin-api = { …, default-features = false }`.
//! - `runtime`, for plugins that do I/O: the module `runtime`, a tokio runtime that the plugin owns. A library has its
//!   own copy of tokio, which knows nothing of the host's runtime. Without a runtime of its own, the plugin panics at
//!   its first socket or timer. Hosts, and plugins that only calculate, do not need it.

#![warn(missing_docs)]

// In the order in which data travels: what a plugin declares and is given, the vocabulary of calls, the two sides, the
// boundary between them.
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
mod cache;
mod catalogue;
mod account;
mod sign_in;
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
#[cfg(test)]
mod vocabulary;

#[cfg(feature = "loader")]
pub use abi::return_large_blocks;
pub use abi::{Blob, Host, Payload, Text};
pub use account::{Account, Allowance, CreditStatus, Credits, CreditsRequest};
pub use cache::CacheUse;
pub use catalogue::{MeasuredOrder, Model, ModelList, ModelsRequest};
pub use chat::{Attribution, ChatEvent, ChatReply, ChatRequest, EventStream, Events, Message};
pub use chat::{Part, ResponseFormat, Tool, ToolCall, View};
pub use config::{Config, TierModel};
pub use diagnose::{DiagnoseRequest, Finding, FindingStatus};
pub use embedding::{EmbedRequest, Embeddings};
pub use error::{Details, Error, ErrorKind, Problem, ServiceAnswer};
pub use explain::{Explanation, Fault};
pub use http::{Head, HttpAnswer, HttpRequest};
pub use manifest::{Link, Manifest, Role, ServiceError, Variable};
pub use outcome::{About, Attempt, Done, Notice, Usage};
pub use plugin::{Plugin, PluginModule};
pub use provider::Provider;
pub use services::{BoxFuture, HostServices, Level, LogOnly};
pub use sign_in::{Redeem, SignIn, SignInRequest, SignedIn};
pub use verbatim::Verbatim;

/// This crate's version, such as `1.2.0`. A host and a plugin fit together if the major versions are equal.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

#[cfg(test)]
mod schemas {
    //! Compares the committed JSON Schemas of what crosses the boundary with the types.

    use schemars::{JsonSchema, schema_for};

    fn is_published<T: JsonSchema>(name: &str) {
        let file = format!("{}/../schemas/{name}.schema.json", env!("CARGO_MANIFEST_DIR"));
        let expected = serde_json::to_string_pretty(&schema_for!(T)).expect("a schema is JSON") + "\n";
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            std::fs::write(&file, &expected).expect("the schema file is writable");
        }
        let found = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(
            found == expected,
            "`{name}.schema.json` is out of date; rewrite it: UPDATE_EXPECTED=1 cargo test -p plugin-api schemas"
        );
    }

    #[test]
    fn the_published_schemas_match_the_types() {
        is_published::<crate::Manifest>("manifest");
        is_published::<crate::ChatRequest>("chat-request");
        is_published::<crate::ChatReply>("chat-reply");
        is_published::<crate::ToolCall>("tool-call-event");
        is_published::<crate::Notice>("notice-event");
        is_published::<crate::Done>("done-event");
        is_published::<crate::Finding>("finding");
        is_published::<crate::Account>("account");
        is_published::<crate::Credits>("credits");
        is_published::<crate::CacheUse>("cache-use");
        is_published::<crate::SignIn>("sign-in");
        is_published::<crate::Redeem>("redeem");
        is_published::<crate::SignedIn>("signed-in");
        is_published::<crate::ModelList>("model-list");
        is_published::<crate::EmbedRequest>("embed-request");
        is_published::<crate::Embeddings>("embeddings");
        is_published::<crate::HttpRequest>("http-request");
        is_published::<crate::HttpAnswer>("http-answer");
        is_published::<crate::Head>("head-event");
        is_published::<crate::Details>("error-details");
    }
}
