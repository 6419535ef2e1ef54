//! Takes the body of an answer off the network, ahead of whoever reads it.
//!
//! In: a response. Out: bytes in order, as many as have arrived. A task on the runtime's thread reads, because the
//! connection lives there: going back and forth for every piece would wake two threads each time. The reader is woken
//! once and gets everything that came meanwhile. Nothing is understood here.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::Body as _;
use tokio::task::AbortHandle;

/// Bytes that may wait to be read; beyond that, nothing more is taken off the network.
const MAX_WAITING_BYTES: usize = 256 << 10;

/// The reading end. Dropping it closes the connection.
pub struct Intake {
    shared: Arc<Mutex<Shared>>,
    task: AbortHandle,
}

#[derive(Default)]
struct Shared {
    pieces: Vec<Bytes>,
    waiting_bytes: usize,
    /// Set once: how the body ended.
    end: Option<Result<(), reqwest::Error>>,
    /// Who waits for more.
    reader: Option<Waker>,
    /// The task, while too much is waiting.
    writer: Option<Waker>,
}

/// What a look at an [`Intake`] finds.
pub enum Arrived {
    /// Pieces in order, at least one.
    Pieces(Vec<Bytes>),
    /// The body has ended; everything was read.
    End,
    /// The connection broke; everything that came before was read.
    Broken(reqwest::Error),
}

impl Intake {
    /// Begins to read. Must be called on the runtime's thread.
    pub fn begin(response: reqwest::Response) -> Self {
        let shared = Arc::new(Mutex::new(Shared::default()));
        let task = tokio::spawn(take_in(reqwest::Body::from(response), Arc::clone(&shared)));
        Self {
            shared,
            task: task.abort_handle(),
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
            return Poll::Ready(match end {
                Ok(()) => Arrived::End,
                Err(cause) => Arrived::Broken(cause),
            });
        }
        match &mut shared.reader {
            Some(reader) => reader.clone_from(context.waker()),
            reader @ None => *reader = Some(context.waker().clone()),
        }
        Poll::Pending
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn take_in(body: reqwest::Body, shared: Arc<Mutex<Shared>>) {
    let mut body = Box::pin(body);
    loop {
        let frame = poll_fn(|context| body.as_mut().poll_frame(context)).await;
        let (reader, ended, full) = {
            let mut shared = lock(&shared);
            match frame {
                Some(Ok(frame)) => {
                    let Ok(piece) = frame.into_data() else { continue };
                    shared.waiting_bytes += piece.len();
                    shared.pieces.push(piece);
                }
                Some(Err(cause)) => shared.end = Some(Err(cause)),
                None => shared.end = Some(Ok(())),
            }
            let full = shared.waiting_bytes >= MAX_WAITING_BYTES;
            (shared.reader.take(), shared.end.is_some(), full)
        };
        if let Some(reader) = reader {
            reader.wake();
        }
        if ended {
            return;
        }
        if full {
            poll_fn(|context| room(&shared, context)).await;
        }
    }
}

/// Waits until there is room for more.
fn room(shared: &Mutex<Shared>, context: &mut Context<'_>) -> Poll<()> {
    let mut shared = lock(shared);
    if shared.waiting_bytes < MAX_WAITING_BYTES {
        return Poll::Ready(());
    }
    shared.writer = Some(context.waker().clone());
    Poll::Pending
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    // Nothing panics while it is held.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
