//! What the bench `soak` is made of.

// In the order of a run: the kinds of calls, who answers them, one call, what is said of them all.
pub mod case;
pub mod service;
pub mod ask;
pub mod report;

/// Calls that are made at the same time.
pub const AT_A_TIME: usize = 128;
/// The key that the service accepts.
pub const KEY: &str = "sk-or-v1-sandbox-soak";
