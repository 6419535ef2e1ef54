//! An answer on the screen: its text on stdout, thoughts, retries and progress on a terminal's stderr.
//!
//! Takes pieces as they come and remembers what the last one left open. Asks nothing of the plugin.

use std::future::Future;
use std::io::{self, Write};
use std::time::Duration;

use plugin_api::Notice;
use tokio::time::Instant;

use crate::terminal::{self, Cleaner, FAINT, progress};

/// How an answer is shown.
#[derive(Clone, Copy)]
pub struct Manner {
    /// As it comes.
    pub is_streamed: bool,
    /// The text, on stdout.
    pub has_text: bool,
    /// One JSON object, on stdout.
    pub has_json: bool,
    /// The model's thoughts, on a terminal's stderr.
    pub has_thoughts: bool,
    /// The line about model, time and cost.
    pub has_footer: bool,
}

/// Where an answer appears: the text on stdout, the reasoning on a terminal's stderr.
#[derive(Default)]
pub struct Screen {
    text: Cleaner,
    thoughts: Cleaner,
    shows_text: bool,
    shows_thoughts: bool,
    shows_progress: bool,
    /// The notices already printed during the wait.
    pub printed: Vec<Notice>,
    /// How many attempts failed so far.
    failed_attempts: usize,
    /// When the plugin retries, if it announced a wait.
    resumes_at: Option<Instant>,
    /// The last thing written did not end a line.
    line_open: bool,
    thinking: bool,
    /// The reader of stdout is gone.
    pub is_gone: bool,
    /// Why stdout failed, unless its reader went away.
    pub trouble: Option<io::Error>,
}

impl Screen {
    pub fn new(manner: Manner) -> Self {
        Self {
            shows_text: manner.has_text,
            shows_thoughts: manner.has_thoughts && terminal::stderr_is_terminal(),
            shows_progress: terminal::stderr_has_cursor(),
            ..Self::default()
        }
    }

    pub fn text(&mut self, text: &str) {
        if !self.shows_text {
            return;
        }
        self.end_thoughts();
        let clean = self.text.clean(text);
        if let Some(last) = clean.chars().last() {
            self.line_open = last != '\n';
            self.raw(&clean);
        }
    }

    pub fn reasoning(&mut self, text: &str) {
        if self.shows_thoughts {
            self.thinking = true;
            let clean = self.thoughts.clean(text);
            // No newline: the next piece continues this one.
            let _ = write!(anstream::stderr(), "{FAINT}{clean}{FAINT:#}");
        }
    }

    /// Prints notices about the wait at once: a retry, another model. In the middle of an answer they would be in the
    /// way, and are printed at the end like other notices.
    pub fn notice(&mut self, notice: &Notice) {
        let is_about_the_wait = notice.wait_ms.is_some()
            || notice.attempt.is_some()
            || ["retry", "fallback"].contains(&notice.code.as_str());
        if !is_about_the_wait || self.line_open {
            return;
        }
        self.end_thoughts();
        self.failed_attempts += usize::from(notice.attempt.is_some());
        terminal::say_styled(FAINT, &wait_line(notice, self.failed_attempts));
        self.resumes_at = notice.wait_ms.map(|ms| Instant::now() + Duration::from_millis(ms));
        self.printed.push(notice.clone());
    }

    /// Waits for `work`, with progress on a terminal as long as nothing of the answer is printed.
    pub async fn while_waiting<T>(&mut self, what: &str, work: impl Future<Output = T>) -> T {
        // A plugin that is always ready would starve other tasks, such as Ctrl-C, so they get a turn now and then.
        tokio::task::consume_budget().await;
        if !self.shows_progress || self.line_open || self.thinking {
            return work.await;
        }
        progress::while_waiting_until(what, self.resumes_at.take(), work).await
    }

    pub fn raw(&mut self, text: &str) {
        let Err(cause) = terminal::try_write(text.as_bytes()) else {
            return;
        };
        // A reader that went away, as `head` does, ends the answer and is no error.
        self.is_gone = true;
        if cause.kind() != io::ErrorKind::BrokenPipe {
            self.trouble = Some(cause);
        }
    }

    fn end_thoughts(&mut self) {
        if std::mem::take(&mut self.thinking) {
            terminal::say("");
        }
    }

    pub fn end_line(&mut self) {
        self.end_thoughts();
        if self.line_open {
            self.line_open = false;
            self.raw("\n");
        }
    }
}

/// `… rate limited by Acme, trying again (in 8 s; attempt 1: 429)`
fn wait_line(notice: &Notice, n_attempts: usize) -> String {
    let message = notice.message.trim_end().trim_end_matches('.');
    let mut asides = Vec::new();
    if let Some(wait_ms) = notice.wait_ms {
        asides.push(format!("in {}", terminal::seconds(wait_ms)));
    }
    if let Some(attempt) = &notice.attempt {
        let status = attempt.status.map(|status| status.to_string());
        let outcome = status.as_deref().or(attempt.code.as_deref()).unwrap_or("no answer");
        asides.push(if message.contains(outcome) {
            format!("attempt {n_attempts}")
        } else {
            format!("attempt {n_attempts}: {outcome}")
        });
    }
    let aside = if asides.is_empty() {
        String::new()
    } else {
        format!(" ({})", asides.join("; "))
    };
    format!("… {}", terminal::clean_line(&format!("{message}{aside}")))
}

#[cfg(test)]
mod tests {
    use plugin_api::Attempt;

    use super::*;

    #[test]
    fn a_retry_is_one_line_with_its_reason_its_wait_and_its_attempt() {
        let mut notice = Notice::new("retry", "rate limited by Acme:\ntrying again\u{1b}[2J.");
        assert_eq!(wait_line(&notice, 0), "… rate limited by Acme: trying again");
        notice.wait_ms = Some(8000);
        let attempt = Attempt {
            status: Some(429),
            code: Some("rate_limit".to_owned()),
            ..Attempt::default()
        };
        notice.attempt = Some(Box::new(attempt));
        let line = "… rate limited by Acme: trying again (in 8.0 s; attempt 1: 429)";
        assert_eq!(wait_line(&notice, 1), line);
        notice.message = "Acme answered 429; trying again.".to_owned();
        assert_eq!(
            wait_line(&notice, 1),
            "… Acme answered 429; trying again (in 8.0 s; attempt 1)"
        );
        notice.message = "rate limited by Acme: trying again".to_owned();
        notice.wait_ms = None;
        notice.attempt = Some(Box::default());
        assert_eq!(
            wait_line(&notice, 2),
            "… rate limited by Acme: trying again (attempt 2: no answer)"
        );
    }
}
