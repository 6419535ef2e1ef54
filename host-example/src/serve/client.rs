//! A client's connection, shared with the answers to its requests, so that they see it go away.
//!
//! A client may close its sending half after the request and go on reading. The system reports that exactly as it reports
//! a client that is gone; only sending something tells them apart, because a client that is gone resets the connection.

use std::io::{self, ErrorKind, IoSlice};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

/// What a client gets before its answer, to see whether it is still there. It may be sent at any time.
// Source: RFC 9110, section 15.2: a client must be able to read it, even if it does not expect it.
const PROBE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A connection. Clones share it.
#[derive(Clone)]
pub struct Client(Arc<TcpStream>);

/// What a client closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// At least its sending half.
    Half,
    Whole,
}

impl Client {
    pub fn new(socket: TcpStream) -> Self {
        Self(Arc::new(socket))
    }

    /// Waits until the client closes something. Call it when its request has been read.
    pub async fn closes(&self) -> Closed {
        loop {
            let changed = self.0.ready(Interest::READABLE | Interest::ERROR).await;
            let Some(ready) = changed.ok().filter(|ready| !ready.is_error()) else {
                return Closed::Whole;
            };
            if ready.is_read_closed() {
                return Closed::Half;
            }
            // Looking clears a readiness that is out of date, so that the next wait is for a change.
            let look = || SockRef::from(&*self.0).peek(&mut [MaybeUninit::uninit()]);
            match self.0.try_io(Interest::READABLE, look) {
                Ok(0) => return Closed::Half,
                // Its next request hides what follows.
                Ok(_) => {
                    self.is_gone().await;
                    return Closed::Whole;
                }
                Err(cause) if cause.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return Closed::Whole,
            }
        }
    }

    /// Waits until the client has left for good, which shows once something was sent.
    pub async fn is_gone(&self) {
        // Its only error is the end of the runtime.
        let _ = self.0.ready(Interest::ERROR).await;
    }

    /// Sends what a client that is gone resets the connection for. Nothing of the answer may have been sent.
    pub fn probe(&self) {
        // Without room for it, earlier bytes are the probe.
        let _ = self.0.try_write(PROBE);
    }
}

impl AsyncRead for Client {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.poll_read_ready(context))?;
            match self.0.try_read_buf(buffer) {
                Err(cause) if cause.kind() == ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read.map(drop)),
            }
        }
    }
}

impl AsyncWrite for Client {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.poll_write_ready(context))?;
            match self.0.try_write_vectored(bytes) {
                Err(cause) if cause.kind() == ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(SockRef::from(&*self.0).shutdown(Shutdown::Write))
    }
}
