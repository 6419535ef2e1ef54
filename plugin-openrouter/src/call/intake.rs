//! Reads the body of an answer from the network, ahead of its reader.
//!
//! In: a task on the runtime's thread that opens the answer and then reads its body.
//! Out: early events, the beginning of the answer, then all bytes that have arrived, in order.
//! The task runs where the connection lives, because changing threads for every piece would wake two threads each time.
//! The reader is woken once and gets everything that has arrived meanwhile. Nothing is decoded here.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::Body as _;
use plugin_api::runtime::{Runtime, Task};
use plugin_api::{ChatEvent, Error, ErrorKind};
use tokio::time::Sleep;

/// Most bytes that may wait for the reader; beyond that, the network is not read.
const MAX_WAITING_BYTES: usize = 256 << 10;

/// Most keep-alive comments that may wait for the reader; more are dropped.
const MAX_WAITING_COMMENTS: usize = 64;

/// Largest vector of pieces that is kept for reuse.
const MAX_SPARE_PIECES: usize = 16;

/// Longer than any timeout.
const NEVER: Duration = Duration::from_secs(24 * 3600);

/// How long a connection is drained after a complete answer, so that it can be reused.
const DRAIN_LIMIT: Duration = Duration::from_millis(100);

/// The reading end. Dropping it closes the connection. `B` is what the answer begins with.
pub struct Intake<B> {
    shared: Arc<Mutex<Shared<B>>>,
    /// Aborted when dropped, unless the body is drained.
    task: Option<Task<()>>,
    /// An empty vector, reused for the next pieces.
    spare: Vec<Bytes>,
}

struct Shared<B> {
    /// Events from before the answer begins.
    events: Vec<ChatEvent>,
    /// Whether the head of the response has arrived.
    has_head: bool,
    begun: Option<B>,
    pieces: Vec<Bytes>,
    waiting_bytes: usize,
    /// Set once: how the body ended.
    end: Option<End>,
    /// Stays set after the reader has taken the end.
    has_ended: bool,
    /// The waker of a reader that waits.
    reader: Option<Waker>,
    /// The waker of the task, while it waits for room, for bytes or for its timer.
    writer: Option<Waker>,
    /// The reader is gone; further bytes are discarded.
    is_draining: bool,
    /// The deadline of a reader that waits.
    due: Option<Instant>,
    /// Whether the deadline has passed.
    is_late: bool,
    /// When the task's timer fires.
    armed: Option<Instant>,
}

/// The result of polling an [`Intake`].
pub enum Arrived<B> {
    /// Events from before the answer begins, at least one.
    Events(Vec<ChatEvent>),
    /// The answer begins.
    Begun(B),
    /// Pieces in order, at least one.
    Pieces(Vec<Bytes>),
    /// The body has ended, and everything was read.
    Ended(End),
    /// The deadline passed without a piece.
    Late,
}

/// How a body ended.
pub enum End {
    /// Completely.
    Whole,
    /// The connection broke.
    Broken(reqwest::Error),
    /// The call failed, or the runtime ended.
    Failed(Error),
}

