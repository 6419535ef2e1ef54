//! Embeddings: vectors made from the text alone, always the same for the same text.
//!
//! Pure. They carry no meaning, but texts that share words are closer to each other than others.

use base64::{Engine, engine::general_purpose::STANDARD};
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

/// A checked request for embeddings.
#[derive(Debug)]
pub(crate) struct Embed {
    pub(crate) model_id: String,
    pub(crate) routing: Preferences,
    inputs: Vec<Input>,
    dimensions: Option<usize>,
    base64: bool,
}

/// One input: its text, or a text made from its numbers or parts, and its tokens.
#[derive(Debug)]
struct Input {
    text: String,
    tokens: u64,
}

impl Input {
    fn text(text: String) -> Self {
        let tokens = tokens_of(&text);
        Self { text, tokens }
    }

    /// A list of token numbers counts as that many tokens.
    fn numbers(numbers: &[Value]) -> Self {
        let words: Vec<String> = numbers.iter().map(Value::to_string).collect();
        Self {
            text: words.join(" "),
            tokens: numbers.len() as u64,
        }
    }
}

/// Checks the body of a request for embeddings.
pub(crate) fn check(body: &Map<String, Value>) -> Result<Embed, Failure> {
    let (routing, mut problems) = preferences_from(body);
    let model_id = text_in(body, "model", &mut problems);
    let inputs = body.get("input").and_then(inputs);
    if inputs.is_none() {
        problems.push("input: expected text, numbers or parts, or an array of them, none empty".to_owned());
    }
    let dimensions = count_in(body, "dimensions", &mut problems);
    let base64 = match body.get("encoding_format").map(Value::as_str) {
        Some(Some("base64")) => true,
        None | Some(Some("float")) => false,
        Some(_) => {
            problems.push("encoding_format: expected one of `float`, `base64`".to_owned());
            false
        }
    };
    refuse_if_any(&problems)?;
    Ok(Embed {
        model_id,
        routing,
        inputs: inputs.unwrap_or_default(),
        dimensions,
        base64,
    })
}

fn inputs(input: &Value) -> Option<Vec<Input>> {
    let is_numbers = |items: &[Value]| !items.is_empty() && items.iter().all(Value::is_number);
    let one = |value: &Value| match value {
        Value::String(text) if !text.is_empty() => Some(Input::text(text.clone())),
        Value::Array(numbers) if is_numbers(numbers) => Some(Input::numbers(numbers)),
        Value::Object(object) => object
            .get("content")
            .filter(|parts| parts.as_array().is_some_and(|parts| !parts.is_empty()))
            .map(|parts| Input::text(parts.to_string())),
        _ => None,
    };
    match input {
        Value::Array(items) if items.is_empty() => None,
        Value::Array(items) if is_numbers(items) => Some(vec![Input::numbers(items)]),
        Value::Array(items) => items.iter().map(one).collect(),
        Value::Object(_) => None,
        single => one(single).map(|input| vec![input]),
    }
}

/// The body of the reply.
///
/// - Errors: 400 for more dimensions than the model has.
pub(crate) fn body_from(embed: &Embed, model: &Model, id: &str, provider: &str) -> Result<Value, Failure> {
    let most = model.facts.dimensions;
    let dimensions = embed.dimensions.unwrap_or(most);
    if dimensions > most {
        return Err(Failure::status(400).message(format!("dimensions: expected at most {most} for {}", model.id)));
    }
    let data: Vec<Value> = embed
        .inputs
        .iter()
        .enumerate()
        .map(|(index, input)| {
            let vector = vector_of(&input.text, dimensions);
            let embedding = if embed.base64 {
                json!(base64_of(&vector))
            } else {
                json!(vector)
            };
            json!({"object": "embedding", "index": index, "embedding": embedding})
        })
        .collect();
    let tokens: u64 = embed.inputs.iter().map(|input| input.tokens).sum();
    let cost = cost_usd(tokens, model.prices_usd().0);
    Ok(json!({
        "id": id,
        "object": "list",
        "model": model.id,
        "provider": provider,
        "data": data,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens, "cost": cost, "is_byok": false},
    }))
}

