//! What an answer has said of itself so far, whole or not.
//!
//! Every reader keeps one. Everything that the service wrote goes through here, so that no member of an answer can carry
//! the key out.

use plugin_api::{Done, Error, ErrorKind};
use zeroize::Zeroizing;

use crate::values::secret;

/// The text that is kept for an error that ends the answer, in bytes. It was delivered already, so a limit is fair.
const MAX_KEPT_TEXT_BYTES: usize = 8 << 20;

/// What is known of one answer.
#[derive(Default)]
pub struct Heard {
    pub done: Done,
    /// Whether a piece of text, reasoning or a tool call has come.
    pub has_begun: bool,
    text: String,
    /// A key that nothing may repeat.
    secret: Zeroizing<String>,
}

impl Heard {
    /// Nothing yet, of an answer to a request for `requested_model`.
    pub fn new(requested_model: Option<String>, generation_id: Option<String>, secret: &str) -> Self {
        Self {
            done: Done {
                requested_model,
                generation_id,
                ..Done::default()
            },
            secret: Zeroizing::new(secret.to_owned()),
            ..Self::default()
        }
    }

    /// The model that serves, as far as it is known.
    pub fn model(&self) -> Option<&str> {
        self.done.model.as_deref()
    }

    /// Whether the service has said why the answer ends.
    pub fn has_finish_reason(&self) -> bool {
        !self.done.finish_reason.is_empty()
    }

    /// What is known, given away.
    pub fn take_done(&mut self) -> Done {
        std::mem::take(&mut self.done)
    }

    /// A text of the service without the key.
    pub fn scrubbed(&self, text: &str) -> String {
        secret::scrub(text, &self.secret)
    }

    pub fn secret(&self) -> &str {
        &self.secret
    }

    pub fn note_id(&mut self, id: &str) {
        note(&mut self.done.generation_id, id, &self.secret);
    }

    pub fn note_model(&mut self, model: &str) {
        note(&mut self.done.model, model, &self.secret);
    }

    pub fn note_provider(&mut self, provider: &str) {
        note(&mut self.done.provider, provider, &self.secret);
    }

    /// Keeps the reason for the end, unless it is blank.
    pub fn note_finish_reason(&mut self, reason: &str) {
        if !reason.is_empty() {
            self.done.finish_reason = self.scrubbed(reason);
        }
    }

    /// Keeps a piece of text for an error that may follow it.
    pub fn keep_text(&mut self, piece: &str) {
        if self.text.len() + piece.len() <= MAX_KEPT_TEXT_BYTES {
            self.text.push_str(piece);
        }
    }

    /// An error that ends the answer, with the text so far and with who served.
    pub fn attach_partial(&self, mut error: Error) -> Error {
        if !self.text.is_empty() {
            error.details.partial_text = Some(self.text.clone());
        }
        error.details.model = error.details.model.or_else(|| self.done.model.clone());
        error.details.provider = error.details.provider.or_else(|| self.done.provider.clone());
        error.details.generation_id = error.details.generation_id.or_else(|| self.done.generation_id.clone());
        error
    }

    /// The error of an answer that ended too early.
    ///
    /// - In: `how` it ended, as the end of a sentence.
    pub fn interrupted(&self, how: &str) -> Error {
        let message = if self.has_begun {
            format!("the answer broke off: it ended {how}")
        } else {
            "the answer ended before anything had arrived".to_owned()
        };
        self.attach_partial(Error::new(ErrorKind::INTERRUPTED, message).with_hint("try again"))
    }
}

/// Keeps what was said last; chunks repeat it, mostly unchanged.
fn note(slot: &mut Option<String>, said: &str, secret: &str) {
    if !said.is_empty() && slot.as_deref() != Some(said) {
        *slot = Some(secret::scrub(said, secret));
    }
}

/// Why a frame could not be taken.
#[derive(Debug)]
pub enum FrameError {
    /// It is not JSON, or not an object.
    NotJson { n_bytes: usize },
    /// It says that the answer has failed.
    Reported(Error),
}

impl From<Error> for FrameError {
    fn from(error: Error) -> Self {
        Self::Reported(error)
    }
}

impl FrameError {
    /// The same as the error of a call.
    pub fn into_error(self) -> Error {
        match self {
            Self::NotJson { n_bytes } => {
                let message = format!("the service sent {n_bytes} bytes that are not a JSON object");
                Error::new(ErrorKind::PROTOCOL, message)
                    .with_hint("check the base URL, and whether a proxy on the way changes answers")
            }
            Self::Reported(error) => error,
        }
    }
}