impl<B: Send + 'static> Intake<B> {
    /// Spawns `work` on the runtime's thread, to open an answer and read it.
    pub fn begin<F>(runtime: &Runtime, work: impl FnOnce(Writer<B>) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let shared = Arc::new(Mutex::new(Shared {
            events: Vec::new(),
            has_head: false,
            begun: None,
            pieces: Vec::new(),
            waiting_bytes: 0,
            end: None,
            has_ended: false,
            reader: None,
            writer: None,
            is_draining: false,
            due: None,
            is_late: false,
            armed: None,
        }));
        let work = work(Writer(Arc::clone(&shared)));
        let task = runtime.spawn(async move {
            work.await;
            Ok(())
        });
        Self {
            shared,
            task: Some(task),
            spare: Vec::new(),
        }
    }

    /// Waits for the head of the response or for the first event.
    ///
    /// - Errors: the call's, if it fails before that.
    pub async fn opened(&mut self) -> Result<(), Error> {
        poll_fn(|context| {
            let mut shared = lock(&self.shared);
            if shared.has_head || shared.begun.is_some() || !shared.events.is_empty() {
                return Poll::Ready(Ok(()));
            }
            match shared.end.take() {
                Some(End::Failed(error)) => return Poll::Ready(Err(error)),
                Some(end) => {
                    shared.end = Some(end);
                    return Poll::Ready(Ok(()));
                }
                None => {}
            }
            shared.wait(context);
            Poll::Pending
        })
        .await
    }

    /// Returns everything that has arrived, or waits for more.
    ///
    /// - In: `due`, called only before waiting: the deadline, if there is one.
    pub fn poll(&mut self, context: &mut Context<'_>, due: impl FnOnce() -> Option<Instant>) -> Poll<Arrived<B>> {
        let mut shared = lock(&self.shared);
        shared.due = None;
        let was_late = std::mem::take(&mut shared.is_late);
        if !shared.events.is_empty() {
            return Poll::Ready(Arrived::Events(std::mem::take(&mut shared.events)));
        }
        if let Some(begun) = shared.begun.take() {
            return Poll::Ready(Arrived::Begun(begun));
        }
        if !shared.pieces.is_empty() {
            let was_full = shared.waiting_bytes >= MAX_WAITING_BYTES;
            shared.waiting_bytes = 0;
            let pieces = std::mem::replace(&mut shared.pieces, std::mem::take(&mut self.spare));
            let writer = if was_full { shared.writer.take() } else { None };
            drop(shared);
            if let Some(writer) = writer {
                writer.wake();
            }
            return Poll::Ready(Arrived::Pieces(pieces));
        }
        if let Some(end) = shared.end.take() {
            return Poll::Ready(Arrived::Ended(end));
        }
        if was_late {
            return Poll::Ready(Arrived::Late);
        }
        shared.due = due();
        shared.wait(context);
        // Wakes the task only if its timer would fire too late, which is rare.
        let is_sooner = shared
            .due
            .is_some_and(|due| shared.armed.is_none_or(|armed| due < armed));
        let writer = if is_sooner { shared.writer.take() } else { None };
        drop(shared);
        if let Some(writer) = writer {
            writer.wake();
        }
        Poll::Pending
    }

    /// Takes back the vector of pieces that were read.
    pub fn recycle(&mut self, mut pieces: Vec<Bytes>) {
        pieces.clear();
        if pieces.capacity() <= MAX_SPARE_PIECES {
            self.spare = pieces;
        }
    }

    /// Ends the reading of a complete answer. The rest of the body, usually its closing chunk, is read and discarded
    /// for a moment, because a connection can be reused only after its body was read to the end.
    pub fn drain(mut self) {
        let mut shared = lock(&self.shared);
        if shared.has_ended {
            return;
        }
        shared.is_draining = true;
        if let Some(writer) = shared.writer.take() {
            writer.wake();
        }
        drop(shared);
        if let Some(task) = self.task.take() {
            task.detach();
        }
    }
}

impl<B> Shared<B> {
    fn wait(&mut self, context: &Context<'_>) {
        match &mut self.reader {
            Some(reader) => reader.clone_from(context.waker()),
            reader @ None => *reader = Some(context.waker().clone()),
        }
    }
}

/// The writing end. Dropping it without an end gives the reader an error.
pub struct Writer<B>(Arc<Mutex<Shared<B>>>);

impl<B> Writer<B> {
    /// The head of the response has arrived.
    pub fn head(&self) {
        self.change(|shared| shared.has_head = true);
    }

    /// Passes on an event from before the answer begins.
    pub fn event(&self, event: ChatEvent) {
        self.change(|shared| {
            let is_comment = matches!(event, ChatEvent::KeepAlive(_));
            if !is_comment || shared.events.len() < MAX_WAITING_COMMENTS {
                shared.events.push(event);
            }
        });
    }

    /// The answer begins; pieces follow.
    pub fn begun(&self, begun: B) {
        self.change(|shared| shared.begun = Some(begun));
    }

    /// The answer is complete.
    pub fn whole(&self) {
        self.end(End::Whole);
    }

    /// The call has ended without an answer.
    pub fn failed(&self, error: Error) {
        self.end(End::Failed(error));
    }

    /// Reads the rest of a body to its end, and wakes a reader whose deadline has passed.
    ///
    /// - In: `patience`, the time until the earliest deadline.
    pub async fn read(&self, mut body: Pin<Box<reqwest::Body>>, patience: Duration) {
        let first = Instant::now() + patience;
        lock(&self.0).armed = Some(first);
        let mut timer = Timer::until(first);
        let end = loop {
            let frame = poll_fn(|context| match body.as_mut().poll_frame(context) {
                Poll::Ready(frame) => Poll::Ready(Some(frame)),
                Poll::Pending => self.draining(context, &mut timer).map(|()| None),
            });
            match frame.await {
                Some(Some(Ok(frame))) => {
                    if let Ok(piece) = frame.into_data()
                        && !self.hand_over(piece)
                    {
                        poll_fn(|context| room(&self.0, context)).await;
                    }
                }
                Some(Some(Err(cause))) => break End::Broken(cause),
                Some(None) => break End::Whole,
                None => {
                    let rest =
                        async { while let Some(Ok(_)) = poll_fn(|context| body.as_mut().poll_frame(context)).await {} };
                    // The answer is complete, so a timeout makes no difference.
                    let _ = tokio::time::timeout(DRAIN_LIMIT, rest).await;
                    break End::Whole;
                }
            }
        };
        self.end(end);
    }

