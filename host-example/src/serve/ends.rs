//! Shutdown: the first signal lets answers end for a while, the second one cuts them off.

use std::time::Duration;

use super::course::Phase;
use super::server::Server;
use super::shared::Shared;
use crate::terminal::{self, Exit, Failure};

/// How long the errors of answers that are cut off may take to reach their clients.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Lets answers end for a while, then ends.
pub async fn wind_up(server: &mut Server, shared: &Shared, ends: &mut Ends, limit: Duration) -> Exit {
    server.enter(Phase::Draining);
    let left = || shared.telemetry.metrics.in_flight.get();
    let in_flight = left();
    if in_flight > 0 {
        let limit_s = limit.as_secs();
        let answers = terminal::counted(in_flight as usize, "answer");
        terminal::say(&format!(
            "shutting down: waiting up to {limit_s} s for {answers}; a second signal stops at once"
        ));
    }
    let is_over = tokio::select! {
        () = server.ended() => true,
        () = tokio::time::sleep(limit) => false,
        () = ends.next() => false,
    };
    let cut = if is_over { 0 } else { left() };
    server.enter(Phase::Cutting);
    // The error at their end is on its way to clients that read.
    let _ = tokio::time::timeout(LAST_WORDS, server.ended()).await;
    server.enter(Phase::Over);
    server.ended().await;
    if cut == 0 {
        terminal::say("stopped: no answer was cut off");
        return Exit::Ok;
    }
    let answers = if cut == 1 { "answer was" } else { "answers were" };
    terminal::say(&format!("stopped: {cut} {answers} cut off"));
    Exit::Interrupted
}

/// Listens for the signals that end the program from the start: without a listener they would end it at once.
pub struct Ends {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(windows)]
    interrupt: tokio::signal::windows::CtrlC,
    #[cfg(windows)]
    terminate: tokio::signal::windows::CtrlBreak,
}

impl Ends {
    pub fn listen() -> Result<Self, Failure> {
        let failed = |cause| Failure::internal(format!("cannot listen for signals: {cause}"));
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            Ok(Self {
                interrupt: signal(SignalKind::interrupt()).map_err(failed)?,
                terminate: signal(SignalKind::terminate()).map_err(failed)?,
            })
        }
        #[cfg(windows)]
        {
            use tokio::signal::windows::{ctrl_break, ctrl_c};
            Ok(Self {
                interrupt: ctrl_c().map_err(failed)?,
                terminate: ctrl_break().map_err(failed)?,
            })
        }
    }

    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
