//! One call, from the request to the end of its answer.
//!
//! In: the settings of the moment, what calls share, a request. Out: an answer in one piece or as a stream. Attempts run
//! on the plugin's runtime; a stream is understood on the thread that polls it. Once a piece of an answer is there,
//! nothing is tried again.

mod advice;
mod attempts;
mod closing;
mod common;
mod embed;
mod intake;
mod jitter;
mod stream;
mod turn;

pub use self::attempts::{chat, raw, stream, whole};
pub use self::common::Common;
pub use self::embed::embed;
