//! The vocabulary of chat, shared by hosts and plugins: messages, a request, the events of an answer, a whole answer.
//!
//! Text and reasoning cross the boundary as text, everything else as JSON. Fields are only ever added, and readers
//! ignore fields that they do not know.

mod parts;
mod message;
mod request;
mod event;
mod stream;
mod reply;
mod debug;

pub use self::event::{ChatEvent, ToolCall};
pub use self::message::Message;
pub use self::parts::{Part, ResponseFormat, Tool};
pub use self::reply::ChatReply;
pub use self::request::{Attribution, ChatRequest, View};
pub use self::stream::{EventStream, Events};
