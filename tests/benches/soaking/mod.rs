//! The parts of the bench `soak`.

// In the order of a run: the kinds of calls, one call, the report on all of them.
pub mod case;
pub mod ask;
pub mod report;

/// Calls that run at the same time.
pub const AT_A_TIME: usize = 128;
/// The key that the sandbox accepts.
pub const KEY: &str = "sk-or-v1-sandbox-soak";
