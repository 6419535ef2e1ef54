//! `POST /v1/messages/count_tokens`: an estimate, because only the model's own provider could count. Pure.

use std::fmt;

use hyper::header::HeaderValue;
use hyper::{Response, StatusCode};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::json;

use super::body::{unreadable, wanted};
use super::headers::X_NOTICES;
use super::problem::Problem;
use super::reply::{Body, json_response};

/// About how many characters of English or of code are a token.
const LETTERS_PER_TOKEN: u64 = 4;
/// What a picture or a file counts for; most pictures cost about this much.
const BLOB_TOKENS: u64 = 1600;
/// What every request costs, apart from its content.
const FRAME_TOKENS: u64 = 8;

/// The members of a request that become its prompt.
const PROMPT: [&str; 3] = ["system", "tools", "messages"];

/// The `type` of content that is not text: pictures and files.
const BLOBS: [&str; 2] = ["image", "base64"];

/// - Errors: the body is not a request for messages; the message says what is wrong with it, and quotes nothing.
pub fn answer(body: &[u8]) -> Result<Response<Body>, Problem> {
    wanted(body)?;
    let tokens = match serde_json::from_slice(body) {
        Ok(Request(Some(tokens))) => tokens,
        Err(cause) if !cause.is_data() => return Err(unreadable(&cause)),
        _ => return Err(Problem::bad_request("expected a JSON object with `messages`, an array")),
    };
    let count = json!({"input_tokens": FRAME_TOKENS + tokens, "estimate": true});
    let mut response = json_response(StatusCode::OK, &count);
    response
        .headers_mut()
        .insert(X_NOTICES, HeaderValue::from_static("estimate"));
    Ok(response)
}

/// Counts the tokens of a request's prompt; `None` without messages.
struct Request(Option<u64>);

/// The tokens of a value. It is counted while it is read and never built, because a small text can be a large tree.
#[derive(Default)]
struct Tokens {
    count: u64,
    kind: Kind,
}

/// What an enclosing value must know about an inner one.
#[derive(Default, PartialEq)]
enum Kind {
    List,
    /// The text `type`.
    Type,
    /// A text of [`BLOBS`].
    Blob,
    #[default]
    Other,
}

impl<'de> Deserialize<'de> for Request {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RequestVisitor)
    }
}

impl<'de> Deserialize<'de> for Tokens {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TokensVisitor)
    }
}

struct RequestVisitor;

impl<'de> Visitor<'de> for RequestVisitor {
    type Value = Request;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Request, A::Error> {
        let (mut count, mut has_messages) = (0, false);
        while let Some(name) = members.next_key::<String>()? {
            if PROMPT.contains(&name.as_str()) {
                let tokens: Tokens = members.next_value()?;
                count += tokens.count;
                has_messages |= name == "messages" && tokens.kind == Kind::List;
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Request(has_messages.then_some(count)))
    }
}

struct TokensVisitor;

impl<'de> Visitor<'de> for TokensVisitor {
    type Value = Tokens;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Tokens, E> {
        Ok(Tokens::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Tokens, E> {
        Ok(Tokens::of(1, Kind::Other))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Tokens, E> {
        Ok(Tokens::of(1, Kind::Other))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Tokens, E> {
        Ok(Tokens::of(1, Kind::Other))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Tokens, E> {
        Ok(Tokens::of(1, Kind::Other))
    }

    fn visit_str<E>(self, text: &str) -> Result<Tokens, E> {
        let kind = match text {
            "type" => Kind::Type,
            text if BLOBS.contains(&text) => Kind::Blob,
            _ => Kind::Other,
        };
        Ok(Tokens::of(tokens_of_text(text), kind))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Tokens, A::Error> {
        let mut count = 0;
        while let Some(value) = values.next_element::<Tokens>()? {
            count += value.count;
        }
        Ok(Tokens::of(count, Kind::List))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Tokens, A::Error> {
        let (mut count, mut is_blob) = (0, false);
        while let Some((name, value)) = members.next_entry::<Tokens, Tokens>()? {
            count += name.count + value.count;
            is_blob |= name.kind == Kind::Type && value.kind == Kind::Blob;
        }
        Ok(Tokens::of(if is_blob { BLOB_TOKENS } else { count }, Kind::Other))
    }
}

impl Tokens {
    fn of(count: u64, kind: Kind) -> Self {
        Self { count, kind }
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
    use serde_json::Value;

    use super::*;

    fn tokens_of(value: &Value) -> u64 {
        let tokens: Tokens = serde_json::from_str(&value.to_string()).expect("any JSON can be counted");
        tokens.count
    }

    #[test]
    fn text_counts_by_its_letters_and_a_picture_by_itself() {
        assert_eq!(tokens_of(&json!("word word wo")), 3);
        assert_eq!(tokens_of(&json!("\u{65e5}\u{672c}a")), 3);
        assert_eq!(tokens_of(&json!([null, true, -1, 0.5])), 3);
        let base64 = json!({"data": "A".repeat(100_000), "media_type": "image/png", "type": "base64"});
        let picture = json!([{"type": "image", "source": base64}]);
        assert_eq!(tokens_of(&picture), BLOB_TOKENS);
        // A document has a title beside its content.
        let document = tokens_of(&json!({"type": "document", "title": "word", "source": base64}));
        assert!((BLOB_TOKENS..BLOB_TOKENS + 20).contains(&document), "{document}");
    }

    #[test]
    fn a_member_named_source_makes_no_picture() {
        let tool = json!({"input_schema": {"type": "object", "properties": {"source": {"type": "string"}}}});
        let text = json!({"type": "document", "source": {"type": "text", "data": "word word wo"}});
        assert!(tokens_of(&tool) < 30 && (3..30).contains(&tokens_of(&text)));
    }

    #[test]
    fn a_body_without_messages_is_refused() {
        let deep = format!(r#"{{"messages":{}1{}}}"#, "[".repeat(1000), "]".repeat(1000));
        let no_messages = "expected a JSON object with `messages`, an array";
        for (body, expected) in [
            (&b""[..], "the body is not JSON: unexpected end at line 1, column 0"),
            (b"[]", no_messages),
            (b"{}", no_messages),
            (br#"{"messages":"x"}"#, no_messages),
            (
                br#"{"messages":[}"#,
                "the body is not JSON: unexpected character at line 1, column 14",
            ),
            (
                b"{\"messages\":[\"\xff\"]}",
                "the body is not JSON: invalid UTF-8 at line 1, column 15",
            ),
            (
                deep.as_bytes(),
                "expected at most 127 levels of nesting, found more at line 1, column 139",
            ),
        ] {
            let Err(problem) = answer(body) else {
                panic!("it is not refused");
            };
            assert_eq!((problem.status.as_u16(), problem.message.as_str()), (400, expected));
        }
    }
}
