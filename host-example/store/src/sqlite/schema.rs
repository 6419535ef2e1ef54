//! The tables, as a list of steps. A file knows how many of them it has; the next program runs the rest.
//!
//! A released step never changes: append another one.

/// Step by step from an empty file to the newest tables.
pub const MIGRATIONS: &[&str] = &[
    // 1: calls, their sums by hour and by day, answers, conversations.
    "
    -- What many calls share. A call and a sum name it by its number.
    CREATE TABLE series (
        id INTEGER PRIMARY KEY,
        client TEXT NOT NULL, plugin TEXT NOT NULL, profile TEXT NOT NULL, tier TEXT NOT NULL,
        requested_model TEXT NOT NULL, model TEXT NOT NULL, provider TEXT NOT NULL,
        status TEXT NOT NULL, code TEXT NOT NULL, arm TEXT NOT NULL,
        UNIQUE (client, plugin, profile, tier, requested_model, model, provider, status, code, arm)
    ) STRICT;

    -- Costs are nano-dollars.
    CREATE TABLE call (
        id INTEGER PRIMARY KEY,
        time_ms INTEGER NOT NULL,
        series INTEGER NOT NULL REFERENCES series (id),
        attempts TEXT,
        retries INTEGER NOT NULL, fallbacks INTEGER NOT NULL,
        prompt_tokens INTEGER, completion_tokens INTEGER, cached_tokens INTEGER, cache_write_tokens INTEGER,
        reasoning_tokens INTEGER,
        billed INTEGER, upstream INTEGER, estimated INTEGER,
        first_token_ms INTEGER, duration_ms INTEGER NOT NULL,
        generation_id TEXT
    ) STRICT;
    CREATE INDEX call_time ON call (time_ms);

    -- What the calls of an hour add up to, and again those of a day: `hours` is 1 or 24, `hour` the first of them.
    -- `unknown_cost` counts answers that have neither a bill nor an estimate. The last two are histograms.
    CREATE TABLE span (
        hours INTEGER NOT NULL,
        hour INTEGER NOT NULL,
        series INTEGER NOT NULL REFERENCES series (id),
        calls INTEGER NOT NULL,
        retries INTEGER NOT NULL, fallbacks INTEGER NOT NULL,
        prompt_tokens INTEGER, completion_tokens INTEGER, cached_tokens INTEGER, cache_write_tokens INTEGER,
        reasoning_tokens INTEGER,
        billed INTEGER, upstream INTEGER, estimated INTEGER,
        unknown_cost INTEGER NOT NULL,
        durations BLOB NOT NULL, first_tokens BLOB NOT NULL,
        PRIMARY KEY (hours, hour, series)
    ) STRICT, WITHOUT ROWID;

    -- Answers that are given again to the same request. The key is a hash of the request.
    CREATE TABLE answer (
        key BLOB PRIMARY KEY,
        time_ms INTEGER NOT NULL, used_ms INTEGER NOT NULL,
        head TEXT NOT NULL, body BLOB NOT NULL
    ) STRICT;
    CREATE INDEX answer_used ON answer (used_ms);

    CREATE TABLE conversation (
        id TEXT PRIMARY KEY,
        title TEXT NOT NULL, profile TEXT NOT NULL, tier TEXT NOT NULL, model TEXT NOT NULL, state TEXT NOT NULL,
        session TEXT NOT NULL, n_changes INTEGER NOT NULL, created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX conversation_updated ON conversation (updated_ms);
    CREATE TABLE message (
        id INTEGER PRIMARY KEY,
        conversation TEXT NOT NULL REFERENCES conversation (id) ON DELETE CASCADE,
        seq INTEGER NOT NULL,
        role TEXT NOT NULL, body TEXT NOT NULL, text TEXT NOT NULL, time_ms INTEGER NOT NULL,
        UNIQUE (conversation, seq)
    ) STRICT;

    -- The words of the messages. Deleted ones leave nothing behind.
    CREATE VIRTUAL TABLE word USING fts5 (
        text, content = 'message', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2'
    );
    INSERT INTO word (word, rank) VALUES ('secure-delete', 1);
    CREATE TRIGGER message_added AFTER INSERT ON message BEGIN
        INSERT INTO word (rowid, text) VALUES (new.id, new.text);
    END;
    CREATE TRIGGER message_deleted AFTER DELETE ON message BEGIN
        INSERT INTO word (word, rowid, text) VALUES ('delete', old.id, old.text);
    END;
    ",
];

/// The version of a file that has all of them.
pub const NEWEST: i64 = MIGRATIONS.len() as i64;
