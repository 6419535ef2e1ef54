//! A store in one SQLite file.
//!
//! Several programs may use it at once: readers see the last whole transaction while somebody writes (WAL), and writers
//! wait for each other. What was committed survives `kill -9`.

// In the order in which data travels.
mod schema;
mod open;
mod histogram;
mod calls;
mod usage;
mod answers;
mod conversations;
mod upkeep;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use self::calls::Series;
use crate::Store;
use crate::answer::{Answer, Limits};
use crate::call::Call;
use crate::conversation::{Conversation, Found, New, Summary, Turn};
use crate::error::Error;
use crate::usage::{Query, Row};

pub struct Sqlite {
    connection: Connection,
    path: PathBuf,
    /// The rows of `series` that this connection has used.
    series: HashMap<Series, i64>,
}

/// A store that was opened.
pub struct Opened {
    pub store: Sqlite,
    /// Where a damaged file went, if there was one.
    pub damaged: Option<PathBuf>,
}

impl Sqlite {
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Store for Sqlite {
    fn record(&mut self, calls: &[Call]) -> Result<(), Error> {
        calls::record(self, calls)
    }

    fn usage(&mut self, query: &Query) -> Result<Vec<Row>, Error> {
        usage::usage(&self.connection, query)
    }

    fn prune_calls(&mut self, before_ms: i64) -> Result<u64, Error> {
        calls::prune(&mut self.connection, before_ms)
    }

    fn answer(&mut self, key: &[u8], since_ms: i64) -> Result<Option<Answer>, Error> {
        answers::find(&self.connection, key, since_ms)
    }

    fn keep_answer(&mut self, key: &[u8], answer: &Answer, limits: Limits) -> Result<(), Error> {
        answers::keep(&mut self.connection, key, answer, limits)
    }

    fn create(&mut self, new: &New, first: &Turn) -> Result<String, Error> {
        conversations::create(&mut self.connection, new, first)
    }

    fn append(&mut self, id: &str, turn: &Turn) -> Result<u64, Error> {
        conversations::append(&mut self.connection, id, turn)
    }

    fn latest(&mut self, session: Option<&str>) -> Result<Option<String>, Error> {
        conversations::latest(&self.connection, session)
    }

    fn load(&mut self, id: &str) -> Result<Conversation, Error> {
        conversations::load(&mut self.connection, id)
    }

    fn list(&mut self, limit: u32, offset: u32) -> Result<Vec<Summary>, Error> {
        conversations::list(&self.connection, limit, offset)
    }

    fn search(&mut self, words: &str, limit: u32) -> Result<Vec<Found>, Error> {
        conversations::search(&self.connection, words, limit)
    }

    fn rename(&mut self, id: &str, title: &str) -> Result<(), Error> {
        conversations::rename(&self.connection, id, title)
    }

    fn delete(&mut self, id: &str) -> Result<(), Error> {
        conversations::delete(&self.connection, id)
    }

    fn prune_conversations(&mut self, before_ms: i64) -> Result<u64, Error> {
        conversations::prune(&self.connection, before_ms)
    }
}

#[cfg(test)]
mod tests;
