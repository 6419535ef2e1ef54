//! Conversations in the file. A turn is one transaction.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};

use crate::conversation::{Conversation, Found, Message, New, Summary, Turn};
use crate::error::Error;
use crate::now_ms;

/// The columns of a summary.
const SUMMARY: &str = "conversation.id, title, session, profile, tier, model, n_changes, created_ms, updated_ms,
    (SELECT count(*) FROM message WHERE message.conversation = conversation.id)";

/// The letters of ids: without those that are read as others (Crockford's).
const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

pub fn create(connection: &mut Connection, new: &New, first: &Turn) -> Result<String, Error> {
    let (now_ms, id) = (now_ms(), new_id()?);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute(
        "INSERT INTO conversation (id, title, session, profile, tier, model, state, n_changes, created_ms, updated_ms)
        VALUES (?1, ?2, ?3, ?4, '', '', '', 0, ?5, ?5)",
        params![id, new.title, new.session, new.profile, now_ms],
    )?;
    write(&transaction, &id, first)?;
    transaction.commit()?;
    Ok(id)
}

/// As a ULID: 48 bits of time and 80 that nobody can guess.
fn new_id() -> Result<String, Error> {
    let mut chance = [0; 16];
    getrandom::fill(&mut chance[6..]).map_err(|cause| Error::Other(format!("no random numbers: {cause}")))?;
    let time = now_ms().to_be_bytes();
    chance[..6].copy_from_slice(&time[2..]);
    let number = u128::from_be_bytes(chance);
    let letter = |place: u32| char::from(LETTERS[(number >> (5 * place)) as usize & 31]);
    Ok((0..26).rev().map(letter).collect())
}

pub fn append(connection: &mut Connection, id: &str, turn: &Turn) -> Result<u64, Error> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: Option<u64> = transaction
        .prepare_cached("SELECT n_changes FROM conversation WHERE id = ?1")?
        .query_row([id], |row| row.get(0))
        .optional()?;
    let expected = turn.n_changes;
    match found {
        None => return Err(Error::NoConversation(id.to_owned())),
        Some(found) if found != expected => return Err(Error::Conflict { expected, found }),
        Some(_) => write(&transaction, id, turn)?,
    }
    transaction.commit()?;
    Ok(expected + 1)
}

fn write(transaction: &Transaction<'_>, id: &str, turn: &Turn) -> Result<(), Error> {
    transaction
        .prepare_cached(
            "UPDATE conversation SET tier = ?2, model = ?3, state = ?4, updated_ms = ?5, n_changes = n_changes + 1
            WHERE id = ?1",
        )?
        .execute(params![id, turn.tier, turn.model, turn.state, now_ms()])?;
    transaction
        .prepare_cached("DELETE FROM message WHERE conversation = ?1 AND seq >= ?2")?
        .execute(params![id, turn.n_kept])?;
    for (seq, message) in (turn.n_kept..).zip(&turn.messages) {
        transaction
            .prepare_cached(
                "INSERT INTO message (conversation, seq, role, body, text, time_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                id,
                seq,
                message.role,
                message.body,
                message.text,
                message.time_ms
            ])?;
    }
    Ok(())
}

pub fn latest(connection: &Connection, session: Option<&str>) -> Result<Option<String>, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT id FROM conversation WHERE ?1 IS NULL OR session = ?1 ORDER BY updated_ms DESC, id DESC LIMIT 1",
    )?;
    Ok(statement.query_row([session], |row| row.get(0)).optional()?)
}

