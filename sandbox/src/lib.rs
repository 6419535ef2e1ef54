//! A local stand-in for the OpenRouter service: for a first run without a key, for tests and for benchmarks.
//!
//! It listens on this machine only, answers with made-up text at made-up cost, and says so in every reply: in the
//! header `x-sandbox`, in the provider's name, and in the text. It checks what it is sent against the documented
//! rules and refuses what the service would refuse. The same requests in the same order get the same replies.
//!
//! A model can be asked in four forms, `/chat/completions`, `/completions`, `/responses` and `/messages`, and answers
//! in the same one; `/embeddings`, `/rerank` and `/audio/speech` are there too.
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

// In the order in which data travels.
mod server;
mod record;
mod service;
mod rules;
mod catalogue;
mod script;
mod answer;
mod forms;
mod failure;

use std::{
    error, fmt, io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use serde_json::Value;
use tokio::{runtime, sync::oneshot};

pub use crate::{
    failure::Failure,
    record::{Outcome, Recorded, WaitError},
    script::{Empty, Script, ScriptedCall},
};
use crate::{
    record::{Keep, Ledger, OnFinished},
    service::{Service, Settings},
};

/// The key that is accepted unless others are given.
pub const DEFAULT_KEY: &str = "sk-or-v1-sandbox";
/// What [`Builder::forgetful`] keeps of records and of generations, and the bytes of those records.
const FEW_KEPT: usize = 256;
const FEW_KEPT_BYTES: usize = 16 * 1024 * 1024;

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
            models: Models::default(),
            page_size: None,
            late_asks: 0,
            threads: 1,
            keep: Keep::default(),
            keep_generations: usize::MAX,
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

    /// Lists `entry` in the catalogue from now on; see [`Builder::model`].
    pub fn model(&self, entry: Value) {
        self.service.add_entry(entry);
    }

    /// Lists `entries` and nothing else from now on; see [`Builder::models`].
    pub fn models(&self, entries: Vec<Value>) {
        self.service.set_entries(entries);
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

/// Entries of the catalogue that a server starts with.
#[derive(Default)]
struct Models {
    alone: Option<Vec<Value>>,
    more: Vec<Value>,
}

/// Settings of a server; see [`Sandbox::builder`].
#[must_use]
pub struct Builder {
    port: u16,
    keys: Vec<String>,
    is_management: bool,
    scripts: Vec<(String, Script)>,
    models: Models,
    page_size: Option<usize>,
    late_asks: u32,
    threads: usize,
    keep: Keep,
    keep_generations: usize,
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

    /// Lists `entry` in the catalogue, in place of the one with its id if there is one.
    ///
    /// - In: an object as `GET /models` has it in `data`, sent as it is. Filters look at the members that they are
    ///   about; what is missing is not found by them. A model that nothing else knows answers as one with an empty
    ///   script does, and costs what `pricing` says.
    pub fn model(mut self, entry: Value) -> Self {
        self.models.more.push(entry);
        self
    }

    /// Lists `entries` and nothing else; models added with [`Builder::model`] come after them.
    ///
    /// This is about the list alone: ids that are known without it answer as before.
    pub fn models(mut self, entries: Vec<Value>) -> Self {
        self.models.alone = Some(entries);
        self
    }

    /// Cuts the catalogue into pages of at most `n_entries`, even for a client that asks for no page. By default it
    /// comes whole to who does not ask.
    pub fn page_size(mut self, n_entries: usize) -> Self {
        self.page_size = Some(n_entries.max(1));
        self
    }

    /// Answers 404 to the first `n_asks` requests for each generation, as the service does for half a second or
    /// more; default 0.
    pub fn late_generations(mut self, n_asks: u32) -> Self {
        self.late_asks = n_asks;
        self
    }

    /// Threads that serve; default 1.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// Most records kept of requests that are over, the oldest go first; default: all.
    pub fn keep_last(mut self, n_records: usize) -> Self {
        self.keep.n_records = n_records.max(1);
        self
    }

    /// Leaves the replies out of the records; default: they are in. Saves the time to read them back.
    pub fn without_replies(mut self) -> Self {
        self.keep.replies = false;
        self
    }

    /// Keeps the last 256 records of requests that are over and the last 256 generations, and of the records only as
    /// many as have 16 MiB in their bodies and replies; default: all. For a server that runs long or is measured.
    pub fn forgetful(mut self) -> Self {
        self.keep.n_records = FEW_KEPT;
        self.keep.n_bytes = FEW_KEPT_BYTES;
        self.keep_generations = FEW_KEPT;
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
        let service = Arc::new(Service::new(Settings {
            keys,
            is_management: self.is_management,
            page_size: self.page_size,
            late_asks: self.late_asks,
            keep_generations: self.keep_generations,
        }));
        for (id, script) in self.scripts {
            service.set_script(id, script);
        }
        if let Some(entries) = self.models.alone {
            service.set_entries(entries);
        }
        for entry in self.models.more {
            service.add_entry(entry);
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
    script::builtin::scripts().map(|(id, does, _)| (id, does)).collect()
}
