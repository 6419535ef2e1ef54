//! The sandbox of a test, in the test's process.
//!
//! Its requests and replies must fit the official description of the API, if there is one to check against.

use std::ops::Deref;
use std::thread;

use sandbox::{Builder, Sandbox};

use crate::canary::{CANARY, trace_this_process};
use crate::description::{breaches, description_is_at_hand};

/// A running sandbox. When it is dropped, a request or reply that breaks the API's description fails the test.
pub struct Service(Sandbox);

/// Starts a sandbox that accepts [`CANARY`] as its key.
pub fn service() -> Service {
    service_from(Sandbox::builder().key(CANARY))
}

/// Starts a sandbox with these settings, the key among them.
pub fn service_from(builder: Builder) -> Service {
    trace_this_process();
    Service(builder.start().expect("a port and a thread are free"))
}

impl Deref for Service {
    type Target = Sandbox;

    fn deref(&self) -> &Sandbox {
        &self.0
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if thread::panicking() || !description_is_at_hand() {
            return;
        }
        let breaches = breaches(&self.0.requests());
        assert!(
            breaches.is_empty(),
            "these break the description of the API:\n{}",
            breaches.join("\n")
        );
    }
}
