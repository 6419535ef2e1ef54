//! What the model list and the credit look like, in a command and in a conversation.

pub mod credits;
pub mod models;
