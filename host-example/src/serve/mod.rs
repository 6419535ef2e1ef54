//! `agent-host serve`: the active plugin for every program that speaks OpenAI's protocol.
//!
//! `run` starts and ends it. A request comes in at `server` and goes through `handle`, which asks `route` what it is
//! for and `guard` whether it may be, and on to the plugin by `forward`, as bytes.
//! Models, keys and retries are the plugin's business. No code here names a provider.

// In the order in which data travels.
mod options;
mod run;
mod ends;
mod token;
mod socket;
mod server;
mod connections;
mod client;
mod course;
mod handle;
mod route;
mod guard;
mod body;
mod body_memory;
mod agents;
mod forward;
mod headers;
mod stream;
mod choices;
mod last_words;
mod source;
mod typed;
mod models;
mod tiers;
mod usage;
mod providers;
mod credits;
mod count_tokens;
mod cache;
mod health;
mod problem;
mod error_object;
mod reply;
mod shared;
mod record;
mod metrics;
mod requests_log;
#[cfg(feature = "otel")]
mod otel;
mod ended;

#[cfg(test)]
mod tests;

pub use self::options::Options;
pub use self::run::run;
