//! One call, from the request to the end of its answer.
//!
//! In: the current settings, the state that calls share, a request. Out: an answer in one piece or as a stream.
//! Attempts run on the plugin's runtime; a stream is decoded on the thread that polls it.
//! Nothing is retried once a piece of the answer has arrived.

// In the order in which a call goes through them.
mod common;
mod advice;
mod turn;
mod attempts;
mod pass;
mod sending;
mod reading;
mod after;
mod jitter;
mod whole;
mod stream;
mod intake;
mod events;
mod limits;
mod closing;
mod embed;

pub use self::common::Common;
pub use self::embed::embed;
pub use self::stream::stream;
pub use self::whole::{chat, raw, whole};
