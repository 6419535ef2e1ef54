//! What a request wants of a model, and what the catalogue does not say that the model is able to.
//!
//! In: a request's messages and parameters as JSON, and a model of the catalogue. Out: sentences. Pure. Unknown is not "no":
//! where the service says nothing of a model, the model lacks nothing. The messages are searched, never read as a whole,
//! and nothing of a request but numbers is repeated.

use std::collections::{BTreeMap, BTreeSet};

use memchr::memmem;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::catalogue::{Catalogue, Model};
use crate::spend::money::Usd;

/// The most models that are named in place of one that lacks something.
const MAX_CHOICES: usize = 3;

/// A prompt hardly has fewer tokens than its bytes divided by this: ordinary text has 3 to 5 bytes per token.
const MOST_BYTES_PER_TOKEN: u64 = 6;

/// The parameters that are numbers, with the least and the greatest value.
// Source: OpenRouter's API description and docs, `api_reference/parameters`. The service's schema does not enforce them.
const RANGES: [(&str, f64, f64); 9] = [
    ("temperature", 0.0, 2.0),
    ("top_p", 0.0, 1.0),
    ("top_k", 0.0, f64::INFINITY),
    ("min_p", 0.0, 1.0),
    ("top_a", 0.0, 1.0),
    ("frequency_penalty", -2.0, 2.0),
    ("presence_penalty", -2.0, 2.0),
    ("repetition_penalty", 0.0, 2.0),
    ("top_logprobs", 0.0, 20.0),
];

/// The longest names of tools and of answers' schemas, and the longest keys of `metadata`, in characters.
const MAX_NAME_CHARACTERS: usize = 64;

/// The longest values of `metadata`, in characters.
const MAX_METADATA_VALUE_CHARACTERS: usize = 512;

const MAX_METADATA_PAIRS: usize = 16;

const MAX_SESSION_ID_CHARACTERS: usize = 256;

const MAX_STOPS: usize = 4;

/// What a request asks of a model beyond text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wants {
    abilities: BTreeSet<Ability>,
    /// The prompt hardly has fewer tokens than this; 0 if nobody knows, because it has more than text or may be cut.
    prompt_tokens: u64,
}

/// Something that a model is not said to be able to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lack {
    /// `tools`, `tool_choice`, `json_schema`, `json_object`, `reasoning`, `image_input`, `audio_input`, `file_input`,
    /// `video_input`, `image_output`, `audio_output` or `context`.
    pub ability: &'static str,
    /// A sentence for people: what the model lacks, and which models have it.
    pub message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Ability {
    Tools,
    ToolChoice,
    JsonSchema,
    JsonObject,
    Reasoning,
    ImageInput,
    AudioInput,
    FileInput,
    VideoInput,
    ImageOutput,
    AudioOutput,
}

/// What a request wants.
///
/// - In: the messages as a JSON array, and the other fields of the body by their names on the wire; what cannot be read is
///   not wanted.
pub fn wants(messages: &str, parameters: &BTreeMap<String, Box<RawValue>>) -> Wants {
    let plugins: Vec<Plugin> = read(parameters, "plugins").unwrap_or_default();
    let inputs: BTreeSet<Ability> = part_types(messages).filter_map(input_of).collect();
    let compresses = plugins
        .iter()
        .any(|plugin| plugin.id == "context-compression" && plugin.is_on());
    let prompt_tokens = match inputs.is_empty() && !compresses {
        true => least_tokens(messages),
        false => 0,
    };
    let mut abilities = inputs;
    // The service reads files for the models that cannot, unless it is told not to.
    // Source: OpenRouter docs, `guides/overview/multimodal/pdfs`.
    if !plugins.iter().any(Plugin::leaves_files_to_the_model) {
        abilities.remove(&Ability::FileInput);
    }
    let has_any = |name| read::<Vec<IgnoredAny>>(parameters, name).is_some_and(|tools| !tools.is_empty());
    if has_any("tools") || has_any("functions") {
        abilities.insert(Ability::Tools);
        let chooses = |name| read::<Value>(parameters, name).is_some_and(|choice| choice != "auto");
        if chooses("tool_choice") || chooses("function_call") {
            abilities.insert(Ability::ToolChoice);
        }
    }
    let format: Option<Map<String, Value>> = read(parameters, "response_format");
    match format.as_ref().and_then(|format| format.get("type")?.as_str()) {
        Some("json_schema") => abilities.insert(Ability::JsonSchema),
        Some("json_object") => abilities.insert(Ability::JsonObject),
        _ => false,
    };
    if wants_reasoning(parameters) {
        abilities.insert(Ability::Reasoning);
    }
    for modality in read::<Vec<String>>(parameters, "modalities").unwrap_or_default() {
        match modality.as_str() {
            "image" => abilities.insert(Ability::ImageOutput),
            "audio" => abilities.insert(Ability::AudioOutput),
            _ => false,
        };
    }
    Wants {
        abilities,
        prompt_tokens,
    }
}