    /// Waits until the body is to be drained, and wakes a reader whose deadline has passed.
    fn draining(&self, context: &mut Context<'_>, timer: &mut Timer) -> Poll<()> {
        let mut shared = lock(&self.0);
        if shared.is_draining {
            return Poll::Ready(());
        }
        match &mut shared.writer {
            Some(writer) => writer.clone_from(context.waker()),
            writer @ None => *writer = Some(context.waker().clone()),
        }
        let mut reader = None;
        if let Some(due) = shared.due
            && shared.armed.is_none_or(|armed| due < armed)
        {
            shared.armed = Some(due);
            timer.reset(due);
        }
        while timer.has_fired(context) {
            let now = Instant::now();
            if shared.due.is_some_and(|due| due <= now) {
                shared.due = None;
                shared.is_late = true;
                reader = shared.reader.take();
            }
            // A reader that sets an earlier deadline wakes this task.
            shared.armed = shared.due;
            timer.reset(shared.due.unwrap_or(now + NEVER));
        }
        drop(shared);
        if let Some(reader) = reader {
            reader.wake();
        }
        Poll::Pending
    }

    /// Hands over a piece; returns whether there is room for more.
    fn hand_over(&self, piece: Bytes) -> bool {
        self.change(|shared| {
            if !shared.is_draining {
                shared.waiting_bytes += piece.len();
                shared.pieces.push(piece);
            }
            shared.waiting_bytes < MAX_WAITING_BYTES
        })
    }

    fn end(&self, end: End) {
        self.change(|shared| {
            shared.end = Some(end);
            shared.has_ended = true;
        });
    }

    /// Changes the shared state and wakes the reader.
    fn change<T>(&self, change: impl FnOnce(&mut Shared<B>) -> T) -> T {
        let mut shared = lock(&self.0);
        let outcome = change(&mut shared);
        let reader = shared.reader.take();
        drop(shared);
        if let Some(reader) = reader {
            reader.wake();
        }
        outcome
    }
}

impl<B> Drop for Writer<B> {
    fn drop(&mut self) {
        if lock(&self.0).has_ended {
            return;
        }
        let error = if thread::panicking() {
            Error::new(ErrorKind::INTERNAL, "the plugin panicked while reading the answer")
        } else {
            Error::new(
                ErrorKind::SHUT_DOWN,
                "the plugin was shut down while the answer was arriving",
            )
        };
        self.end(End::Failed(error));
    }
}

/// A timer that is cheap to poll: it asks the runtime only after it was set or has fired.
struct Timer {
    sleep: Pin<Box<Sleep>>,
    /// Whether the waker is registered.
    is_registered: bool,
}

impl Timer {
    fn until(at: Instant) -> Self {
        Self {
            sleep: Box::pin(tokio::time::sleep_until(at.into())),
            is_registered: false,
        }
    }

    fn reset(&mut self, at: Instant) {
        self.sleep.as_mut().reset(at.into());
        self.is_registered = false;
    }

    /// Must always be called by the same task, whose waker is registered once.
    fn has_fired(&mut self, context: &mut Context<'_>) -> bool {
        if self.is_registered && !self.sleep.is_elapsed() {
            return false;
        }
        self.is_registered = true;
        self.sleep.as_mut().poll(context).is_ready()
    }
}

/// Waits until there is room for more.
fn room<B>(shared: &Mutex<Shared<B>>, context: &mut Context<'_>) -> Poll<()> {
    let mut shared = lock(shared);
    if shared.waiting_bytes < MAX_WAITING_BYTES || shared.is_draining {
        return Poll::Ready(());
    }
    shared.writer = Some(context.waker().clone());
    Poll::Pending
}

fn lock<B>(shared: &Mutex<Shared<B>>) -> MutexGuard<'_, Shared<B>> {
    // Nothing panics while the lock is held.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
