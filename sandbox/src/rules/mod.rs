//! Checks a request against the documented rules: bytes in, a [`Chat`] or a refusal out.
//!
//! Pure. A refusal lists every problem, not only the first. Like the service, the rules let unknown members pass at
//! the top and refuse them in `provider`.

mod fields;
mod messages;
mod provider;
pub(crate) mod request;

use std::cell::RefCell;

use serde_json::{Map, Value};

use self::{
    fields::Fields,
    request::{Chat, Format, Preferences, Tool, ToolChoice, tokens_of},
};
use crate::failure::Failure;

/// Most ids in `models`.
// Source: field reports; not in the API description.
const MAX_MODELS: usize = 3;
const EFFORTS: [&str; 7] = ["max", "xhigh", "high", "medium", "low", "minimal", "none"];
/// Members that may be absent but not null.
const NEVER_NULL: [&str; 10] = words!(
    stream session_id metadata reasoning user messages tools tool_choice model models
);

/// Numbers with their documented ranges.
const RANGES: [(&str, f64, f64); 7] = [
    ("temperature", 0.0, 2.0),
    ("top_p", 0.0, 1.0),
    ("min_p", 0.0, 1.0),
    ("top_a", 0.0, 1.0),
    ("frequency_penalty", -2.0, 2.0),
    ("presence_penalty", -2.0, 2.0),
    ("repetition_penalty", 0.0, 2.0),
];

/// Members that count for `provider.require_parameters`.
const PARAMETERS: [&str; 24] = words!(
    temperature top_p top_k min_p top_a frequency_penalty presence_penalty repetition_penalty max_tokens
    max_completion_tokens logit_bias logprobs top_logprobs prediction seed response_format stop tools tool_choice
    parallel_tool_calls include_reasoning reasoning reasoning_effort verbosity
);

/// Parses `body` as a JSON object.
pub(crate) fn object_from(content_type: Option<&str>, body: &[u8]) -> Result<Map<String, Value>, Failure> {
    let media_type = content_type.and_then(|given| given.split(';').next());
    if !media_type.is_some_and(|given| given.trim().eq_ignore_ascii_case("application/json")) {
        let message = "expected the header `content-type: application/json`";
        return Err(Failure::status(415).error_type("invalid_request").message(message));
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Failure::status(400).message("body: expected a JSON object")),
        Err(error) => {
            let place = format!("line {} column {}", error.line(), error.column());
            Err(Failure::status(400).message(format!("body: expected JSON, found something else at {place}")))
        }
    }
}

/// Checks the body of a chat request.
pub(crate) fn check_chat(body: &Map<String, Value>) -> Result<Chat, Failure> {
    let problems = RefCell::default();
    let mut chat = Chat::default();
    let top = Fields::new(body, &problems);

    for name in NEVER_NULL {
        if body.get(name).is_some_and(Value::is_null) {
            top.say(name, "expected a value or nothing, found null");
        }
    }
    chat.models = models(&top);
    chat.stream = top.flag("stream").unwrap_or(false);
    sampling(&top);
    chat.max_tokens = max_tokens(&top);
    chat.stop = match body.get("stop") {
        Some(Value::String(text)) => vec![text.clone()],
        Some(_) => top.texts("stop").unwrap_or_default(),
        None => Vec::new(),
    };
    if chat.stop.len() > 4 {
        top.say("stop", "expected at most 4 items");
    }
    chat.session_id = top.text_up_to("session_id", 256).map(str::to_owned);
    chat.user = top.text("user").map(str::to_owned);
    metadata(&top);
    chat.hides_reasoning = reasoning(&top);
    top.one_of(
        "service_tier",
        &["auto", "default", "fast", "flex", "priority", "scale", "ultrafast"],
    );
    chat.one_call_only = top.flag("parallel_tool_calls") == Some(false);
    chat.tools = tools(&top);
    chat.tool_choice = tool_choice(&top, &chat.tools);
    chat.format = format(&top);
    chat.routing = provider::preferences(&top);
    messages::check(&top, &mut chat);

    let is_set = |name: &&&str| body.get(**name).is_some_and(|value| !value.is_null());
    chat.parameters = PARAMETERS.iter().filter(is_set).copied().collect();
    chat.prompt_tokens += body.get("tools").map_or(0, |tools| tokens_of(&tools.to_string()));
    refuse_if_any(&problems.take())?;
    Ok(chat)
}

pub(crate) fn refuse_if_any(problems: &[String]) -> Result<(), Failure> {
    if problems.is_empty() {
        return Ok(());
    }
    Err(Failure::status(400).message(problems.join("; ")))
}

/// The `provider` object of a request that is not chat, and its problems.
pub(crate) fn preferences_from(body: &Map<String, Value>) -> (Preferences, Vec<String>) {
    let problems = RefCell::default();
    let preferences = provider::preferences(&Fields::new(body, &problems));
    (preferences, problems.take())
}

/// The required text `name` of a request that is not chat.
pub(crate) fn text_in(body: &Map<String, Value>, name: &str, problems: &mut Vec<String>) -> String {
    let text = body.get(name).and_then(Value::as_str);
    if text.is_none() {
        problems.push(format!("{name}: expected text"));
    }
    text.unwrap_or_default().to_owned()
}

/// The positive number `name` of a request that is not chat, if it has one.
pub(crate) fn count_in(body: &Map<String, Value>, name: &str, problems: &mut Vec<String>) -> Option<usize> {
    let value = body.get(name).filter(|value| !value.is_null())?;
    let count = value.as_u64().and_then(|n| usize::try_from(n).ok()).filter(|n| *n >= 1);
    if count.is_none() {
        problems.push(format!("{name}: expected a whole number, 1 or more"));
    }
    count
}

