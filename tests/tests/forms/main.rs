//! The plugin in the service's own form: what a gateway sends and receives, which bytes pass unchanged,
//! and what the plugin itself knows of models, credit and embeddings.
//!
//! The real library talks to the real sandbox over sockets. Where the sandbox is too well-behaved,
//! [`tests::faultd`] sends exactly the bytes that a test gives it.

// From the bench over what is sent to what comes back, then what the plugin asks for by itself.
mod bench;
mod requests;
mod tiers;
mod chains;
mod defaults;
mod old_forms;
mod ids;
mod security;
mod raw;
mod streams;
mod view;
mod extras;
mod turns;
mod errors;
mod repeats;
mod models;
mod credits;
mod embeddings;
