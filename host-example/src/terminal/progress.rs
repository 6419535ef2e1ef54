//! What is said while somebody waits: one line on a terminal that is overwritten and at last taken back.
//!
//! Where stderr is no terminal with a cursor, nothing is said. Short waits pass without a word.

use std::future::Future;
use std::io::{self, Write};
use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::print::{FAINT, stderr_has_cursor};

/// How long a wait may be without a word about it.
const SILENT_WAIT: Duration = Duration::from_millis(300);
/// How often the line is looked at again.
const TICK: Duration = Duration::from_millis(250);

/// What is waited for.
pub struct Wait<'a> {
    /// In a few words.
    pub what: &'a str,
    /// When something is tried again, where that is known; until then the seconds are counted.
    pub resumes_at: Option<Instant>,
}

impl Wait<'_> {
    fn line(&self) -> String {
        let left = self
            .resumes_at
            .map(|moment| moment.saturating_duration_since(Instant::now()))
            .filter(|left| !left.is_zero());
        match left {
            Some(left) => format!("… trying again in {} s; Ctrl-C stops", left.as_millis().div_ceil(1000)),
            None => format!("… {}", self.what),
        }
    }
}

/// Waits for `work`, and says so.
pub async fn while_waiting<T>(wait: Wait<'_>, work: impl Future<Output = T>) -> T {
    if !stderr_has_cursor() {
        return work.await;
    }
    let mut work = pin!(work);
    if let Ok(done) = timeout(SILENT_WAIT, &mut work).await {
        return done;
    }
    let mut shown = String::new();
    let done = loop {
        let line = wait.line();
        if line != shown {
            take_back();
            // Nobody is left to be told that stderr is gone.
            let _ = write!(anstream::stderr(), "{FAINT}{line}{FAINT:#}");
            shown = line;
        }
        if wait.resumes_at.is_none_or(|moment| moment <= Instant::now()) {
            break work.await;
        }
        if let Ok(done) = timeout(TICK, &mut work).await {
            break done;
        }
    };
    take_back();
    done
}

fn take_back() {
    let _ = write!(io::stderr(), "\r\x1b[K");
}
