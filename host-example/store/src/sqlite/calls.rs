//! Calls on their way into the file, each with its share of the sums of its hour and its day.

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::Sqlite;
use crate::call::{Call, Status};
use crate::error::Error;

pub const HOUR_MS: i64 = 3_600_000;
/// How many hours a day has.
pub const DAY: i64 = 24;

/// The longest text of a call, in characters: clients choose some of them.
const MAX_CHARS: usize = 200;
/// The largest number of tokens or milliseconds of a call; more is a mistake of whoever reported it.
const MAX_NUMBER: u64 = 1 << 40;
/// The longest list of attempts, in bytes.
const MAX_ATTEMPTS_BYTES: usize = 16 << 10;
/// How many rows of `series` a connection remembers.
const MAX_SERIES: usize = 10_000;

/// What many calls share, in the order of the columns.
pub type Series = [String; 10];

const ADD_CALL: &str = "
    INSERT INTO call (time_ms, series, attempts, retries, fallbacks, prompt_tokens, completion_tokens, cached_tokens,
        cache_write_tokens, reasoning_tokens, billed, upstream, estimated, first_token_ms, duration_ms, generation_id)
    VALUES (?1, ?2, nullif(?3, ''), ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, nullif(?16, ''))";

/// A sum stays unknown while all of its parts are.
const ADD_TO_SPAN: &str = "
    INSERT INTO span VALUES (?1, ?2, ?3, 1, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14,
        histogram_of(?15), histogram_of(?16))
    ON CONFLICT DO UPDATE SET
        calls = calls + 1,
        retries = retries + excluded.retries,
        fallbacks = fallbacks + excluded.fallbacks,
        prompt_tokens = coalesce(prompt_tokens + excluded.prompt_tokens, prompt_tokens, excluded.prompt_tokens),
        completion_tokens =
            coalesce(completion_tokens + excluded.completion_tokens, completion_tokens, excluded.completion_tokens),
        cached_tokens = coalesce(cached_tokens + excluded.cached_tokens, cached_tokens, excluded.cached_tokens),
        cache_write_tokens =
            coalesce(cache_write_tokens + excluded.cache_write_tokens, cache_write_tokens, excluded.cache_write_tokens),
        reasoning_tokens =
            coalesce(reasoning_tokens + excluded.reasoning_tokens, reasoning_tokens, excluded.reasoning_tokens),
        billed = coalesce(billed + excluded.billed, billed, excluded.billed),
        upstream = coalesce(upstream + excluded.upstream, upstream, excluded.upstream),
        estimated = coalesce(estimated + excluded.estimated, estimated, excluded.estimated),
        unknown_cost = unknown_cost + excluded.unknown_cost,
        durations = histogram_sum(durations, excluded.durations),
        first_tokens = histogram_sum(first_tokens, excluded.first_tokens)";

pub fn record(store: &mut Sqlite, calls: &[Call]) -> Result<(), Error> {
    if store.series.len() > MAX_SERIES {
        store.series.clear();
    }
    let transaction = store
        .connection
        .transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut added = Vec::new();
    for call in calls {
        let series = series_of(call);
        let known = store.series.get(&series).copied();
        let known = known.or_else(|| added.iter().find(|(other, _)| *other == series).map(|(_, id)| *id));
        let id = match known {
            Some(id) => id,
            None => {
                let id = series_id(&transaction, &series)?;
                added.push((series, id));
                id
            }
        };
        add(&transaction, call, id)?;
    }
    transaction.commit()?;
    // Only now: a transaction that fails takes its series back.
    store.series.extend(added);
    Ok(())
}

fn series_of(call: &Call) -> Series {
    let texts = [
        &call.client,
        &call.plugin,
        &call.profile,
        &call.tier,
        &call.requested_model,
        &call.model,
        &call.provider,
        call.status.word(),
        &call.code,
        &call.arm,
    ];
    texts.map(shortened)
}

fn shortened(text: &str) -> String {
    text.chars().take(MAX_CHARS).collect()
}