/// A vector of length one: the sum of a fixed vector for each word.
fn vector_of(text: &str, dimensions: usize) -> Vec<f32> {
    let mut sums = vec![0.0_f32; dimensions];
    for word in text.split_whitespace().chain(text.is_empty().then_some("")) {
        // FNV-1a for the seed, then xorshift: short, and equal on every machine.
        let seed = word.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        let mut state = seed | 1;
        for sum in &mut sums {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            *sum += (state >> 40) as f32 / 8_388_608.0 - 1.0;
        }
    }
    let length = sums
        .iter()
        .map(|part| part * part)
        .sum::<f32>()
        .sqrt()
        .max(f32::MIN_POSITIVE);
    sums.iter().map(|part| part / length).collect()
}

/// The bytes of the vector, little-endian, as base64 with padding.
fn base64_of(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|part| part.to_le_bytes()).collect();
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::find;

    const MODEL: &str = "openai/text-embedding-3-small";

    fn reply(body: Value) -> Result<Value, Failure> {
        let embed = check(body.as_object().expect("an object"))?;
        let model = find(MODEL).expect("in the catalogue");
        body_from(&embed, &model, "gen-sandbox-000001", "Sandbox")
    }

    #[test]
    fn base64_holds_the_little_endian_floats_with_padding() {
        assert_eq!(base64_of(&[1.0, -2.0]), "AACAPwAAAMA=");
    }

    #[test]
    fn both_encodings_hold_the_same_vectors_in_order() {
        let ask = |format: &str| {
            let input = json!(["one two", "three"]);
            let body = json!({"model": MODEL, "input": input, "dimensions": 7, "encoding_format": format});
            reply(body).expect("in order")["data"].clone()
        };
        let (floats, texts) = (ask("float"), ask("base64"));
        for (at, text) in ["one two", "three"].into_iter().enumerate() {
            let vector = vector_of(text, 7);
            let expected = json!({"object": "embedding", "index": at, "embedding": vector});
            assert_eq!(floats[at], expected);
            assert_eq!(texts[at]["embedding"], json!(base64_of(&vector)));
        }
    }

    #[test]
    fn inputs_are_counted_in_tokens() {
        let ask = |input: Value| {
            let reply = reply(json!({"model": MODEL, "input": input, "dimensions": 2})).expect("in order");
            let n_vectors = reply["data"].as_array().map_or(0, Vec::len);
            (n_vectors, reply["usage"]["prompt_tokens"].clone())
        };
        assert_eq!(ask(json!([1, 2, 3])), (1, json!(3)));
        assert_eq!(ask(json!([[1, 2], [3, 4, 5]])), (2, json!(5)));
        assert_eq!(ask(json!("12345678")), (1, json!(2)));
    }

    #[test]
    fn a_vector_has_length_one() {
        let length: f32 = vector_of("one two", 64).iter().map(|part| part * part).sum();
        assert!((length - 1.0).abs() < 1e-4, "{length}");
    }

    #[test]
    fn requests_that_break_a_rule_are_refused() {
        let empty = "input: expected text, numbers or parts, or an array of them, none empty";
        let wrong =
            "dimensions: expected a whole number, 1 or more; encoding_format: expected one of `float`, `base64`";
        let too_long = "dimensions: expected at most 1536 for openai/text-embedding-3-small";
        let cases = [
            (json!({"input": "a"}), "model: expected text"),
            (json!({"model": MODEL, "input": [""]}), empty),
            (
                json!({"model": MODEL, "input": "a", "dimensions": 0, "encoding_format": "hex"}),
                wrong,
            ),
            (json!({"model": MODEL, "input": "a", "dimensions": 1537}), too_long),
        ];
        for (body, message) in cases {
            let refused = reply(body).expect_err("refused");
            assert_eq!(refused.message.as_deref(), Some(message));
        }
    }
}
