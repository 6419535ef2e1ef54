//! Conversations as they are kept. What messages and state hold is their owner's; here they are JSON texts.

use serde::Serialize;

/// A conversation that begins.
#[derive(Clone, Debug, Default)]
pub struct New {
    /// Empty: not named yet.
    pub title: String,
    /// By what name programs go on with it. Empty: by none.
    pub session: String,
    pub profile: String,
}

/// What changed between two inputs, and where it leaves the conversation.
#[derive(Clone, Debug, Default)]
pub struct Turn {
    /// How often the conversation had changed when it was read or written last.
    pub n_changes: u64,
    /// How many of its messages stay. Those after them are deleted.
    pub n_kept: u64,
    /// What follows them.
    pub messages: Vec<Message>,
    /// From now on. Empty: none.
    pub tier: String,
    /// From now on. Empty: the tier's.
    pub model: String,
    /// Anything else that a resumed conversation needs, as JSON.
    pub state: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Message {
    pub role: String,
    /// The whole message as JSON, with everything that must go back to the model.
    pub body: String,
    /// Its words, to search in.
    pub text: String,
    pub time_ms: i64,
}

/// A conversation without its messages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    pub id: String,
    pub title: String,
    pub session: String,
    pub profile: String,
    pub tier: String,
    pub model: String,
    pub n_messages: u64,
    /// How often it has changed.
    pub n_changes: u64,
    pub created_ms: i64,
    /// When it changed last.
    pub updated_ms: i64,
}

/// A whole conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Conversation {
    #[serde(flatten)]
    pub summary: Summary,
    /// As the last turn left it, JSON; empty before the first one.
    pub state: String,
    pub messages: Vec<Message>,
}

/// A message that was searched for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Found {
    pub conversation: Summary,
    /// The place of the message in the conversation, from 0 on.
    pub seq: u64,
    pub role: String,
    /// The text around the words. They stand between U+0002 and U+0003.
    pub snippet: String,
}
