//! Ctrl-C as an event, so that a command can stop its work and still clean up.
//!
//! A thread of its own listens, because a plugin's code may keep the others busy. The first Ctrl-C stops the work; a
//! second one, before the work has stopped or while the program ends, ends the process.

use std::future::Future;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use tokio::sync::Notify;

use super::exit::Exit;
use super::failure::Failure;
use super::print::say;
use super::streams::stdout_is_terminal;

/// Wakes the work that Ctrl-C stops.
static PRESSED: Notify = Notify::const_new();
/// Whether Ctrl-C was pressed and the work has not stopped yet.
static IS_PENDING: AtomicBool = AtomicBool::new(false);
/// How long the work may take to stop before the user learns that a second Ctrl-C ends the program. A Ctrl-C during
/// this time is handled at its end.
const PATIENCE: Duration = Duration::from_millis(500);
/// Whether any work still listens for it.
static IS_HEARD: AtomicBool = AtomicBool::new(true);

/// Listens for Ctrl-C from the start: without a listener, Ctrl-C would end the program at once.
pub struct Interrupts(());

impl Interrupts {
    pub fn listen() -> Result<Self, Failure> {
        static STARTED: Once = Once::new();
        let failed = |cause| Failure::internal(format!("cannot listen for Ctrl-C: {cause}"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(failed)?;
        let mut signal = {
            let _within = runtime.enter();
            signal().map_err(failed)?
        };
        STARTED.call_once(|| {
            thread::spawn(move || {
                runtime.block_on(async {
                    while signal.recv().await.is_some() {
                        if IS_PENDING.swap(true, SeqCst) || !IS_HEARD.load(SeqCst) {
                            Exit::Interrupted.end();
                        }
                        PRESSED.notify_one();
                        tokio::time::sleep(PATIENCE).await;
                        if IS_PENDING.load(SeqCst) {
                            say("still busy; Ctrl-C again ends the program");
                        }
                    }
                });
            });
        });
        Ok(Self(()))
    }

    /// Runs `work` until it ends or Ctrl-C is pressed; `None` then.
    pub async fn or<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            outcome = work => Some(outcome),
            () = PRESSED.notified() => {
                IS_PENDING.store(false, SeqCst);
                None
            }
        }
    }

    /// The program ends: from now on, Ctrl-C ends it at once.
    pub fn end() {
        IS_HEARD.store(false, SeqCst);
    }
}

#[cfg(unix)]
fn signal() -> std::io::Result<tokio::signal::unix::Signal> {
    tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())
}

#[cfg(windows)]
fn signal() -> std::io::Result<tokio::signal::windows::CtrlC> {
    tokio::signal::windows::ctrl_c()
}

/// The failure of a call that Ctrl-C stopped.
pub fn stopped() -> Failure {
    // The terminal has printed `^C` on the current line.
    if stdout_is_terminal() {
        say("");
    }
    Failure::new(Exit::Interrupted, "stopped by Ctrl-C; the answer is incomplete")
}