pub fn load(connection: &mut Connection, id: &str) -> Result<Conversation, Error> {
    // One moment for all that is read.
    let transaction = connection.transaction()?;
    let statement = format!(
        "SELECT {SUMMARY}, state FROM conversation WHERE session = ?1 OR substr(id, 1, length(?1)) = ?1
        ORDER BY id != ?1, session != ?1, updated_ms DESC LIMIT 2"
    );
    let mut found = {
        let mut statement = transaction.prepare_cached(&statement)?;
        let rows = statement.query_map([id], |row| Ok((summary(row)?, row.get(10)?)))?;
        rows.collect::<Result<Vec<(Summary, String)>, _>>()?
    };
    if id.is_empty() || found.is_empty() {
        return Err(Error::NoConversation(id.to_owned()));
    }
    if found.len() > 1 && found[0].0.id != id && found[0].0.session != id {
        return Err(Error::Ambiguous(id.to_owned()));
    }
    let (summary, state) = found.swap_remove(0);
    let mut statement = transaction
        .prepare_cached("SELECT role, body, text, time_ms FROM message WHERE conversation = ?1 ORDER BY seq")?;
    let messages = statement.query_map([&summary.id], |row| {
        Ok(Message {
            role: row.get(0)?,
            body: row.get(1)?,
            text: row.get(2)?,
            time_ms: row.get(3)?,
        })
    })?;
    let messages = messages.collect::<Result<_, _>>()?;
    Ok(Conversation {
        summary,
        state,
        messages,
    })
}

/// - In: a row that begins with [`SUMMARY`].
fn summary(row: &Row<'_>) -> rusqlite::Result<Summary> {
    Ok(Summary {
        id: row.get(0)?,
        title: row.get(1)?,
        session: row.get(2)?,
        profile: row.get(3)?,
        tier: row.get(4)?,
        model: row.get(5)?,
        n_changes: row.get(6)?,
        created_ms: row.get(7)?,
        updated_ms: row.get(8)?,
        n_messages: row.get(9)?,
    })
}

pub fn list(connection: &Connection, limit: u32, offset: u32) -> Result<Vec<Summary>, Error> {
    let statement = format!("SELECT {SUMMARY} FROM conversation ORDER BY updated_ms DESC, id DESC LIMIT ?1 OFFSET ?2");
    let mut statement = connection.prepare_cached(&statement)?;
    let rows = statement.query_map([limit, offset], summary)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub fn search(connection: &Connection, words: &str, limit: u32) -> Result<Vec<Found>, Error> {
    // In quotes, a word is no operator. The star lets the last one be the beginning of a word.
    let quoted: Vec<String> = words
        .split_whitespace()
        .map(|word| format!("\"{}\"", word.replace('"', "\"\"")))
        .collect();
    if quoted.is_empty() {
        return Ok(Vec::new());
    }
    let wanted = format!("{}*", quoted.join(" "));
    let statement = format!(
        "SELECT {SUMMARY}, message.seq, message.role, snippet(word, 0, char(2), char(3), '…', 16)
        FROM word JOIN message ON message.id = word.rowid JOIN conversation ON conversation.id = message.conversation
        WHERE word MATCH ?1 ORDER BY rank LIMIT ?2"
    );
    let mut statement = connection.prepare_cached(&statement)?;
    let rows = statement.query_map(params![wanted, limit], |row| {
        Ok(Found {
            conversation: summary(row)?,
            seq: row.get(10)?,
            role: row.get(11)?,
            snippet: row.get(12)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub fn rename(connection: &Connection, id: &str, title: &str) -> Result<(), Error> {
    let renamed = connection.execute("UPDATE conversation SET title = ?2 WHERE id = ?1", [id, title])?;
    some(renamed, id)
}

pub fn delete(connection: &Connection, id: &str) -> Result<(), Error> {
    some(connection.execute("DELETE FROM conversation WHERE id = ?1", [id])?, id)?;
    forget(connection)
}

fn some(n_rows: usize, id: &str) -> Result<(), Error> {
    if n_rows == 0 {
        return Err(Error::NoConversation(id.to_owned()));
    }
    Ok(())
}

/// Takes what was deleted out of the log beside the file too, unless another program reads it just now.
fn forget(connection: &Connection) -> Result<(), Error> {
    let checkpoint = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    Ok(checkpoint.optional().map(drop)?)
}

pub fn prune(connection: &Connection, before_ms: i64) -> Result<u64, Error> {
    let n_pruned = connection.execute("DELETE FROM conversation WHERE updated_ms < ?1", [before_ms])?;
    forget(connection)?;
    Ok(n_pruned as u64)
}
