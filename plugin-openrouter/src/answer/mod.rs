//! Decodes answers.
//!
//! In: the bytes of a response body, however the network split them. Out: events in order, then how the answer ended.
//! The same bytes give the same events. Pure: no I/O, no clock.

// In the order in which bytes become events.
pub mod shape;
mod sse;
mod text;
mod json;
mod odd;
mod chunk;
mod template;
mod parts;
mod arguments;
mod call_pieces;
mod tool_calls;
mod blocks;
mod extras;
mod usage;
pub mod heard;
mod ending;
mod reported;
pub mod reply;
pub mod foreign;
mod unfinished;
mod raw;
pub mod decode;
#[cfg(any(test, fuzzing))]
pub mod golden;
