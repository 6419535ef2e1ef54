//! Transcripts, pictures and videos: the smallest reply of each kind. Pure.

use serde_json::{Map, Value, json};

use super::usage::cost_usd;
use crate::{
    catalogue::{CREATED_S, Kind, Model},
    failure::Failure,
    rules::{count_in, refuse_if_any, request::tokens_of, text_in},
};

/// A GIF of one pixel, in Base64.
const PIXEL: &str = "R0lGODlhAQABAAAAADs=";

/// A checked request for media.
#[derive(Debug)]
pub(crate) struct Media {
    pub(crate) model_id: String,
    kind: Kind,
    n_pictures: usize,
    prompt_tokens: u64,
}

/// Checks the body of a request: transcripts are made from sound, the others from a prompt.
pub(crate) fn check(body: &Map<String, Value>, kind: Kind) -> Result<Media, Failure> {
    let mut problems = Vec::new();
    let model_id = text_in(body, "model", &mut problems);
    let prompt = match kind {
        Kind::Transcripts => {
            let sound = body.get("input_audio").and_then(Value::as_object);
            let sound = sound.cloned().unwrap_or_default();
            text_in(&sound, "format", &mut problems);
            text_in(&sound, "data", &mut problems)
        }
        _ => text_in(body, "prompt", &mut problems),
    };
    let n_pictures = count_in(body, "n", &mut problems).unwrap_or(1);
    refuse_if_any(&problems)?;
    Ok(Media {
        model_id,
        kind,
        n_pictures,
        prompt_tokens: tokens_of(&prompt),
    })
}

impl Media {
    /// `usage` as other requests have it.
    pub(crate) fn usage(&self, model: &Model) -> Value {
        let tokens = self.prompt_tokens;
        let cost = cost_usd(tokens, model.prices_usd().0);
        json!({"prompt_tokens": tokens, "completion_tokens": 1, "total_tokens": tokens + 1, "cost": cost})
    }

    /// The status and the body of the reply; `id` is the generation's.
    pub(crate) fn reply(&self, id: &str, usage: &Value) -> (u16, Value) {
        let body = match self.kind {
            Kind::Transcripts => json!({"text": "Hello from the sandbox.", "usage": {
                "input_tokens": usage["prompt_tokens"], "output_tokens": usage["completion_tokens"],
                "total_tokens": usage["total_tokens"], "seconds": 1, "cost": usage["cost"],
            }}),
            Kind::Videos => {
                let poll = format!("/api/v1/videos/{id}");
                let job = json!({"id": id, "generation_id": id, "polling_url": poll, "status": "pending"});
                return (202, job);
            }
            _ => {
                let pictures = vec![json!({"b64_json": PIXEL}); self.n_pictures];
                json!({"created": CREATED_S, "data": pictures, "usage": usage})
            }
        };
        (200, body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::find;

    fn reply(kind: Kind, body: Value) -> Result<(u16, Value), String> {
        let media = check(body.as_object().expect("an object"), kind);
        let media = media.map_err(|failure| failure.message.unwrap_or_default())?;
        let model = find(&media.model_id).expect("in the catalogue");
        Ok(media.reply("gen-1", &media.usage(&model)))
    }

    #[test]
    fn each_kind_of_media_has_its_reply() {
        let pictures = json!({"model": "bytedance-seed/seedream-4.5", "prompt": "a cat", "n": 2});
        let (status, body) = reply(Kind::Pictures, pictures).expect("in order");
        let seen = (
            status,
            body["data"].as_array().map(Vec::len),
            &body["usage"]["total_tokens"],
        );
        assert_eq!(seen, (200, Some(2), &json!(3)));
        let sound = json!({"model": "openai/whisper-large-v3", "input_audio": {"data": "UklGRg==", "format": "wav"}});
        let (status, body) = reply(Kind::Transcripts, sound).expect("in order");
        assert_eq!((status, &body["usage"]["input_tokens"]), (200, &json!(2)));
        let video = json!({"model": "google/veo-3.1", "prompt": "a cat"});
        let (status, body) = reply(Kind::Videos, video).expect("in order");
        assert_eq!((status, &body["polling_url"]), (202, &json!("/api/v1/videos/gen-1")));
    }

    #[test]
    fn media_need_a_prompt_or_a_sound() {
        let refused = reply(Kind::Pictures, json!({"model": "openai/dall-e-3"}));
        assert_eq!(refused, Err("prompt: expected text".to_owned()));
        let refused = reply(Kind::Transcripts, json!({}));
        let expected = "model: expected text; format: expected text; data: expected text";
        assert_eq!(refused, Err(expected.to_owned()));
    }
}
