//! Plays a script: what the model answers to a request, in no form yet.
//!
//! Pure: the same request and script give the same answer. [`crate::forms`] writes an answer as a whole reply or as a
//! stream. Requests that are not chat have their answers here too: [`embeddings`], [`rerank`], [`speech`] and
//! [`media`].

pub(crate) mod embeddings;
pub(crate) mod rerank;
pub(crate) mod speech;
pub(crate) mod media;
pub(crate) mod reasoning;
mod sample;
mod text;
pub(crate) mod pieces;
pub(crate) mod usage;

use serde_json::{Map, Value};

use crate::{
    catalogue::Model,
    rules::request::{Chat, ToolChoice},
    script::Script,
};

/// Who serves a request, and under which id.
#[derive(Debug, Clone)]
pub(crate) struct Served {
    /// `gen-sandbox-000001` and so on.
    pub(crate) id: String,
    /// `model` of the reply.
    pub(crate) model_id: String,
    /// Display name.
    pub(crate) provider: String,
    pub(crate) model: Model,
    /// `openrouter_metadata`, if it was asked for.
    pub(crate) metadata: Option<Value>,
}

/// What a model answers.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Answer {
    pub(crate) reasoning: Option<String>,
    /// The same reasoning as `reasoning_details`.
    pub(crate) details: Vec<Value>,
    pub(crate) text: String,
    pub(crate) images: Vec<Value>,
    pub(crate) audio: Option<Map<String, Value>>,
    pub(crate) annotations: Vec<Value>,
    /// The stop sequence that ended the text.
    pub(crate) stopped_by: Option<String>,
    pub(crate) calls: Vec<Call>,
    pub(crate) finish_reason: String,
    pub(crate) native_finish_reason: String,
}

/// One tool call; `arguments` is JSON as text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) arguments: String,
}

impl Served {
    /// Adds `openrouter_metadata` to a reply, if it was asked for.
    pub(crate) fn add_metadata(&self, reply: &mut Value) {
        if let Some(metadata) = &self.metadata {
            reply["openrouter_metadata"] = metadata.clone();
        }
    }
}

/// One turn: the request, and all that its reply is made of in any form.
#[derive(Clone, Copy)]
pub(crate) struct Turn<'a> {
    pub(crate) script: &'a Script,
    /// The body of the request, as received.
    pub(crate) asked: &'a Map<String, Value>,
    pub(crate) answer: &'a Answer,
    /// With the member names of chat.
    pub(crate) usage: &'a Map<String, Value>,
    pub(crate) served: &'a Served,
}

/// What the model of `script` answers to `chat`.
pub(crate) fn answer_from(script: &Script, chat: &Chat, model: &Model) -> Answer {
    let calls = calls(script, chat);
    // Tool calls and empty answers come without a text and what belongs to it.
    let answers = calls.is_empty() && script.empty.is_none();
    let text = if answers {
        text::text(script, chat, model)
    } else {
        String::new()
    };
    let (text, stopped_by, limit_reached) = text::shorten(text, chat);
    let (reasoning, details) = if chat.hides_reasoning {
        (None, Vec::new())
    } else {
        reasoning::of(script)
    };
    let usual = match limit_reached {
        _ if !calls.is_empty() => "tool_calls",
        true => "length",
        false => "stop",
    };
    let finish_reason = script.finish_reason.clone().unwrap_or_else(|| usual.to_owned());
    let native = script.native_finish_reason.clone();
    let native_finish_reason = native.unwrap_or_else(|| native_word(model.author(), &finish_reason).to_owned());
    Answer {
        reasoning,
        details,
        text,
        images: script.images.clone().into_iter().filter(|_| answers).collect(),
        audio: script.audio.clone().filter(|_| answers),
        annotations: script.annotations.clone().into_iter().filter(|_| answers).collect(),
        stopped_by,
        calls,
        finish_reason,
        native_finish_reason,
    }
}

