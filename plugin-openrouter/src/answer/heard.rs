//! Keeps what an answer has reported so far: model, provider, usage, finish reason and text.
//!
//! Every reader has one. All text from the service passes through here, so no member of an answer can leak the key.

use plugin_api::{Done, Error, ErrorKind, Usage};
use zeroize::Zeroizing;

use crate::answer::json::{self, Raw};
use crate::failure;
use crate::values::secret;

/// Longest text that is kept for a later error, in bytes. The caller has the text already, so a limit does no harm.
const MAX_KEPT_TEXT_BYTES: usize = 8 << 20;

/// What is known of one answer.
#[derive(Default)]
pub struct Heard {
    pub done: Done,
    /// Whether a piece of text, reasoning or a tool call has arrived.
    pub has_begun: bool,
    /// In how many frames nothing could be read.
    pub n_unread: u32,
    text: String,
    /// Whether a part of the text was not kept.
    lacks_text: bool,
    /// The service's id of the request, for errors.
    pub request_id: Option<String>,
    /// The key, which is removed from every text.
    secret: Zeroizing<String>,
}

impl Heard {
    /// Starts an answer to a request for `requested_model`.
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

    /// The model that serves, if known.
    pub fn model(&self) -> Option<&str> {
        self.done.model.as_deref()
    }

    /// Whether the service has sent a finish reason.
    pub fn has_finish_reason(&self) -> bool {
        !self.done.finish_reason.is_empty()
    }

    /// Takes everything that is known.
    pub fn take_done(&mut self) -> Done {
        std::mem::take(&mut self.done)
    }

    /// Removes the key from a text of the service.
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

    /// Keeps the finish reason, unless it is empty. A mere `stop` takes back nothing that an earlier one said.
    pub fn note_finish_reason(&mut self, reason: &str) {
        let is_news = reason != "stop" || !self.has_finish_reason();
        if !reason.is_empty() && is_news {
            self.done.finish_reason = self.scrubbed(reason);
        }
    }

    /// Keeps the usage. A later one replaces an earlier one, but what it lacks it does not take away: some services
    /// send zeros behind the real usage.
    pub fn note_usage(&mut self, usage: Usage) {
        let earlier = self.done.usage.take().unwrap_or_default();
        let count = |later: u64, earlier: u64| if later == 0 { earlier } else { later };
        let cost = usage.cost_usd.filter(|cost| cost != "0" || earlier.cost_usd.is_none());
        let (prompt_tokens, completion_tokens) = (
            count(usage.prompt_tokens, earlier.prompt_tokens),
            count(usage.completion_tokens, earlier.completion_tokens),
        );
        let total_tokens = count(usage.total_tokens, earlier.total_tokens);
        self.done.usage = Some(Usage {
            prompt_tokens,
            completion_tokens,
            total_tokens: total_tokens.max(prompt_tokens.saturating_add(completion_tokens)),
            cached_tokens: usage.cached_tokens.or(earlier.cached_tokens),
            cache_write_tokens: usage.cache_write_tokens.or(earlier.cache_write_tokens),
            reasoning_tokens: usage.reasoning_tokens.or(earlier.reasoning_tokens),
            cost_usd: cost.or(earlier.cost_usd),
            is_byok: usage.is_byok || earlier.is_byok,
            upstream_cost_usd: usage.upstream_cost_usd.or(earlier.upstream_cost_usd),
        });
    }

    /// Keeps which attempts the service made. Most answers list only the one that served, which is not kept.
    pub fn note_metadata(&mut self, metadata: Raw<'_>) {
        if memchr::memmem::find(metadata.as_bytes(), b"\"attempts\"").is_none() {
            return;
        }
        let attempts = failure::router_attempts(&json::value(metadata), &self.secret);
        if attempts.len() > 1 {
            self.done.attempts = attempts;
        }
    }

