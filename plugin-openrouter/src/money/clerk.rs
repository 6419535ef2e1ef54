//! The thread that keeps the ledgers, so that no other thread waits for a file or its lock.
//!
//! In: jobs, which it does one after the other, in the order in which they came. It is started by the first budget for a day,
//! and ends when nobody is left who could send a job, after the last one that was sent.

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

/// The ledgers that were used so far, by their folders.
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

/// The place of a thread that may not have been started yet.
#[derive(Default)]
pub struct Office {
    clerk: Mutex<Option<Clerk>>,
}

/// The way to send jobs to the thread.
#[derive(Clone)]
pub struct Clerk {
    jobs: Sender<Job>,
    /// The process whose thread it is: a fork has a copy of this struct and no thread.
    process_id: u32,
}

impl Office {
    /// The clerk, whose thread is started now if it was not before.
    ///
    /// - Errors: `internal` if the system gives no thread.
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
                    format!("the thread that keeps the ledger of `budget.perDayUsd` could not start: {cause}"),
                )
            })?;
        let clerk = Clerk {
            jobs,
            process_id: process::id(),
        };
        *known = Some(clerk.clone());
        Ok(clerk)
    }

    /// Waits until the jobs that were sent so far are done, at most for `limit`.
    ///
    /// - Out: whether they are.
    pub fn flush(&self, limit: Duration) -> bool {
        let clerk = self.clerk.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(clerk) = clerk.filter(|clerk| clerk.process_id == process::id()) else {
            return true;
        };
        let (done, waits) = mpsc::channel();
        clerk.tell(move |_| {
            // Nobody listens any more where the limit was too short.
            let _ = done.send(());
        });
        waits.recv_timeout(limit).is_ok()
    }
}

impl Clerk {
    /// Sends a job, and does not wait for it.
    pub fn tell(&self, job: impl FnOnce(&mut Ledgers) + Send + 'static) {
        if self.jobs.send(Box::new(job)).is_err() {
            // The thread lives as long as this sender, so only the end of the process comes before it.
            tracing::warn!("the ledger's thread is gone");
        }
    }

    /// Sends a job and waits for its result. A job is left out if nobody waits any more when its turn comes.
    ///
    /// - Errors: `internal` if the job panics, or in a process that was forked from the one of the thread.
    pub async fn ask<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Ledgers) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let failed = || Error::new(ErrorKind::INTERNAL, "the thread that keeps the ledger gave no answer");
        if self.process_id != process::id() {
            return Err(failed());
        }
        let (answer, answered) = oneshot::channel();
        self.tell(move |ledgers| {
            if !answer.is_closed() {
                // What nobody takes is dropped, and undoes itself.
                let _ = answer.send(job(ledgers));
            }
        });
        answered.await.unwrap_or_else(|_| Err(failed()))
    }
}

fn serve(jobs: &Receiver<Job>) {
    let mut ledgers = Ledgers::default();
    for job in jobs {
        // A panic costs its own job and no other one; what was read so far may be half of it, so it is read again.
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
    fn without_a_thread_there_is_nothing_to_wait_for() {
        let office = Office::default();
        assert!(office.flush(Duration::ZERO));
        assert!(office.clerk.into_inner().expect("no panic").is_none());
    }

    #[test]
    fn jobs_that_were_sent_are_done_although_everybody_left() {
        let (done, seen) = mpsc::channel();
        let office = Office::default();
        let clerk = office.clerk().expect("a thread");
        for n in 0..100 {
            let done = done.clone();
            clerk.tell(move |_| done.send(n).expect("the test listens"));
        }
        drop((done, clerk, office));
        assert_eq!(seen.iter().collect::<Vec<_>>(), (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn a_flush_waits_no_longer_than_its_limit() {
        let office = Office::default();
        let (over, waits) = mpsc::channel::<()>();
        office.clerk().expect("a thread").tell(move |_| {
            // Ends when the test drops the other side.
            let _ = waits.recv();
        });
        assert!(!office.flush(Duration::from_millis(1)));
        drop(over);
        assert!(office.flush(Duration::from_secs(10)));
    }

    #[test]
    fn a_job_that_panics_is_an_error_and_the_next_one_is_done() {
        let clerk = Office::default().clerk().expect("a thread");
        let error = block_on(clerk.ask::<()>(|_| panic!("on purpose"))).expect_err("a panic");
        assert_eq!(
            (error.kind, error.message.as_str()),
            (ErrorKind::INTERNAL, "the thread that keeps the ledger gave no answer")
        );
        assert_eq!(block_on(clerk.ask(|_| Ok(7))).expect("an answer"), 7);
    }
}