/// What `model` is not listed with of what a request wants, each with the models to choose instead.
pub fn lacking(wants: &Wants, model: &Model, catalogue: &Catalogue) -> Vec<Lack> {
    // A router finds a model that fits.
    if is_router(&model.id) {
        return Vec::new();
    }
    let others = |is_able: &dyn Fn(&Model) -> bool| {
        // Who takes the advice should not be told of the next lack.
        let all = instead_of(model, catalogue, &|other| is_able(other) && wants.is_met_by(other));
        match all.is_empty() {
            true => instead_of(model, catalogue, is_able),
            false => all,
        }
    };
    let mut lacks = Vec::new();
    for ability in &wants.abilities {
        let is_implied = *ability == Ability::ToolChoice && Ability::Tools.is_listed_with(model) == Some(false);
        if is_implied || ability.is_listed_with(model) != Some(false) {
            continue;
        }
        let others = others(&|other| ability.is_listed_with(other) == Some(true));
        lacks.push(Lack {
            ability: ability.name(),
            message: format!("`{}` is not listed with {}{others}", model.id, ability.words()),
        });
    }
    if let Some(most) = model.context_length
        && wants.fits(model) == Some(false)
    {
        let (id, least) = (&model.id, wants.prompt_tokens);
        let others = others(&|other| wants.fits(other) == Some(true));
        lacks.push(Lack {
            ability: "context",
            message: format!("`{id}` takes at most {most} tokens, and this request has about {least} or more{others}"),
        });
    }
    lacks
}

/// Parameters whose values are not as documented, as sentences. What is not of the documented kind is not judged.
pub fn out_of_range(parameters: &BTreeMap<String, Box<RawValue>>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, least, most) in RANGES {
        let value: Option<f64> = parameters.get(name).and_then(|value| value.get().parse().ok());
        if let Some(value) = value.filter(|value| !(least..=most).contains(value)) {
            let range = match most.is_finite() {
                true => format!("from {least} to {most}"),
                false => format!("of {least} or more"),
            };
            wrong.push(format!("expected `{name}` {range}, found {value}"));
        }
    }
    let biases: Map<String, Value> = read(parameters, "logit_bias").unwrap_or_default();
    let is_beyond = |bias: &f64| !(-100.0..=100.0).contains(bias);
    if let Some(bias) = biases.values().filter_map(Value::as_f64).find(is_beyond) {
        wrong.push(format!(
            "expected each value of `logit_bias` from -100 to 100, found {bias}"
        ));
    }
    let mut limit = |what: &str, most: usize, unit: &str, found: usize| {
        if found > most {
            wrong.push(format!("expected {what} of at most {most} {unit}, found {found}"));
        }
    };
    let stops: Vec<IgnoredAny> = read(parameters, "stop").unwrap_or_default();
    limit("`stop`", MAX_STOPS, "texts", stops.len());
    let session_id: String = read(parameters, "session_id").unwrap_or_default();
    limit(
        "`session_id`",
        MAX_SESSION_ID_CHARACTERS,
        "characters",
        characters(&session_id),
    );
    let metadata: Map<String, Value> = read(parameters, "metadata").unwrap_or_default();
    limit("`metadata`", MAX_METADATA_PAIRS, "pairs", metadata.len());
    let longest = metadata.keys().map(|key| characters(key)).max().unwrap_or(0);
    limit("keys of `metadata`", MAX_NAME_CHARACTERS, "characters", longest);
    let longest = metadata
        .values()
        .filter_map(Value::as_str)
        .map(characters)
        .max()
        .unwrap_or(0);
    limit(
        "values of `metadata`",
        MAX_METADATA_VALUE_CHARACTERS,
        "characters",
        longest,
    );
    for (place, name) in tool_names(parameters) {
        let what = format!("a name at `tools[{place}]`");
        limit(&what, MAX_NAME_CHARACTERS, "characters", characters(&name));
    }
    let format: Map<String, Value> = read(parameters, "response_format").unwrap_or_default();
    let schema = format
        .get("json_schema")
        .and_then(|schema| schema.get("name")?.as_str());
    let what = "a name at `response_format.json_schema`";
    limit(what, MAX_NAME_CHARACTERS, "characters", schema.map_or(0, characters));
    wrong
}

