//! The endpoint in this process, with plugins that do what a test tells them, and clients that speak HTTP letter by
//! letter.

mod answers;
mod bench;
mod counters;
mod fake;
#[cfg(feature = "otel")]
mod otel;
mod streams;
