//! A local stand-in for the OpenRouter service: for a first run without a key, for tests and for benchmarks.
//!
//! It listens on this machine only, answers with made-up text at made-up cost, and says so in every reply: in the
//! header `x-sandbox`, in the provider's name, and in the text. It checks what it is sent against the documented
//! rules and refuses what the service would refuse. The same requests in the same order get the same replies.
//!
//! A model is a [`Script`]. Some are built in (`sandbox/echo`, `sandbox/status-429`, …); a test adds its own:
//!
//! ```
//! use sandbox::{Sandbox, Script};
//!
//! let sandbox = Sandbox::builder().script("acme/model-a", Script::text("hello")).start()?;
//! assert!(sandbox.base_url().ends_with("/api/v1"));
//! assert_eq!(sandbox.requests(), []);
//! # Ok::<(), sandbox::StartError>(())
//! ```

#![warn(missing_docs)]
#![expect(
    clippy::result_large_err,
    reason = "a refusal is made once in a request, and moving it costs nothing next to the reply"
)]

// In the order in which data travels. First what a request has to be, and what is said of one that is not.
mod failure;
mod request;
mod rules;

// Then who answers it,
mod builtin;
mod catalogue;
mod routing;
mod script;

// with what,
mod account;
mod embeddings;
mod frames;
mod listing;
mod reply;
mod sample;

// and how these are put together, remembered and sent.
mod chat;
mod record;
mod server;
mod service;

use std::{
    error, fmt, io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::{runtime, sync::oneshot};

pub use crate::{
    failure::Failure,
    record::{Outcome, Recorded, WaitError},
    script::{Empty, Script, ScriptedCall},
};
use crate::{
    record::{Ledger, OnFinished},
    service::Service,
};

/// The key that is accepted unless others are given.
pub const DEFAULT_KEY: &str = "sk-or-v1-sandbox";

/// A running server; dropping it closes its port and its connections.
///
/// The waits below block the calling thread. The server has a thread of its own, so they may be called from async
/// tests too, as long as the client that is waited for does not need the blocked thread.
pub struct Sandbox {
    address: SocketAddr,
    key: String,
    service: Arc<Service>,
    ledger: Arc<Ledger>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Sandbox {
    /// Starts a server with the built-in scripts on a free port of 127.0.0.1.
    ///
    /// # Panics
    ///
    /// If the machine has no free port or starts no thread; [`Builder::start`] returns that as an error.
    #[must_use]
    pub fn start() -> Self {
        Self::builder()
            .start()
            .expect("this machine has a free port and starts threads")
    }

    /// Settings for a server that is not started yet.
    pub fn builder() -> Builder {
        Builder {
            port: 0,
            keys: Vec::new(),
            is_management: false,
            scripts: Vec::new(),
            threads: 1,
            keep: usize::MAX,
            on_finished: None,
        }
    }

    /// What a client's base URL has to be: `http://127.0.0.1:PORT/api/v1`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}/api/v1", self.address)
    }

    /// Where the server listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A key that it accepts: the first one given, else [`DEFAULT_KEY`].
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Gives `model_id` a script from now on, and its count of failures starts again.
    ///
    /// - In: any id; one that is not in the catalogue is added to it.
    pub fn script(&self, model_id: impl Into<String>, script: Script) {
        self.service.set_script(model_id.into(), script);
    }

    /// Everything received so far, in the order of arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        self.ledger.requests()
    }

    /// Waits until `n` requests have been received since the start, and returns them all.
    ///
    /// # Errors
    ///
    /// If that has not happened within `limit`.
    pub fn wait_for_requests(&self, n: usize, limit: Duration) -> Result<Vec<Recorded>, WaitError> {
        self.ledger.wait_for_requests(n, limit)
    }

    /// Waits until no request is in flight and no reply is being written.
    ///
    /// # Errors
    ///
    /// If that has not happened within `limit`.
    pub fn wait_until_idle(&self, limit: Duration) -> Result<(), WaitError> {
        self.ledger.wait_until_idle(limit)
    }

    /// All TCP connections that were ever accepted.
    pub fn accepted_connections(&self) -> usize {
        self.ledger.accepted_connections()
    }

    /// Accepted TCP connections that are still open.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.ledger.open_connections()
    }

    /// Waits until exactly `n` connections are open.
    ///
    /// # Errors
    ///
    /// If that has not happened within `limit`.
    pub fn wait_for_open_connections(&self, n: usize, limit: Duration) -> Result<(), WaitError> {
        self.ledger.wait_for_open_connections(n, limit)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic over there was printed over there.
            let _ = thread.join();
        }
    }
}

