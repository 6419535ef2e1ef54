//! Plays a script: what the model says to a request, and the JSON of the whole reply.
//!
//! Pure: the same request and script give the same answer. The body here is that of chat; [`crate::forms`] says which
//! other forms there are, and [`crate::forms::chat`] cuts an answer into pieces for a stream.

pub(crate) mod embeddings;
pub(crate) mod reasoning;
pub(crate) mod rerank;
mod sample;
pub(crate) mod speech;

use serde_json::{Map, Value, json};

use crate::{
    catalogue::Model,
    forms::stream::{add_extra, pieces},
    rules::request::{Chat, Format, ToolChoice},
    rules::tokens_of,
    script::{Empty, Script},
};

/// Unix time of every reply, so that two runs give the same bytes: 2026-01-01T00:00:00Z.
pub(crate) const CREATED_S: u64 = 1_767_225_600;
/// Most characters of the question that the usual answer repeats.
const REPEATED_CHARS: usize = 160;

/// Who answers, and under which number.
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

/// What a model says.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Answer {
    pub(crate) reasoning: Option<String>,
    /// The same reasoning as `reasoning_details` has it.
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

/// One call of a tool; `arguments` is JSON as text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) arguments: String,
}

/// One turn: what was asked, and all that its reply is made of, in whichever form.
#[derive(Clone, Copy)]
pub(crate) struct Turn<'a> {
    pub(crate) script: &'a Script,
    /// The body of the request, as it came.
    pub(crate) asked: &'a Map<String, Value>,
    pub(crate) answer: &'a Answer,
    /// With the names of chat.
    pub(crate) usage: &'a Map<String, Value>,
    pub(crate) served: &'a Served,
}

/// What the model of `script` says to `chat`.
pub(crate) fn answer_from(script: &Script, chat: &Chat, model: &Model) -> Answer {
    let calls = calls(script, chat);
    let text = if calls.is_empty() && script.empty.is_none() {
        text(script, chat, model)
    } else {
        String::new()
    };
    let (text, stopped_by, limit_reached) = shorten(text, chat);
    let (reasoning, details) = if chat.hides_reasoning {
        (None, Vec::new())
    } else {
        reasoning::of(script)
    };
    let usual = match (calls.is_empty(), limit_reached) {
        (false, _) => "tool_calls",
        (true, true) => "length",
        (true, false) => "stop",
    };
    let finish_reason = script.finish_reason.clone().unwrap_or_else(|| usual.to_owned());
    let native = script.native_finish_reason.clone();
    let native_finish_reason = native.unwrap_or_else(|| native_word(model.author(), &finish_reason));
    // What comes with an answer does not come with a call of a tool, or with nothing.
    let answers = calls.is_empty() && script.empty.is_none();
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
    if chat.tool_choice == ToolChoice::None || !chat.tool_results.is_empty() {
        return Vec::new();
    }
    let named = match &chat.tool_choice {
        ToolChoice::Named(name) => Some(name),
        _ => None,
    };
    let mut calls: Vec<Call> = Vec::new();
    for (n, scripted) in script.tool_calls.iter().enumerate() {
        let first = chat.tools.first().map(|tool| &tool.name);
        let Some(name) = scripted.name.as_ref().or(named).or(first) else {
            continue;
        };
        let schema = chat
            .tools
            .iter()
            .find(|tool| tool.name == *name)
            .map(|tool| &tool.parameters);
        let arguments = match &scripted.arguments {
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
            None => sample::value_from(schema.unwrap_or(&Value::Null)).to_string(),
        };
        calls.push(Call {
            id: format!("call_sandbox_{:02}", n + 1),
            name: name.clone(),
            arguments,
        });
    }
    if chat.one_call_only {
        calls.truncate(1);
    }
    calls
}

fn text(script: &Script, chat: &Chat, model: &Model) -> String {
    let mut parts: Vec<String> = Vec::new();
    parts.extend(script.text.clone());
    parts.extend(script.words.map(words));
    if script.echo {
        parts.push(format!("The sandbox heard: {}", chat.last_user_text));
    }
    if !parts.is_empty() {
        return parts.join(" ");
    }

    match &chat.format {
        Format::Schema(schema) => return sample::value_from(schema).to_string(),
        Format::Json => return json!({"sandbox": true, "note": "a local stand-in, no model wrote this"}).to_string(),
        Format::Text => {}
    }
    if !chat.tool_results.is_empty() {
        let results: Vec<String> = chat.tool_results.iter().map(|result| quoted(result)).collect();
        return format!(
            "The sandbox, a local stand-in, got back from your tool: {}.",
            results.join(", ")
        );
    }
    if !script.tool_calls.is_empty() {
        return "The sandbox would call a tool now, but the request offers none.".to_owned();
    }
    let question = quoted(&chat.last_user_text);
    format!(
        "This is the sandbox, a local stand-in for OpenRouter; {} did not write this. You said: {question}.",
        model.id
    )
}

