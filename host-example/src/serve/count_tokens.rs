//! `POST /v1/messages/count_tokens`: an estimate, because only the model's own provider could count. Pure.

use hyper::header::HeaderValue;
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use super::headers::X_NOTICES;
use super::problem::Problem;
use super::reply::{Body, json_response};

/// About how many characters of English or of code are a token.
const LETTERS_PER_TOKEN: u64 = 4;
/// What a picture or a file counts for; most pictures cost about this much.
const BLOB_TOKENS: u64 = 1600;
/// What the frame of a request costs, whatever is in it.
const FRAME_TOKENS: u64 = 8;

/// The members of a request that become its prompt.
const PROMPT: [&str; 3] = ["system", "tools", "messages"];

/// - Errors: the body is no request for messages.
pub fn answer(body: &[u8]) -> Result<Response<Body>, Problem> {
    let request: Value = serde_json::from_slice(body).unwrap_or_default();
    if !request["messages"].is_array() {
        return Err(Problem::bad_request("expected a JSON object with `messages`, an array"));
    }
    let tokens: u64 = PROMPT.iter().map(|name| tokens_of(&request[*name])).sum();
    let count = json!({"input_tokens": FRAME_TOKENS + tokens, "estimate": true});
    let mut response = json_response(StatusCode::OK, &count);
    response
        .headers_mut()
        .insert(X_NOTICES, HeaderValue::from_static("estimate"));
    Ok(response)
}

fn tokens_of(value: &Value) -> u64 {
    match value {
        Value::Null => 0,
        Value::Bool(_) | Value::Number(_) => 1,
        Value::String(text) => tokens_of_text(text),
        Value::Array(values) => values.iter().map(tokens_of).sum(),
        Value::Object(members) if members.contains_key("source") => BLOB_TOKENS,
        Value::Object(members) => {
            let members = members.iter();
            members
                .map(|(name, value)| tokens_of_text(name) + tokens_of(value))
                .sum()
        }
    }
}

/// Letters outside ASCII are about a token each.
fn tokens_of_text(text: &str) -> u64 {
    let n_ascii = text.bytes().filter(u8::is_ascii).count() as u64;
    let n_others = text.chars().filter(|letter| !letter.is_ascii()).count() as u64;
    n_ascii.div_ceil(LETTERS_PER_TOKEN) + n_others
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_counts_by_its_letters_and_a_picture_by_itself() {
        assert_eq!(tokens_of(&json!("word word wo")), 3);
        assert_eq!(tokens_of(&json!("\u{65e5}\u{672c}a")), 3);
        let picture = json!([{"type": "image", "source": {"type": "base64", "data": "A".repeat(100_000)}}]);
        assert_eq!(tokens_of(&picture), BLOB_TOKENS);
        assert!(tokens_of(&json!({"input_schema": {"type": "object"}})) >= 4);
    }

    #[test]
    fn a_body_without_messages_is_refused() {
        for body in ["", "[]", "{}", r#"{"messages":"x"}"#] {
            assert_eq!(
                answer(body.as_bytes())
                    .map(|_| ())
                    .map_err(|problem| problem.status.as_u16()),
                Err(400)
            );
        }
    }
}