/// What a model can, in a few words for lists: `vision`, `audio`, `files`, `tools`, `reasoning`, `json`, `images` if it makes
/// them, `free` if nothing of it costs anything; in this order.
pub fn badges(model: &Model) -> Vec<&'static str> {
    let can = |ability: Ability| ability.is_listed_with(model) == Some(true);
    let is_free = model.request_price == Some(Usd::ZERO)
        // Of the longest prompts, at any time of the day.
        && model.greatest_prices(u64::MAX) == Some((Usd::ZERO, Usd::ZERO));
    let all = [
        ("vision", can(Ability::ImageInput)),
        ("audio", can(Ability::AudioInput)),
        ("files", can(Ability::FileInput)),
        ("tools", can(Ability::Tools)),
        ("reasoning", can(Ability::Reasoning)),
        ("json", can(Ability::JsonSchema)),
        ("images", can(Ability::ImageOutput)),
        ("free", is_free),
    ];
    all.into_iter()
        .filter(|(_, has)| *has)
        .map(|(badge, _)| badge)
        .collect()
}

impl Wants {
    /// Whether the prompt may fit into a model; `None` where nobody knows.
    fn fits(&self, model: &Model) -> Option<bool> {
        let most = model.context_length.filter(|most| *most > 0)?;
        Some(self.prompt_tokens <= most)
    }

    /// Whether a model is listed with everything.
    fn is_met_by(&self, model: &Model) -> bool {
        let is_able = |ability: &Ability| ability.is_listed_with(model) == Some(true);
        self.abilities.iter().all(is_able) && self.fits(model) != Some(false)
    }
}

impl Ability {
    fn name(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::ToolChoice => "tool_choice",
            Self::JsonSchema => "json_schema",
            Self::JsonObject => "json_object",
            Self::Reasoning => "reasoning",
            Self::ImageInput => "image_input",
            Self::AudioInput => "audio_input",
            Self::FileInput => "file_input",
            Self::VideoInput => "video_input",
            Self::ImageOutput => "image_output",
            Self::AudioOutput => "audio_output",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Tools => "tools, which this request has",
            Self::ToolChoice => "`tool_choice`, which this request has",
            Self::JsonSchema => "answers by a JSON schema, which this request asks for",
            Self::JsonObject => "answers in JSON, which this request asks for",
            Self::Reasoning => "reasoning, which this request asks for",
            Self::ImageInput => "images as input, which this request has",
            Self::AudioInput => "audio as input, which this request has",
            Self::FileInput => "files as input, which this request has",
            Self::VideoInput => "video as input, which this request has",
            Self::ImageOutput => "images as output, which this request asks for",
            Self::AudioOutput => "audio as output, which this request asks for",
        }
    }

    /// Whether the service lists a model with it; `None` where it says nothing.
    fn is_listed_with(self, model: &Model) -> Option<bool> {
        let (parameters, inputs, outputs) = (
            &model.supported_parameters,
            &model.input_modalities,
            &model.output_modalities,
        );
        let (list, names): (&[String], &[&str]) = match self {
            Self::Tools => (parameters, &["tools"]),
            Self::ToolChoice => (parameters, &["tool_choice"]),
            Self::JsonSchema => (parameters, &["structured_outputs", "response_format"]),
            Self::JsonObject => (parameters, &["response_format"]),
            Self::Reasoning => (parameters, &["reasoning", "reasoning_effort"]),
            Self::ImageInput => (inputs, &["image"]),
            Self::AudioInput => (inputs, &["audio"]),
            Self::FileInput => (inputs, &["file"]),
            Self::VideoInput => (inputs, &["video"]),
            Self::ImageOutput => (outputs, &["image"]),
            Self::AudioOutput => (outputs, &["audio"]),
        };
        let is_known = !list.is_empty() && !is_router(&model.id);
        is_known.then(|| list.iter().any(|one| names.contains(&one.as_str())))
    }
}

/// An entry of the request's `plugins`.
#[derive(Deserialize)]
struct Plugin {
    #[serde(default)]
    id: String,
    enabled: Option<bool>,
    pdf: Option<PdfOptions>,
}

#[derive(Deserialize)]
struct PdfOptions {
    engine: Option<String>,
}

impl Plugin {
    fn is_on(&self) -> bool {
        self.enabled != Some(false)
    }

    fn leaves_files_to_the_model(&self) -> bool {
        let engine = self.pdf.as_ref().and_then(|pdf| pdf.engine.as_deref());
        self.id == "file-parser" && (!self.is_on() || engine == Some("native"))
    }
}

/// Whether a model is one of the service's routers, which choose a model.
fn is_router(id: &str) -> bool {
    id.starts_with("openrouter/")
}

