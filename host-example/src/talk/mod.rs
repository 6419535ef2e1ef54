//! A conversation with a model: what is sent with a prompt, and how an answer reaches the screen.

// In the order in which data travels.
pub mod template;
pub mod prompt;
pub mod attach;
pub mod parameters;
mod short_schema;
pub mod structured;
mod slash;
mod completion;
mod reader;
pub mod choosing;
pub mod dialogue;
pub mod kept;
pub mod conversation;
mod turn;
pub mod session;
pub mod answer;
pub mod ending;
pub mod media;
pub mod events;
pub mod thoughts;
pub mod screen;
pub mod calc;
