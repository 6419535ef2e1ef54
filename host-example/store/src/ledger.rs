//! Records calls behind the answer: they go into a queue, and a thread of its own writes them.
//!
//! Putting a call into the queue never waits for the disk. Calls that cannot be kept are counted and reported once.

use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::Store;
use crate::call::Call;
use crate::error::Error;

/// How long a call waits for others, so that they share a transaction.
const DELAY: Duration = Duration::from_millis(500);
/// How many calls make a transaction at once.
const BATCH: usize = 512;
/// How many calls may wait. More are lost.
const MAX_WAITING: usize = 16_384;

/// The way to the thread that writes. Clones lead to the same one.
#[derive(Clone)]
pub struct Ledger(Arc<Shared>);

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    /// The queue has more, or somebody waits for it to be empty.
    more: Condvar,
    /// A batch is done.
    done: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Call>,
    /// When the first of them came.
    since: Option<Instant>,
    is_hurried: bool,
    is_writing: bool,
    n_lost: u64,
}

impl Ledger {
    /// Starts the thread.
    ///
    /// - In: `open`, which it calls at the first call, and again after a failure, with whether the store said that it
    ///   is damaged; `trouble`, which it tells the first time that calls are lost.
    pub fn start<O, T>(open: O, trouble: T) -> std::io::Result<Self>
    where
        O: FnMut(bool) -> Result<Box<dyn Store>, Error> + Send + 'static,
        T: FnMut(&Error) + Send + 'static,
    {
        let shared = Arc::new(Shared::default());
        let writer = Writer {
            shared: Arc::clone(&shared),
            open,
            trouble,
            store: None,
            is_damaged: false,
            is_reported: false,
        };
        thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || writer.run())?;
        Ok(Self(shared))
    }

    /// Has a call written soon.
    pub fn record(&self, call: Call) {
        let mut queue = self.0.queue();
        if queue.waiting.len() >= MAX_WAITING {
            queue.n_lost += 1;
            return;
        }
        queue.since.get_or_insert_with(Instant::now);
        queue.waiting.push(call);
        // In between, the thread waits for its time and need not wake up.
        if matches!(queue.waiting.len(), 1 | BATCH) {
            self.0.more.notify_one();
        }
    }

    /// Waits until everything recorded so far is written, at most this long.
    ///
    /// - Out: how many calls were lost since the start.
    pub fn flush(&self, limit: Duration) -> u64 {
        let mut queue = self.0.queue();
        queue.is_hurried = true;
        self.0.more.notify_one();
        let is_busy = |queue: &mut Queue| queue.is_writing || !queue.waiting.is_empty();
        let waited = self.0.done.wait_timeout_while(queue, limit, is_busy);
        queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        queue.is_hurried = false;
        queue.n_lost + queue.waiting.len() as u64
    }
}

impl Shared {
    /// Nothing panics while it is locked.
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next batch.
    fn batch(&self) -> Vec<Call> {
        let mut queue = self.queue();
        loop {
            let left = match queue.since {
                None => None,
                Some(_) if queue.is_hurried || queue.waiting.len() >= BATCH => break,
                Some(since) => match DELAY.checked_sub(since.elapsed()) {
                    None => break,
                    left => left,
                },
            };
            queue = match left {
                None => self.more.wait(queue).unwrap_or_else(PoisonError::into_inner),
                Some(left) => {
                    let waited = self.more.wait_timeout(queue, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        queue.since = None;
        queue.is_writing = true;
        mem::take(&mut queue.waiting)
    }
}

/// What the thread owns.
struct Writer<O, T> {
    shared: Arc<Shared>,
    open: O,
    trouble: T,
    store: Option<Box<dyn Store>>,
    is_damaged: bool,
    is_reported: bool,
}

impl<O, T> Writer<O, T>
where
    O: FnMut(bool) -> Result<Box<dyn Store>, Error>,
    T: FnMut(&Error),
{
    fn run(mut self) {
        loop {
            let batch = self.shared.batch();
            let mut n_lost = 0;
            let mut written = self.write(&batch);
            if matches!(written, Err(Error::Damaged)) {
                self.store = None;
                self.is_damaged = true;
                written = self.write(&batch);
            }
            if let Err(cause) = written {
                n_lost = batch.len() as u64;
                // A file that was moved or repaired is found again.
                self.store = None;
                if !self.is_reported {
                    (self.trouble)(&cause);
                    self.is_reported = true;
                }
            }
            let mut queue = self.shared.queue();
            queue.is_writing = false;
            queue.n_lost += n_lost;
            self.shared.done.notify_all();
        }
    }

    fn write(&mut self, batch: &[Call]) -> Result<(), Error> {
        let store = match &mut self.store {
            Some(store) => store,
            none => none.insert((self.open)(self.is_damaged)?),
        };
        self.is_damaged = false;
        store.record(batch)
    }
}
