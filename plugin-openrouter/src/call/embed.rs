//! Turns texts into vectors.
//!
//! In: an [`EmbedRequest`]. Out: one vector for each text, in order, all of the requested length.
//! An answer with other vectors is an error here, so that no caller has to check.

use std::collections::BTreeMap;
use std::sync::Arc;

use plugin_api::{ChatRequest, EmbedRequest, Embeddings, Error, ErrorKind, HttpRequest};
use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::call::{self, Common};
use crate::request::Ask;
use crate::service::Settings;

/// Requests the vectors of texts.
///
/// - Errors: `invalid_request` without a text; `protocol` for vectors that do not match the texts; those of any call.
pub async fn embed(settings: Arc<Settings>, common: Arc<Common>, request: EmbedRequest) -> Result<Embeddings, Error> {
    let whole = call::whole(settings, common, ask_from(&request)?).await?;
    let vectors = vectors_from(&whole.body, request.input.len(), request.dimensions)?;
    Ok(Embeddings {
        dimensions: vectors.first().map_or(0, Vec::len),
        vectors,
        notices: whole.reply.notices,
        done: whole.reply.done,
    })
}

fn ask_from(request: &EmbedRequest) -> Result<Ask, Error> {
    let refused = |message: &str| Error::new(ErrorKind::INVALID_REQUEST, message);
    if request.input.is_empty() {
        return Err(refused("expected at least one text to embed, found none"));
    }
    if request.dimensions == Some(0) {
        return Err(refused("expected `dimensions` of at least 1, found 0"));
    }
    let json = |value: Result<Box<RawValue>, serde_json::Error>| {
        value.map_err(|_| Error::new(ErrorKind::INTERNAL, "could not write the texts as JSON"))
    };
    let mut parameters: BTreeMap<String, Box<RawValue>> = request.parameters.clone();
    parameters.insert("input".to_owned(), json(to_raw_value(&request.input))?);
    parameters.insert("encoding_format".to_owned(), json(to_raw_value("float"))?);
    if let Some(dimensions) = request.dimensions {
        parameters.insert("dimensions".to_owned(), json(to_raw_value(&dimensions))?);
    }
    let ask = Ask::raw(HttpRequest::post("/embeddings", "{}"))?;
    Ok(Ask {
        request: ChatRequest {
            tier: request.tier.clone(),
            model: request.model.clone(),
            parameters,
            ..ask.request
        },
        ..ask
    })
}

#[derive(Deserialize)]
struct Answer {
    data: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    embedding: Vec<f32>,
    index: Option<usize>,
}

/// Reads the vectors of an answer, in the order of the texts.
fn vectors_from(body: &[u8], n_texts: usize, dimensions: Option<u32>) -> Result<Vec<Vec<f32>>, Error> {
    let broken = |message: String| Error::new(ErrorKind::PROTOCOL, message);
    let answer: Answer = serde_json::from_slice(body)
        .map_err(|_| broken("expected a list of vectors, found something else".to_owned()))?;
    if answer.data.len() != n_texts {
        let found = answer.data.len();
        return Err(broken(format!(
            "expected a vector for each of {n_texts} texts, found {found}"
        )));
    }
    let mut vectors = vec![Vec::new(); n_texts];
    for (place, entry) in answer.data.into_iter().enumerate() {
        match vectors.get_mut(entry.index.unwrap_or(place)) {
            Some(slot) if slot.is_empty() => *slot = entry.embedding,
            _ => {
                return Err(broken(
                    "expected one vector for each text, found two for one".to_owned(),
                ));
            }
        }
    }
    if vectors[0].is_empty() {
        return Err(broken("expected vectors of numbers, found an empty one".to_owned()));
    }
    let expected = dimensions.map_or(vectors[0].len(), |dimensions| {
        usize::try_from(dimensions).unwrap_or(usize::MAX)
    });
    if let Some(other) = vectors.iter().find(|vector| vector.len() != expected) {
        let found = other.len();
        return Err(
            broken(format!("expected vectors of {expected} numbers, found one of {found}"))
                .with_hint("omit `dimensions`, or choose a model that can shorten its vectors"),
        );
    }
    Ok(vectors)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::rows;

    #[test]
    fn vectors_come_in_the_order_of_their_texts() {
        let body = br#"{"data":[{"index":1,"embedding":[3,4]},{"index":0,"embedding":[1,2.5]}]}"#;
        assert_eq!(vectors_from(body, 2, Some(2)), Ok(vec![vec![1.0, 2.5], vec![3.0, 4.0]]));
        let unnumbered = br#"{"data":[{"embedding":[1]},{"embedding":[2]}]}"#;
        assert_eq!(vectors_from(unnumbered, 2, None), Ok(vec![vec![1.0], vec![2.0]]));
    }

    #[test]
    fn vectors_that_do_not_match_the_texts_are_an_error() {
        let table = r#"
            1 | | expected a list of vectors, found something else
            1 | "data":[] | expected a vector for each of 1 texts, found 0
            2 | "data":[{"index":0,"embedding":[1]},{"index":0,"embedding":[1]}]
                | expected one vector for each text, found two for one
            1 | "data":[{"index":0,"embedding":[1,2,3]}] | expected vectors of 2 numbers, found one of 3
            2 | "data":[{"embedding":[1]},{"embedding":[1,2]}] | expected vectors of 1 numbers, found one of 2
            2 | "data":[{"embedding":[]},{"embedding":[]}] | expected vectors of numbers, found an empty one
        "#;
        for [n_texts, data, message] in rows(table) {
            let dimensions = message.contains("of 2 numbers,").then_some(2);
            let body = format!("{{{data}}}");
            let found = vectors_from(body.as_bytes(), n_texts.parse().expect("a number"), dimensions);
            assert_eq!(found.expect_err("an error").message, message);
        }
    }
}