/// The models to choose in place of `model` as the end of a sentence, those of the same author first; empty if there are
/// none. Whoever asked for a free model is not sent to one that costs something.
fn instead_of(model: &Model, catalogue: &Catalogue, is_able: &dyn Fn(&Model) -> bool) -> String {
    fn author(id: &str) -> &str {
        id.split('/').next().unwrap_or(id)
    }
    let is_free = model.id.ends_with(":free");
    let is_choice = |other: &&Model| {
        let is_alike = match other.id.split_once(':') {
            Some((_, variant)) => is_free && variant == "free",
            None => !is_free,
        };
        // Aliases and routers mean another model tomorrow.
        is_alike && !other.id.starts_with('~') && !is_router(&other.id) && other.id != model.id && is_able(other)
    };
    let is_kin = |other: &&Model| author(&other.id) == author(&model.id);
    let all = || catalogue.models().iter().filter(is_choice);
    let others = all().filter(is_kin).chain(all().filter(|other| !is_kin(other)));
    let names: Vec<String> = others
        .take(MAX_CHOICES)
        .map(|other| format!("`{}`", other.id))
        .collect();
    match names.as_slice() {
        [] => String::new(),
        [only] => format!(": choose {only}"),
        several => format!(": choose one of {}", several.join(", ")),
    }
}

/// A parameter, if it is there, is not `null` and is of the expected kind.
fn read<'a, T: Deserialize<'a>>(parameters: &'a BTreeMap<String, Box<RawValue>>, name: &str) -> Option<T> {
    serde_json::from_str::<Option<T>>(parameters.get(name)?.get()).ok()?
}

/// Whether a request asks for thinking. To hide it (`exclude`) is not to ask for it.
fn wants_reasoning(parameters: &BTreeMap<String, Box<RawValue>>) -> bool {
    let reasoning: Map<String, Value> = read(parameters, "reasoning").unwrap_or_default();
    let is_off = reasoning.get("effort").is_some_and(|effort| effort == "none")
        || reasoning.get("enabled").is_some_and(|enabled| enabled == false);
    let asks = reasoning
        .iter()
        .any(|(name, value)| name != "exclude" && !value.is_null());
    let effort: Option<String> = read(parameters, "reasoning_effort");
    (asks && !is_off) || effort.is_some_and(|effort| effort != "none")
}

/// The function names of the tools that have one, with their places in the list.
fn tool_names(parameters: &BTreeMap<String, Box<RawValue>>) -> Vec<(usize, String)> {
    #[derive(Deserialize)]
    struct Tool {
        function: Function,
    }

    #[derive(Deserialize)]
    struct Function {
        name: String,
    }

    let tools: Vec<&RawValue> = read(parameters, "tools").unwrap_or_default();
    let names = tools.into_iter().map(|tool| serde_json::from_str::<Tool>(tool.get()));
    let named = names
        .enumerate()
        .filter_map(|(place, tool)| Some((place, tool.ok()?.function.name)));
    named.collect()
}

fn characters(text: &str) -> usize {
    text.chars().count()
}

/// What a model must read for a content part of this type.
fn input_of(part_type: &str) -> Option<Ability> {
    match part_type {
        "image_url" => Some(Ability::ImageInput),
        "input_audio" => Some(Ability::AudioInput),
        "file" => Some(Ability::FileInput),
        // The second one is the older name.
        "video_url" | "input_video" => Some(Ability::VideoInput),
        _ => None,
    }
}

/// The texts that stand behind `"type":` in some JSON.
fn part_types(json: &str) -> impl Iterator<Item = &str> {
    const KEY: &str = r#""type""#;
    // Inside a text every quotation mark has a backslash before it, so neither end of the key is found there.
    let places = memmem::find_iter(json.as_bytes(), KEY).filter(|place| !json[..*place].ends_with('\\'));
    places.filter_map(|place| {
        let value = json[place + KEY.len()..].trim_ascii_start().strip_prefix(':')?;
        let text = value.trim_ascii_start().strip_prefix('"')?;
        text.split('"').next()
    })
}

