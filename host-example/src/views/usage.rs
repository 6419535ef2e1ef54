//! What calls cost: for people, for spreadsheets and for programs. Reads what was asked; the store answers.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde_json::{Map, Value, json};
use store::{By, Nanos, Query, Row, Sums};

use crate::near;
use crate::terminal::{self, Fit, Page, seconds};

/// The widest bar, in columns.
const BAR_COLUMNS: u64 = 16;

/// By what calls can be grouped, and how people call it.
pub const GROUPS: [(&str, By); 11] = [
    ("day", By::Day),
    ("model", By::Model),
    ("tier", By::Tier),
    ("provider", By::Provider),
    ("client", By::Client),
    ("profile", By::Profile),
    ("plugin", By::Plugin),
    ("requested_model", By::RequestedModel),
    ("status", By::Status),
    ("code", By::Code),
    ("arm", By::Arm),
];

/// The query of these words.
///
/// - In: groups with commas; the time as [`moment`] reads it.
/// - Errors: one sentence that says what was expected, and one that says what was probably meant.
pub fn query(by: &str, since: Option<&str>, until: Option<&str>) -> Result<Query, String> {
    let group = |word: &str| {
        let known = GROUPS.iter().find(|(name, _)| *name == word.trim());
        known.map(|(_, by)| *by).ok_or_else(|| {
            let names: Vec<&str> = GROUPS.iter().map(|(name, _)| *name).collect();
            let near = near::did_you_mean(word, names.iter().copied()).map(|near| format!("; {near}"));
            let near = near.unwrap_or_default();
            format!("expected groups out of {}, found `{word}`{near}", names.join(", "))
        })
    };
    let now = Timestamp::now();
    let at = |text: Option<&str>| text.map(|text| moment(text, now)).transpose();
    let by = by.split(',').filter(|word| !word.trim().is_empty()).map(group);
    Ok(Query {
        by: by.collect::<Result<_, _>>()?,
        since_ms: at(since)?,
        until_ms: at(until)?,
    })
}

/// A moment in milliseconds since 1970: `90m`, `24h`, `7d` or `4w` ago, a day in UTC, or a day and a time.
pub fn moment(text: &str, now: Timestamp) -> Result<i64, String> {
    let expected = || format!("expected a time such as 24h, 7d, 2026-08-22 or 2026-08-22T09:30:00Z, found `{text}`");
    let unit = text.chars().next_back().filter(char::is_ascii_alphabetic);
    let count = unit.and_then(|unit| text.strip_suffix(unit)?.parse::<i64>().ok());
    if let (Some(unit), Some(count)) = (unit, count) {
        let hours = match unit {
            'm' => return back(now, count, 60).ok_or_else(expected),
            'h' => 1,
            'd' => 24,
            'w' => 24 * 7,
            _ => return Err(expected()),
        };
        return back(now, count, hours * 3600).ok_or_else(expected);
    }
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment.as_millisecond());
    }
    let day: Date = text.parse().map_err(|_| expected())?;
    let midnight = day.to_zoned(TimeZone::UTC).map_err(|_| expected())?;
    Ok(midnight.timestamp().as_millisecond())
}

fn back(now: Timestamp, count: i64, unit_s: i64) -> Option<i64> {
    let seconds = count.checked_mul(unit_s).filter(|seconds| *seconds >= 0)?;
    let span = Span::new().try_seconds(seconds).ok()?;
    Some(now.checked_sub(span).ok()?.as_millisecond())
}

/// The answer for programs.
///
/// - In: `total`, of all rows.
pub fn json(query: &Query, rows: &[Row], total: &Sums) -> Value {
    let moment = |ms: Option<i64>| {
        ms.and_then(|ms| Timestamp::from_millisecond(ms).ok())
            .map(|at| at.to_string())
    };
    let rows: Vec<Value> = rows.iter().map(|row| Value::Object(flat(query, row))).collect();
    json!({
        "by": query.by.iter().map(|by| by.word()).collect::<Vec<_>>(),
        "since": moment(query.since_ms),
        "until": moment(query.until_ms),
        "rows": rows,
        "total": total,
    })
}

fn flat(query: &Query, row: &Row) -> Map<String, Value> {
    let keys = query.by.iter().zip(&row.key);
    let mut flat: Map<String, Value> = keys.map(|(by, value)| (by.word().to_owned(), json!(value))).collect();
    if let Ok(Value::Object(sums)) = serde_json::to_value(&row.sums) {
        flat.extend(sums);
    }
    flat
}

/// The answer for spreadsheets: a head, and a line for each row. What is unknown is empty.
pub fn csv(query: &Query, rows: &[Row]) -> String {
    let empty = Row {
        key: vec![String::new(); query.by.len()],
        sums: Sums::default(),
    };
    let head = flat(query, &empty);
    let mut text = head.keys().map(String::as_str).collect::<Vec<_>>().join(",") + "\r\n";
    for row in rows {
        let cells = flat(query, row).into_iter().map(|(_, cell)| match cell {
            Value::String(cell) => quoted(&cell),
            Value::Null => String::new(),
            cell => cell.to_string(),
        });
        text.push_str(&cells.collect::<Vec<_>>().join(","));
        text.push_str("\r\n");
    }
    text
}

/// A cell that no spreadsheet takes for a formula or for two cells.
fn quoted(cell: &str) -> String {
    let guard = if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        "'"
    } else {
        ""
    };
    if guard.is_empty() && !cell.contains([',', '"', '\n', '\r']) {
        return cell.to_owned();
    }
    format!("\"{guard}{}\"", cell.replace('"', "\"\""))
}

