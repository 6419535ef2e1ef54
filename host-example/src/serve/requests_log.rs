//! The request log: a line for each request, without a word of what was asked or answered.
//!
//! Lines are written on a thread of their own, so that a slow reader of stderr holds up no answer. Those that it cannot keep up with are
//! left out, and counted.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, SystemTime};

use super::record::Record;
use crate::cli::Global;
use crate::terminal;
use crate::terminal::exit::{Exit, Failure};

/// The most lines that wait to be written.
const MAX_WAITING: usize = 4096;

/// Names the log file where the command line does not.
const FILE_VARIABLE: &str = "AGENT_HOST_LOG_FILE";

pub struct RequestLog {
    lines: SyncSender<String>,
    left_out: AtomicU64,
}

impl RequestLog {
    /// Starts the log: in the log file, where there is one, else on stderr.
    ///
    /// - Errors: the file cannot be written.
    pub fn start(global: &Global) -> Result<Self, Failure> {
        let named = std::env::var_os(FILE_VARIABLE).filter(|value| !value.to_string_lossy().trim().is_empty());
        let path = global.log_file.clone().or_else(|| named.map(PathBuf::from));
        let file = match path {
            None => None,
            Some(path) => {
                let failed = |cause| {
                    let message = format!("the log file `{}` cannot be written: {cause}", path.display());
                    Failure::new(Exit::Usage, message)
                        .with_hint(format!("name another with `--log-file` or `{FILE_VARIABLE}`, or none"))
                };
                Some(
                    OpenOptions::new()
                        .append(true)
                        .create(true)
                        .open(&path)
                        .map_err(failed)?,
                )
            }
        };
        let (lines, to_write) = sync_channel(MAX_WAITING);
        thread::Builder::new()
            .name("request-log".to_owned())
            .spawn(move || write_all(&to_write, file))
            .map_err(|cause| Failure::new(Exit::Internal, format!("no thread for the request log: {cause}")))?;
        Ok(Self {
            lines,
            left_out: AtomicU64::new(0),
        })
    }

    pub fn write(&self, record: &Record) {
        let mut line = line_of(record, SystemTime::now());
        let left_out = self.left_out.swap(0, Ordering::Relaxed);
        if left_out > 0 {
            // Writing to a text cannot fail.
            let _ = write!(line, " left_out_before={left_out}");
        }
        if self.lines.try_send(line).is_err() {
            self.left_out.fetch_add(left_out + 1, Ordering::Relaxed);
        }
    }
}

fn write_all(lines: &Receiver<String>, mut file: Option<std::fs::File>) {
    for line in lines {
        match &mut file {
            // A full disk is no reason to stop answering.
            Some(file) => drop(file.write_all(format!("{line}\n").as_bytes())),
            None => terminal::say(&line),
        }
    }
}

fn line_of(record: &Record, now: SystemTime) -> String {
    let mut line = time_of(now);
    let status = record
        .status
        .map_or("-".to_owned(), |status| status.as_str().to_owned());
    let elapsed_ms = record.elapsed().as_millis();
    let outcome = record.outcome().word();
    let Record { method, path, .. } = record;
    // Writing to a text cannot fail.
    let _ = write!(line, " {method} {path} {status} {outcome} duration_ms={elapsed_ms}");
    if let Some(first_token) = record.first_token {
        let _ = write!(line, " first_token_ms={}", first_token.as_millis());
    }
    if let Some(done) = &record.done {
        if let Some(model) = &done.model {
            let _ = write!(line, " model={model}");
        }
        if let Some(usage) = &done.usage {
            let _ = write!(
                line,
                " prompt_tokens={} completion_tokens={}",
                usage.prompt_tokens, usage.completion_tokens
            );
            if let Some(cost) = &usage.cost_usd {
                let _ = write!(line, " cost_usd={cost}");
            }
        }
    }
    let _ = write!(line, " id={}", record.id);
    if let Some((word, model)) = &record.failure {
        if let Some(model) = model {
            let _ = write!(line, " model={model}");
        }
        let _ = write!(line, " error={word}");
    }
    let attempts = record.attempts().len();
    if attempts > 1 {
        let _ = write!(line, " attempts={attempts}");
    }
    terminal::clean_line(&line)
}

/// `2026-11-20T20:39:57.123Z`
fn time_of(now: SystemTime) -> String {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = date_of(days);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        second / 3600,
        second / 60 % 60,
        second % 60,
        since.subsec_millis()
    )
}

/// Year, month and day of a day counted from the first of 1970.
// Source: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`; the year begins in March there.
fn date_of(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hyper::{Method, StatusCode};
    use plugin_api::{Done, Usage};

    use super::*;
    use crate::serve::record::Telemetry;

    #[test]
    fn a_line_says_how_it_went_and_not_what_was_said() {
        let (lines, _kept) = sync_channel(1);
        let log = RequestLog {
            lines,
            left_out: AtomicU64::new(0),
        };
        let telemetry = Arc::new(Telemetry::new(Some(log)));
        let mut record = Record::begin(telemetry, "chat", &Method::POST, "/v1/chat/completions");
        record.answered(StatusCode::OK);
        record.complete(Box::new(Done {
            model: Some("acme/small\u{1b}[2J".to_owned()),
            usage: Some(Usage {
                prompt_tokens: 12,
                completion_tokens: 34,
                cost_usd: Some("0.0041".to_owned()),
                ..Usage::default()
            }),
            ..Done::default()
        }));
        let line = line_of(
            &record,
            SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_207_197_123),
        );
        let (before, after) = line.split_once(" duration_ms=").expect("a duration");
        assert_eq!(before, "2026-11-20T20:39:57.123Z POST /v1/chat/completions 200 ok");
        let after = after.trim_start_matches(|letter: char| letter.is_ascii_digit());
        let (after, id) = after.split_once(" id=").expect("an id");
        assert!(id.starts_with("req-"), "{id}");
        assert_eq!(
            after,
            " model=acme/small prompt_tokens=12 completion_tokens=34 cost_usd=0.0041"
        );
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        for (seconds, time) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199, "2024-02-29T23:59:59.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(time_of(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)), time);
        }
    }
}