fn series_id(transaction: &Transaction<'_>, series: &Series) -> Result<i64, Error> {
    let mut find = transaction.prepare_cached(
        "SELECT id FROM series WHERE client = ?1 AND plugin = ?2 AND profile = ?3 AND tier = ?4
            AND requested_model = ?5 AND model = ?6 AND provider = ?7 AND status = ?8 AND code = ?9 AND arm = ?10",
    )?;
    let parameters = rusqlite::params_from_iter(series);
    if let Some(id) = find.query_row(parameters.clone(), |row| row.get(0)).optional()? {
        return Ok(id);
    }
    let mut add = transaction.prepare_cached(
        "INSERT INTO series (client, plugin, profile, tier, requested_model, model, provider, status, code, arm)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?;
    Ok(add.insert(parameters)?)
}

fn add(transaction: &Transaction<'_>, call: &Call, series: i64) -> Result<(), Error> {
    // A service may report anything; sums must stay below 63 bits.
    let number = |number: Option<u64>| number.map(|number| number.min(MAX_NUMBER));
    let attempts = if call.attempts.len() <= MAX_ATTEMPTS_BYTES {
        call.attempts.as_str()
    } else {
        ""
    };
    let tokens = [
        call.prompt_tokens,
        call.completion_tokens,
        call.cached_tokens,
        call.cache_write_tokens,
        call.reasoning_tokens,
    ]
    .map(number);
    let [prompt, completion, cached, cache_write, reasoning] = tokens;
    let [billed, upstream, estimated] =
        [call.billed, call.upstream, call.estimated].map(|cost| cost.map(|cost| cost.0));
    let (first_token_ms, duration_ms) = (number(call.first_token_ms), number(Some(call.duration_ms)));
    let generation_id = shortened(&call.generation_id);
    transaction.prepare_cached(ADD_CALL)?.execute(params![
        call.time_ms,
        series,
        attempts,
        call.n_retries,
        call.n_fallbacks,
        prompt,
        completion,
        cached,
        cache_write,
        reasoning,
        billed,
        upstream,
        estimated,
        first_token_ms,
        duration_ms,
        generation_id,
    ])?;
    let is_unknown = call.status == Status::Ok && call.billed.is_none() && call.estimated.is_none();
    let mut add_to_span = transaction.prepare_cached(ADD_TO_SPAN)?;
    let hour = call.time_ms.div_euclid(HOUR_MS);
    for (hours, hour) in [(1, hour), (DAY, day_of(hour))] {
        add_to_span.execute(params![
            hours,
            hour,
            series,
            call.n_retries,
            call.n_fallbacks,
            prompt,
            completion,
            cached,
            cache_write,
            reasoning,
            billed,
            upstream,
            estimated,
            is_unknown,
            duration_ms,
            first_token_ms,
        ])?;
    }
    Ok(())
}

/// The first hour of its day.
fn day_of(hour: i64) -> i64 {
    hour.div_euclid(DAY) * DAY
}

/// The day that lost some of its hours, from those that are left.
const ADD_UP_DAY: &str = "
    INSERT INTO span
    SELECT 24, ?1, series, sum(calls), sum(retries), sum(fallbacks), sum(prompt_tokens), sum(completion_tokens),
        sum(cached_tokens), sum(cache_write_tokens), sum(reasoning_tokens), sum(billed), sum(upstream), sum(estimated),
        sum(unknown_cost), histogram_merged(durations), histogram_merged(first_tokens)
    FROM span WHERE hours = 1 AND hour >= ?1 AND hour < ?1 + 24 GROUP BY series";

/// Whole hours, so that calls and sums stay equal.
pub fn prune(connection: &mut Connection, before_ms: i64) -> Result<u64, Error> {
    let hour = before_ms.div_euclid(HOUR_MS);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let n_calls = transaction.execute("DELETE FROM call WHERE time_ms < ?1", [hour * HOUR_MS])?;
    transaction.execute("DELETE FROM span WHERE hour < ?1", [hour])?;
    transaction.execute("DELETE FROM answer WHERE time_ms < ?1", [hour * HOUR_MS])?;
    if day_of(hour) < hour {
        transaction.execute(ADD_UP_DAY, [day_of(hour)])?;
    }
    transaction.execute("DELETE FROM series WHERE id NOT IN (SELECT series FROM span)", [])?;
    transaction.commit()?;
    Ok(n_calls as u64)
}
