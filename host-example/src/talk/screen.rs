//! An answer on the screen: its text on stdout, thoughts, retries and progress on stderr.
//!
//! Takes pieces as they come and remembers what the last one left open. Asks nothing of the plugin.

use std::future::Future;
use std::io;
use std::time::Duration;

use clap::Args;
use plugin_api::Notice;
use tokio::time::Instant;

use super::events::Event;
use super::thoughts::{Reasoning, Thoughts};
use crate::terminal::progress::Wait;
use crate::terminal::{self, Cleaner, FAINT, Markdown, Page};

/// How an answer is shown.
#[derive(Clone, Copy)]
pub struct Manner {
    /// As it comes.
    pub is_streamed: bool,
    /// The text, on stdout.
    pub has_text: bool,
    /// As it is written, even on a terminal.
    pub is_raw: bool,
    /// One JSON object, on stdout.
    pub has_json: bool,
    /// An object for each event, on stdout.
    pub has_events: bool,
    /// The model's thoughts, on stderr.
    pub reasoning: Reasoning,
    /// The line about model, time and cost.
    pub has_footer: bool,
}

/// Options for how an answer is shown.
#[derive(Args, Clone)]
pub struct Shown {
    /// Print Markdown as it is written, on a terminal too
    #[arg(long)]
    pub raw: bool,
    /// How much of the model's reasoning to show on stderr [default: brief on a terminal, otherwise hide]
    #[arg(long, value_name = "HOW", value_enum)]
    reasoning: Option<Reasoning>,
}

impl Shown {
    /// How much of the reasoning is shown: what the user chose, or a part on a terminal.
    pub fn reasoning(&self, is_quiet: bool) -> Reasoning {
        let usual = match terminal::stderr_is_terminal() && !is_quiet {
            true => Reasoning::Brief,
            false => Reasoning::Hide,
        };
        self.reasoning.unwrap_or(usual)
    }
}

/// Where an answer appears: the text on stdout, the thoughts and what it waits for on stderr.
pub struct Screen {
    text: Cleaner,
    /// On a terminal that can show it.
    markdown: Option<Markdown>,
    thoughts: Thoughts,
    pub shows_text: bool,
    shows_events: bool,
    /// The notices already printed during the wait.
    pub printed: Vec<Notice>,
    /// How many attempts failed so far.
    failed_attempts: usize,
    /// What it waits for.
    wait: Wait,
    /// The last thing written did not end a line.
    line_open: bool,
    /// How many lines others had printed by then.
    n_lines: usize,
    /// The reader of stdout is gone.
    pub is_gone: bool,
    /// Why stdout failed, unless its reader went away.
    pub trouble: Option<io::Error>,
}

impl Screen {
    pub fn new(manner: Manner) -> Self {
        let is_formatted = manner.has_text && !manner.is_raw && terminal::stdout_has_cursor();
        Self {
            text: Cleaner::default(),
            markdown: is_formatted.then(Markdown::default),
            thoughts: Thoughts::new(manner.reasoning),
            shows_text: manner.has_text,
            shows_events: manner.has_events,
            printed: Vec::new(),
            failed_attempts: 0,
            wait: Wait::new("connecting to the service"),
            line_open: false,
            n_lines: 0,
            is_gone: false,
            trouble: None,
        }
    }

    pub fn text(&mut self, text: &str) {
        if !self.shows_text {
            return;
        }
        self.thoughts.end();
        let clean = self.text.clean(text);
        let Some(last) = clean.chars().last() else { return };
        let Some(markdown) = &mut self.markdown else {
            self.line_open = last != '\n';
            return self.raw(&clean);
        };
        if self.line_open && self.n_lines != terminal::n_lines() {
            markdown.move_below();
        }
        let bytes = markdown.text(&clean, Page::of_stdout());
        self.line_open = true;
        self.raw(&bytes);
        self.n_lines = terminal::n_lines();
    }

    /// Prints an event for programs, where they asked for events.
    pub fn event(&mut self, event: Event) {
        if self.shows_events && !self.is_gone {
            self.raw(&event.line());
        }
    }

    pub fn reasoning(&mut self, text: &str) {
        if self.thoughts.are_visible() {
            self.end_text();
        }
        self.wait_for("thinking");
        self.thoughts.add(text);
    }

