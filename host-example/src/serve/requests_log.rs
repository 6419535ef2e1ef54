//! The request log: a line for each request, without any content.
//!
//! A thread of its own writes the lines, so that a slow reader of stderr delays no answer.
//! Lines that it cannot keep up with are dropped and counted.

use std::borrow::Cow;
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

/// One line in logfmt behind the time: words, then values by their names.
fn line_of(ended: &Ended, now: SystemTime) -> String {
    let mut line = time::rfc_3339_ms(now);
    let status = ended.status.as_ref().map_or("-", |status| status.as_str());
    for word in [ended.method.as_str(), &ended.path, status, ended.outcome.word()] {
        line.push(' ');
        line.push_str(&quoted(word));
    }
    let mut pair = |name: &str, value: &str| {
        // Writing to a text cannot fail.
        let _ = write!(line, " {name}={}", quoted(value));
    };
    pair("duration_ms", &ended.elapsed.as_millis().to_string());
    if let Some(first_token) = ended.first_token {
        pair("first_token_ms", &first_token.as_millis().to_string());
    }
    if let Some(done) = &ended.done {
        if let Some(model) = &done.model {
            pair("model", model);
        }
        if let Some(usage) = &done.usage {
            pair("prompt_tokens", &usage.prompt_tokens.to_string());
            pair("completion_tokens", &usage.completion_tokens.to_string());
            if let Some(cost) = &usage.cost_usd {
                pair("cost_usd", cost);
            }
        }
    }
    pair("id", &ended.id);
    if let Some((word, model)) = &ended.failure {
        if let Some(model) = model {
            pair("model", model);
        }
        pair("error", word);
    }
    let attempts = ended.attempts().len();
    if attempts > 1 {
        pair("attempts", &attempts.to_string());
    }
    line
}

/// A value as logfmt has it: in quotes unless it is one plain word, with escapes as in JSON, and nothing in it that a
/// terminal obeys or hides.
fn quoted(value: &str) -> Cow<'_, str> {
    let is_plain = |letter: char| !letter.is_control() && !letter.is_whitespace() && !"\"=\\".contains(letter);
    if !value.is_empty()
        && value
            .chars()
            .all(|letter| is_plain(letter) && !terminal::is_unseen(letter))
    {
        return Cow::Borrowed(value);
    }
    let mut quoted = String::from("\"");
    for letter in value.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            letter if letter.is_control() || terminal::is_unseen(letter) || "\u{2028}\u{2029}".contains(letter) => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(letter));
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    Cow::Owned(quoted)
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
            "2026-11-20T20:39:57.123Z POST /v1/chat/completions 200 ok duration_ms=1234 model=\"acme/small\\u001b[2J\" prompt_tokens=12 \
             completion_tokens=34 cost_usd=0.0041 id=req-1"
        );
    }

    #[test]
    fn no_value_looks_like_another_one_or_like_another_line() {
        for (value, expected) in [
            ("acme/small:free", "acme/small:free"),
            ("é-1.5", "é-1.5"),
            ("", r#""""#),
            ("a b", r#""a b""#),
            ("x error=none", r#""x error=none""#),
            ("a\"b\\c", r#""a\"b\\c""#),
            ("a\n2026-01-01T00:00:00Z POST", r#""a\n2026-01-01T00:00:00Z POST""#),
            ("\u{1b}[2J\u{85}\u{202e}\u{2028}", r#""\u001b[2J\u0085\u202e\u2028""#),
        ] {
            assert_eq!(quoted(value), expected);
        }
    }
}
