//! Progress while the user waits: one line on a terminal, overwritten, and erased at the end.
//!
//! Prints nothing if stderr is not a terminal with a cursor, or if the wait is short.

use std::future::Future;
use std::io::{self, Write};
use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::print::{FAINT, stderr_has_cursor};

/// Waits shorter than this show no progress.
const SILENT_WAIT: Duration = Duration::from_millis(300);
/// How often the line is updated.
const TICK: Duration = Duration::from_millis(250);

/// Waits for `work`, and shows `what` it waits for.
pub async fn while_waiting<T>(what: &str, work: impl Future<Output = T>) -> T {
    while_waiting_until(what, None, work).await
}

/// The same with a countdown until `resumes_at`, if that is known.
pub async fn while_waiting_until<T>(what: &str, resumes_at: Option<Instant>, work: impl Future<Output = T>) -> T {
    let counted = |left_s| format!("… retrying in {left_s} s; Ctrl-C to stop");
    shown(what, resumes_at, counted, work).await
}

/// The same with a countdown until `ends_at`, when the work is given up.
pub async fn while_counting_down<T>(what: &str, ends_at: Instant, work: impl Future<Output = T>) -> T {
    let counted = |left_s| format!("… {what}: {left_s} s left; Ctrl-C to stop");
    shown(what, Some(ends_at), counted, work).await
}

async fn shown<T>(
    what: &str,
    until: Option<Instant>,
    counted: impl Fn(u128) -> String,
    work: impl Future<Output = T>,
) -> T {
    if !stderr_has_cursor() {
        return work.await;
    }
    let mut work = pin!(work);
    if let Ok(done) = timeout(SILENT_WAIT, &mut work).await {
        return done;
    }
    let mut shown = String::new();
    let done = loop {
        let left = until.map(|moment| moment.saturating_duration_since(Instant::now()));
        let line = match left.filter(|left| !left.is_zero()) {
            Some(left) => counted(left.as_millis().div_ceil(1000)),
            None => format!("… {what}"),
        };
        if line != shown {
            take_back();
            // If stderr is gone, nobody is left to read about it.
            let _ = write!(anstream::stderr(), "{FAINT}{line}{FAINT:#}");
            shown = line;
        }
        if until.is_none_or(|moment| moment <= Instant::now()) {
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
