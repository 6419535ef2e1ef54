//! Builds and reads a [`Payload`]. Nothing here ever quotes its content, neither in an error nor in debug output.

use std::fmt;

use abi_stable::std_types::{RString, RVec};
use serde::{Deserialize, Serialize};
use serde_json::error::Category;

use super::types::{Blob, ErrorKind, Payload};
use crate::error::Error;

impl Payload {
    /// A payload of JSON text, without blobs. The text is not checked.
    pub fn from_json(json: String) -> Self {
        Self {
            json: RString::from(json),
            blobs: RVec::new(),
        }
    }

    /// A payload that holds `value` as JSON, without blobs.
    ///
    /// - Errors: `internal` if the value cannot be written as JSON, for example a map whose keys are not text.
    pub fn of(value: &impl Serialize) -> Result<Self, Error> {
        match serde_json::to_string(value) {
            Ok(json) => Ok(Self::from_json(json)),
            Err(cause) => Err(Error::new(
                ErrorKind::INTERNAL,
                format!("cannot write a message as JSON: {}", mistake(&cause)),
            )),
        }
    }

    /// Adds a blob. The JSON refers to the first one as `{"$blob": 0}`.
    pub fn with_blob(mut self, bytes: Vec<u8>) -> Self {
        self.blobs.push(RVec::from(bytes));
        self
    }

    /// The JSON text, without a copy.
    pub fn json(&self) -> &str {
        self.json.as_str()
    }

    /// The blobs in order, without a copy.
    pub fn blobs(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.blobs.iter().map(RVec::as_slice)
    }

    /// Adds a blob without copying it.
    pub(crate) fn and_blob(mut self, blob: Blob) -> Self {
        self.blobs.push(blob.0);
        self
    }

    /// Takes the blobs out, in order.
    pub fn into_blobs(self) -> impl Iterator<Item = Blob> {
        self.blobs.into_iter().map(Blob)
    }

    /// Parses the JSON as a `T`, which may borrow from this payload.
    ///
    /// - Errors: `invalid_request` with the line and column of the mistake, without quoting the JSON.
    pub fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Error> {
        serde_json::from_str(self.json.as_str()).map_err(|cause| {
            Error::new(
                ErrorKind::INVALID_REQUEST,
                format!(
                    "the message does not fit this method: {} at line {}, column {}",
                    mistake(&cause),
                    cause.line(),
                    cause.column()
                ),
            )
        })
    }
}

impl fmt::Debug for Payload {
    /// Prints sizes only: the content may be a prompt.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payload")
            .field("json_bytes", &self.json.len())
            .field("blobs", &self.blobs.len())
            .finish()
    }
}

/// What is wrong with the JSON. serde's own message would quote it.
fn mistake(cause: &serde_json::Error) -> &'static str {
    match cause.classify() {
        Category::Io => "the text could not be read",
        Category::Syntax => "the text is not JSON",
        Category::Data => "a field is missing, unknown or of the wrong type",
        Category::Eof => "the text ends early",
    }
}
