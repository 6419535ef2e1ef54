//! Types for the JSON that requests hold: parts of a message, tools, the format of an answer.
//!
//! They are a convenience. Messages and parameters take any JSON, so whatever has no type here can be sent too.

use serde_json::{Value, json};

/// A part of a message's content; see [`Message::parts`](crate::Message::parts).
///
/// Since: 1.3.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// Text.
    Text(String),
    /// A picture.
    Image {
        /// Its address, or the picture itself as a `data:` URL.
        url: String,
        /// How closely the model should look: `low`, `high` or `auto`. Absent: the service decides.
        detail: Option<String>,
    },
    /// A sound.
    Audio {
        /// Its bytes in base64.
        base64: String,
        /// Its format, such as `wav` or `mp3`.
        format: String,
    },
    /// A document.
    File {
        /// The file's name.
        name: String,
        /// Its address, or the file itself as a `data:` URL.
        url: String,
    },
}

impl Part {
    /// A picture whose detail the service decides.
    pub fn image(url: impl Into<String>) -> Self {
        Self::Image {
            url: url.into(),
            detail: None,
        }
    }
}

impl From<Part> for Value {
    fn from(part: Part) -> Self {
        match part {
            Part::Text(text) => json!({"type": "text", "text": text}),
            Part::Image { url, detail: None } => json!({"type": "image_url", "image_url": {"url": url}}),
            Part::Image { url, detail } => {
                json!({"type": "image_url", "image_url": {"url": url, "detail": detail}})
            }
            Part::Audio { base64, format } => {
                json!({"type": "input_audio", "input_audio": {"data": base64, "format": format}})
            }
            Part::File { name, url } => json!({"type": "file", "file": {"filename": name, "file_data": url}}),
        }
    }
}

/// A function that the model may call; see [`ChatRequest::with_tools`](crate::ChatRequest::with_tools).
///
/// Since: 1.3.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Tool {
    /// The function's name: letters, digits, `_` and `-`.
    pub name: String,
    /// What it does, for the model.
    pub description: String,
    /// The JSON Schema of its arguments, an object.
    pub parameters: Value,
}

impl Tool {
    /// A function with this name and description.
    ///
    /// - In: `parameters`, the JSON Schema of its arguments.
    pub fn new(name: impl Into<String>, description: impl Into<String>, parameters: Value) -> Self {
        Self {
            name: name.into(),
            description: description.into(),
            parameters,
        }
    }
}

impl From<Tool> for Value {
    fn from(tool: Tool) -> Self {
        json!({
            "type": "function",
            "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
        })
    }
}

/// The format that the answer's text must have; see
/// [`ChatRequest::with_response_format`](crate::ChatRequest::with_response_format).
///
/// Since: 1.3.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ResponseFormat {
    /// Any JSON object.
    JsonObject,
    /// JSON that fits a schema. Services that support it enforce the schema.
    JsonSchema {
        /// A name for the schema: letters, digits, `_` and `-`.
        name: String,
        /// The schema.
        schema: Value,
    },
}

impl From<ResponseFormat> for Value {
    fn from(format: ResponseFormat) -> Self {
        match format {
            ResponseFormat::JsonObject => json!({"type": "json_object"}),
            ResponseFormat::JsonSchema { name, schema } => {
                json!({"type": "json_schema", "json_schema": {"name": name, "strict": true, "schema": schema}})
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ChatRequest, Message};

    #[test]
    fn types_write_the_json_of_the_protocol() {
        let url = "data:,x".to_owned();
        let message = Message::parts(
            "user",
            [
                Part::Text("one ".to_owned()),
                Part::image(url.clone()),
                Part::Image {
                    url: url.clone(),
                    detail: Some("low".to_owned()),
                },
                Part::Audio {
                    base64: "AAAA".to_owned(),
                    format: "wav".to_owned(),
                },
                Part::File {
                    name: "a.pdf".to_owned(),
                    url,
                },
                Part::Text("two".to_owned()),
            ],
        );
        assert_eq!(message.text_content(), "one two");
        let expected = json!([
            {"type": "text", "text": "one "},
            {"type": "image_url", "image_url": {"url": "data:,x"}},
            {"type": "image_url", "image_url": {"url": "data:,x", "detail": "low"}},
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:,x"}},
            {"type": "text", "text": "two"},
        ]);
        assert_eq!(message.content, expected);

        let schema = json!({"type": "object"});
        let tool = Tool::new("clock", "The time.", schema.clone());
        let format = ResponseFormat::JsonSchema {
            name: "answer".to_owned(),
            schema: schema.clone(),
        };
        let request = ChatRequest::new(&[message]).expect("a message can be written as JSON");
        let request = request.with_tools([tool]).with_response_format(format);
        let expected = json!({
            "response_format": {
                "type": "json_schema", "json_schema": {"name": "answer", "strict": true, "schema": schema}
            },
            "tools": [{
                "type": "function", "function": {"name": "clock", "description": "The time.", "parameters": schema}
            }],
        });
        assert_eq!(json!(request.parameters), expected);
        assert_eq!(Value::from(ResponseFormat::JsonObject), json!({"type": "json_object"}));
    }
}