fn models(top: &Fields<'_>) -> Vec<String> {
    let mut ids: Vec<String> = top.text("model").map(str::to_owned).into_iter().collect();
    let more = top.texts("models").unwrap_or_default();
    if more.len() > MAX_MODELS {
        top.note("'models' array must have 3 items or fewer.".to_owned());
    }
    for id in more {
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    ids
}

fn sampling(top: &Fields<'_>) {
    for (name, least, most) in RANGES {
        top.number(name, least, most);
    }
    top.whole("top_k", 0, i64::MAX);
    top.whole("seed", i64::MIN, i64::MAX);
    top.whole("top_logprobs", 0, 20);
    top.flag("logprobs");
    if let Some(bias) = top.object("logit_bias") {
        for token in bias.names() {
            bias.number(token, -100.0, 100.0);
        }
    }
}

fn max_tokens(top: &Fields<'_>) -> Option<u64> {
    let newer = top.whole("max_completion_tokens", 1, i64::MAX);
    let older = top.whole("max_tokens", 1, i64::MAX);
    newer.or(older).and_then(|tokens| u64::try_from(tokens).ok())
}

fn metadata(top: &Fields<'_>) {
    let Some(pairs) = top.object("metadata") else {
        return;
    };
    if pairs.names().len() > 16 {
        pairs.say("", "expected at most 16 pairs");
    }
    for name in pairs.names() {
        if name.chars().count() > 64 {
            pairs.say("", "expected names of at most 64 characters");
        }
        if pairs.text_up_to(name, 512).is_none() && pairs.is_null(name) {
            pairs.say(name, "expected text, found null");
        }
    }
}

/// Out: whether the reply must leave out the reasoning.
fn reasoning(top: &Fields<'_>) -> bool {
    let short = top.one_of("reasoning_effort", &EFFORTS);
    let excludes = top.flag("include_reasoning") == Some(false);
    let Some(object) = top.object("reasoning") else {
        return excludes;
    };
    let long = object.one_of("effort", &EFFORTS);
    object.one_of("summary", &["auto", "concise", "detailed"]);
    object.whole("max_tokens", 0, i64::MAX);
    object.flag("enabled");
    let exclude = object.flag("exclude");
    if short.zip(long).is_some_and(|(short, long)| short != long) {
        top.say(
            "reasoning_effort",
            "expected the same as reasoning.effort, or only one of the two",
        );
    }
    excludes || exclude == Some(true)
}

fn tools(top: &Fields<'_>) -> Vec<Tool> {
    let mut tools = Vec::new();
    for tool in top.objects("tools") {
        let Some(kind) = tool.required_text("type") else {
            continue;
        };
        if kind != "function" {
            if !is_server_tool(kind) {
                tool.say("type", &format!("expected `function` or a server tool, found `{kind}`"));
            }
            continue;
        }
        let Some(function) = tool.required_object("function") else {
            continue;
        };
        function.flag("strict");
        let parameters = function.value("parameters").cloned().unwrap_or_default();
        function.object("parameters");
        if let Some(name) = function.required_text("name") {
            if name.is_empty() || name.chars().count() > 64 {
                function.say("name", "expected 1 to 64 characters");
            }
            let name = name.to_owned();
            tools.push(Tool { name, parameters });
        }
    }
    tools
}

/// Whether the service itself runs the tools of this type.
pub(crate) fn is_server_tool(kind: &str) -> bool {
    kind.starts_with("openrouter:") || kind.starts_with("web_search")
}

fn tool_choice(top: &Fields<'_>, tools: &[Tool]) -> ToolChoice {
    let problem = match top.value("tool_choice") {
        None | Some(Value::Null) => return ToolChoice::Free,
        Some(Value::String(word)) => match word.as_str() {
            "auto" | "required" => return ToolChoice::Free,
            "none" => return ToolChoice::None,
            other => format!("expected `none`, `auto`, `required` or an object, found `{other}`"),
        },
        Some(Value::Object(choice)) => {
            let kind = choice.get("type");
            if kind.is_some_and(|kind| kind != "function" && kind.is_string()) {
                return ToolChoice::Free;
            }
            let name = choice.get("function").and_then(|function| function["name"].as_str());
            if let Some(name) = name.filter(|_| kind.is_some()) {
                if !tools.iter().any(|tool| tool.name == name) {
                    top.say("tool_choice.function.name", "expected the name of one of `tools`");
                }
                return ToolChoice::Named(name.to_owned());
            }
            "expected {\"type\": \"function\", \"function\": {\"name\": …}}".to_owned()
        }
        Some(_) => "expected a word or an object".to_owned(),
    };
    top.say("tool_choice", &problem);
    ToolChoice::Free
}

fn format(top: &Fields<'_>) -> Format {
    let Some(format) = top.object("response_format") else {
        return Format::Text;
    };
    match format.required_one_of("type", &["text", "json_object", "json_schema", "grammar", "python"]) {
        Some("json_object") => return Format::Json,
        Some("json_schema") => {
            if let Some(config) = format.required_object("json_schema") {
                config.required_text("name");
                config.text_up_to("name", 64);
                config.flag("strict");
                return Format::Schema(config.value("schema").cloned().unwrap_or_default());
            }
        }
        Some("grammar") => {
            format.required_text("grammar");
        }
        _ => {}
    }
    Format::Text
}

#[cfg(test)]
mod tests;
