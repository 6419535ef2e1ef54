//! Where an answer comes from, read from its first event. Pure.

use serde_json::Value;

/// Id, model and provider from the first event of an answer, in the forms of OpenAI's and Anthropic's protocols.
#[derive(Debug, Default, PartialEq)]
pub struct Source {
    pub id: Option<String>,
    pub model: Option<String>,
    pub provider: Option<String>,
}

impl Source {
    /// - In: a piece of an answer as it was written, of which the first line with data is looked at.
    pub fn of(piece: &str) -> Self {
        /// A first event is small; what is larger is something else.
        const MAX_BYTES: usize = 16 << 10;
        let data = piece.lines().find_map(|line| line.strip_prefix("data:"));
        let Some(data) = data.filter(|data| data.len() <= MAX_BYTES) else {
            return Self::default();
        };
        let Ok(event) = serde_json::from_str::<Value>(data) else {
            return Self::default();
        };
        let inner = ["response", "message"]
            .iter()
            .find_map(|name| event.get(name))
            .unwrap_or(&event);
        let text = |name: &str| inner[name].as_str().map(str::to_owned);
        Self {
            id: text("id"),
            model: text("model"),
            provider: text("provider"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_event_says_who_answers() {
        for (event, id, model) in [
            (r#"data: {"id":"g1","model":"acme/large"}"#, "g1", "acme/large"),
            (
                "event: response.created\ndata: {\"response\":{\"id\":\"r1\",\"model\":\"m\"}}",
                "r1",
                "m",
            ),
            (
                "event: message_start\ndata: {\"message\":{\"id\":\"a1\",\"model\":\"m\"}}",
                "a1",
                "m",
            ),
        ] {
            let source = Source {
                id: Some(id.to_owned()),
                model: Some(model.to_owned()),
                provider: None,
            };
            assert_eq!(Source::of(&format!("{event}\n\n")), source);
        }
        for nothing in ["", ": PROCESSING\n\n", "data: [DONE]\n\n", "data: {\"id\": 7}\n\n"] {
            assert_eq!(Source::of(nothing), Source::default(), "{nothing}");
        }
    }
}
