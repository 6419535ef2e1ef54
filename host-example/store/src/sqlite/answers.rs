//! Answers that are given again to the same request: aged, and the ones that were used last within a size.

use rusqlite::{Connection, OptionalExtension, params};

use crate::answer::{Answer, Limits};
use crate::error::Error;
use crate::now_ms;

/// What goes over the size, in bytes, counted from the answer that was used last.
const TOO_MANY: &str = "
    DELETE FROM answer WHERE key IN (
        SELECT key FROM (
            SELECT key, sum(length(head) + length(body)) OVER (ORDER BY used_ms DESC, key) AS total FROM answer
        ) WHERE total > ?1
    )";

pub fn find(connection: &Connection, key: &[u8], since_ms: i64) -> Result<Option<Answer>, Error> {
    let mut find = connection.prepare_cached(
        "UPDATE answer SET used_ms = max(?3, used_ms) WHERE key = ?1 AND time_ms >= ?2 RETURNING head, body",
    )?;
    let answer = |row: &rusqlite::Row<'_>| {
        Ok(Answer {
            head: row.get(0)?,
            body: row.get(1)?,
        })
    };
    Ok(find.query_row(params![key, since_ms, now_ms()], answer).optional()?)
}

pub fn keep(connection: &mut Connection, key: &[u8], answer: &Answer, limits: Limits) -> Result<(), Error> {
    let transaction = connection.transaction()?;
    let add = "INSERT OR REPLACE INTO answer VALUES (?1, ?2, ?2, ?3, ?4)";
    transaction.execute(add, params![key, now_ms(), answer.head, answer.body])?;
    transaction.execute("DELETE FROM answer WHERE time_ms < ?1", [limits.since_ms])?;
    transaction.execute(TOO_MANY, [i64::try_from(limits.n_bytes).unwrap_or(i64::MAX)])?;
    Ok(transaction.commit()?)
}
