//! Copies the file while programs use it, and makes it smaller.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::backup::Backup;

use super::Sqlite;
use crate::error::Error;

/// How many pages are copied before others may write.
const PAGES: i32 = 1000;

impl Sqlite {
    /// Writes a copy of one moment. Other programs go on meanwhile.
    ///
    /// - In: an empty file that nobody else may read.
    pub fn back_up(&self, to: &Path) -> Result<(), Error> {
        let mut copy = Connection::open(to)?;
        Backup::new(&self.connection, &mut copy)?.run_to_completion(PAGES, Duration::ZERO, None)?;
        // One file is easier to move than three.
        copy.pragma_update(None, "journal_mode", "DELETE")?;
        Ok(())
    }

    /// Gives room that is no longer used back to the disk.
    pub fn vacuum(&mut self) -> Result<(), Error> {
        self.connection
            .execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE);")?;
        Ok(())
    }

    /// Looks through the whole file.
    ///
    /// - Errors: [`Error::Damaged`].
    pub fn check(&self) -> Result<(), Error> {
        let found: String = self
            .connection
            .pragma_query_value(None, "quick_check", |row| row.get(0))?;
        if found == "ok" { Ok(()) } else { Err(Error::Damaged) }
    }

    /// How many calls and how many conversations there are.
    pub fn counts(&self) -> Result<(u64, u64), Error> {
        let calls = "SELECT (SELECT coalesce(sum(calls), 0) FROM span WHERE hours = 24),
            (SELECT count(*) FROM conversation)";
        Ok(self
            .connection
            .query_row(calls, [], |row| Ok((row.get(0)?, row.get(1)?)))?)
    }
}