    /// Prints notices about the wait at once: a retry, another model. In the middle of an answer they would be in the
    /// way, and are printed at the end like other notices; so is a retry that a terminal shows while it lasts.
    pub fn notice(&mut self, notice: &Notice) {
        let is_about_the_wait = notice.wait_ms.is_some()
            || notice.attempt.is_some()
            || ["retry", "fallback"].contains(&notice.code.as_str());
        if !is_about_the_wait || self.line_open {
            return;
        }
        self.thoughts.end();
        self.failed_attempts += usize::from(notice.attempt.is_some());
        if let Some(wait_ms) = notice.wait_ms
            && terminal::stderr_has_cursor()
        {
            let until = Instant::now() + Duration::from_millis(wait_ms);
            let message = notice.message.trim_end().trim_end_matches('.');
            let reason = terminal::clean_line(message.trim_end_matches("; trying again"));
            let attempt = next_attempt(notice).map(|attempt| format!("{attempt}, "));
            let aside = format!("{}Ctrl-C to stop", attempt.unwrap_or_default());
            self.wait = Wait::until("retrying", until, format!("({aside}): {reason}"));
            return;
        }
        terminal::say_styled(FAINT, &wait_line(notice, self.failed_attempts));
        self.printed.push(notice.clone());
    }

    /// From now on it waits for this.
    pub fn wait_for(&mut self, what: &str) {
        if self.wait.what() != what {
            self.wait = Wait::new(what);
        }
    }

    /// Waits for `work`, with progress on a terminal as long as nothing of the answer is printed.
    pub async fn while_waiting<T>(&mut self, work: impl Future<Output = T>) -> T {
        // A plugin that is always ready would starve other tasks, such as Ctrl-C, so they get a turn now and then.
        tokio::task::consume_budget().await;
        if self.line_open || (self.thoughts.are_open() && self.thoughts.are_visible()) {
            return work.await;
        }
        self.wait.during(work).await
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

    fn end_text(&mut self) {
        if std::mem::take(&mut self.line_open) {
            let end = match &mut self.markdown {
                Some(markdown) => markdown.end(Page::of_stdout()),
                None => "\n".to_owned(),
            };
            self.raw(&end);
        }
    }

    pub fn end_line(&mut self) {
        self.thoughts.end();
        self.end_text();
        terminal::progress::erase();
    }
}

/// `attempt 2 of 4`: the attempt that follows, if the plugin says how many are allowed.
fn next_attempt(notice: &Notice) -> Option<String> {
    let about = notice.about.as_ref()?;
    Some(format!("attempt {} of {}", about.next_attempt?, about.max_attempts?))
}

/// `… rate limited by Acme, trying again (in 8 s; attempt 2 of 4, 429)`
fn wait_line(notice: &Notice, n_attempts: usize) -> String {
    let message = notice.message.trim_end().trim_end_matches('.');
    let mut asides = Vec::new();
    if let Some(wait_ms) = notice.wait_ms {
        asides.push(format!("in {}", terminal::seconds(wait_ms)));
    }
    if let Some(attempt) = &notice.attempt {
        let status = attempt.status.map(|status| status.to_string());
        let outcome = status.as_deref().or(attempt.code.as_deref()).unwrap_or("no answer");
        let attempt = next_attempt(notice).unwrap_or_else(|| format!("attempt {n_attempts} failed"));
        asides.push(if message.contains(outcome) {
            attempt
        } else {
            format!("{attempt}, {outcome}")
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
    use plugin_api::{About, Attempt};

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
        let line = "… rate limited by Acme: trying again (in 8.0 s; attempt 1 failed, 429)";
        assert_eq!(wait_line(&notice, 1), line);
        notice.about = Some(Box::new(About::attempts(2, 4)));
        let line = "… rate limited by Acme: trying again (in 8.0 s; attempt 2 of 4, 429)";
        assert_eq!(wait_line(&notice, 1), line);
        notice.message = "Acme answered 429; trying again.".to_owned();
        assert_eq!(
            wait_line(&notice, 1),
            "… Acme answered 429; trying again (in 8.0 s; attempt 2 of 4)"
        );
        notice.message = "rate limited by Acme: trying again".to_owned();
        (notice.wait_ms, notice.about) = (None, None);
        notice.attempt = Some(Box::default());
        assert_eq!(
            wait_line(&notice, 2),
            "… rate limited by Acme: trying again (attempt 2 failed, no answer)"
        );
    }
}
