//! OpenAI's protocol for plugins that have no raw form: a request into types, events into chunks.
//!
//! Only `chat/completions` works this way, and only fields that the types have are passed on.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use plugin_api::{ChatEvent, ChatReply, ChatRequest, Done, TierModel, ToolCall, Usage, View};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::problem::Problem;
use super::tiers::tier_named;
use crate::terminal::time::now_s;

/// A request for the plugin, and what the answer's form depends on.
pub struct Asked {
    pub request: ChatRequest,
    /// Whether the usage is wanted in a chunk of its own.
    pub includes_usage: bool,
}

/// - Errors: the body is not a chat request. The error quotes none of it.
pub fn asked(body: &[u8], tiers: &[TierModel]) -> Result<Asked, Problem> {
    let mut members: BTreeMap<String, Box<RawValue>> =
        serde_json::from_slice(body).map_err(|_| Problem::bad_request("expected the body to be a JSON object"))?;
    let messages = members
        .remove("messages")
        .filter(|messages| messages.get().starts_with('['))
        .ok_or_else(|| Problem::bad_request("expected `messages` to be an array of objects, each with a `role`"))?;
    let model = members.remove("model");
    let model: Option<String> = serde_json::from_str(model.as_ref().map_or("null", |model| model.get()))
        .map_err(|_| Problem::bad_request("expected `model` to be a string, found something else"))?;
    members.remove("stream");
    let options = members.remove("stream_options");
    let options: Value = options
        .and_then(|options| serde_json::from_str(options.get()).ok())
        .unwrap_or_default();
    let model = model.filter(|model| !model.trim().is_empty());
    let tier = model.as_deref().and_then(|model| tier_named(tiers, model));
    let tier = tier.map(|tier| tier.tier.clone());
    let model = model.filter(|_| tier.is_none());
    Ok(Asked {
        request: ChatRequest {
            tier,
            model,
            messages,
            parameters: members,
            attribution: None,
            view: View::Typed,
        },
        includes_usage: options["include_usage"] == true,
    })
}

/// A whole answer in OpenAI's form.
pub fn completion(reply: &ChatReply) -> Value {
    let mut message = json!({"role": "assistant", "content": reply.text});
    if !reply.reasoning.is_empty() {
        message["reasoning"] = Value::from(reply.reasoning.as_str());
    }
    if !reply.tool_calls.is_empty() {
        if reply.text.is_empty() {
            message["content"] = Value::Null;
        }
        message["tool_calls"] = reply.tool_calls.iter().map(call).collect();
    }
    let mut completion = json!({
        "id": reply.done.generation_id.clone().unwrap_or_else(new_id),
        "object": "chat.completion",
        "created": now_s(),
        "model": model_of(&reply.done),
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason(&reply.done), "logprobs": null}],
    });
    if let Some(counted) = &reply.done.usage {
        completion["usage"] = usage(counted);
    }
    completion
}

/// Writes the chunks of a stream.
pub struct Writer {
    pub id: String,
    created_s: u64,
    /// The model that was asked for; which one serves is known at the end.
    model: String,
    includes_usage: bool,
    has_begun: bool,
    n_tool_calls: usize,
}

impl Writer {
    pub fn new(asked: &Asked) -> Self {
        let named = asked.request.model.as_ref().or(asked.request.tier.as_ref());
        Self {
            id: new_id(),
            created_s: now_s(),
            model: named.cloned().unwrap_or_default(),
            includes_usage: asked.includes_usage,
            has_begun: false,
            n_tool_calls: 0,
        }
    }

    /// The chunk that an event becomes, if it becomes one.
    pub fn event(&mut self, event: &ChatEvent) -> Option<String> {
        let delta = match event {
            ChatEvent::Text(text) => json!({"content": text}),
            ChatEvent::Reasoning(text) => json!({"reasoning": text}),
            ChatEvent::ToolCall(tool_call) => {
                let mut piece = call(tool_call);
                piece["index"] = Value::from(self.n_tool_calls);
                self.n_tool_calls += 1;
                json!({"tool_calls": [piece]})
            }
            _ => return None,
        };
        let mut text = self.begin();
        text.push_str(&self.chunk(json!([{"index": 0, "delta": delta, "finish_reason": null}]), None));
        Some(text)
    }

    /// The last chunks.
    pub fn end(&mut self, done: &Done) -> String {
        let mut text = self.begin();
        model_of(done).clone_into(&mut self.model);
        let counted = done.usage.as_ref().map(usage);
        let finish = json!([{"index": 0, "delta": {}, "finish_reason": finish_reason(done)}]);
        // Clients that did not ask for a usage chunk may not expect a chunk without choices.
        if self.includes_usage {
            text.push_str(&self.chunk(finish, None));
            text.push_str(&self.chunk(json!([]), counted));
        } else {
            text.push_str(&self.chunk(finish, counted));
        }
        text.push_str("data: [DONE]\n\n");
        text
    }

    /// The chunk that names the role, once.
    fn begin(&mut self) -> String {
        if std::mem::replace(&mut self.has_begun, true) {
            return String::new();
        }
        let delta = json!({"role": "assistant", "content": ""});
        self.chunk(json!([{"index": 0, "delta": delta, "finish_reason": null}]), None)
    }