    /// Keeps a piece of text for a later error.
    pub fn keep_text(&mut self, piece: &str) {
        if self.text.len() + piece.len() <= MAX_KEPT_TEXT_BYTES {
            self.text.push_str(piece);
        } else {
            self.lacks_text = true;
        }
    }

    /// The text so far; `None` if it is too long to be kept.
    pub fn text(&self) -> Option<&str> {
        (!self.lacks_text).then_some(&self.text)
    }

    /// Adds the text so far, the model and the provider to an error that ends the answer.
    pub fn attach_partial(&self, mut error: Error) -> Error {
        if !self.text.is_empty() {
            error.details.partial_text = Some(self.text.clone());
        }
        error.details.model = error.details.model.or_else(|| self.done.model.clone());
        error.details.provider = error.details.provider.or_else(|| self.done.provider.clone());
        error.details.request_id = error.details.request_id.or_else(|| self.request_id.clone());
        error.details.generation_id = error.details.generation_id.or_else(|| self.done.generation_id.clone());
        error
    }

    /// The error for an answer that ended too early.
    ///
    /// - In: `how` it ended, as the end of a sentence.
    pub fn interrupted(&self, how: &str) -> Error {
        let (message, hint) = match self.n_unread {
            _ if self.has_begun => (format!("the answer broke off: it ended {how}"), "try again"),
            0 => ("the answer ended before anything arrived".to_owned(), "try again"),
            n => {
                let events = if n == 1 { "event" } else { "events" };
                let message = format!("the answer ended without anything readable: {n} {events} had another form");
                (message, "check the base URL, and whether a proxy alters the answers")
            }
        };
        self.attach_partial(Error::new(ErrorKind::INTERRUPTED, message).with_hint(hint))
    }
}

/// Keeps the latest value; chunks repeat it, mostly unchanged.
fn note(slot: &mut Option<String>, value: &str, secret: &str) {
    if !value.is_empty() && slot.as_deref() != Some(value) {
        *slot = Some(secret::scrub(value, secret));
    }
}

/// Why a frame was not read.
#[derive(Debug)]
pub enum FrameError {
    /// The frame is not JSON, or not an object.
    NotJson { n_bytes: usize },
    /// The frame reports that the answer failed, in an error object of its own.
    Reported(Error),
    /// The answer failed, and the frame has no error object that says so.
    Ended(Error),
}

impl FrameError {
    /// Converts to the error of a call.
    pub fn into_error(self) -> Error {
        match self {
            Self::NotJson { n_bytes } => {
                let message = format!("the service sent {n_bytes} bytes that are not a JSON object");
                Error::new(ErrorKind::PROTOCOL, message)
                    .with_hint("check the base URL, and whether a proxy alters the answers")
            }
            Self::Reported(error) | Self::Ended(error) => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_cost_replaces_an_earlier_one_unless_it_is_zero() {
        for (costs, expected) in [
            (&["0"][..], "0"),
            (&["0", "0.5"], "0.5"),
            (&["0.5", "0"], "0.5"),
            (&["0.5", "0.7"], "0.7"),
        ] {
            let mut heard = Heard::default();
            for cost in costs {
                heard.note_usage(Usage {
                    cost_usd: Some((*cost).to_owned()),
                    ..Usage::default()
                });
            }
            let usage = heard.done.usage.expect("usage");
            assert_eq!(usage.cost_usd.as_deref(), Some(expected), "{costs:?}");
        }
    }
    #[test]
    fn the_attempts_of_the_service_are_kept_if_there_were_several() {
        for (metadata, n_kept) in [
            (r#"{"attempts":[{"model":"a/b","status":200}]}"#, 0),
            (
                r#"{"attempts":[{"model":"a/b","status":503},{"model":"a/c","status":200}]}"#,
                2,
            ),
        ] {
            let mut heard = Heard::default();
            heard.note_metadata(metadata);
            assert_eq!(heard.done.attempts.len(), n_kept, "{metadata}");
        }
    }
}