fn quoted(text: &str) -> String {
    let short: String = text.chars().take(REPEATED_CHARS).collect();
    let mark = if short.len() < text.len() { "…" } else { "" };
    format!("“{short}{mark}”")
}

/// Exactly `n_words` words, which begin by saying where they come from.
fn words(n_words: usize) -> String {
    const START: &str = "This answer comes from the sandbox, a local stand-in for OpenRouter; no model wrote it.";
    const FILLER: &str = "Word after word goes by, so that a stream has something to carry, and every run carries \
                          the same words in the same order.";
    let all = START.split(' ').chain(FILLER.split(' ').cycle());
    all.take(n_words).collect::<Vec<_>>().join(" ")
}

/// Stops at the first stop sequence and at the limit of tokens. Out: that sequence, and whether the limit was reached.
fn shorten(mut text: String, chat: &Chat) -> (String, Option<String>, bool) {
    let stops = chat.stop.iter().filter(|stop| !stop.is_empty());
    let first = stops.filter_map(|stop| Some((text.find(stop.as_str())?, stop))).min();
    let stopped_by = first.map(|(end, stop)| {
        text.truncate(end);
        stop.clone()
    });
    let most_chars = chat.max_tokens.map_or(usize::MAX, |tokens| {
        usize::try_from(tokens).unwrap_or(usize::MAX).saturating_mul(4)
    });
    match text.char_indices().nth(most_chars) {
        Some((end, _)) => {
            text.truncate(end);
            (text, None, true)
        }
        None => (text, stopped_by, false),
    }
}

/// The word that a model's author uses for a finish reason.
fn native_word(author: &str, finish_reason: &str) -> String {
    let word = match (author, finish_reason) {
        ("anthropic", "stop") => "end_turn",
        ("anthropic", "tool_calls") => "tool_use",
        ("anthropic", "length") => "max_tokens",
        ("google", "stop" | "tool_calls") => "STOP",
        ("google", "length") => "MAX_TOKENS",
        (_, same) => same,
    };
    word.to_owned()
}

/// `usage`, priced by the catalogue.
pub(crate) fn usage(script: &Script, chat: &Chat, answer: &Answer, model: &Model) -> Map<String, Value> {
    let calls: u64 = answer
        .calls
        .iter()
        .map(|call| tokens_of(&call.name) + tokens_of(&call.arguments))
        .sum();
    let reasoning_tokens = answer.reasoning.as_deref().map_or(0, tokens_of);
    let completion_tokens = reasoning_tokens + tokens_of(&answer.text) + calls;
    let (prompt_price_usd, completion_price_usd) = model.prices_usd();
    let prompt_usd = cost_usd(chat.prompt_tokens, prompt_price_usd);
    let completion_usd = cost_usd(completion_tokens, completion_price_usd);

    let mut usage = Map::new();
    let members = [
        ("prompt_tokens", json!(chat.prompt_tokens)),
        ("completion_tokens", json!(completion_tokens)),
        ("total_tokens", json!(chat.prompt_tokens + completion_tokens)),
        ("cost", json!(rounded(prompt_usd + completion_usd))),
        ("is_byok", json!(false)),
        (
            "prompt_tokens_details",
            json!({"cached_tokens": 0, "cache_write_tokens": 0, "audio_tokens": 0, "video_tokens": 0}),
        ),
        (
            "cost_details",
            json!({
                "upstream_inference_cost": null,
                "upstream_inference_prompt_cost": prompt_usd,
                "upstream_inference_completions_cost": completion_usd,
            }),
        ),
        (
            "completion_tokens_details",
            json!({"reasoning_tokens": reasoning_tokens, "audio_tokens": 0}),
        ),
    ];
    usage.extend(members.map(|(name, value)| (name.to_owned(), value)));
    usage.extend(script.usage.clone());
    usage
}

/// US dollars for `tokens` at a price for one token.
pub(crate) fn cost_usd(tokens: u64, price_usd: &str) -> f64 {
    // Token counts are far below 2^52, so the conversion is exact.
    rounded(tokens as f64 * price_usd.parse::<f64>().unwrap_or(0.0))
}

/// Cuts what binary fractions add to a decimal price.
fn rounded(usd: f64) -> f64 {
    (usd * 1e12).round() / 1e12
}