    fn chunk(&self, choices: Value, usage: Option<Value>) -> String {
        let mut chunk = json!({
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created_s,
            "model": self.model,
            "choices": choices,
        });
        if let Some(usage) = usage {
            chunk["usage"] = usage;
        }
        format!("data: {chunk}\n\n")
    }
}

fn call(call: &ToolCall) -> Value {
    json!({"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}})
}

fn finish_reason(done: &Done) -> &str {
    if done.finish_reason.is_empty() {
        "stop"
    } else {
        &done.finish_reason
    }
}

fn model_of(done: &Done) -> &str {
    done.model
        .as_deref()
        .or(done.requested_model.as_deref())
        .unwrap_or_default()
}

fn usage(usage: &Usage) -> Value {
    let mut object = json!({
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
    });
    if let Some(cached) = usage.cached_tokens {
        object["prompt_tokens_details"] = json!({"cached_tokens": cached});
    }
    if let Some(reasoning) = usage.reasoning_tokens {
        object["completion_tokens_details"] = json!({"reasoning_tokens": reasoning});
    }
    let cost = usage.cost_usd.as_deref().and_then(|cost| cost.parse::<f64>().ok());
    if let Some(cost) = cost.filter(|cost| cost.is_finite()) {
        object["cost"] = Value::from(cost);
    }
    object
}

/// An id for an answer whose service gave none.
fn new_id() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("chatcmpl-{:x}-{count:x}", now_s())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tiers() -> Vec<TierModel> {
        vec![TierModel {
            tier: "TEXT_SMALL".to_owned(),
            wire: "acme/small".to_owned(),
            ..TierModel::default()
        }]
    }

    #[test]
    fn a_body_becomes_a_request_and_a_tier_is_a_model() {
        let body = r#"{"model":"tier/small","stream":true,"messages":[{"role":"user","content":"x"}],"temperature":0.10,"stream_options":{"include_usage":true}}"#;
        let asked = asked(body.as_bytes(), &tiers()).expect("a request");
        let request = &asked.request;
        assert_eq!(
            (request.tier.as_deref(), request.model.as_deref()),
            (Some("TEXT_SMALL"), None)
        );
        assert_eq!(request.messages.get(), r#"[{"role":"user","content":"x"}]"#);
        let parameters = serde_json::to_string(&request.parameters).expect("they are JSON");
        assert_eq!(parameters, r#"{"temperature":0.10}"#);
        assert!(asked.includes_usage);
        let other = super::asked(br#"{"model":"acme/large","messages":[]}"#, &tiers()).expect("a request");
        assert_eq!(
            (other.request.tier, other.request.model.as_deref()),
            (None, Some("acme/large"))
        );
        for bad in [r#"{"messages":"private"}"#, "{}", "[]", r#"{"messages":[],"model":7}"#] {
            let problem = super::asked(bad.as_bytes(), &tiers()).err().expect("it is none");
            assert!(problem.status == 400 && !problem.message.contains("private"), "{bad}");
        }
    }

    #[test]
    fn events_become_chunks_as_openai_writes_them() {
        let asked = asked(br#"{"messages":[],"model":"TEXT_SMALL"}"#, &tiers()).expect("a request");
        let mut writer = Writer::new(&asked);
        (writer.id, writer.created_s) = ("c1".to_owned(), 7);
        let mut text = String::new();
        let call = ToolCall {
            id: "t1".to_owned(),
            name: "clock".to_owned(),
            arguments: "{}".to_owned(),
            ..ToolCall::default()
        };
        for event in [
            ChatEvent::text("Hi"),
            ChatEvent::Reasoning("hm".into()),
            ChatEvent::ToolCall(call),
        ] {
            text.push_str(&writer.event(&event).expect("a chunk"));
        }
        assert_eq!(writer.event(&ChatEvent::KeepAlive("x".into())), None);
        let done = r#"{"finish_reason":"tool_calls","model":"acme/small",
            "usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}"#;
        text.push_str(&writer.end(&serde_json::from_str(done).expect("a Done")));
        let chunk = |model: &str, rest: &str| {
            let head = r#"{"id":"c1","object":"chat.completion.chunk","created":7,"model":""#;
            format!(r#"data: {head}{model}","choices":[{{"index":0,"delta":{rest}}}"#)
        };
        let call =
            r#"{"tool_calls":[{"id":"t1","type":"function","function":{"name":"clock","arguments":"{}"},"index":0}]}"#;
        let usage = r#""usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}"#;
        let mut expected = [
            r#"{"role":"assistant","content":""}"#,
            r#"{"content":"Hi"}"#,
            r#"{"reasoning":"hm"}"#,
            call,
        ]
        .map(|delta| chunk("TEXT_SMALL", &format!(r#"{delta},"finish_reason":null}}]"#)))
        .to_vec();
        expected.push(chunk(
            "acme/small",
            &format!(r#"{{}},"finish_reason":"tool_calls"}}],{usage}"#),
        ));
        expected.push("data: [DONE]".to_owned());
        assert_eq!(text, expected.join("\n\n") + "\n\n");
    }
}
