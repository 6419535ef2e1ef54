//! Embeddings: vectors made from the text alone, always the same for the same text.
//!
//! Pure. They carry no meaning, but texts that share words lie nearer to each other than others do.

use serde_json::{Map, Value, json};

use crate::{
    catalogue::Model,
    failure::Failure,
    reply::cost_usd,
    request::Preferences,
    routing::unknown_model,
    rules::{preferences_from, refuse_if_any, tokens_of},
};

/// A request for embeddings that was found to be in order.
#[derive(Debug)]
pub(crate) struct Embed {
    pub(crate) model_id: String,
    pub(crate) routing: Preferences,
    texts: Vec<String>,
    dimensions: Option<usize>,
    base64: bool,
}

/// Checks the body of a request for embeddings.
pub(crate) fn check(body: &Map<String, Value>) -> Result<Embed, Failure> {
    let mut problems = Vec::new();
    let routing = preferences_from(body, &mut problems);
    let model_id = body.get("model").and_then(Value::as_str);
    if model_id.is_none() {
        problems.push("model: expected text".to_owned());
    }
    let texts = body.get("input").and_then(texts);
    if texts.is_none() {
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
        texts: texts.unwrap_or_default(),
        dimensions,
        base64,
    })
}

fn texts(input: &Value) -> Option<Vec<String>> {
    let one = |value: &Value| match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Array(numbers) if !numbers.is_empty() && numbers.iter().all(Value::is_number) => Some(value.to_string()),
        Value::Object(object) => object
            .get("content")
            .filter(|parts| parts.is_array())
            .map(Value::to_string),
        _ => None,
    };
    match input {
        Value::Array(items) if items.is_empty() => None,
        Value::Array(items) if items.iter().all(Value::is_number) => Some(vec![input.to_string()]),
        Value::Array(items) => items.iter().map(one).collect(),
        Value::Object(_) => None,
        single => one(single).map(|text| vec![text]),
    }
}

/// The body of the reply.
///
/// - Errors: 400 for an unknown model, for one that does not embed, or for more dimensions than it has.
pub(crate) fn body_from(embed: &Embed, model: Option<&Model>, id: &str, provider: &str) -> Result<Value, Failure> {
    let requested = [embed.model_id.clone()];
    let model = model.ok_or_else(|| unknown_model(&embed.model_id, &requested))?;
    if !model.embeds() {
        let message = format!(
            "{} is not an embedding model; use /api/v1/chat/completions",
            embed.model_id
        );
        return Err(Failure::status(400)
            .message(message)
            .availability("wrong_endpoint", false, &requested));
    }
    let most = model.facts.dimensions;
    let dimensions = embed.dimensions.unwrap_or(most);
    if dimensions > most {
        return Err(Failure::status(400).message(format!("dimensions: expected at most {most} for {}", model.id)));
    }
    let data: Vec<Value> = embed
        .texts
        .iter()
        .enumerate()
        .map(|(index, text)| {
            let vector = vector_of(text, dimensions);
            let embedding = if embed.base64 {
                json!(base64_of(&vector))
            } else {
                json!(vector)
            };
            json!({"object": "embedding", "index": index, "embedding": embedding})
        })
        .collect();
    let tokens: u64 = embed.texts.iter().map(|text| tokens_of(text)).sum();
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
    use crate::catalogue::find;

    fn reply(body: Value) -> Result<Value, Failure> {
        let embed = check(body.as_object().expect("an object"))?;
        body_from(&embed, find(&embed.model_id).as_ref(), "gen-sandbox-000001", "Sandbox")
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
