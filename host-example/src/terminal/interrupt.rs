//! Ctrl-C as an event, so that a command can stop its work and still clean up.

use std::future::Future;
use std::io::{self, IsTerminal};

use super::exit::Exit;
use super::failure::Failure;
use super::print::say;

/// Listens for Ctrl-C from the start: without a listener, Ctrl-C would end the program at once.
pub struct Interrupts {
    #[cfg(unix)]
    signal: tokio::signal::unix::Signal,
    #[cfg(windows)]
    signal: tokio::signal::windows::CtrlC,
}

impl Interrupts {
    pub fn listen() -> Result<Self, Failure> {
        #[cfg(unix)]
        let signal = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt());
        #[cfg(windows)]
        let signal = tokio::signal::windows::ctrl_c();
        let failed = |cause| Failure::internal(format!("cannot listen for Ctrl-C: {cause}"));
        Ok(Self {
            signal: signal.map_err(failed)?,
        })
    }

    /// Runs `work` until it ends or Ctrl-C is pressed; `None` then.
    pub async fn or<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            outcome = work => Some(outcome),
            _ = self.signal.recv() => None,
        }
    }
}

/// The failure of a call that Ctrl-C stopped.
pub fn stopped() -> Failure {
    // The terminal has printed `^C` on the current line.
    if io::stdout().is_terminal() {
        say("");
    }
    Failure::new(Exit::Interrupted, "stopped by Ctrl-C; the answer is incomplete")
}