/// The answer for people: a table with bars, and the total below.
pub fn shown(query: &Query, rows: &[Row], total: &Sums, page: Page) -> terminal::Table {
    const HEAD: [(&str, Fit); 8] = [
        ("COST", Fit::Whole),
        ("", Fit::Dropped),
        ("CALLS", Fit::Whole),
        ("FAILED", Fit::Spare),
        ("IN", Fit::Spare),
        ("OUT", Fit::Spare),
        ("MEDIAN", Fit::Dropped),
        ("P95", Fit::Dropped),
    ];
    let names: Vec<String> = query
        .by
        .iter()
        .map(|by| by.word().replace('_', " ").to_uppercase())
        .collect();
    let head: Vec<(&str, Fit)> = names.iter().map(|name| (name.as_str(), Fit::Cut)).chain(HEAD).collect();
    let most = rows.iter().map(|row| known_cost(&row.sums).0).max().unwrap_or(0);
    let mut cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let keys = row
                .key
                .iter()
                .map(|key| if key.is_empty() { "-".to_owned() } else { key.clone() });
            keys.chain(columns(&row.sums, bar(known_cost(&row.sums), most, page)))
                .collect()
        })
        .collect();
    if !query.by.is_empty() {
        let mut keys = vec![String::new(); query.by.len()];
        "total".clone_into(&mut keys[0]);
        cells.push(keys.into_iter().chain(columns(total, String::new())).collect());
    } else if rows.is_empty() {
        cells.push(columns(total, String::new()).into());
    }
    terminal::table(&head, cells, page)
}

fn columns(sums: &Sums, bar: String) -> [String; 8] {
    let tokens = |tokens: Option<u64>| tokens.map_or("-".to_owned(), |tokens| tokens.to_string());
    let time = |ms: Option<u64>| ms.map_or("-".to_owned(), seconds);
    [
        cost(sums),
        bar,
        sums.calls.to_string(),
        sums.errors.to_string(),
        tokens(sums.prompt_tokens),
        tokens(sums.completion_tokens),
        time(sums.p50_ms),
        time(sums.p95_ms),
    ]
}

/// What is known of the cost: bills and estimates, with what providers charged to keys of the user's own.
fn known_cost(sums: &Sums) -> Nanos {
    let parts = [sums.billed_usd, sums.upstream_usd, sums.estimated_usd];
    Nanos(parts.iter().flatten().fold(0, |sum, part| sum.saturating_add(part.0)))
}

/// `$0.0041`, `~$0.1` with an estimate in it, `$0.0041 + 2 unknown`; `-` if nothing is known.
fn cost(sums: &Sums) -> String {
    let is_known = sums.billed_usd.is_some() || sums.upstream_usd.is_some() || sums.estimated_usd.is_some();
    if !is_known {
        return "-".to_owned();
    }
    let sign = if sums.estimated_usd.is_some() { "~" } else { "" };
    let unknown = match sums.unknown_cost {
        0 => String::new(),
        n => format!(" + {n} unknown"),
    };
    format!("{sign}${}{unknown}", known_cost(sums))
}

fn bar(cost: Nanos, most: i64, page: Page) -> String {
    let (cost, most) = (u64::try_from(cost.0).unwrap_or(0), u64::try_from(most).unwrap_or(0));
    let columns = u128::from(cost) * u128::from(BAR_COLUMNS);
    let columns = columns.checked_div(u128::from(most)).unwrap_or(0);
    let least = u128::from(cost > 0);
    let block = if page.is_ascii { "#" } else { "█" };
    block.repeat(usize::try_from(columns.max(least)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_spans_days_or_times() {
        let now: Timestamp = "2026-08-22T12:00:00Z".parse().expect("a moment");
        for (text, at) in [
            ("0m", "2026-08-22T12:00:00Z"),
            ("90m", "2026-08-22T10:30:00Z"),
            ("24h", "2026-08-21T12:00:00Z"),
            ("7d", "2026-08-15T12:00:00Z"),
            ("2w", "2026-08-08T12:00:00Z"),
            ("2026-08-01", "2026-08-01T00:00:00Z"),
            ("2026-08-01T10:00:00+02:00", "2026-08-01T08:00:00Z"),
        ] {
            let at: Timestamp = at.parse().expect("a moment");
            assert_eq!(moment(text, now), Ok(at.as_millisecond()), "{text}");
        }
        for bad in [
            "",
            "d",
            "-7d",
            "7",
            "7y",
            "yesterday",
            "2026-13-01",
            "99999999999999999d",
        ] {
            assert!(moment(bad, now).is_err(), "{bad}");
        }
    }

    #[test]
    fn unknown_costs_are_never_zero() {
        let sums = |billed, estimated, unknown_cost| Sums {
            billed_usd: billed,
            estimated_usd: estimated,
            unknown_cost,
            ..Sums::default()
        };
        let some = Some(Nanos(4_100_000));
        for (sums, shown) in [
            (sums(None, None, 3), "-"),
            (sums(some, None, 0), "$0.0041"),
            (sums(some, None, 2), "$0.0041 + 2 unknown"),
            (sums(some, some, 0), "~$0.0082"),
        ] {
            assert_eq!(cost(&sums), shown);
        }
    }

    #[test]
    fn a_cell_is_one_cell_and_no_formula() {
        for (cell, written) in [
            ("acme/small", "acme/small"),
            ("a,b", "\"a,b\""),
            ("a\"b", "\"a\"\"b\""),
            ("=1+1", "\"'=1+1\""),
        ] {
            assert_eq!(quoted(cell), written);
        }
    }
}
