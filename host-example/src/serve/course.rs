//! What can end an answer before it is complete: its client leaves, or the endpoint ends.

use plugin_api::{Error, ErrorKind};
use tokio::sync::watch;

use super::client::{Client, Closed};

/// How far the endpoint is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    #[default]
    Serving,
    /// Accepts no new connections; running answers finish.
    Draining,
    /// Running answers end with an error.
    Cutting,
    Over,
}

/// Watches over one answer.
#[derive(Clone)]
pub struct Course {
    client: Client,
    phases: watch::Receiver<Phase>,
    has_half_closed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interruption {
    /// The client sends nothing more. It may be gone, which shows when something is sent to it.
    HalfClosed,
    Left,
    Cut,
}

impl Course {
    pub fn new(client: Client, phases: watch::Receiver<Phase>) -> Self {
        Self {
            client,
            phases,
            has_half_closed: false,
        }
    }

    /// Waits for the next interruption.
    pub async fn interrupted(&mut self) -> Interruption {
        let closed = async {
            if self.has_half_closed {
                self.client.is_gone().await;
                return Closed::Whole;
            }
            self.client.closes().await
        };
        tokio::select! {
            closed = closed => match closed {
                Closed::Half => {
                    self.has_half_closed = true;
                    Interruption::HalfClosed
                }
                Closed::Whole => Interruption::Left,
            },
            // Without a sender, the program ends.
            _ = self.phases.wait_for(|phase| *phase >= Phase::Cutting) => Interruption::Cut,
        }
    }

    /// The same before anything of the answer was sent: sees by itself whether the client is gone.
    ///
    /// - In: whether the client understands interim answers.
    pub async fn ended(&mut self, has_interim: bool) -> Interruption {
        match self.interrupted().await {
            Interruption::HalfClosed if has_interim => {
                self.client.probe();
                self.interrupted().await
            }
            Interruption::HalfClosed => Interruption::Left,
            end => end,
        }
    }
}

/// The error of an answer that is cut off because the endpoint ends.
pub fn cut_off() -> Error {
    let message = "the endpoint was stopped before the answer was complete";
    Error::new(ErrorKind::SHUT_DOWN, message).with_hint("send the request again")
}
