//! A service that sends the raw bytes of its script, for faults that no well-behaved server can commit.
//!
//! It listens on this machine, with a thread of its own and one for each connection, and records each request with its
//! time. After a script its connection stays open for another request, unless the script ends it. Only the reading of
//! requests follows HTTP.

mod script;
mod wire;
mod connection;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use socket2::{Domain, Socket, Type};

use crate::wait::LIMIT;

pub use connection::Connection;
pub use script::Script;
pub use wire::{
    DONE, LAST_CHUNK, chunk, delta_event, finish_event, head, json_reply, reply, sse_head, sse_head_until_close,
    text_event, whole_answer,
};

/// The queue of connections to accept: more than any test makes at once.
const BACKLOG: i32 = 4096;

/// The stack of a connection's thread; there may be a thousand of them.
const STACK_BYTES: usize = 256 << 10;

/// A service that misbehaves on demand. When it is dropped, it ends with all its connections.
pub struct Faultd {
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The number of requests before it.
    pub number: usize,
    /// Its method.
    pub method: String,
    /// Its path.
    pub path: String,
    /// Its headers, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Vec<u8>,
    /// When its first byte was read.
    pub at: Instant,
}

impl Arrival {
    /// The value of a header; the name is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let header = self.headers.iter().find(|(known, _)| known == name);
        header.map(|(_, value)| value.as_str())
    }

    /// Its body as JSON; `null` if it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Whether it asks for a stream.
    pub fn wants_stream(&self) -> bool {
        self.json()["stream"] == true
    }
}

impl Faultd {
    /// Plays one script for each request, in this order, and repeats the last one.
    pub fn playing(scripts: impl Into<Vec<Script>>) -> Self {
        let scripts = scripts.into();
        assert!(!scripts.is_empty(), "a service needs a script");
        Self::answering(move |request| scripts[request.number.min(scripts.len() - 1)].clone())
    }

    /// Plays the script that `answer` chooses for each request.
    pub fn answering(answer: impl Fn(&Arrival) -> Script + Send + Sync + 'static) -> Self {
        Self::handling(move |connection| connection.serve(&answer))
    }

    /// Runs `handle` for each connection, on a thread of its own. The connection ends when `handle` drops it.
    pub fn handling(handle: impl Fn(Connection) + Send + Sync + 'static) -> Self {
        let listener = listener();
        let address = listener.local_addr().expect("it listens");
        let shared = Arc::new(Shared::default());
        let (accepting, handle) = (Arc::clone(&shared), Arc::new(handle));
        thread::spawn(move || {
            for tcp in listener.incoming() {
                if accepting.lock().has_ended {
                    return;
                }
                // It may have no free file descriptor now, and one for the next connection.
                let Some(connection) = tcp.ok().and_then(|tcp| Connection::accepted(tcp, &accepting)) else {
                    continue;
                };
                let handle = Arc::clone(&handle);
                let thread = thread::Builder::new().stack_size(STACK_BYTES);
                // Without a free thread the connection is closed.
                let _ = thread.spawn(move || handle(connection));
            }
        });
        Self { address, shared }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The base URL of the API that it imitates.
    pub fn base_url(&self) -> String {
        format!("http://{}/api/v1", self.address)
    }

    /// Every request so far, oldest first.
    pub fn requests(&self) -> Vec<Arrival> {
        self.shared.lock().requests.clone()
    }

    /// How many connections it has accepted.
    pub fn accepted_connections(&self) -> usize {
        self.shared.lock().n_accepted
    }

    /// The bytes that the network has accepted from it.
    pub fn sent_bytes(&self) -> u64 {
        self.shared.lock().sent_bytes
    }

    /// Waits until `n` requests have arrived, and returns all that have.
    #[track_caller]
    pub fn wait_for_requests(&self, n: usize) -> Vec<Arrival> {
        self.wait_until(&format!("{n} requests"), |state| state.requests.len() >= n);
        self.requests()
    }

    /// Waits until the network has accepted `n` bytes from it.
    #[track_caller]
    pub fn wait_for_sent_bytes(&self, n: u64) {
        self.wait_until(&format!("{n} sent bytes"), |state| state.sent_bytes >= n);
    }

    /// Waits until all connections are closed.
    #[track_caller]
    pub fn wait_until_idle(&self) {
        self.wait_until("the end of every connection", |state| state.open.is_empty());
    }

    /// Waits until the network accepts nothing more from a script that sends for ever.
    #[track_caller]
    pub fn wait_until_blocked(&self) {
        self.wait_until("a client that reads no more", |state| state.n_blocked > 0);
    }

    /// Lets every script that waits at [`Script::hold`] go on, now and later.
    pub fn release(&self) {
        self.shared.change(|state| state.is_released = true);
    }

    #[track_caller]
    fn wait_until(&self, what: &str, is_so: impl Fn(&State) -> bool) {
        let waiting = |state: &mut State| !is_so(state);
        let (state, waited) = self
            .shared
            .changed
            .wait_timeout_while(self.shared.lock(), LIMIT, waiting)
            .unwrap_or_else(PoisonError::into_inner);
        let (n_requests, n_open) = (state.requests.len(), state.open.len());
        // A panic must not poison it.
        drop(state);
        assert!(
            !waited.timed_out(),
            "no {what} within {LIMIT:?}: {n_requests} requests, {n_open} open connections"
        );
    }
}

impl Drop for Faultd {
    fn drop(&mut self) {
        self.shared.change(|state| {
            state.has_ended = true;
            state.is_released = true;
            for tcp in state.open.values() {
                // The client may have been faster.
                let _ = tcp.shutdown(Shutdown::Both);
            }
        });
        // Wakes the thread that accepts, unless the test has taken the network away.
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
    }
}

fn listener() -> TcpListener {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    socket.bind(&any_port.into()).expect("there is a free port");
    socket.listen(BACKLOG).expect("it listens");
    socket.into()
}

/// What the service's threads share with the test.
#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    requests: Vec<Arrival>,
    /// By number.
    open: BTreeMap<usize, TcpStream>,
    n_accepted: usize,
    n_blocked: usize,
    sent_bytes: u64,
    is_released: bool,
    has_ended: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.lock());
        self.changed.notify_all();
        changed
    }
}