/// The body of a reply that is not streamed.
pub(crate) fn body_from(turn: &Turn<'_>) -> Value {
    let Turn {
        script,
        answer,
        usage,
        served,
        ..
    } = turn;
    let mut message = json!({"role": "assistant", "content": content(script, answer), "refusal": null});
    if !answer.details.is_empty() {
        message["reasoning"] = json!(answer.reasoning);
        message["reasoning_details"] = json!(answer.details);
    }
    if !answer.images.is_empty() {
        message["images"] = json!(answer.images);
    }
    if let Some(audio) = &answer.audio {
        message["audio"] = json!(audio);
    }
    if !answer.annotations.is_empty() {
        message["annotations"] = json!(answer.annotations);
    }
    if !answer.calls.is_empty() {
        let function = |call: &Call| json!({"name": call.name, "arguments": call.arguments});
        let calls = answer.calls.iter().enumerate();
        message["tool_calls"] = calls
            .map(|(n, call)| json!({"id": call.id, "index": n, "type": "function", "function": function(call)}))
            .collect();
    }
    let finish_reason = if script.omit_finish_reason {
        Value::Null
    } else {
        json!(answer.finish_reason)
    };
    let mut choice = json!({
        "index": 0,
        "message": message,
        "finish_reason": finish_reason,
        "native_finish_reason": answer.native_finish_reason,
        "logprobs": null,
    });
    if script.fail_after_chunks.is_some() {
        choice["finish_reason"] = json!("error");
        choice["error"] = script.late_failure().error_object();
    }
    let choices = if script.empty == Some(Empty::Choices) {
        json!([])
    } else {
        json!([choice])
    };
    let mut body = json!({
        "id": served.id,
        "provider": served.provider,
        "model": served.model_id,
        "object": "chat.completion",
        "created": CREATED_S,
        "choices": choices,
        "system_fingerprint": null,
        "usage": usage,
    });
    if let Some(metadata) = &served.metadata {
        body["openrouter_metadata"] = metadata.clone();
    }
    add_extra(&mut body, &script.extra);
    body
}

fn content(script: &Script, answer: &Answer) -> Value {
    if script.empty.is_some() || !answer.calls.is_empty() {
        return Value::Null;
    }
    json!(said_before_failing(script, answer))
}

