//! Texts as vectors: a request, and what comes of it. The numbers cross as a blob, not as JSON.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::abi::Payload;
use crate::error::{Error, ErrorKind};
use crate::outcome::{Done, Notice};

/// A request for the vectors of texts.
#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct EmbedRequest {
    /// The tier whose model is asked for. Absent with `model` absent: `TEXT_EMBEDDING`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// A model by id; wins over the tier's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The texts, at least one.
    pub input: Vec<String>,
    /// How many numbers each vector is to have; absent: as many as the model gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<u32>,
    /// Further fields of the service's request body, by their names on the wire, passed on as they are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, Value>")]
    pub parameters: BTreeMap<String, Box<RawValue>>,
}

/// The vectors of texts.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Embeddings {
    /// One for each text, in the order of the request; all of the same length. They cross as a blob beside the JSON: 32-bit numbers,
    /// little-endian, one vector after the other.
    #[serde(skip)]
    pub vectors: Vec<Vec<f32>>,
    /// The length of each vector.
    pub dimensions: usize,
    /// What the caller should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<Notice>,
    /// How the answer came about, and what was billed.
    pub done: Done,
}

impl Embeddings {
    /// - Errors: `protocol` if the vectors are not all of the same length.
    pub(crate) fn into_payload(self) -> Result<Payload, Error> {
        let mut bytes = Vec::with_capacity(self.vectors.len() * self.dimensions * 4);
        for vector in &self.vectors {
            if vector.len() != self.dimensions {
                return Err(broken());
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
        let vector_bytes = embeddings.dimensions.saturating_mul(4);
        if vector_bytes == 0 {
            return if bytes.is_empty() {
                Ok(embeddings)
            } else {
                Err(broken())
            };
        }
        let vectors = bytes.chunks_exact(vector_bytes);
        if !vectors.remainder().is_empty() {
            return Err(broken());
        }
        let number = |bytes: &[u8]| bytes.try_into().map_or(f32::NAN, f32::from_le_bytes);
        embeddings.vectors = vectors
            .map(|vector| vector.chunks_exact(4).map(number).collect())
            .collect();
        Ok(embeddings)
    }
}

fn broken() -> Error {
    Error::new(ErrorKind::PROTOCOL, "expected vectors of one length, found several")
}

impl fmt::Debug for EmbedRequest {
    /// Sizes only: the texts are somebody's.
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
    fn vectors_cross_bit_by_bit() {
        let embeddings = Embeddings {
            vectors: vec![vec![0.1, -2.5e-8], vec![f32::MAX, 0.0]],
            dimensions: 2,
            ..Embeddings::default()
        };
        let payload = embeddings.clone().into_payload().expect("they are of one length");
        assert_eq!(Embeddings::from_payload(&payload), Ok(embeddings));
        let none = Embeddings::default();
        let payload = none.clone().into_payload().expect("there are none");
        assert_eq!(Embeddings::from_payload(&payload), Ok(none));
    }

    #[test]
    fn vectors_of_several_lengths_are_refused() {
        let ragged = Embeddings {
            vectors: vec![vec![1.0, 2.0], vec![1.0]],
            dimensions: 2,
            ..Embeddings::default()
        };
        assert_eq!(ragged.into_payload().err(), Some(broken()));
        let payload = Payload::from_json(r#"{"dimensions":2,"done":{}}"#.to_owned()).with_blob(vec![0; 9]);
        assert_eq!(Embeddings::from_payload(&payload), Err(broken()));
    }
}
