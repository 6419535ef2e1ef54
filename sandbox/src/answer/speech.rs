//! Speech: bytes that look like audio but are not, always the same for the same text.
//!
//! Pure. They are not UTF-8, so a test notices if anything on the way handles them as text.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::usage::cost_usd;
use crate::{
    catalogue::Model,
    failure::Failure,
    rules::{refuse_if_any, request::tokens_of},
};

/// The header of an MP3 frame: 128 kbit/s, 44.1 kHz. The first byte never occurs in UTF-8.
const FRAME_HEADER: [u8; 4] = [0xff, 0xfb, 0x90, 0x00];
/// Length of such a frame.
const FRAME_BYTES: usize = 417;

/// A checked request for speech.
#[derive(Debug)]
pub(crate) struct Speech {
    pub(crate) model_id: String,
    pub(crate) content_type: &'static str,
    input: String,
}

/// Checks the body of a request for speech.
pub(crate) fn check(body: &Map<String, Value>) -> Result<Speech, Failure> {
    let mut problems = Vec::new();
    let mut text = |name: &str| match body.get(name).and_then(Value::as_str) {
        Some(text) if !text.is_empty() => text.to_owned(),
        _ => {
            problems.push(format!("{name}: expected text"));
            String::new()
        }
    };
    let (model_id, input) = (text("model"), text("input"));
    let content_type = match body.get("response_format").map(Value::as_str) {
        // The description names `pcm` as the default; clients written for OpenAI count on MP3.
        None | Some(Some("mp3")) => "audio/mpeg",
        Some(Some("pcm")) => "audio/pcm",
        Some(_) => {
            problems.push("response_format: expected one of `mp3`, `pcm`".to_owned());
            ""
        }
    };
    for (name, is_right) in [
        ("voice", Value::is_string as fn(&Value) -> bool),
        ("speed", Value::is_number),
        ("provider", Value::is_object),
    ] {
        if body.get(name).is_some_and(|value| !value.is_null() && !is_right(value)) {
            problems.push(format!("{name}: not of the kind that is expected"));
        }
    }
    refuse_if_any(&problems)?;
    Ok(Speech {
        model_id,
        content_type,
        input,
    })
}

impl Speech {
    /// `usage` as other requests have it; this reply has none.
    pub(crate) fn usage(&self, model: &Model) -> Value {
        let tokens = tokens_of(&self.input);
        json!({"prompt_tokens": tokens, "cost": cost_usd(tokens, model.prices_usd().0)})
    }

    /// The body of the reply: one frame for each word.
    pub(crate) fn bytes(&self) -> Bytes {
        let mut bytes = Vec::new();
        for word in self.input.split_whitespace() {
            let end = bytes.len() + FRAME_BYTES;
            bytes.extend_from_slice(&FRAME_HEADER);
            // Inverted, so that letters become bytes that UTF-8 does not allow.
            let inside = word.bytes().cycle().map(|byte| !byte);
            bytes.extend(inside.take(end - bytes.len()));
        }
        Bytes::from(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(body: Value) -> Result<Speech, String> {
        check(body.as_object().expect("an object")).map_err(|failure| failure.message.unwrap_or_default())
    }

    #[test]
    fn the_bytes_are_always_the_same_and_never_utf_8() {
        let speech = asked(json!({"model": "m", "input": "one two", "voice": "alloy"})).expect("in order");
        let bytes = speech.bytes();
        assert_eq!((bytes.len(), speech.content_type), (2 * FRAME_BYTES, "audio/mpeg"));
        assert_eq!(bytes, speech.bytes());
        assert!(std::str::from_utf8(&bytes).is_err());
        let pcm = asked(json!({"model": "m", "input": "one", "response_format": "pcm"})).expect("in order");
        assert_eq!(pcm.content_type, "audio/pcm");
    }

    #[test]
    fn every_problem_is_listed() {
        let refused = asked(json!({"input": "", "response_format": "ogg", "voice": 1})).expect_err("refused");
        assert_eq!(
            refused,
            "model: expected text; input: expected text; response_format: expected one of `mp3`, `pcm`; voice: not of \
             the kind that is expected"
        );
    }
}
