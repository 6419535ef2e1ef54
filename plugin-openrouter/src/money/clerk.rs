//! The thread that owns the ledgers, so that no other thread waits for a file or its lock.
//!
//! It runs jobs one at a time, in the order in which they were sent. The first call with a daily budget starts it.
//! It ends once every sender is dropped and all jobs are done.

use std::collections::HashMap;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use std::{process, thread};

use plugin_api::{Error, ErrorKind};
use tokio::sync::oneshot;

use crate::money::ledger::Ledger;

type Job = Box<dyn FnOnce(&mut Ledgers) + Send>;

/// The ledgers used so far, by folder.
#[derive(Default)]
pub struct Ledgers {
    ledgers: HashMap<PathBuf, Ledger>,
}

impl Ledgers {
    pub fn in_folder(&mut self, folder: &Path) -> &mut Ledger {
        self.ledgers
            .entry(folder.to_owned())
            .or_insert_with(|| Ledger::new(folder.to_owned()))
    }
}

/// Starts the thread on first use.
#[derive(Default)]
pub struct Office {
    clerk: Mutex<Option<Clerk>>,
}

/// Sends jobs to the thread.
#[derive(Clone)]
pub struct Clerk {
    jobs: Sender<Job>,
    /// The process that owns the thread: a forked child has a copy of this struct but no thread.
    process_id: u32,
}

impl Office {
    /// The clerk; starts its thread if necessary.
    ///
    /// - Errors: `internal` if the thread cannot start.
    pub fn clerk(&self) -> Result<Clerk, Error> {
        let mut known = self.clerk.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(clerk) = &*known {
            return Ok(clerk.clone());
        }
        let (jobs, waiting) = mpsc::channel();
        thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || serve(&waiting))
            .map_err(|cause| {
                Error::new(
                    ErrorKind::INTERNAL,
                    format!("could not start the ledger thread that `budget.perDayUsd` needs: {cause}"),
                )
            })?;
        let clerk = Clerk {
            jobs,
            process_id: process::id(),
        };
        *known = Some(clerk.clone());
        Ok(clerk)
    }

    /// Waits until all jobs sent so far are done, at most for `limit`.
    ///
    /// - Out: whether they are done.
    pub fn flush(&self, limit: Duration) -> bool {
        let clerk = self.clerk.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(clerk) = clerk.filter(|clerk| clerk.process_id == process::id()) else {
            return true;
        };
        let (done, waits) = mpsc::channel();
        clerk.send(move |_| {
            // Nobody listens after the limit.
            let _ = done.send(());
        });
        waits.recv_timeout(limit).is_ok()
    }
}

impl Clerk {
    /// Sends a job without waiting for it.
    pub fn send(&self, job: impl FnOnce(&mut Ledgers) + Send + 'static) {
        if self.jobs.send(Box::new(job)).is_err() {
            // The thread outlives every sender, except while the process ends.
            tracing::warn!("the ledger thread has ended");
        }
    }

    /// Sends a job and waits for its result. A job whose caller has gone by the time it starts is skipped.
    ///
    /// - Errors: `internal` if the job panics, or in a forked child of the thread's process.
    pub async fn ask<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Ledgers) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let failed = || Error::new(ErrorKind::INTERNAL, "the ledger thread did not answer");
        if self.process_id != process::id() {
            return Err(failed());
        }
        let (answer, answered) = oneshot::channel();
        self.send(move |ledgers| {
            if !answer.is_closed() {
                // A result that nobody receives is dropped, which undoes it.
                let _ = answer.send(job(ledgers));
            }
        });
        answered.await.unwrap_or_else(|_| Err(failed()))
    }
}

fn serve(jobs: &Receiver<Job>) {
    let mut ledgers = Ledgers::default();
    for job in jobs {
        // A panic fails its own job only. It may leave a ledger half read, so all of them are read again.
        if panic::catch_unwind(AssertUnwindSafe(|| job(&mut ledgers))).is_err() {
            ledgers = Ledgers::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::block_on;

    #[test]
    fn flushing_without_a_thread_returns_at_once() {
        let office = Office::default();
        assert!(office.flush(Duration::ZERO));
        assert!(office.clerk.into_inner().expect("no panic").is_none());
    }

    #[test]
    fn jobs_are_done_in_order_even_after_every_sender_is_dropped() {
        let (done, seen) = mpsc::channel();
        let office = Office::default();
        let clerk = office.clerk().expect("a thread");
        for n in 0..100 {
            let done = done.clone();
            clerk.send(move |_| done.send(n).expect("the test listens"));
        }
        drop((done, clerk, office));
        assert_eq!(seen.iter().collect::<Vec<_>>(), (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn a_flush_waits_no_longer_than_its_limit() {
        let office = Office::default();
        let (over, waits) = mpsc::channel::<()>();
        office.clerk().expect("a thread").send(move |_| {
            // Ends when the test drops the other side.
            let _ = waits.recv();
        });
        assert!(!office.flush(Duration::from_millis(1)));
        drop(over);
        assert!(office.flush(Duration::from_secs(60)));
    }

    #[test]
    fn a_panic_fails_its_own_job_only() {
        let clerk = Office::default().clerk().expect("a thread");
        let error = block_on(clerk.ask::<()>(|_| panic!("on purpose"))).expect_err("a panic");
        let expected = (ErrorKind::INTERNAL, "the ledger thread did not answer");
        assert_eq!((error.kind, error.message.as_str()), expected);
        assert_eq!(block_on(clerk.ask(|_| Ok(7))).expect("an answer"), 7);
    }
}
