//! Threads that accept connections and serve them until the shutdown.
//!
//! Each thread has a runtime of its own and shares the listening socket.
//! Profiles and key commands are handled on another thread, so that no answer waits for them.

use std::io;
use std::net::TcpListener as StdListener;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::sync::{Semaphore, mpsc, watch};

use super::handle::handle;
use super::shared::Shared;
use super::socket::give_up_the_silent;

/// The longest time for a request's head, and for which an idle connection is kept.
const HEAD_LIMIT: Duration = Duration::from_secs(10);
/// The largest head of a request, in bytes.
const MAX_HEAD_BYTES: usize = 64 << 10;
/// How long to wait before accepting again when the system is out of resources.
const NO_ROOM: Duration = Duration::from_millis(50);

/// How far the shutdown has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Serving,
    /// Accepts no new connections; running answers finish.
    Draining,
    Over,
}

/// The threads that serve.
pub struct Server {
    shared: Arc<Shared>,
    phase: watch::Sender<Phase>,
    /// Is closed when all threads have ended.
    ended: mpsc::Receiver<()>,
}

impl Server {
    /// - Errors: the system gives no thread or no event queue.
    pub fn start(
        listener: &StdListener,
        shared: Arc<Shared>,
        n_threads: u32,
        max_connections: u32,
    ) -> io::Result<Self> {
        let (phase, _) = watch::channel(Phase::Serving);
        let (alive, ended) = mpsc::channel(1);
        let room = Arc::new(Semaphore::new(max_connections as usize));
        for n in 0..n_threads {
            let listener = listener.try_clone()?;
            listener.set_nonblocking(true)?;
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let (shared, room, alive) = (Arc::clone(&shared), Arc::clone(&room), alive.clone());
            let phases = phase.subscribe();
            thread::Builder::new().name(format!("serve-{n}")).spawn(move || {
                runtime.block_on(serve(listener, shared, room, phases));
                // What has not ended by now is cut off here.
                runtime.shutdown_background();
                drop(alive);
            })?;
        }
        Ok(Self { shared, phase, ended })
    }

    /// Accepts no further connections. Running answers continue.
    pub fn drain(&self) {
        self.shared.is_draining.store(true, Ordering::Relaxed);
        self.phase.send_replace(Phase::Draining);
    }

    /// Cuts off what is left.
    pub fn end(&self) {
        self.phase.send_replace(Phase::Over);
    }

    /// Waits until the last connection is gone.
    pub async fn ended(&mut self) {
        // Nothing is sent: the channel is closed when the threads have ended.
        while self.ended.recv().await.is_some() {}
    }
}

async fn serve(listener: StdListener, shared: Arc<Shared>, room: Arc<Semaphore>, mut phases: watch::Receiver<Phase>) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(cause) => return tracing::error!("a serving thread cannot start: {cause}"),
    };
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .max_header_size(MAX_HEAD_BYTES);
    let connections = GracefulShutdown::new();
    loop {
        // Beyond the limit, connections wait in the system's queue.
        let next = async {
            // The semaphore is never closed.
            let place = Arc::clone(&room).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            next = next => next,
            _ = phases.wait_for(|phase| *phase > Phase::Serving) => break,
        };
        let socket = match accepted {
            Ok((socket, _)) => socket,
            Err(cause) => {
                // A client that left while waiting is harmless; a lack of resources passes.
                if cause.kind() != io::ErrorKind::ConnectionAborted {
                    tracing::warn!("cannot accept a connection: {cause}");
                    tokio::time::sleep(NO_ROOM).await;
                }
                continue;
            }
        };
        // Otherwise Nagle's algorithm would delay small pieces of a stream.
        let _ = socket.set_nodelay(true);
        give_up_the_silent(&socket);
        let shared = Arc::clone(&shared);
        let service = service_fn(move |request| handle(Arc::clone(&shared), request));
        let connection = connections.watch(http.serve_connection(TokioIo::new(socket), service));
        tokio::spawn(async move {
            // The connection's outcome does not matter: each request has its own record.
            let _ = connection.await;
            drop(place);
        });
    }
    drop(listener);
    tokio::select! {
        () = connections.shutdown() => {}
        _ = phases.wait_for(|phase| *phase == Phase::Over) => {}
    }
}
