//! Embeddings: texts in, vectors out. The numbers cross as a blob, not as JSON.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::abi::Payload;
use crate::error::{Error, ErrorKind};
use crate::outcome::{Done, Notice};

/// A request to turn texts into vectors.
///
/// Since: 1.2.
#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct EmbedRequest {
    /// The tier whose model should answer. Absent, with `model` absent too: `TEXT_EMBEDDING`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// The id of the model that should answer. Overrides `tier`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The texts, at least one.
    pub input: Vec<String>,
    /// The length of each vector. Absent: the model's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<u32>,
    /// Further fields of the service's request body, by their names on the wire, passed on unchanged.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, Value>")]
    pub parameters: BTreeMap<String, Box<RawValue>>,
}

/// The vectors of the texts.
///
/// Since: 1.2.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Embeddings {
    /// One vector for each text, in the order of the request, all of the same length. They cross as a blob beside
    /// the JSON: 32-bit little-endian floats, one vector after the other.
    #[serde(skip)]
    pub vectors: Vec<Vec<f32>>,
    /// The length of each vector.
    pub dimensions: usize,
    /// What the caller should know about the call, such as retries and fallbacks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<Notice>,
    /// How the answer ended, and what it cost.
    pub done: Done,
}

impl Embeddings {
    /// - Errors: `protocol` if the vectors differ in length.
    pub(crate) fn into_payload(self) -> Result<Payload, Error> {
        let mut bytes = Vec::with_capacity(self.vectors.len() * self.dimensions * 4);
        for vector in &self.vectors {
            if vector.len() != self.dimensions {
                return Err(ragged());
            }
            for number in vector {
                bytes.extend_from_slice(&number.to_le_bytes());
            }
        }
        Ok(Payload::of(&self)?.with_blob(bytes))
    }

    pub(crate) fn from_payload(payload: &Payload) -> Result<Self, Error> {
        let mut embeddings: Self = payload.read()?;
        let bytes = payload.blobs().next().unwrap_or_default();
        let (numbers, rest) = bytes.as_chunks();
        if !rest.is_empty() || !numbers.len().is_multiple_of(embeddings.dimensions) {
            return Err(ragged());
        }
        let vector = |numbers: &[[u8; 4]]| numbers.iter().copied().map(f32::from_le_bytes).collect();
        // No length means no numbers, but chunks of length 0 would panic.
        embeddings.vectors = numbers.chunks(embeddings.dimensions.max(1)).map(vector).collect();
        Ok(embeddings)
    }
}

fn ragged() -> Error {
    Error::new(
        ErrorKind::PROTOCOL,
        "expected vectors of the same length, found several lengths",
    )
}

impl fmt::Debug for EmbedRequest {
    /// Prints sizes only: the texts may be private.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbedRequest")
            .field("tier", &self.tier)
            .field("model", &self.model)
            .field("n_texts", &self.input.len())
            .field("dimensions", &self.dimensions)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Embeddings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embeddings")
            .field("n_vectors", &self.vectors.len())
            .field("dimensions", &self.dimensions)
            .field("notices", &self.notices)
            .field("done", &self.done)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_cross_bit_for_bit() {
        let embeddings = Embeddings {
            vectors: vec![vec![0.1, -2.5e-8], vec![f32::MAX, 0.0]],
            dimensions: 2,
            ..Embeddings::default()
        };
        let payload = embeddings.clone().into_payload().expect("they have one length");
        assert_eq!(Embeddings::from_payload(&payload), Ok(embeddings));
        let none = Embeddings::default();
        let payload = none.clone().into_payload().expect("there are none");
        assert_eq!(Embeddings::from_payload(&payload), Ok(none));
    }

    #[test]
    fn vectors_of_different_lengths_are_refused() {
        let embeddings = Embeddings {
            vectors: vec![vec![1.0, 2.0], vec![1.0]],
            dimensions: 2,
            ..Embeddings::default()
        };
        assert_eq!(embeddings.into_payload().err(), Some(ragged()));
        for (dimensions, n_bytes) in [(2, 9), (2, 12), (0, 4)] {
            let json = format!(r#"{{"dimensions":{dimensions},"done":{{}}}}"#);
            let payload = Payload::from_json(json).with_blob(vec![0; n_bytes]);
            assert_eq!(Embeddings::from_payload(&payload), Err(ragged()));
        }
    }
}
