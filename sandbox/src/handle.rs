//! The handle of a running server: where it listens, which models it has, and what it recorded.
//!
//! Dropping the handle stops the server.

use std::{fmt, net::SocketAddr, sync::Arc, thread::JoinHandle, time::Duration};

use serde_json::Value;
use tokio::sync::oneshot;

use crate::{
    record::{Recorded, WaitError, ledger::Ledger},
    script::Script,
    service::state::Service,
};

/// A running server; dropping it closes its port and its connections.
///
/// The waits below block the calling thread. The server has its own thread, so async tests may call them too, as
/// long as the client under test does not need the blocked thread.
pub struct Sandbox {
    pub(crate) address: SocketAddr,
    pub(crate) key: String,
    pub(crate) service: Arc<Service>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) stop: Option<oneshot::Sender<()>>,
    pub(crate) thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Sandbox {
    /// The base URL for a client: `http://127.0.0.1:PORT/api/v1`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}/api/v1", self.address)
    }

    /// Where the server listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// An accepted key: the first one given, else [`crate::DEFAULT_KEY`].
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Gives `model_id` a script from now on and resets its count of failures.
    ///
    /// - In: any id; an unknown one joins the catalogue.
    pub fn script(&self, model_id: impl Into<String>, script: Script) {
        self.service.set_script(model_id.into(), script);
    }

    /// Lists `entry` in the catalogue from now on; see [`crate::Builder::model`].
    pub fn model(&self, entry: Value) {
        self.service.add_entry(entry);
    }

    /// Lists `entries` and nothing else from now on; see [`crate::Builder::models`].
    pub fn models(&self, entries: Vec<Value>) {
        self.service.set_entries(entries);
    }

    /// Everything received so far, in the order of arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        self.ledger.requests()
    }

    /// Waits until `n` requests have arrived since the start, and returns them all.
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

    /// All TCP connections accepted so far.
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
            // A panic of the server's thread has already been printed there.
            let _ = thread.join();
        }
    }
}
