//! A local sandbox that answers as the OpenRouter service does: for a first run without a key, for tests and for
//! benchmarks.
//!
//! It listens on this machine only and answers made-up text at made-up cost. Every reply says so: in the header
//! `x-sandbox`, in the provider's name, and in the text. It checks requests against the documented rules and refuses
//! what the service would refuse. The same requests in the same order get the same replies.
//!
//! Models answer on `/chat/completions`, `/completions`, `/responses` and `/messages`, each in its own form;
//! `/auth` signs everybody in. `/embeddings`, `/rerank`, `/audio/speech`, `/audio/transcriptions`, `/images` and `/videos` are there too.
//!
//! Every model follows a [`Script`]. Some are built in (`sandbox/echo`, `sandbox/status-429`, …); a test adds its own:
//!
//! ```
//! use sandbox::{Sandbox, Script};
//!
//! let sandbox = Sandbox::builder().script("acme/model-a", Script::text("hello")).start()?;
//! assert!(sandbox.base_url().ends_with("/api/v1"));
//! assert_eq!(sandbox.requests(), []);
//! # Ok::<(), sandbox::StartError>(())
//! ```

#![warn(missing_docs)]
#![expect(
    clippy::result_large_err,
    reason = "a request is refused at most once, and moving the refusal costs nothing next to the reply"
)]

/// A list of names, written without quotes and commas.
macro_rules! words {
    ($($word:ident)*) => { [$(stringify!($word)),*] };
}

// In the order in which data travels.
mod builder;
mod handle;
mod server;
mod record;
mod service;
mod rules;
mod catalogue;
mod script;
mod answer;
mod forms;
mod failure;

pub use crate::{
    builder::{Builder, StartError},
    failure::Failure,
    handle::Sandbox,
    record::{Outcome, Recorded, WaitError},
    script::{Empty, Script, ScriptedCall},
};

/// The service whose place it takes, as the id of that service's plugin.
pub const SERVICE: &str = "openrouter";

/// The key that is accepted unless others are given.
pub const DEFAULT_KEY: &str = "sk-or-v1-sandbox";

/// Every built-in model: its id, and what it does.
#[must_use]
pub fn built_in_models() -> Vec<(String, String)> {
    script::builtin::scripts().map(|(id, does, _)| (id, does)).collect()
}
