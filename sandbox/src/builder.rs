//! Starts a server: collects its settings, binds its port, and gives it a thread.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::Arc,
    thread,
};

use serde_json::Value;
use tokio::{runtime, sync::oneshot};

use crate::{
    DEFAULT_KEY,
    handle::Sandbox,
    record::{
        Recorded,
        ledger::{Keep, Ledger, OnFinished},
    },
    script::Script,
    server,
    service::state::{Service, Settings},
};

/// What [`Builder::forgetful`] keeps: this many records and generations, and this many bytes of records.
const FEW_KEPT: usize = 256;
const FEW_KEPT_BYTES: usize = 16 * 1024 * 1024;

impl Sandbox {
    /// Starts a server with the built-in scripts on a free port of 127.0.0.1.
    ///
    /// # Panics
    ///
    /// If the machine has no free port or cannot start a thread; [`Builder::start`] returns that as an error.
    #[must_use]
    pub fn start() -> Self {
        Self::builder()
            .start()
            .expect("this machine has a free port and starts threads")
    }

    /// Settings for a server that has not started yet.
    pub fn builder() -> Builder {
        Builder::default()
    }
}

/// Settings of a server; see [`Sandbox::builder`].
#[derive(Default)]
#[must_use]
pub struct Builder {
    port: u16,
    scripts: Vec<(String, Script)>,
    only_entries: Option<Vec<Value>>,
    more_entries: Vec<Value>,
    threads: usize,
    settings: Settings,
    keep: Keep,
    on_finished: Option<OnFinished>,
}

impl Builder {
    /// Port of 127.0.0.1; default 0, any free one.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Accepts this key, in place of [`DEFAULT_KEY`]. May be called several times.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.settings.keys.push(key.into());
        self
    }

    /// Makes the accepted keys management keys: they read the credits and are refused for completions.
    pub fn management_key(mut self) -> Self {
        self.settings.is_management = true;
        self
    }

    /// Accepts this management key beside the other keys.
    pub fn also_management_key(mut self, key: impl Into<String>) -> Self {
        self.settings.management_keys.push(key.into());
        self
    }

    /// Gives `model_id` a script.
    pub fn script(mut self, model_id: impl Into<String>, script: Script) -> Self {
        self.scripts.push((model_id.into(), script));
        self
    }

    /// Lists `entry` in the catalogue, in place of any entry with the same id.
    ///
    /// - In: an object as in `data` of `GET /models`, sent as it is. A filter never matches a member that is missing.
    ///   A model known only by its entry answers like one with an empty script, at the cost that `pricing` names.
    pub fn model(mut self, entry: Value) -> Self {
        self.more_entries.push(entry);
        self
    }

    /// Lists `entries` and nothing else; models added with [`Builder::model`] follow them.
    ///
    /// Only the list changes: ids known without it answer as before.
    pub fn models(mut self, entries: Vec<Value>) -> Self {
        self.only_entries = Some(entries);
        self
    }

    /// Splits the catalogue into pages of at most `n_entries`, even for clients that ask for none. By default such
    /// clients get the whole list.
    pub fn page_size(mut self, n_entries: usize) -> Self {
        self.settings.page_size = Some(n_entries.max(1));
        self
    }

    /// Answers 404 to the first `n_asks` requests for each generation, as the service does for half a second or
    /// more; default 0.
    pub fn late_generations(mut self, n_asks: u32) -> Self {
        self.settings.late_asks = n_asks;
        self
    }

    /// Number of threads that serve; default 1.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Leaves the replies out of the records, which saves the time to read them back; default: they are kept.
    pub fn without_replies(mut self) -> Self {
        self.keep.no_replies = true;
        self
    }

    /// Keeps only the last 256 finished requests, within 16 MiB of bodies and replies, and the last 256 generations;
    /// default: all. For a server that runs long or is measured.
    pub fn forgetful(mut self) -> Self {
        self.keep.n_records = Some(FEW_KEPT);
        self.keep.n_bytes = Some(FEW_KEPT_BYTES);
        self.settings.keep_generations = Some(FEW_KEPT);
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
    /// If the port is taken, or the machine cannot start a thread.
    pub fn start(mut self) -> Result<Sandbox, StartError> {
        let fail = |doing: &str| {
            let doing = doing.to_owned();
            move |source| StartError { doing, source }
        };
        let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let listener = TcpListener::bind(wanted).map_err(fail(&format!("listen on {wanted}")))?;
        let address = listener.local_addr().map_err(fail("read the port"))?;
        listener.set_nonblocking(true).map_err(fail("set up the listener"))?;

        if self.settings.keys.is_empty() {
            self.settings.keys.push(DEFAULT_KEY.to_owned());
        }
        let key = self.settings.keys[0].clone();
        let service = Arc::new(Service::new(self.settings));
        for (id, script) in self.scripts {
            service.set_script(id, script);
        }
        if let Some(entries) = self.only_entries {
            service.set_entries(entries);
        }
        for entry in self.more_entries {
            service.add_entry(entry);
        }
        let ledger = Arc::new(Ledger::new(self.keep, self.on_finished));

        let mut runtime = match self.threads {
            0 | 1 => runtime::Builder::new_current_thread(),
            _ => runtime::Builder::new_multi_thread(),
        };
        let runtime = runtime.worker_threads(self.threads.max(1)).enable_all().build();
        let runtime = runtime.map_err(fail("start its runtime"))?;
        let (stop, stopped) = oneshot::channel();
        let serving = server::serve(listener, Arc::clone(&service), Arc::clone(&ledger), stopped);
        let run = move || {
            // The server goes on accepting after errors, so only the signal to stop ends it.
            let _ = runtime.block_on(serving);
        };
        let thread = thread::Builder::new().name("sandbox".to_owned()).spawn(run);
        Ok(Sandbox {
            address,
            key,
            service,
            ledger,
            stop: Some(stop),
            thread: Some(thread.map_err(fail("start its thread"))?),
        })
    }
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
#[error("the sandbox cannot {doing}")]
pub struct StartError {
    doing: String,
    source: io::Error,
}
