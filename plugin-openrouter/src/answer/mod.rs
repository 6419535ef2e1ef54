//! What comes back.
//!
//! In: the bytes of an answer's body, however the network cut them. Out: events in order, then how the answer ended. The
//! same bytes give the same events. Pure: no I/O, no clock.

pub mod decode;
mod extras;
pub mod foreign;
#[cfg(any(test, fuzzing))]
pub mod golden;
pub mod reply;
pub mod shape;
mod sse;
mod text;
mod tool_calls;
mod usage;
