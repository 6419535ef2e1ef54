//! What the service does with one request, step by step.

use serde_json::Value;

use super::wire::{LAST_CHUNK, chunk, json_reply, sse_head};

/// Steps to play one after another, until one of them or the client ends the connection.
#[derive(Clone, Debug, Default)]
pub struct Script {
    pub(super) steps: Vec<Step>,
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    Send(Vec<u8>),
    SendForever(Vec<u8>),
    Answer(String),
    Hold,
    WaitForClientClose,
    Close,
    Reset,
}

impl Script {
    /// Does nothing, and is ready for another request.
    pub fn new() -> Self {
        Self::default()
    }

    /// A good answer with this text, as a stream or in one piece, as requested.
    pub fn answer(text: &str) -> Self {
        Self::new().then(Step::Answer(text.to_owned()))
    }

    /// A reply with this status, further headers and a JSON body.
    pub fn reply(status: u16, headers: &[(&str, &str)], body: &Value) -> Self {
        Self::new().send(json_reply(status, headers, body))
    }

    /// A stream of these events, each in a chunk of its own. To HTTP it is complete.
    pub fn stream(events: &[impl AsRef<str>]) -> Self {
        let chunks = events.iter().flat_map(|event| chunk(event.as_ref()));
        let whole = sse_head().into_iter().chain(chunks).chain(LAST_CHUNK.bytes());
        Self::new().send(whole.collect::<Vec<u8>>())
    }

    /// Sends bytes.
    pub fn send(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.then(Step::Send(bytes.into()))
    }

    /// Sends bytes, a few at a time.
    pub fn drip(self, bytes: impl Into<Vec<u8>>, n_at_a_time: usize) -> Self {
        bytes.into().chunks(n_at_a_time).fold(self, Self::send)
    }

    /// Sends the same bytes again and again, until the client closes the connection.
    pub fn send_forever(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.then(Step::SendForever(bytes.into()))
    }

    /// Waits until [`super::Faultd::release`], or until the client closes the connection.
    pub fn hold(self) -> Self {
        self.then(Step::Hold)
    }

    /// Waits until the client closes the connection.
    pub fn wait_for_client_close(self) -> Self {
        self.then(Step::WaitForClientClose)
    }

    /// Closes the connection properly.
    pub fn close(self) -> Self {
        self.then(Step::Close)
    }

    /// Resets the connection. The client may lose what it has not read yet.
    pub fn reset(self) -> Self {
        self.then(Step::Reset)
    }

    fn then(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }
}
