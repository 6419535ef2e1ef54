//! Embeddings: vectors made from the text alone, always the same for the same text.
//!
//! Pure. They carry no meaning, but texts that share words lie nearer to each other than others do.

use serde_json::{Map, Value, json};

use crate::{
    answer::cost_usd,
    catalogue::Model,
    failure::Failure,
    rules::request::Preferences,
    rules::{preferences_from, refuse_if_any, tokens_of},
};

/// A request for embeddings that was found to be in order.
#[derive(Debug)]
pub(crate) struct Embed {
    pub(crate) model_id: String,
    pub(crate) routing: Preferences,
    inputs: Vec<Input>,
    dimensions: Option<usize>,
    base64: bool,
}

/// One thing to embed: its text, or what stands for it, and the tokens it counts for.
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

    /// A list of token numbers counts for as many tokens.
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
    let mut problems = Vec::new();
    let routing = preferences_from(body, &mut problems);
    let model_id = body.get("model").and_then(Value::as_str);
    if model_id.is_none() {
        problems.push("model: expected text".to_owned());
    }
    let inputs = body.get("input").and_then(inputs);
    if inputs.is_none() {
        problems.push("input: expected text, numbers or parts, or an array of them, none empty".to_owned());
    }
    let dimensions = match body.get("dimensions") {
        None | Some(Value::Null) => None,
        Some(value) => {
            let dimensions = value.as_u64().and_then(|n| usize::try_from(n).ok()).filter(|n| *n >= 1);
            if dimensions.is_none() {
                problems.push("dimensions: expected a whole number, 1 or more".to_owned());
            }
            dimensions
        }
    };
    let base64 = match body.get("encoding_format").and_then(Value::as_str) {
        Some("base64") => true,
        Some("float") => false,
        _ if body.get("encoding_format").is_none() => false,
        _ => {
            problems.push("encoding_format: expected one of `float`, `base64`".to_owned());
            false
        }
    };
    refuse_if_any(&problems)?;
    Ok(Embed {
        model_id: model_id.unwrap_or_default().to_owned(),
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
        // FNV-1a for the seed, then xorshift: short, and the same on every machine.
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
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bytes: Vec<u8> = vector.iter().flat_map(|part| part.to_le_bytes()).collect();
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for (at, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            let sign = ALPHABET[(bits >> shift) as usize & 63];
            text.push(if at <= three.len() { char::from(sign) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        catalogue::{Kind, find},
        service::routing::model_for,
    };

    fn reply(body: Value) -> Result<Value, Failure> {
        let embed = check(body.as_object().expect("an object"))?;
        let model = model_for(Kind::Embeddings, &embed.model_id, find(&embed.model_id))?;
        body_from(&embed, &model, "gen-sandbox-000001", "Sandbox")
    }

    /// The numbers in a text that [`base64_of`] made.
    fn numbers_from(text: &str) -> Vec<f32> {
        const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut bytes = Vec::new();
        let (mut bits, mut n_bits) = (0_u32, 0);
        for sign in text.chars().filter_map(|sign| ALPHABET.find(sign)) {
            bits = bits << 6 | u32::try_from(sign).expect("below 64");
            n_bits += 6;
            if n_bits >= 8 {
                n_bits -= 8;
                bytes.push(u8::try_from(bits >> n_bits & 0xff).expect("eight bits"));
            }
        }
        let four = |four: &[u8]| f32::from_le_bytes(four.try_into().expect("four bytes"));
        bytes.chunks_exact(4).map(four).collect()
    }

    #[test]
    fn base64_holds_the_numbers_of_the_floats() {
        let ask = |format: &str| {
            let input = json!(["one two", "three"]);
            let body = json!({"model": "openai/text-embedding-3-small", "input": input, "dimensions": 7, "encoding_format": format});
            reply(body).expect("in order")["data"].clone()
        };
        let (floats, texts) = (ask("float"), ask("base64"));
        for at in [0, 1] {
            let floats: Vec<f32> = serde_json::from_value(floats[at]["embedding"].clone()).expect("numbers");
            let text = texts[at]["embedding"].as_str().expect("text");
            assert_eq!((floats.len(), numbers_from(text)), (7, floats));
            assert_eq!(texts[at]["index"], json!(at));
        }
    }

    #[test]
    fn lists_of_tokens_are_counted_as_tokens() {
        let ask = |input: Value| {
            let body = json!({"model": "openai/text-embedding-3-small", "input": input, "dimensions": 2});
            let reply = reply(body).expect("in order");
            (
                reply["data"].as_array().map_or(0, Vec::len),
                reply["usage"]["prompt_tokens"].clone(),
            )
        };
        assert_eq!(ask(json!([1, 2, 3])), (1, json!(3)));
        assert_eq!(ask(json!([[1, 2], [3, 4, 5]])), (2, json!(5)));
        assert_eq!(ask(json!("12345678")), (1, json!(2)));
    }

    #[test]
    fn the_same_text_gives_the_same_vector_of_length_one() {
        let vector = vector_of("one two", 64);
        assert_eq!(vector, vector_of("one two", 64));
        let length: f32 = vector.iter().map(|part| part * part).sum();
        assert!((length - 1.0).abs() < 1e-4, "{length}");
    }

    #[test]
    fn a_batch_gives_one_vector_for_each_text_with_the_asked_dimensions() {
        let body = json!({"model": "openai/text-embedding-3-small", "input": ["a", "b"], "dimensions": 5});
        let data = reply(body).expect("in order")["data"].clone();
        let lengths: Vec<usize> = data
            .as_array()
            .expect("an array")
            .iter()
            .map(|row| row["embedding"].as_array().map_or(0, Vec::len))
            .collect();
        assert_eq!(lengths, [5, 5]);
    }

    #[test]
    fn base64_is_padded() {
        assert_eq!(base64_of(&[1.0]), "AACAPw==");
        assert_eq!(base64_of(&[]), "");
    }

    #[test]
    fn what_the_service_refuses_is_refused() {
        let message = |body: Value| reply(body).expect_err("refused").message.unwrap_or_default();
        assert_eq!(message(json!({"input": "a"})), "model: expected text");
        let empty = json!({"model": "openai/text-embedding-3-small", "input": [""]});
        assert_eq!(
            message(empty),
            "input: expected text, numbers or parts, or an array of them, none empty"
        );
        let chat_model = json!({"model": "openai/gpt-4o", "input": "a"});
        assert_eq!(
            message(chat_model),
            "openai/gpt-4o is not an embedding model; use /api/v1/chat/completions"
        );
        let too_many = json!({"model": "openai/text-embedding-3-small", "input": "a", "dimensions": 1537});
        assert_eq!(
            message(too_many),
            "dimensions: expected at most 1536 for openai/text-embedding-3-small"
        );
    }
}
