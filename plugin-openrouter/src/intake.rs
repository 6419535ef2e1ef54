//! Takes the body of an answer off the network, ahead of whoever reads it.
//!
//! In: a response. Out: bytes in order, as many as have arrived. A task on the runtime's thread reads, because the
//! connection lives there: going back and forth for every piece would wake two threads each time. The reader is woken
//! once and gets everything that came meanwhile. Nothing is understood here.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http_body::Body as _;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

/// Bytes that may wait to be read; beyond that, nothing more is taken off the network.
const MAX_WAITING_BYTES: usize = 256 << 10;

/// How long a connection is read on after its answer was complete, so that it can serve another.
const DRAIN_LIMIT: Duration = Duration::from_millis(100);

/// The reading end. Dropping it closes the connection.
pub struct Intake {
    shared: Arc<Mutex<Shared>>,
    task: AbortHandle,
    is_draining: bool,
}

#[derive(Default)]
struct Shared {
    pieces: Vec<Bytes>,
    waiting_bytes: usize,
    /// Set once: how the body ended.
    end: Option<End>,
    /// Stays when the reader has taken the end.
    has_ended: bool,
    /// Who waits for more.
    reader: Option<Waker>,
    /// The task, while too much is waiting.
    writer: Option<Waker>,
    /// Nobody reads any more; what still comes is thrown away.
    is_draining: bool,
}

/// What a look at an [`Intake`] finds.
pub enum Arrived {
    /// Pieces in order, at least one.
    Pieces(Vec<Bytes>),
    /// Everything was read, and nothing more comes.
    Ended(End),
}

/// How a body ended.
pub enum End {
    /// As it should.
    Whole,
    /// The connection broke.
    Broken(reqwest::Error),
    /// The runtime has ended under the answer.
    ShutDown,
}

impl Intake {
    /// Begins to read. Must be called on the runtime's thread.
    pub fn begin(response: reqwest::Response) -> Self {
        let shared = Arc::new(Mutex::new(Shared::default()));
        let task = tokio::spawn(take_in(reqwest::Body::from(response), Writer(Arc::clone(&shared))));
        Self {
            shared,
            task: task.abort_handle(),
            is_draining: false,
        }
    }

    /// Takes everything that has arrived, or waits for more.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<Arrived> {
        let mut shared = lock(&self.shared);
        if !shared.pieces.is_empty() {
            shared.waiting_bytes = 0;
            let pieces = std::mem::take(&mut shared.pieces);
            let writer = shared.writer.take();
            drop(shared);
            if let Some(writer) = writer {
                writer.wake();
            }
            return Poll::Ready(Arrived::Pieces(pieces));
        }
        if let Some(end) = shared.end.take() {
            return Poll::Ready(Arrived::Ended(end));
        }
        match &mut shared.reader {
            Some(reader) => reader.clone_from(context.waker()),
            reader @ None => *reader = Some(context.waker().clone()),
        }
        Poll::Pending
    }

    /// Ends the reading of an answer that is complete. What is left of the body, as a rule its closing mark, is read and
    /// thrown away for a moment: a connection whose body was read to its end can be used again.
    pub fn drain(mut self, runtime: &Handle) {
        let mut shared = lock(&self.shared);
        if shared.has_ended {
            return;
        }
        shared.is_draining = true;
        if let Some(writer) = shared.writer.take() {
            writer.wake();
        }
        drop(shared);
        self.is_draining = true;
        let task = self.task.clone();
        runtime.spawn(async move {
            tokio::time::sleep(DRAIN_LIMIT).await;
            task.abort();
        });
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        if !self.is_draining {
            self.task.abort();
        }
    }
}

/// The writing end. However it goes, the reader learns of an end.
struct Writer(Arc<Mutex<Shared>>);

impl Writer {
    /// Hands over a piece or the end; says whether there is room for more.
    fn hand_over(&self, arrived: Result<Bytes, End>) -> bool {
        let mut shared = lock(&self.0);
        match arrived {
            Ok(_) if shared.is_draining => {}
            Ok(piece) => {
                shared.waiting_bytes += piece.len();
                shared.pieces.push(piece);
            }
            Err(end) => {
                shared.end = Some(end);
                shared.has_ended = true;
            }
        }
        let has_room = shared.waiting_bytes < MAX_WAITING_BYTES;
        let reader = shared.reader.take();
        drop(shared);
        if let Some(reader) = reader {
            reader.wake();
        }
        has_room
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let ended = lock(&self.0).has_ended;
        if !ended {
            self.hand_over(Err(End::ShutDown));
        }
    }
}

async fn take_in(body: reqwest::Body, writer: Writer) {
    let mut body = Box::pin(body);
    let end = loop {
        match poll_fn(|context| body.as_mut().poll_frame(context)).await {
            Some(Ok(frame)) => {
                if let Ok(piece) = frame.into_data()
                    && !writer.hand_over(Ok(piece))
                {
                    poll_fn(|context| room(&writer.0, context)).await;
                }
            }
            Some(Err(cause)) => break End::Broken(cause),
            None => break End::Whole,
        }
    };
    writer.hand_over(Err(end));
}

/// Waits until there is room for more.
fn room(shared: &Mutex<Shared>, context: &mut Context<'_>) -> Poll<()> {
    let mut shared = lock(shared);
    if shared.waiting_bytes < MAX_WAITING_BYTES || shared.is_draining {
        return Poll::Ready(());
    }
    shared.writer = Some(context.waker().clone());
    Poll::Pending
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    // Nothing panics while it is held.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
