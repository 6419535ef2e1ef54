//! Threads that accept connections and serve them until the shutdown.
//!
//! Each thread has a runtime of its own and shares the listening socket.
//! Profiles and key commands are handled on another thread, so that no answer waits for them.

use std::io;
use std::net::TcpListener as StdListener;
use std::pin::pin;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::mpsc;

use super::client::Client;
use super::connections::{Connection, Connections, Standing};
use super::course::Phase;
use super::handle::handle;
use super::shared::Shared;
use super::socket::{give_up_the_silent, is_out_of_files, most_connections};

/// The longest time for a request's head, and for which an idle connection is kept.
const HEAD_LIMIT: Duration = Duration::from_secs(10);
/// The largest head of a request, in bytes.
const MAX_HEAD_BYTES: usize = 64 << 10;
/// After how many turns of connections a thread looks for new ones and new bytes. With large bodies, each turn takes a
/// millisecond or two.
const TURNS: u32 = 4;
/// How long to wait before accepting again when the system is out of resources.
const NO_ROOM: Duration = Duration::from_millis(50);
/// The time between two warnings of that.
const WARNING_INTERVAL: Duration = Duration::from_secs(10);

/// The threads that serve.
pub struct Server {
    shared: Arc<Shared>,
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
        let (alive, ended) = mpsc::channel(1);
        let connections = Connections::new(most_connections(max_connections));
        for n in 0..n_threads {
            let listener = listener.try_clone()?;
            listener.set_nonblocking(true)?;
            let mut builder = Builder::new_current_thread();
            let runtime = builder.enable_all().event_interval(TURNS).build()?;
            let (shared, connections, alive) = (Arc::clone(&shared), Arc::clone(&connections), alive.clone());
            thread::Builder::new().name(format!("serve-{n}")).spawn(move || {
                runtime.block_on(serve(listener, shared, connections));
                // What has not ended by now is cut off here.
                runtime.shutdown_background();
                drop(alive);
            })?;
        }
        Ok(Self { shared, ended })
    }

    /// Moves on to this phase of the end.
    pub fn enter(&self, phase: Phase) {
        self.shared.phase.send_replace(phase);
    }

    /// Waits until the last connection is gone.
    pub async fn ended(&mut self) {
        // Nothing is sent: the channel is closed when the threads have ended.
        while self.ended.recv().await.is_some() {}
    }
}

async fn serve(listener: StdListener, shared: Arc<Shared>, connections: Arc<Connections>) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(cause) => return tracing::error!("a serving thread cannot start: {cause}"),
    };
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .max_header_size(MAX_HEAD_BYTES)
        // Whether a client is gone, its answer finds out.
        .half_close(true);
    let mut phases = shared.phase.subscribe();
    let (open, mut all_closed) = mpsc::channel::<()>(1);
    let mut warned: Option<Instant> = None;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = phases.wait_for(|phase| *phase > Phase::Serving) => break,
        };
        match accepted {
            Ok((socket, _)) => {
                let attended = attend(socket, http.clone(), Arc::clone(&shared), connections.open());
                let open = open.clone();
                tokio::spawn(async move {
                    attended.await;
                    drop(open);
                });
                // Whoever has sent a request is not silent, and must not be taken for it in a burst of connections.
                tokio::task::yield_now().await;
            }
            // The client left while it waited.
            Err(cause) if cause.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(cause) => {
                if warned.is_none_or(|at| at.elapsed() > WARNING_INTERVAL) {
                    warned = Some(Instant::now());
                    let hint = if is_out_of_files(&cause) {
                        "; raise the limit: `ulimit -n`"
                    } else {
                        ""
                    };
                    tracing::warn!("cannot accept a connection: {cause}{hint}");
                }
                connections.give_way();
                tokio::time::sleep(NO_ROOM).await;
            }
        }
    }
    drop((listener, open));
    tokio::select! {
        _ = all_closed.recv() => {}
        _ = phases.wait_for(|phase| *phase == Phase::Over) => {}
    }
}

/// Answers the requests of one connection. Its outcome does not matter: each request has its own record.
async fn attend(socket: TcpStream, http: http1::Builder, shared: Arc<Shared>, connection: Arc<Connection>) {
    // Otherwise Nagle's algorithm would delay small pieces of a stream.
    let _ = socket.set_nodelay(true);
    give_up_the_silent(&socket);
    let client = Client::new(socket);
    let mut phases = shared.phase.subscribe();
    let (of_requests, socket) = ((Arc::clone(&connection), client.clone()), TokioIo::new(client));
    let service = service_fn(move |request| {
        let (connection, client) = of_requests.clone();
        handle(Arc::clone(&shared), connection, client, request)
    });
    let mut served = pin!(http.serve_connection(socket, service));
    let mut is_ending = false;
    loop {
        tokio::select! {
            _ = served.as_mut() => return,
            standing = connection.gives_way() => {
                if standing == Standing::Stranger {
                    return;
                }
                served.as_mut().graceful_shutdown();
            }
            _ = phases.wait_for(|phase| *phase > Phase::Serving), if !is_ending => {
                is_ending = true;
                served.as_mut().graceful_shutdown();
            }
        }
    }
}
