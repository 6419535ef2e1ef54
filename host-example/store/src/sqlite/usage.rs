//! Answers what calls add up to: from the sums of whole days, and at the edges of the time from those of whole hours
//! and from the calls themselves.

use rusqlite::{Connection, Row as SqlRow};

use super::calls::{DAY, HOUR_MS};
use super::histogram::Histogram;
use crate::error::Error;
use crate::money::Nanos;
use crate::usage::{By, Query, Row, Sums};

/// All parts of the time under one roof: days, the hours around them, the calls around those.
const PARTS: &str = "
    WITH part AS (
        SELECT hour, series, calls, retries, fallbacks, prompt_tokens, completion_tokens, cached_tokens,
            cache_write_tokens, reasoning_tokens, billed, upstream, estimated, unknown_cost, durations, first_tokens
        FROM span WHERE hours = 24 AND hour >= ?1 AND hour < ?2
            OR hours = 1 AND hour >= ?3 AND hour < ?4 OR hours = 1 AND hour >= ?5 AND hour < ?6
        UNION ALL
        SELECT time_ms / 3600000, series, 1, retries, fallbacks, prompt_tokens, completion_tokens, cached_tokens,
            cache_write_tokens, reasoning_tokens, billed, upstream, estimated,
            (SELECT status = 'ok' FROM series WHERE id = call.series) AND billed IS NULL AND estimated IS NULL,
            histogram_of(duration_ms), histogram_of(first_token_ms)
        FROM call WHERE time_ms >= ?7 AND time_ms < ?8 OR time_ms >= ?9 AND time_ms < ?10
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
    let rows = statement.query_map(spans(query), |row| row_of(row, n_keys))?;
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

/// From when until when: days, hours before and after them, calls before and after those.
fn spans(query: &Query) -> [i64; 10] {
    // Nothing begins before the first hour, and a far future has no hour.
    let since = query.since_ms.unwrap_or(0);
    let until = query.until_ms.unwrap_or(i64::MAX / HOUR_MS * HOUR_MS);
    let (hours, calls) = whole([since, until], HOUR_MS);
    let (days, hours) = whole(hours, DAY * HOUR_MS);
    let mut spans = [0; 10];
    let in_hours = [days, hours[0], hours[1]].map(|edge| edge.map(|time_ms| time_ms / HOUR_MS));
    spans[..6].copy_from_slice(in_hours.as_flattened());
    spans[6..].copy_from_slice(calls.as_flattened());
    spans
}

/// Splits a time into whole units and the edges around them.
///
/// - Out: from the first whole unit to the end of the last one, and the two edges; each may be empty.
fn whole([since, until]: [i64; 2], unit: i64) -> ([i64; 2], [[i64; 2]; 2]) {
    let first = since.div_euclid(unit) + i64::from(since.rem_euclid(unit) > 0);
    let begin = first.saturating_mul(unit);
    let end = until.div_euclid(unit) * unit;
    // Within one unit, its end comes before its beginning: then one edge is all.
    if begin > end {
        ([begin, end], [[since, until], [0, 0]])
    } else {
        ([begin, end], [[since, begin], [end, until]])
    }
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
