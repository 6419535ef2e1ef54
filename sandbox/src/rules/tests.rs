use serde_json::json;

use super::*;

fn refusal(change: Value) -> String {
    let mut body = json!({"model": "openai/gpt-4o", "messages": [{"role": "user", "content": "hi"}]});
    for (name, value) in change.as_object().expect("a change is an object") {
        body[name] = value.clone();
    }
    let body = body.as_object().expect("the body is an object");
    let Err(failure) = check_chat(body) else {
        return String::new();
    };
    assert_eq!(failure.status, 400);
    failure.message.unwrap_or_default()
}

#[test]
fn plain_and_full_requests_are_accepted() {
    assert_eq!(refusal(json!({})), "");
    let everything = json!({
        "models": ["openai/gpt-4o-mini"], "stream": true, "temperature": 2, "top_p": 0.5, "top_k": 3, "seed": -1,
        "stop": ["a", "b", "c", "d"], "max_tokens": 5, "max_completion_tokens": null, "session_id": "s", "user": "u",
        "metadata": {"k": "v"}, "reasoning": {"effort": "high", "exclude": true}, "reasoning_effort": "high",
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}},
                  {"type": "openrouter:web_search"}],
        "tool_choice": {"type": "function", "function": {"name": "f"}}, "parallel_tool_calls": false,
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}},
        "provider": {"order": ["openai"], "only": null, "sort": {"by": "price", "partition": "none"},
                     "max_price": {"prompt": "1.5"}, "quantizations": ["fp8"], "preferred_max_latency": {"p90": 2},
                     "zdr": true, "data_collection": "deny"},
        "some_new_member": 1,
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "s"}]},
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,", "detail": "low"}},
                                         {"type": "file", "file": {"file_data": "data:,"}}]},
            {"role": "assistant", "content": null, "reasoning_details": [{"type": "reasoning.text", "text": "r"}],
             "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "c", "content": "result"},
        ],
    });
    assert_eq!(refusal(everything), "");
}

/// Changes that break one rule each, and the refusals, line by line.
const REFUSED: &str = r#"
{"messages": []}
messages: expected an array with at least one message, found an empty one
{"messages": "hi"}
messages: expected an array of objects, found text
{"messages": ["hi"]}
messages[0]: expected an object, found text
{"messages": [{"role": "robot", "content": "hi"}]}
messages[0].role: expected one of `system`, `developer`, `user`, `assistant`, `tool`, found `robot`
{"messages": [{"role": "user", "content": 7}]}
messages[0].content: expected text or an array of parts, found a number
{"messages": [{"role": "user"}]}
messages[0].content: expected text or an array of parts, found nothing
{"messages": [{"role": "tool", "content": "x"}]}
messages[0].tool_call_id: expected text, found nothing
{"models": ["a/b", "a/c", "a/d", "a/e"]}
'models' array must have 3 items or fewer.
{"models": null}
models: expected a value or nothing, found null
{"temperature": 2.5}
temperature: expected a number from 0 to 2, found 2.5
{"top_p": "1"}
top_p: expected a number, found text
{"presence_penalty": -3}
presence_penalty: expected a number from -2 to 2, found -3
{"temperature": 9, "top_p": 9}
temperature: expected a number from 0 to 2, found 9; top_p: expected a number from 0 to 1, found 9
{"top_k": -1}
top_k: expected a whole number, 0 or more, found -1
{"top_logprobs": 21}
top_logprobs: expected a whole number, 0 to 20, found 21
{"logit_bias": {"5": 101}}
logit_bias.5: expected a number from -100 to 100, found 101
{"max_tokens": 0}
max_tokens: expected a whole number, 1 or more, found 0
{"stop": ["1", "2", "3", "4", "5"]}
stop: expected at most 4 items
{"metadata": {"k": 1}}
metadata.k: expected text, found a number
{"stream": "yes"}
stream: expected true or false, found text
{"reasoning_effort": "low", "reasoning": {"effort": "high"}}
reasoning_effort: expected the same as reasoning.effort, or only one of the two
{"tools": [{"type": "function", "function": {"name": ""}}]}
tools[0].function.name: expected 1 to 64 characters
{"tools": [{"type": "function"}]}
tools[0].function: expected an object, found nothing
{"tool_choice": "always"}
tool_choice: expected `none`, `auto`, `required` or an object, found `always`
{"tool_choice": {"type": "function", "function": {"name": "f"}}}
tool_choice.function.name: expected the name of one of `tools`
{"tool_choice": {"type": "function"}}
tool_choice: expected {"type": "function", "function": {"name": …}}
{"provider": {"allowFallbacks": true}}
provider: unrecognized key `allowFallbacks`
{"provider": {"order": "openai"}}
provider.order: expected an array of texts, found text
{"provider": {"sort": "cheapest"}}
provider.sort: expected one of `price`, `throughput`, `latency`, `exacto`, found `cheapest`
{"provider": {"quantizations": ["q4"]}}
provider.quantizations: expected items of `int4`, `int8`, `fp4`, `mxfp4`, `nvfp4`, `fp6`, `fp8`, `mxfp8`, `fp16`, `bf16`, `fp32`, `unknown`
{"provider": {"max_price": {"prompt": 1}}}
provider.max_price.prompt: expected text, found a number
{"provider": {"max_price": null}}
provider.max_price: expected an object, found null
"#;

#[test]
fn each_documented_limit_is_refused_with_its_path() {
    let lines: Vec<&str> = REFUSED.lines().filter(|line| !line.is_empty()).collect();
    for case in lines.chunks(2) {
        let change = serde_json::from_str(case[0]).expect("a change is JSON");
        assert_eq!(refusal(change), case[1], "{}", case[0]);
    }
    let long = |n: usize| "n".repeat(n);
    let session = json!({"session_id": long(257)});
    assert_eq!(refusal(session), "session_id: expected at most 256 characters");
    let pairs: Map<String, Value> = (0..17).map(|n| (n.to_string(), json!("v"))).collect();
    let expected = "metadata: expected at most 16 pairs";
    assert_eq!(refusal(json!({"metadata": pairs})), expected);
    let tools = json!({"tools": [{"type": "function", "function": {"name": long(65)}}]});
    assert_eq!(refusal(tools), "tools[0].function.name: expected 1 to 64 characters");
}

#[test]
fn a_body_other_than_a_json_object_is_refused() {
    let json_type = Some("application/json; charset=utf-8");
    let message = |body: &[u8]| object_from(json_type, body).expect_err("refused").message;
    let no_json = "body: expected JSON, found something else at line 1 column 1";
    assert_eq!(message(b"{").as_deref(), Some(no_json));
    assert_eq!(message(b"[]").as_deref(), Some("body: expected a JSON object"));
    let refused = object_from(Some("text/plain"), b"{}").expect_err("refused");
    assert_eq!(refused.status, 415);
}

#[test]
fn only_the_tool_results_at_the_end_are_new() {
    let body = json!({"messages": [
        {"role": "user", "content": "one"},
        {"role": "tool", "tool_call_id": "a", "content": "old"},
        {"role": "user", "content": "two"},
        {"role": "tool", "tool_call_id": "b", "content": "new"},
    ]});
    let chat = check_chat(body.as_object().expect("an object")).expect("in order");
    assert_eq!(chat.last_user_text, "two");
    assert_eq!(chat.tool_results, ["new"]);
}
