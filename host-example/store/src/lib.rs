//! What agent-host keeps between runs: what each call cost, and conversations.
//!
//! [`Store`] says what a store does; [`Sqlite`] does it in one file, which several programs may use at once. [`Ledger`]
//! records calls behind the answer: a thread of its own writes them, and no call waits for a disk. SQL lives here
//! alone, and this crate knows neither plugins nor terminals.
//!
//! Times are milliseconds since 1970, costs are whole nano-dollars. Unknown is `None`, never zero.

// In the order in which data travels.
mod error;
mod money;
mod call;
mod usage;
mod conversation;
mod answer;
mod sqlite;
mod ledger;

pub use self::answer::{Answer, Limits};
pub use self::call::{Call, Status};
pub use self::conversation::{Conversation, Found, Message, New, Summary, Turn};
pub use self::error::Error;
pub use self::ledger::Ledger;
pub use self::money::Nanos;
pub use self::sqlite::{Opened, Sqlite};
pub use self::usage::{By, Query, Row, Sums};

/// What a store does. Object-safe, so that a server's database can take the file's place.
///
/// Every method is one transaction: it happens whole or not at all, also if the process is killed.
pub trait Store: Send {
    /// Records calls that have ended, and adds them to the sums.
    fn record(&mut self, calls: &[Call]) -> Result<(), Error>;

    /// What calls add up to, a row for each group, the most expensive first (days in their order).
    fn usage(&mut self, query: &Query) -> Result<Vec<Row>, Error>;

    /// Deletes the calls of the hours before this one, their share of the sums, and answers as old.
    ///
    /// - Out: how many.
    fn prune_calls(&mut self, before_ms: i64) -> Result<u64, Error>;

    /// The answer to the request with this hash, if there is one from this moment on.
    fn answer(&mut self, key: &[u8], since_ms: i64) -> Result<Option<Answer>, Error>;

    /// Keeps an answer, and drops those beyond the limits.
    fn keep_answer(&mut self, key: &[u8], answer: &Answer, limits: Limits) -> Result<(), Error>;

    /// Begins a conversation with its first turn.
    ///
    /// - Out: its id, which sorts by time: 26 letters and digits.
    fn create(&mut self, new: &New, first: &Turn) -> Result<String, Error>;

    /// Adds a turn to a conversation, perhaps in the place of its last ones.
    ///
    /// - Out: how often it has changed now.
    /// - Errors: [`Error::NoConversation`]; [`Error::Conflict`] if another program has changed it since it was read.
    fn append(&mut self, id: &str, turn: &Turn) -> Result<u64, Error>;

    /// The id of the conversation that was used last, or of the last one of this session.
    fn latest(&mut self, session: Option<&str>) -> Result<Option<String>, Error>;

    /// The whole conversation.
    ///
    /// - In: its id, its session, or the beginning of its id if no other one begins so.
    /// - Errors: [`Error::NoConversation`], [`Error::Ambiguous`].
    fn load(&mut self, id: &str) -> Result<Conversation, Error>;

    /// The conversations, the one that was used last first.
    ///
    /// - In: how many at most, and how many of the first ones to leave out.
    fn list(&mut self, limit: u32, offset: u32) -> Result<Vec<Summary>, Error>;

    /// Messages with all of these words, the best match first. The last word may be the beginning of one.
    fn search(&mut self, words: &str, limit: u32) -> Result<Vec<Found>, Error>;

    /// Gives a conversation another title.
    ///
    /// - Errors: [`Error::NoConversation`].
    fn rename(&mut self, id: &str, title: &str) -> Result<(), Error>;

    /// Deletes a conversation. Nothing of its text stays in the file.
    ///
    /// - Errors: [`Error::NoConversation`].
    fn delete(&mut self, id: &str) -> Result<(), Error>;

    /// Deletes the conversations that were last used before this moment.
    ///
    /// - Out: how many.
    fn prune_conversations(&mut self, before_ms: i64) -> Result<u64, Error>;
}

/// Now, in milliseconds since 1970.
pub fn now_ms() -> i64 {
    let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since_1970.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
