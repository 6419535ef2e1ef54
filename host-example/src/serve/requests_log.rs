//! The request log: a line for each request, without any content.
//!
//! A thread of its own writes the lines, so that a slow reader of stderr delays no answer.
//! Lines that it cannot keep up with are dropped and counted.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::SystemTime;

use super::ended::Ended;
use crate::setup::{Global, LogFile, open_log_file};
use crate::terminal::{self, Failure, time};

/// The most lines that wait to be written.
const MAX_WAITING: usize = 4096;

pub struct RequestLog {
    lines: SyncSender<String>,
    left_out: AtomicU64,
}

impl RequestLog {
    /// Starts the log: in the log file, where there is one, else on stderr.
    ///
    /// - Errors: the file cannot be written.
    pub fn start(global: &Global) -> Result<Self, Failure> {
        let file = open_log_file(global)?;
        let (lines, to_write) = sync_channel(MAX_WAITING);
        thread::Builder::new()
            .name("request-log".to_owned())
            .spawn(move || write_all(&to_write, file))
            .map_err(|cause| Failure::internal(format!("cannot start a thread for the request log: {cause}")))?;
        Ok(Self {
            lines,
            left_out: AtomicU64::new(0),
        })
    }

    pub fn write(&self, ended: &Ended) {
        let mut line = line_of(ended, SystemTime::now());
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

fn write_all(lines: &Receiver<String>, mut file: Option<LogFile>) {
    for line in lines {
        match &mut file {
            // A full disk is no reason to stop answering.
            Some(file) => drop(file.write_all(format!("{line}\n").as_bytes())),
            None => terminal::say(&line),
        }
    }
}

fn line_of(ended: &Ended, now: SystemTime) -> String {
    let mut line = time::rfc_3339_ms(now);
    let status = ended.status.map_or("-".to_owned(), |status| status.as_str().to_owned());
    let elapsed_ms = ended.elapsed.as_millis();
    let outcome = ended.outcome.word();
    let Ended { method, path, .. } = ended;
    // Writing to a text cannot fail.
    let _ = write!(line, " {method} {path} {status} {outcome} duration_ms={elapsed_ms}");
    if let Some(first_token) = ended.first_token {
        let _ = write!(line, " first_token_ms={}", first_token.as_millis());
    }
    if let Some(done) = &ended.done {
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
    let _ = write!(line, " id={}", ended.id);
    if let Some((word, model)) = &ended.failure {
        if let Some(model) = model {
            let _ = write!(line, " model={model}");
        }
        let _ = write!(line, " error={word}");
    }
    let attempts = ended.attempts().len();
    if attempts > 1 {
        let _ = write!(line, " attempts={attempts}");
    }
    terminal::clean_line(&line)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hyper::{Method, StatusCode};
    use serde_json::json;

    use super::*;
    use crate::serve::ended::Outcome;

    #[test]
    fn a_log_line_has_the_outcome_and_no_content() {
        let usage = json!({"prompt_tokens": 12, "completion_tokens": 34, "cost_usd": "0.0041"});
        let done = json!({"model": "acme/small\u{1b}[2J", "usage": usage});
        let ended = Ended {
            id: "req-1".to_owned(),
            route: "chat",
            method: Method::POST,
            path: "/v1/chat/completions".to_owned(),
            elapsed: Duration::from_millis(1234),
            status: Some(StatusCode::OK),
            outcome: Outcome::Ok,
            first_token: None,
            done: Some(serde_json::from_value(done).expect("a Done")),
            failed_attempts: Vec::new(),
            failure: None,
        };
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_207_197_123);
        assert_eq!(
            line_of(&ended, now),
            "2026-11-20T20:39:57.123Z POST /v1/chat/completions 200 ok duration_ms=1234 model=acme/small prompt_tokens=12 \
             completion_tokens=34 cost_usd=0.0041 id=req-1"
        );
    }
}
