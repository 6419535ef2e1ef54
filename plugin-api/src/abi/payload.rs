//! Writes and reads a [`Payload`].

use std::fmt;

use abi_stable::std_types::{RString, RVec};
use serde::{Deserialize, Serialize};

use super::types::{Blob, ErrorKind, Payload};
use crate::error::Error;

impl Payload {
    /// A payload of JSON alone.
    pub fn from_json(json: String) -> Self {
        Self {
            json: RString::from(json),
            blobs: RVec::new(),
        }
    }

    /// A payload that holds `value` as JSON.
    ///
    /// - Errors: `internal` if the value cannot be written as JSON (a map whose keys are not text).
    pub fn of(value: &impl Serialize) -> Result<Self, Error> {
        match serde_json::to_string(value) {
            Ok(json) => Ok(Self::from_json(json)),
            Err(cause) => Err(Error::new(
                ErrorKind::INTERNAL,
                format!("could not write a message as JSON: {}", cause.classify_in_words()),
            )),
        }
    }

    /// Adds a blob; the first one added is `{"$blob": 0}`.
    pub fn with_blob(mut self, bytes: Vec<u8>) -> Self {
        self.blobs.push(RVec::from(bytes));
        self
    }

    /// The JSON text, in place.
    pub fn json(&self) -> &str {
        self.json.as_str()
    }

    /// The blobs, in place and in order.
    pub fn blobs(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.blobs.iter().map(RVec::as_slice)
    }

    /// Adds a blob that is one already.
    pub(crate) fn and_blob(mut self, blob: Blob) -> Self {
        self.blobs.push(blob.0);
        self
    }

    /// The blobs, out of the payload and in order.
    pub fn into_blobs(self) -> impl Iterator<Item = Blob> {
        self.blobs.into_iter().map(Blob)
    }

    /// Reads the JSON as a `T`, borrowing from this payload.
    ///
    /// - Errors: `invalid_request` with the place in the JSON; the offending value is never quoted.
    pub fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Error> {
        serde_json::from_str(self.json.as_str()).map_err(|cause| {
            Error::new(
                ErrorKind::INVALID_REQUEST,
                format!(
                    "the message is not what this method expects: {} at line {}, column {}",
                    cause.classify_in_words(),
                    cause.line(),
                    cause.column()
                ),
            )
        })
    }
}

impl fmt::Debug for Payload {
    /// Sizes only: what travels here is somebody's prompt.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payload")
            .field("json_bytes", &self.json.len())
            .field("blobs", &self.blobs.len())
            .finish()
    }
}

/// What kind of JSON mistake it was, without quoting the input as serde's own message does.
trait ClassifyInWords {
    /// A short phrase in lower case.
    fn classify_in_words(&self) -> &'static str;
}

impl ClassifyInWords for serde_json::Error {
    fn classify_in_words(&self) -> &'static str {
        match self.classify() {
            serde_json::error::Category::Io => "the text could not be read",
            serde_json::error::Category::Syntax => "the text is not JSON",
            serde_json::error::Category::Data => "a field is missing, unknown or of another type",
            serde_json::error::Category::Eof => "the text ends too early",
        }
    }
}