/// Settings of a server; see [`Sandbox::builder`].
#[must_use]
pub struct Builder {
    port: u16,
    keys: Vec<String>,
    is_management: bool,
    scripts: Vec<(String, Script)>,
    threads: usize,
    keep: usize,
    on_finished: Option<OnFinished>,
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

impl Builder {
    /// Port of 127.0.0.1; default 0, any free one.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Accepts this key. May be called several times; once it was, [`DEFAULT_KEY`] is no longer accepted.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.keys.push(key.into());
        self
    }

    /// Makes the accepted keys management keys: they read the credits, and are refused for completions.
    pub fn management_key(mut self) -> Self {
        self.is_management = true;
        self
    }

    /// Gives `model_id` a script.
    pub fn script(mut self, model_id: impl Into<String>, script: Script) -> Self {
        self.scripts.push((model_id.into(), script));
        self
    }

    /// Threads that serve; default 1.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// Most records kept, the oldest go first; default: all. For a server that runs long or is measured.
    pub fn keep_last(mut self, n_records: usize) -> Self {
        self.keep = n_records.max(1);
        self
    }

    /// Calls `on_finished` with each record when its request is over, on the server's thread.
    pub fn on_finished(mut self, on_finished: impl Fn(&Recorded) + Send + 'static) -> Self {
        self.on_finished = Some(Box::new(on_finished));
        self
    }

    /// Starts the server; it accepts connections when this returns.
    ///
    /// # Errors
    ///
    /// If the port is taken, or the machine starts no thread.
    pub fn start(self) -> Result<Sandbox, StartError> {
        let fail = |doing: &str, source| StartError {
            doing: doing.to_owned(),
            source,
        };
        let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let listener = TcpListener::bind(wanted).map_err(|source| fail(&format!("listen on {wanted}"), source))?;
        let address = listener.local_addr().map_err(|source| fail("read the port", source))?;
        listener
            .set_nonblocking(true)
            .map_err(|source| fail("set up the listener", source))?;

        let keys = if self.keys.is_empty() {
            vec![DEFAULT_KEY.to_owned()]
        } else {
            self.keys
        };
        let key = keys[0].clone();
        let service = Arc::new(Service::new(keys, self.is_management));
        for (id, script) in self.scripts {
            service.set_script(id, script);
        }
        let ledger = Arc::new(Ledger::new(self.keep, self.on_finished));

        let runtime = match self.threads {
            1 => runtime::Builder::new_current_thread().enable_all().build(),
            threads => runtime::Builder::new_multi_thread()
                .worker_threads(threads)
                .enable_all()
                .build(),
        };
        let runtime = runtime.map_err(|source| fail("start its runtime", source))?;
        let (stop, stopped) = oneshot::channel();
        let serving = server::serve(listener, Arc::clone(&service), Arc::clone(&ledger), stopped);
        let run = move || {
            // Accepting goes on after errors, so the only end is the signal to stop.
            let _ = runtime.block_on(serving);
        };
        let thread = thread::Builder::new().name("sandbox".to_owned()).spawn(run);
        let thread = thread.map_err(|source| fail("start its thread", source))?;
        Ok(Sandbox {
            address,
            key,
            service,
            ledger,
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

/// Why a server did not start.
#[derive(Debug)]
pub struct StartError {
    doing: String,
    source: io::Error,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the sandbox cannot {}", self.doing)
    }
}

impl error::Error for StartError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Every built-in model: its id, and what it does.
#[must_use]
pub fn built_in_models() -> Vec<(String, String)> {
    builtin::scripts().map(|(id, does, _)| (id, does)).collect()
}
