//! Progress while the user waits: one line on a terminal that says what for and since when, and is erased as soon as
//! something else is printed.
//!
//! Prints nothing if stderr is not a terminal with a cursor, or if the wait is short.

use std::future::Future;
use std::io::{self, Write};
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::page::Page;
use super::streams::{FAINT, stderr_has_cursor};
use super::table::cut;

/// Waits shorter than this show no progress.
const SILENT_WAIT: Duration = Duration::from_millis(300);
/// How often the line is updated.
const TICK: Duration = Duration::from_millis(250);
/// Waits shorter than this show no seconds.
const UNCOUNTED_S: u64 = 2;

/// The line that is on the screen; empty without one.
static SHOWN: Mutex<String> = Mutex::new(String::new());

/// A wait, which may go on over several pieces of work.
pub struct Wait {
    what: String,
    begun: Instant,
    /// When the program goes on by itself, and why not earlier.
    until: Option<(Instant, String)>,
}

impl Wait {
    /// - In: `what`, such as `fetching the model list`.
    pub fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            begun: Instant::now(),
            until: None,
        }
    }

    /// A wait that ends by itself, and counts down.
    pub fn until(what: impl Into<String>, moment: Instant, reason: impl Into<String>) -> Self {
        Self {
            until: Some((moment, reason.into())),
            ..Self::new(what)
        }
    }

    /// What it is for.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// Waits for `work`. The line stays until something is printed.
    pub async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        if !stderr_has_cursor() {
            return work.await;
        }
        let mut work = pin!(work);
        let mut next = (self.begun + SILENT_WAIT).max(Instant::now());
        loop {
            if let Ok(done) = timeout_at(next, &mut work).await {
                return done;
            }
            show(&self.line());
            next = Instant::now() + TICK;
        }
    }

    /// `… waiting for the model · 3 s`, `… retrying in 7 s (attempt 2 of 4, Ctrl-C to stop): too many requests`
    fn line(&self) -> String {
        let what = &self.what;
        if let Some((moment, reason)) = &self.until {
            let left = moment.saturating_duration_since(Instant::now());
            let when = match left.as_millis().div_ceil(1000) {
                0 => String::new(),
                seconds => format!(" in {seconds} s"),
            };
            return format!("… {what}{when} {reason}");
        }
        match self.begun.elapsed().as_secs() {
            0..UNCOUNTED_S => format!("… {what}"),
            seconds => format!("… {what} · {seconds} s"),
        }
    }
}

/// Waits for `work`, and shows `what` it waits for.
pub async fn while_waiting<T>(what: &str, work: impl Future<Output = T>) -> T {
    let done = Wait::new(what).during(work).await;
    erase();
    done
}

/// The same with a countdown until the work is given up.
pub async fn while_counting_down<T>(what: &str, ends_at: Instant, work: impl Future<Output = T>) -> T {
    let done = Wait::until("giving up", ends_at, format!("(Ctrl-C to stop): {what}"))
        .during(work)
        .await;
    erase();
    done
}

fn show(line: &str) {
    let page = Page::of_stderr();
    let mut shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if *shown != line {
        line.clone_into(&mut shown);
        // A line as wide as the terminal could not be erased in one row.
        let line = cut(&page.text(line), page.columns.unwrap_or(usize::MAX) - 1, page);
        // If stderr is gone, nobody is left to read about it.
        let _ = write!(anstream::stderr(), "\r\x1b[K{FAINT}{line}{FAINT:#}");
    }
}

/// Takes the line back, if there is one.
pub fn erase() {
    let mut shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if !shown.is_empty() {
        shown.clear();
        let _ = write!(io::stderr(), "\r\x1b[K");
    }
}