/// The text that a whole reply holds: all of it, or what came before a failure in the middle.
pub(crate) fn said_before_failing(script: &Script, answer: &Answer) -> String {
    let n_pieces = script.fail_after_chunks.unwrap_or(usize::MAX);
    pieces(&answer.text, script.chunk_chars).take(n_pieces).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{
        catalogue::find,
        forms::stream::{Step, json_from},
        rules::request::Tool,
        script::ScriptedCall,
    };

    /// Lets a script, written as JSON, answer `hi` to a request with this body, and gives its turn to `play`.
    pub(crate) fn turn<T>(script: &str, asked: Value, play: impl FnOnce(&Turn<'_>) -> T) -> T {
        let script: Script = serde_json::from_str(script).expect("the script of a test is valid");
        let asked = asked.as_object().expect("a body is an object");
        let served = Served {
            id: "gen-sandbox-000001".to_owned(),
            model_id: "openai/gpt-4o".to_owned(),
            provider: "Sandbox".to_owned(),
            model: find("openai/gpt-4o").expect("in the catalogue"),
            metadata: None,
        };
        let chat = self::asked("hi");
        let answer = answer_from(&script, &chat, &served.model);
        let usage = usage(&script, &chat, &answer, &served.model);
        play(&Turn {
            script: &script,
            asked,
            answer: &answer,
            usage: &usage,
            served: &served,
        })
    }

    /// The whole reply of a script.
    pub(crate) fn played<T>(script: &str, play: impl FnOnce(&Turn<'_>) -> T) -> T {
        turn(script, json!({}), play)
    }

    /// The data frames of a stream, and the text that ends it.
    pub(crate) fn streamed(script: &str, play: impl FnOnce(&Turn<'_>) -> Vec<Step>) -> (Vec<Value>, Option<String>) {
        let steps = played(script, play);
        let data = |step: &Step| match step {
            Step::Data(frame) => Some(json_from(frame)),
            _ => None,
        };
        let last = match steps.last() {
            Some(Step::Text(text)) => Some(String::from_utf8_lossy(text).into_owned()),
            _ => None,
        };
        (steps.iter().filter_map(data).collect(), last)
    }

    fn model() -> Model {
        find("anthropic/claude-haiku-4.5").expect("in the catalogue")
    }

    fn asked(text: &str) -> Chat {
        Chat {
            last_user_text: text.to_owned(),
            prompt_tokens: 10,
            ..Chat::default()
        }
    }

    #[test]
    fn an_answer_says_what_the_server_is() {
        let answer = answer_from(&Script::default(), &asked("hi"), &model());
        assert_eq!(
            answer.text,
            "This is the sandbox, a local stand-in for OpenRouter; anthropic/claude-haiku-4.5 did not write this. You \
             said: “hi”."
        );
        assert_eq!(
            (answer.finish_reason.as_str(), answer.native_finish_reason.as_str()),
            ("stop", "end_turn")
        );
    }

    #[test]
    fn an_answer_has_as_many_words_as_were_asked_for() {
        for n_words in [0, 1, 30, 500] {
            assert_eq!(words(n_words).split_whitespace().count(), n_words);
        }
    }

    #[test]
    fn the_limit_of_tokens_ends_the_answer() {
        let chat = Chat {
            max_tokens: Some(2),
            ..asked("hi")
        };
        let answer = answer_from(&Script::text("123456789"), &chat, &model());
        assert_eq!(
            (answer.text.as_str(), answer.finish_reason.as_str()),
            ("12345678", "length")
        );
    }

    #[test]
    fn a_stop_sequence_ends_the_answer_before_it() {
        let chat = Chat {
            stop: vec!["c".to_owned(), "b".to_owned()],
            ..asked("hi")
        };
        let answer = answer_from(&Script::text("abc"), &chat, &model());
        assert_eq!((answer.text.as_str(), answer.finish_reason.as_str()), ("a", "stop"));
    }

    #[test]
    fn a_call_without_a_name_is_for_the_first_tool() {
        let script = Script {
            tool_calls: vec![ScriptedCall::default()],
            ..Script::default()
        };
        let parameters = json!({"type": "object", "properties": {"city": {"type": "string"}}});
        let mut chat = Chat {
            tools: vec![Tool {
                name: "weather".to_owned(),
                parameters,
            }],
            ..asked("hi")
        };
        let call = Call {
            id: "call_sandbox_01".to_owned(),
            name: "weather".to_owned(),
            arguments: "{\"city\":\"sandbox\"}".to_owned(),
        };
        assert_eq!(answer_from(&script, &chat, &model()).calls, [call]);

        chat.tool_results = vec!["sunny".to_owned()];
        let answer = answer_from(&script, &chat, &model());
        assert_eq!(
            answer.text,
            "The sandbox, a local stand-in, got back from your tool: “sunny”."
        );
    }

    #[test]
    fn usage_is_priced_by_the_catalogue() {
        let answer = Answer {
            text: "12345678".to_owned(),
            ..Answer::default()
        };
        let usage = usage(&Script::default(), &asked("hi"), &answer, &model());
        assert_eq!(
            (&usage["prompt_tokens"], &usage["completion_tokens"]),
            (&json!(10), &json!(2))
        );
        assert_eq!(usage["cost"], json!(0.00002));
    }

    #[test]
    fn a_failure_in_the_middle_is_in_the_choice_of_a_whole_reply() {
        let script = Script {
            fail_after_chunks: Some(1),
            ..Script::text("one two")
        };
        let answer = answer_from(&script, &asked("hi"), &model());
        let served = Served {
            id: "gen-sandbox-000001".to_owned(),
            model_id: "m".to_owned(),
            provider: "Sandbox".to_owned(),
            model: model(),
            metadata: None,
        };
        let body = body_from(&Turn {
            script: &script,
            asked: &Map::new(),
            answer: &answer,
            usage: &Map::new(),
            served: &served,
        });
        assert_eq!(body["choices"][0]["message"]["content"], json!("one"));
        assert_eq!(body["choices"][0]["finish_reason"], json!("error"));
        assert_eq!(body["choices"][0]["error"]["code"], json!(502));
    }

    #[test]
    fn what_belongs_to_an_answer_is_in_its_message_and_extra_members_at_the_top() {
        let text = r#"{
            "text": "one", "images": [{"image_url": {"url": "data:,"}}], "audio": {"data": "AA=="},
            "annotations": [{"type": "url_citation"}], "extra": {"service_tier": "flex", "model": "no"}
        }"#;
        let script: Script = serde_json::from_str(text).expect("the script above is valid");
        let answer = answer_from(&script, &asked("hi"), &model());
        let served = Served {
            id: "gen-sandbox-000001".to_owned(),
            model_id: "m".to_owned(),
            provider: "Sandbox".to_owned(),
            model: model(),
            metadata: None,
        };
        let body = body_from(&Turn {
            script: &script,
            asked: &Map::new(),
            answer: &answer,
            usage: &Map::new(),
            served: &served,
        });
        assert_eq!((&body["service_tier"], &body["model"]), (&json!("flex"), &json!("m")));
        let message = &body["choices"][0]["message"];
        assert_eq!(message["images"][0]["image_url"]["url"], json!("data:,"));
        assert_eq!(message["audio"], json!({"data": "AA=="}));
        assert_eq!(message["annotations"], json!([{"type": "url_citation"}]));
    }
}
