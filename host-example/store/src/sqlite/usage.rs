//! Answers what calls add up to: from the hourly sums, and at the edges of the time from the calls themselves.

use rusqlite::{Connection, Row as SqlRow, params};

use super::calls::HOUR_MS;
use super::histogram::Histogram;
use crate::error::Error;
use crate::money::Nanos;
use crate::usage::{By, Query, Row, Sums};

/// Both parts of the time under one roof. Nothing begins before the first hour, and a far future has no hour.
const PARTS: &str = "
    WITH part AS (
        SELECT hour, series, calls, retries, fallbacks, prompt_tokens, completion_tokens, cached_tokens,
            cache_write_tokens, reasoning_tokens, billed, upstream, estimated, unknown_cost, durations, first_tokens
        FROM hour WHERE hour >= ?1 AND hour < ?2
        UNION ALL
        SELECT time_ms / 3600000, series, 1, retries, fallbacks, prompt_tokens, completion_tokens, cached_tokens,
            cache_write_tokens, reasoning_tokens, billed, upstream, estimated,
            (SELECT status = 'ok' FROM series WHERE id = call.series) AND billed IS NULL AND estimated IS NULL,
            histogram_of(duration_ms), histogram_of(first_token_ms)
        FROM call WHERE time_ms >= ?3 AND time_ms < ?4 OR time_ms >= ?5 AND time_ms < ?6
    )";

const SUMS: &str = "
    sum(calls), sum(iif(status = 'error', calls, 0)), sum(iif(status = 'cancelled', calls, 0)),
    sum(retries), sum(fallbacks), sum(prompt_tokens), sum(completion_tokens), sum(cached_tokens),
    sum(cache_write_tokens), sum(reasoning_tokens), sum(billed), sum(upstream), sum(estimated), sum(unknown_cost),
    histogram_merged(durations), histogram_merged(first_tokens)";

pub fn usage(connection: &Connection, query: &Query) -> Result<Vec<Row>, Error> {
    let keys: Vec<&str> = query.by.iter().map(|by| expression(*by)).collect();
    let n_keys = keys.len();
    let columns: String = keys.iter().map(|key| format!("{key}, ")).collect();
    let groups: Vec<String> = (1..=n_keys).map(|place| place.to_string()).collect();
    let groups = if n_keys == 0 {
        String::new()
    } else {
        format!("GROUP BY {}", groups.join(", "))
    };
    let statement = format!(
        "{PARTS} SELECT {columns} {SUMS} FROM part JOIN series ON series.id = part.series {groups}
        HAVING count(*) > 0"
    );
    let mut statement = connection.prepare_cached(&statement)?;
    let [first, last] = hours(query);
    let since = query.since_ms.unwrap_or(first * HOUR_MS);
    let until = query.until_ms.unwrap_or(last.saturating_mul(HOUR_MS));
    // Within one hour, its end comes before its beginning: then one edge is all.
    let edges = if first > last {
        [since, until, 0, 0]
    } else {
        [since, first * HOUR_MS, last.saturating_mul(HOUR_MS), until]
    };
    let rows = statement.query_map(params![first, last, edges[0], edges[1], edges[2], edges[3]], |row| {
        row_of(row, n_keys)
    })?;
    let mut rows: Vec<Row> = rows.collect::<Result<_, _>>()?;
    let cost = |row: &Row| {
        let parts = [row.sums.billed_usd, row.sums.upstream_usd, row.sums.estimated_usd];
        parts.iter().flatten().map(|cost| cost.0).fold(0, i64::saturating_add)
    };
    let day = query.by.iter().position(|by| *by == By::Day);
    rows.sort_by(|one, other| {
        let days = day.map(|place| one.key[place].cmp(&other.key[place]));
        days.unwrap_or(std::cmp::Ordering::Equal)
            .then_with(|| cost(other).cmp(&cost(one)))
            .then_with(|| other.sums.calls.cmp(&one.sums.calls))
            .then_with(|| one.key.cmp(&other.key))
    });
    Ok(rows)
}

/// The first whole hour, and the one after the last whole hour.
fn hours(query: &Query) -> [i64; 2] {
    let first = query.since_ms.map_or(0, |since| {
        since.div_euclid(HOUR_MS) + i64::from(since.rem_euclid(HOUR_MS) > 0)
    });
    let last = query
        .until_ms
        .map_or(i64::MAX / HOUR_MS, |until| until.div_euclid(HOUR_MS));
    [first, last]
}

fn expression(by: By) -> &'static str {
    match by {
        By::Day => "strftime('%Y-%m-%d', part.hour * 3600, 'unixepoch')",
        By::Model => "iif(model = '', requested_model, model)",
        // The other columns have the names of their groups.
        other => other.word(),
    }
}

fn row_of(row: &SqlRow<'_>, n_keys: usize) -> rusqlite::Result<Row> {
    let key = (0..n_keys).map(|place| row.get(place)).collect::<Result<_, _>>()?;
    let count = |place: usize| row.get::<_, Option<u64>>(n_keys + place);
    let cost = |place: usize| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(n_keys + place)?.map(Nanos));
    let times = |place: usize| {
        let mut times = Histogram::default();
        times.add(row.get_ref(n_keys + place)?.as_blob()?);
        Ok::<_, rusqlite::Error>([0.5, 0.95].map(|part| times.quantile(part)))
    };
    let [p50_ms, p95_ms] = times(14)?;
    let [first_token_p50_ms, first_token_p95_ms] = times(15)?;
    let sums = Sums {
        calls: count(0)?.unwrap_or(0),
        errors: count(1)?.unwrap_or(0),
        cancelled: count(2)?.unwrap_or(0),
        retries: count(3)?.unwrap_or(0),
        fallbacks: count(4)?.unwrap_or(0),
        prompt_tokens: count(5)?,
        completion_tokens: count(6)?,
        cached_tokens: count(7)?,
        cache_write_tokens: count(8)?,
        reasoning_tokens: count(9)?,
        billed_usd: cost(10)?,
        upstream_usd: cost(11)?,
        estimated_usd: cost(12)?,
        unknown_cost: count(13)?.unwrap_or(0),
        p50_ms,
        p95_ms,
        first_token_p50_ms,
        first_token_p95_ms,
    };
    Ok(Row { key, sums })
}
