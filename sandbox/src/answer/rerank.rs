//! Reranking: documents that share words with the query come first, always in the same order.
//!
//! Pure. The scores carry no meaning beyond that.

use serde_json::{Map, Value, json};

use super::usage::cost_usd;
use crate::{
    catalogue::Model,
    failure::Failure,
    rules::{
        count_in, preferences_from, refuse_if_any,
        request::{Preferences, tokens_of},
        text_in,
    },
};

/// A checked request for reranking.
#[derive(Debug)]
pub(crate) struct Rerank {
    pub(crate) model_id: String,
    pub(crate) routing: Preferences,
    query: String,
    /// As received, each with its text.
    documents: Vec<(Value, String)>,
    top_n: usize,
}

/// Checks the body of a request for reranking.
pub(crate) fn check(body: &Map<String, Value>) -> Result<Rerank, Failure> {
    let (routing, mut problems) = preferences_from(body);
    let model_id = text_in(body, "model", &mut problems);
    let query = text_in(body, "query", &mut problems);
    let documents = body.get("documents").and_then(Value::as_array);
    let documents: Option<Vec<(Value, String)>> = documents
        .filter(|documents| !documents.is_empty())
        .and_then(|documents| documents.iter().map(document).collect());
    if documents.is_none() {
        problems.push("documents: expected an array of texts or objects, at least one".to_owned());
    }
    let top_n = count_in(body, "top_n", &mut problems).unwrap_or(usize::MAX);
    refuse_if_any(&problems)?;
    Ok(Rerank {
        model_id,
        routing,
        query,
        documents: documents.unwrap_or_default(),
        top_n,
    })
}

fn document(value: &Value) -> Option<(Value, String)> {
    match value {
        Value::String(text) => Some((json!({"text": text}), text.clone())),
        Value::Object(members) => {
            let text = members.get("text").and_then(Value::as_str).unwrap_or_default();
            Some((value.clone(), text.to_owned()))
        }
        _ => None,
    }
}

/// The body of the reply.
pub(crate) fn body_from(rerank: &Rerank, model: &Model, id: &str, provider: &str) -> Value {
    let mut ranked: Vec<(usize, f64)> = rerank
        .documents
        .iter()
        .map(|(_, text)| score(&rerank.query, text))
        .enumerate()
        .collect();
    // The sort is stable, so documents with the same score keep their order.
    ranked.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    ranked.truncate(rerank.top_n);
    let results: Vec<Value> = ranked
        .into_iter()
        .map(|(index, score)| {
            let (document, _) = &rerank.documents[index];
            json!({"index": index, "relevance_score": score, "document": document})
        })
        .collect();
    let texts = rerank.documents.iter().map(|(_, text)| text.as_str());
    let tokens: u64 = texts.chain([rerank.query.as_str()]).map(tokens_of).sum();
    json!({
        "id": id,
        "model": model.id,
        "provider": provider,
        "results": results,
        "usage": {"search_units": 1, "total_tokens": tokens, "cost": cost_usd(tokens, model.prices_usd().0)},
    })
}

/// The share of the words of the query that the text has, from 0 to 1.
fn score(query: &str, text: &str) -> f64 {
    let words = |text: &str| -> Vec<String> { text.to_lowercase().split_whitespace().map(str::to_owned).collect() };
    let (wanted, found) = (words(query), words(text));
    let n_shared = wanted.iter().filter(|word| found.contains(word)).count();
    // Counts of words are far below 2^52, so the conversions are exact.
    n_shared as f64 / wanted.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::find;

    fn ask(body: Value) -> Result<Value, Failure> {
        let rerank = check(body.as_object().expect("an object"))?;
        let model = find("cohere/rerank-v3.5").expect("in the catalogue");
        Ok(body_from(&rerank, &model, "gen-sandbox-000001", "Sandbox"))
    }

    #[test]
    fn documents_that_share_words_with_the_query_come_first() {
        let body = ask(json!({
            "model": "cohere/rerank-v3.5", "query": "capital of France", "top_n": 2,
            "documents": ["Berlin", {"text": "the capital of France is Paris", "image": "data:,"}, "of course"],
        }));
        let expected = json!({
            "id": "gen-sandbox-000001", "model": "cohere/rerank-v3.5", "provider": "Sandbox",
            "results": [
                {
                    "index": 1, "relevance_score": 1.0,
                    "document": {"text": "the capital of France is Paris", "image": "data:,"},
                },
                {"index": 2, "relevance_score": 1.0 / 3.0, "document": {"text": "of course"}},
            ],
            "usage": {"search_units": 1, "total_tokens": 18, "cost": 0.000_018},
        });
        assert_eq!(body.expect("in order"), expected);
    }

    #[test]
    fn every_problem_is_listed() {
        let refused = ask(json!({"model": "cohere/rerank-v3.5", "documents": [], "top_n": 0})).expect_err("refused");
        let expected = Some(
            "query: expected text; documents: expected an array of texts or objects, at least one; top_n: expected \
             a whole number, 1 or more",
        );
        assert_eq!(refused.message.as_deref(), expected);
    }
}
