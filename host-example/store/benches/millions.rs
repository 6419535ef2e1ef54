//! Fills a store with calls of half a year, and times what `usage` asks of it.
//!
//! `cargo bench -p store -- [CALLS] [FILE]`: five million calls in a temporary file by default. A file that is there
//! already is asked as it is.

use std::path::PathBuf;
use std::time::Instant;
use std::{env, error, fs};

use store::{By, Call, Nanos, Query, Sqlite, Status, Store};

const DAY_MS: i64 = 86_400_000;
const DAYS: i64 = 180;
const BATCH: usize = 512;

fn main() -> Result<(), Box<dyn error::Error>> {
    let given: Vec<String> = env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let n_calls: usize = given.first().map_or(Ok(5_000_000), |count| count.parse())?;
    let folder = tempfile::tempdir()?;
    let file = given
        .get(1)
        .map_or_else(|| folder.path().join("store.db"), PathBuf::from);
    let is_new = !file.exists();
    let mut store = Sqlite::open(&file)?.store;
    if is_new {
        let begun = Instant::now();
        for first in (0..n_calls).step_by(BATCH) {
            let batch: Vec<Call> = (first..n_calls.min(first + BATCH)).map(|n| call(n, n_calls)).collect();
            store.record(&batch)?;
        }
        let micros = begun.elapsed().as_micros() as f64 / n_calls as f64;
        println!(
            "{n_calls} calls written: {:.1} s, {micros:.1} µs each",
            begun.elapsed().as_secs_f64()
        );
    }
    println!("file: {} MiB", fs::metadata(&file)?.len() >> 20);
    let now = DAYS * DAY_MS;
    let odd = now - 30 * DAY_MS + 1_234_567;
    for (name, by, since_ms) in [
        ("usage --by model --since 30d", vec![By::Model], Some(odd)),
        ("usage --by day --since 30d", vec![By::Day], Some(odd)),
        ("usage --by day,model --since 30d", vec![By::Day, By::Model], Some(odd)),
        (
            "usage --by client --since 7d",
            vec![By::Client],
            Some(now - 7 * DAY_MS + 1),
        ),
        ("usage --by model", vec![By::Model], None),
    ] {
        let query = Query {
            by,
            since_ms,
            until_ms: None,
        };
        // The first one reads the disk.
        for _ in 0..2 {
            let begun = Instant::now();
            let rows = store.usage(&query)?.len();
            println!("{name}: {rows} rows in {:.1} ms", begun.elapsed().as_secs_f64() * 1e3);
        }
    }
    Ok(())
}

/// Calls of three clients, three tiers, twelve models and five providers, evenly over the time.
fn call(n: usize, n_calls: usize) -> Call {
    let pick = |words: &[&str], step: usize| words[(n / step) % words.len()].to_owned();
    let model = format!("acme/model-{}", n % 12);
    let is_error = n.is_multiple_of(50);
    Call {
        time_ms: (n as i64) * DAYS * DAY_MS / (n_calls as i64),
        client: pick(&["cli", "sdk", "browser"], 7),
        plugin: "acme".to_owned(),
        profile: "default".to_owned(),
        tier: pick(&["TEXT_SMALL", "TEXT_LARGE", ""], 12),
        requested_model: model.clone(),
        model,
        provider: pick(&["Acme", "Beta", "Gamma", "Delta", "Epsilon"], 1),
        status: if is_error { Status::Error } else { Status::Ok },
        code: if is_error {
            "rate_limit".to_owned()
        } else {
            String::new()
        },
        prompt_tokens: Some(1000 + (n as u64 * 7919) % 5000),
        completion_tokens: Some(100 + (n as u64 * 104_729) % 900),
        billed: (!is_error).then_some(Nanos(1_000_000 + (n as i64 * 31) % 999_999)),
        first_token_ms: Some(200 + (n as u64 * 13) % 1800),
        duration_ms: 1000 + (n as u64 * 17) % 20_000,
        generation_id: format!("gen-{n:012}"),
        ..Call::default()
    }
}
