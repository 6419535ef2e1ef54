//! The vocabulary of chat, shared by hosts and plugins: a request, the events of an answer, a whole answer.
//!
//! These types cross the boundary as JSON, except for the pieces of text. Fields are only ever added; a reader skips
//! what it does not know.

mod message;
mod request;
mod event;
mod stream;
mod reply;
mod printed;

pub use self::event::{ChatEvent, ToolCall};
pub use self::message::Message;
pub use self::reply::ChatReply;
pub use self::request::{Attribution, ChatRequest, View};
pub use self::stream::{EventStream, Events};