/// The least tokens that some JSON of nothing but text is likely to have.
fn least_tokens(json: &str) -> u64 {
    // A character in this form has six bytes here, and two or more as it is counted.
    let n_escapes = memmem::find_iter(json.as_bytes(), r"\u").count();
    let bytes = json.len().saturating_sub(4 * n_escapes);
    u64::try_from(bytes).unwrap_or(u64::MAX) / MOST_BYTES_PER_TOKEN
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, OnceLock};

    use serde_json::json;

    use super::*;
    use crate::catalogue::Store;
    use crate::fetch::stand_in::{block_on, settings};

    fn entry(id: &str, context: u64, parameters: &[&str], inputs: &[&str], outputs: &[&str]) -> Value {
        json!({
            "id": id, "context_length": context, "supported_parameters": parameters,
            "architecture": {"input_modalities": inputs, "output_modalities": outputs},
            "pricing": {"prompt": "0.1", "completion": "0.1"},
        })
    }

    fn entries() -> Vec<Value> {
        let (text, see): (&[&str], &[&str]) = (&["text"], &["text", "image"]);
        let all = [
            "tools",
            "tool_choice",
            "structured_outputs",
            "response_format",
            "reasoning",
        ];
        vec![
            entry("openrouter/auto", 1000, &["tools"], text, text),
            entry("~acme/plain-latest", 9000, &all, see, see),
            entry("acme/plain", 100, &["temperature"], text, text),
            entry("acme/plain:free", 100, &["temperature"], text, text),
            entry("acme/silent", 0, &[], &[], &[]),
            entry("other/tools", 1000, &["tools", "response_format"], text, text),
            entry(
                "other/all",
                9000,
                &all,
                &["text", "image", "file", "audio", "video"],
                &["text", "image", "audio"],
            ),
            entry("acme/tools", 1000, &["tools"], text, text),
            entry("acme/tools:free", 1000, &["tools"], text, text),
            entry(
                "acme/thinks",
                1000,
                &["tools", "tool_choice", "reasoning_effort"],
                see,
                text,
            ),
            entry("acme/schema", 1000, &["structured_outputs"], text, text),
            entry("third/tools", 1000, &["tools"], text, text),
            entry("third/gift:free", 1000, &["tools"], see, text),
            entry("third/eyes", 1000, &["temperature"], see, text),
        ]
    }

    fn catalogue(entries: Vec<Value>) -> Arc<Catalogue> {
        let settings = settings(json!({}), &[]);
        let store = Store::with(&settings, &json!(entries));
        block_on(store.catalogue(&settings)).expect("it is there")
    }

    fn raw(parameters: Value) -> BTreeMap<String, Box<RawValue>> {
        serde_json::from_str(&parameters.to_string()).expect("an object")
    }

    /// The messages of a user who sends these parts.
    fn parts(types: &[&str]) -> String {
        let parts: Vec<Value> = types.iter().map(|name| json!({"type": name, *name: {}})).collect();
        json!([{"role": "user", "content": parts}]).to_string()
    }

    fn wanted(messages: &str, parameters: Value) -> Vec<&'static str> {
        let wants = wants(messages, &raw(parameters));
        wants.abilities.iter().map(|ability| ability.name()).collect()
    }

    fn lacks(model: &str, messages: &str, parameters: Value) -> Vec<Lack> {
        // Made once, because the settings that it takes have a client.
        static USUAL: OnceLock<Arc<Catalogue>> = OnceLock::new();
        let catalogue = USUAL.get_or_init(|| catalogue(entries()));
        let model = catalogue.find(model).expect("it is listed");
        lacking(&wants(messages, &raw(parameters)), model, catalogue)
    }

    fn messages_of(model: &str, messages: &str, parameters: Value) -> Vec<String> {
        lacks(model, messages, parameters)
            .into_iter()
            .map(|lack| lack.message)
            .collect()
    }

    #[test]
    fn what_the_parameters_ask_for_is_wanted() {
        let rows: [(Value, &[&str]); 24] = [
            (json!({}), &[]),
            (
                json!({"temperature": 1, "tools": null, "modalities": null, "reasoning": null}),
                &[],
            ),
            (json!({"tools": []}), &[]),
            (json!({"tools": "all"}), &[]),
            (json!({"tools": [{}]}), &["tools"]),
            (json!({"functions": [{}]}), &["tools"]),
            (json!({"tools": [{}], "tool_choice": "auto"}), &["tools"]),
            (
                json!({"tools": [{}], "tool_choice": "required"}),
                &["tools", "tool_choice"],
            ),
            (
                json!({"tools": [{}], "tool_choice": {"type": "function"}}),
                &["tools", "tool_choice"],
            ),
            (json!({"tool_choice": "none"}), &[]),
            (json!({"response_format": {"type": "text"}}), &[]),
            (json!({"response_format": {"type": "json_object"}}), &["json_object"]),
            (
                json!({"response_format": {"type": "json_schema", "json_schema": {}}}),
                &["json_schema"],
            ),
            (json!({"reasoning": {}}), &[]),
            (json!({"reasoning": {"exclude": true}}), &[]),
            (json!({"reasoning": {"effort": "none"}}), &[]),
            (json!({"reasoning": {"enabled": false, "summary": "auto"}}), &[]),
            (json!({"reasoning": {"effort": null, "max_tokens": 9}}), &["reasoning"]),
            (json!({"reasoning": {"effort": "low", "exclude": true}}), &["reasoning"]),
            (json!({"reasoning_effort": "none"}), &[]),
            (json!({"reasoning_effort": "high"}), &["reasoning"]),
            (json!({"modalities": ["text"]}), &[]),
            (json!({"modalities": ["text", "image"]}), &["image_output"]),
            (
                json!({"modalities": ["audio", "image"]}),
                &["image_output", "audio_output"],
            ),
        ];
        for (parameters, expected) in rows {
            assert_eq!(wanted("[]", parameters.clone()), expected, "{parameters}");
        }
    }

    #[test]
    fn what_the_messages_contain_is_wanted() {
        let rows: [(String, &[&str]); 8] = [
            (parts(&["text"]), &[]),
            (parts(&["text", "image_url"]), &["image_input"]),
            (
                parts(&["video_url", "input_audio", "image_url"]),
                &["image_input", "audio_input", "video_input"],
            ),
            (parts(&["input_video"]), &["video_input"]),
            (
                "[{\"content\": [{\"type\" \n:\t\"image_url\"}]}]".to_owned(),
                &["image_input"],
            ),
            // Text that looks like a part, and a text that ends like the key.
            (json!([{"content": r#"{"type":"image_url"}"#}]).to_string(), &[]),
            (json!([{"content": "say \"type", "name": "image_url"}]).to_string(), &[]),
            (
                json!([{"content": "image_url", "type": "file_url", "kind": "input_audio"}]).to_string(),
                &[],
            ),
        ];
        for (messages, expected) in rows {
            assert_eq!(wanted(&messages, json!({})), expected, "{messages}");
        }
        for broken in [
            "",
            "\"type\"",
            "\"type\":",
            "\"type\":\"",
            "\"type\":\"fi",
            "\"type\" : 7",
        ] {
            assert_eq!(wanted(broken, json!({})), [""; 0], "{broken}");
        }
    }

    #[test]
    fn the_service_reads_files_for_a_model_unless_it_is_told_not_to() {
        let rows = [
            (json!([]), false),
            (json!([{"id": "file-parser", "pdf": {"engine": "mistral-ocr"}}]), false),
            (json!([{"id": "file-parser", "pdf": {"engine": "native"}}]), true),
            (json!([{"id": "web"}, {"id": "file-parser", "enabled": false}]), true),
        ];
        for (plugins, is_wanted) in rows {
            let found = wanted(&parts(&["file"]), json!({"plugins": plugins}));
            assert_eq!(found == ["file_input"], is_wanted, "{plugins}");
        }
    }

    #[test]
    fn each_lack_names_models_that_have_the_ability() {
        let rows = [
            (
                json!({"tools": [{}]}),
                "`acme/plain` is not listed with tools, which this request has: choose one of `acme/tools`, `acme/thinks`, \
                 `other/tools`",
            ),
            (
                json!({"response_format": {"type": "json_schema"}}),
                "`acme/plain` is not listed with answers by a JSON schema, which this request asks for: choose one of \
                 `acme/schema`, `other/tools`, `other/all`",
            ),
            (
                json!({"response_format": {"type": "json_object"}}),
                "`acme/plain` is not listed with answers in JSON, which this request asks for: choose one of \
                 `other/tools`, `other/all`",
            ),
            (
                json!({"reasoning": {"effort": "low"}}),
                "`acme/plain` is not listed with reasoning, which this request asks for: choose one of `acme/thinks`, \
                 `other/all`",
            ),
            (
                json!({"modalities": ["image"]}),
                "`acme/plain` is not listed with images as output, which this request asks for: choose `other/all`",
            ),
            (
                json!({"modalities": ["audio"]}),
                "`acme/plain` is not listed with audio as output, which this request asks for: choose `other/all`",
            ),
        ];
        for (parameters, expected) in rows {
            assert_eq!(messages_of("acme/plain", "[]", parameters), [expected]);
        }
        let rows = [
            (
                "image_url",
                "`acme/plain` is not listed with images as input, which this request has: choose one of `acme/thinks`, \
                 `other/all`, `third/eyes`",
            ),
            (
                "input_audio",
                "`acme/plain` is not listed with audio as input, which this request has: choose `other/all`",
            ),
            (
                "video_url",
                "`acme/plain` is not listed with video as input, which this request has: choose `other/all`",
            ),
            (
                "file",
                "`acme/plain` is not listed with files as input, which this request has: choose `other/all`",
            ),
        ];
        for (part, expected) in rows {
            let native = json!({"plugins": [{"id": "file-parser", "pdf": {"engine": "native"}}]});
            assert_eq!(messages_of("acme/plain", &parts(&[part]), native), [expected]);
        }
        assert_eq!(
            messages_of("acme/tools", "[]", json!({"tools": [{}], "tool_choice": "required"})),
            [
                "`acme/tools` is not listed with `tool_choice`, which this request has: choose one of `acme/thinks`, \
              `other/all`"
            ]
        );
    }

    #[test]
    fn the_models_that_are_named_lack_nothing_if_there_are_such() {
        let demanding = json!({"tools": [{}], "tool_choice": "required", "reasoning_effort": "low"});
        let found = lacks("acme/plain", &parts(&["image_url"]), demanding);
        let abilities: Vec<&str> = found.iter().map(|lack| lack.ability).collect();
        // That there are no tools says that there is nothing to choose from.
        assert_eq!(abilities, ["tools", "reasoning", "image_input"]);
        for lack in &found {
            assert!(
                lack.message.ends_with(": choose one of `acme/thinks`, `other/all`"),
                "{}",
                lack.message
            );
        }
        // None has both.
        let mut entries = entries();
        entries.retain(|entry| entry["id"] != "other/all");
        let catalogue = catalogue(entries);
        let model = catalogue.find("acme/plain").expect("it is listed");
        let both = wants("[]", &raw(json!({"reasoning_effort": "low", "modalities": ["audio"]})));
        let messages: Vec<String> = lacking(&both, model, &catalogue)
            .into_iter()
            .map(|lack| lack.message)
            .collect();
        assert_eq!(
            messages,
            [
                "`acme/plain` is not listed with reasoning, which this request asks for: choose `acme/thinks`",
                "`acme/plain` is not listed with audio as output, which this request asks for",
            ]
        );
    }

    #[test]
    fn a_free_model_is_replaced_by_free_models() {
        let expected = "`acme/plain:free` is not listed with tools, which this request has: choose one of \
                        `acme/tools:free`, `third/gift:free`";
        assert_eq!(messages_of("acme/plain:free", "[]", json!({"tools": [{}]})), [expected]);
    }

    #[test]
    fn what_is_unknown_is_not_lacking() {
        let everything = json!({"tools": [{}], "tool_choice": "none", "response_format": {"type": "json_schema"},
            "reasoning_effort": "low", "modalities": ["image", "audio"]});
        let long = json!([{"role": "user", "content": "word ".repeat(100_000)}]).to_string();
        for model in ["acme/silent", "openrouter/auto", "other/all"] {
            let seeing = parts(&["image_url", "input_audio", "video_url"]);
            assert_eq!(lacks(model, &seeing, everything.clone()), [], "{model}");
        }
        for model in ["acme/silent", "openrouter/auto"] {
            assert_eq!(lacks(model, &long, json!({})), [], "{model}");
        }
    }

    #[test]
    fn a_prompt_that_cannot_fit_is_a_lack() {
        let text = |n_bytes: usize| format!("\"{}\"", "x".repeat(n_bytes - 2));
        assert_eq!(lacks("acme/plain", &text(605), json!({})), []);
        assert_eq!(
            lacks("acme/plain", &text(606), json!({})),
            [Lack {
                ability: "context",
                message:
                    "`acme/plain` takes at most 100 tokens, and this request has about 101 or more: choose one of \
                          `acme/tools`, `acme/thinks`, `acme/schema`"
                        .to_owned(),
            }]
        );
        assert_eq!(
            messages_of("acme/plain", &text(9000), json!({})),
            ["`acme/plain` takes at most 100 tokens, and this request has about 1500 or more: choose `other/all`"]
        );
        assert_eq!(
            messages_of("acme/plain", &text(900_000), json!({})),
            ["`acme/plain` takes at most 100 tokens, and this request has about 150000 or more"]
        );
        // Escaped characters are shorter than they look, pictures are not text, and compression makes it fit.
        assert_eq!(
            lacks("acme/plain", &format!("\"{}\"", r"\u0416".repeat(200)), json!({})),
            []
        );
        let picture = json!([{"content": [{"type": "image_url", "image_url": {"url": "A".repeat(90_000)}}]}]);
        assert_eq!(lacks("acme/thinks", &picture.to_string(), json!({})), []);
        let compressed = json!({"plugins": [{"id": "context-compression"}]});
        assert_eq!(lacks("acme/plain", &text(9000), compressed), []);
        let not_compressed = json!({"plugins": [{"id": "context-compression", "enabled": false}]});
        assert_eq!(lacks("acme/plain", &text(9000), not_compressed).len(), 1);
    }

    #[test]
    fn a_number_out_of_its_range_is_named() {
        let rows = [
            (
                "temperature",
                json!(2.1),
                "expected `temperature` from 0 to 2, found 2.1",
            ),
            ("temperature", json!(-1), "expected `temperature` from 0 to 2, found -1"),
            ("top_p", json!(1.5), "expected `top_p` from 0 to 1, found 1.5"),
            ("top_k", json!(-1), "expected `top_k` of 0 or more, found -1"),
            ("min_p", json!(2), "expected `min_p` from 0 to 1, found 2"),
            ("top_a", json!(-0.5), "expected `top_a` from 0 to 1, found -0.5"),
            (
                "frequency_penalty",
                json!(3),
                "expected `frequency_penalty` from -2 to 2, found 3",
            ),
            (
                "presence_penalty",
                json!(-3),
                "expected `presence_penalty` from -2 to 2, found -3",
            ),
            (
                "repetition_penalty",
                json!(9),
                "expected `repetition_penalty` from 0 to 2, found 9",
            ),
            (
                "top_logprobs",
                json!(21),
                "expected `top_logprobs` from 0 to 20, found 21",
            ),
            (
                "logit_bias",
                json!({"1": 100, "2": -101, "3": "x"}),
                "expected each value of `logit_bias` from -100 to 100, found -101",
            ),
        ];
        for (name, value, expected) in rows {
            assert_eq!(out_of_range(&raw(json!({name: value}))), [expected]);
        }
        let huge = BTreeMap::from([(
            "temperature".to_owned(),
            RawValue::from_string("1e999".to_owned()).expect("a number"),
        )]);
        assert_eq!(out_of_range(&huge), ["expected `temperature` from 0 to 2, found inf"]);
    }

    #[test]
    fn what_is_too_long_is_counted_and_not_repeated() {
        let long = "ü".repeat(600);
        let pairs: Map<String, Value> = (0..17).map(|n| (n.to_string(), json!("v"))).collect();
        let rows = [
            (
                json!({"stop": ["a", "b", "c", "d", "e"]}),
                "expected `stop` of at most 4 texts, found 5",
            ),
            (
                json!({"session_id": long}),
                "expected `session_id` of at most 256 characters, found 600",
            ),
            (
                json!({"metadata": pairs}),
                "expected `metadata` of at most 16 pairs, found 17",
            ),
            (
                json!({"metadata": {"k": "v", &long[..140]: "v"}}),
                "expected keys of `metadata` of at most 64 characters, found 70",
            ),
            (
                json!({"metadata": {"k": long, "n": 1}}),
                "expected values of `metadata` of at most 512 characters, found 600",
            ),
            (
                json!({"tools": ["odd", {"type": "openrouter:web_search"}, {"function": {"name": &long[..130]}}]}),
                "expected a name at `tools[2]` of at most 64 characters, found 65",
            ),
            (
                json!({"response_format": {"type": "json_schema", "json_schema": {"name": &long[..130]}}}),
                "expected a name at `response_format.json_schema` of at most 64 characters, found 65",
            ),
        ];
        for (parameters, expected) in rows {
            assert_eq!(out_of_range(&raw(parameters)), [expected]);
        }
    }

    #[test]
    fn what_is_in_its_range_or_of_another_kind_is_not_named() {
        let name = "n".repeat(64);
        let good = json!({"temperature": 2, "top_p": 0, "top_k": 1_000_000, "min_p": 1.0, "top_a": 0.0,
            "frequency_penalty": -2, "presence_penalty": 2, "repetition_penalty": 0, "top_logprobs": 20,
            "stop": ["a", "b", "c", "d"], "logit_bias": {"1": 100, "2": -100}, "session_id": "s".repeat(256),
            "metadata": {&name: "v".repeat(512)}, "tools": [{"type": "function", "function": {"name": name}}],
            "max_tokens": 0, "new_field": -1});
        assert_eq!(out_of_range(&raw(good)), [""; 0]);
        let odd = json!({"temperature": "hot", "top_p": null, "top_k": [], "stop": "one", "logit_bias": 7,
            "session_id": 7, "metadata": [], "tools": {}, "response_format": "json"});
        assert_eq!(out_of_range(&raw(odd)), [""; 0]);
        assert_eq!(out_of_range(&BTreeMap::new()), [""; 0]);
    }

    #[test]
    fn badges_say_what_a_model_can_in_a_fixed_order() {
        let priced = |id: &str, pricing: Value| {
            let mut entry = entry(id, 1, &["reasoning", "tools"], &["text"], &["text"]);
            entry["pricing"] = pricing;
            entry
        };
        let mut entries = entries();
        entries.extend([
            priced("free/all", json!({"prompt": "0", "completion": "0", "request": "0"})),
            priced(
                "free/request",
                json!({"prompt": "0", "completion": "0", "request": "0.01"}),
            ),
            priced("free/unknown", json!({"prompt": "0"})),
            priced(
                "free/short",
                json!({"prompt": "0", "completion": "0",
                "overrides": [{"min_prompt_tokens": 1000, "prompt": "0.1"}]}),
            ),
        ]);
        let catalogue = catalogue(entries);
        let rows: [(&str, &[&str]); 9] = [
            (
                "other/all",
                &["vision", "audio", "files", "tools", "reasoning", "json", "images"],
            ),
            ("other/tools", &["tools", "json"]),
            ("acme/schema", &["json"]),
            ("acme/plain", &[]),
            ("acme/silent", &[]),
            ("free/all", &["tools", "reasoning", "free"]),
            ("free/request", &["tools", "reasoning"]),
            ("free/unknown", &["tools", "reasoning"]),
            ("free/short", &["tools", "reasoning"]),
        ];
        for (id, expected) in rows {
            assert_eq!(badges(catalogue.find(id).expect("it is listed")), expected, "{id}");
        }
    }
}