fn calls(script: &Script, chat: &Chat) -> Vec<Call> {
    if chat.tool_choice == ToolChoice::None {
        return Vec::new();
    }
    let turns = &script.tool_turns;
    let (scripted, n_before) = match turns.is_empty() {
        true if chat.tool_results.is_empty() => (script.tool_calls.as_slice(), 0),
        true => return Vec::new(),
        false => {
            let n_before = turns.iter().take(chat.n_answers).map(Vec::len).sum();
            (turns.get(chat.n_answers).map_or(&[][..], Vec::as_slice), n_before)
        }
    };
    let named = match &chat.tool_choice {
        ToolChoice::Named(name) => Some(name),
        _ => None,
    };
    let first = chat.tools.first().map(|tool| &tool.name);
    let mut calls = Vec::new();
    for (n, scripted) in scripted.iter().enumerate() {
        let Some(name) = scripted.name.as_ref().or(named).or(first) else {
            continue;
        };
        let tool = chat.tools.iter().find(|tool| tool.name == *name);
        let arguments = match &scripted.arguments {
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
            None => sample::value_from(tool.map_or(&Value::Null, |tool| &tool.parameters)).to_string(),
        };
        calls.push(Call {
            id: format!("call_sandbox_{:02}", n_before + n + 1),
            name: name.clone(),
            arguments,
        });
    }
    if chat.one_call_only {
        calls.truncate(1);
    }
    calls
}

/// The word that a model's author uses for a finish reason.
fn native_word<'a>(author: &str, finish_reason: &'a str) -> &'a str {
    match (author, finish_reason) {
        ("anthropic", "stop") => "end_turn",
        ("anthropic", "tool_calls") => "tool_use",
        ("anthropic", "length") => "max_tokens",
        ("google", "stop" | "tool_calls") => "STOP",
        ("google", "length") => "MAX_TOKENS",
        (_, same) => same,
    }
}

/// The text of a whole reply: all of it, or what precedes a failure in the middle.
pub(crate) fn text_before_failure(script: &Script, answer: &Answer) -> String {
    let n_pieces = script.fail_after_chunks.unwrap_or(usize::MAX);
    pieces::pieces(&answer.text, script.chunk_chars)
        .take(n_pieces)
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{catalogue::find, rules::request::Tool};

    fn answer(script: &Value, chat: &Chat) -> Answer {
        let script: Script = serde_json::from_value(script.clone()).expect("the script of a test is valid");
        let model = find("anthropic/claude-haiku-4.5").expect("in the catalogue");
        answer_from(&script, chat, &model)
    }

    fn asked(text: &str) -> Chat {
        Chat {
            last_user_text: text.to_owned(),
            ..Chat::default()
        }
    }

    #[test]
    fn the_usual_answer_says_what_the_server_is() {
        let answer = answer(&json!({}), &asked("hi"));
        assert_eq!(
            answer.text,
            "This is the sandbox, a local service, not OpenRouter; anthropic/claude-haiku-4.5 did not write this. You \
             said: “hi”."
        );
        let seen = (answer.finish_reason.as_str(), answer.native_finish_reason.as_str());
        assert_eq!(seen, ("stop", "end_turn"));
    }

    #[test]
    fn a_call_without_a_name_is_for_the_first_tool() {
        let parameters = json!({"type": "object", "properties": {"city": {"type": "string"}}});
        let mut chat = Chat {
            tools: vec![Tool {
                name: "weather".to_owned(),
                parameters,
            }],
            ..asked("hi")
        };
        let script = json!({"tool_calls": [{}]});
        let call = Call {
            id: "call_sandbox_01".to_owned(),
            name: "weather".to_owned(),
            arguments: "{\"city\":\"sandbox\"}".to_owned(),
        };
        assert_eq!(answer(&script, &chat).calls, [call]);

        chat.tool_results = vec!["sunny".to_owned()];
        let expected = "The sandbox, a local service, got back from your tool: “sunny”.";
        assert_eq!(answer(&script, &chat).text, expected);
    }
}
