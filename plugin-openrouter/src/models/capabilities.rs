//! Compares what a request needs with what its model is listed as supporting.
//!
//! In: a request's messages and parameters as JSON, and a model of the catalogue. Out: messages for people. Pure.
//! Unknown does not mean no: a model lacks nothing that its entry is silent about. The messages of the request are
//! searched but not parsed, and only the numbers of a request are quoted.

use std::collections::{BTreeMap, BTreeSet};

use memchr::memmem;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::models::{Catalogue, Model};
use crate::values::usd::Usd;

/// The most models to suggest instead of one that lacks something.
const MAX_CHOICES: usize = 3;

/// The most bytes that a token is likely to have. Ordinary text has 3 to 5 bytes per token.
const MOST_BYTES_PER_TOKEN: u64 = 6;

/// Numeric parameters with their smallest and largest value.
// Source: OpenRouter's API description and docs, `api_reference/parameters`. Its schema does not enforce them.
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

/// For names of tools and of response schemas, and for keys of `metadata`.
const MAX_NAME_CHARACTERS: usize = 64;

const MAX_METADATA_VALUE_CHARACTERS: usize = 512;

const MAX_METADATA_PAIRS: usize = 16;

const MAX_SESSION_ID_CHARACTERS: usize = 256;

const MAX_STOPS: usize = 4;

/// What a request needs from a model beyond text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wants {
    abilities: BTreeSet<Ability>,
    /// A lower estimate of the prompt's tokens; 0 if unknown, because it is not only text or may be compressed.
    prompt_tokens: u64,
}

/// Something that a request needs and a model is not listed as supporting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lack {
    /// `tools`, `tool_choice`, `json_schema`, `json_object`, `reasoning`, `image_input`, `audio_input`, `file_input`,
    /// `video_input`, `image_output`, `audio_output` or `context`.
    pub ability: &'static str,
    /// What the model lacks, and which models have it.
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

/// What a request needs.
///
/// - In: the messages as a JSON array, and the other fields of the body by their names on the wire. Unreadable ones are
///   ignored.
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
    // The service reads files for models that cannot, unless the request turns that off.
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

/// What a request needs and `model` lacks, each with models to choose instead.
pub fn lacking(wants: &Wants, model: &Model, catalogue: &Catalogue) -> Vec<Lack> {
    // A router chooses a model that fits.
    if is_router(&model.id) {
        return Vec::new();
    }
    let others = |is_able: &dyn Fn(&Model) -> bool| {
        // Prefer models that lack nothing, so that taking the advice does not lead to the next message.
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
            message: format!("`{}` is not listed as supporting {}{others}", model.id, ability.words()),
        });
    }
    if let Some(most) = model.context_length
        && wants.fits(model) == Some(false)
    {
        let (id, least) = (&model.id, wants.prompt_tokens);
        let others = others(&|other| wants.fits(other) == Some(true));
        lacks.push(Lack {
            ability: "context",
            message: format!(
                "`{id}` accepts at most {most} tokens, and this request has at least about {least}{others}"
            ),
        });
    }
    lacks
}

/// A message for each parameter whose value is outside its documented range. Values of another type are ignored.
pub fn out_of_range(parameters: &BTreeMap<String, Box<RawValue>>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, least, most) in RANGES {
        let value: Option<f64> = parameters.get(name).and_then(|value| value.get().parse().ok());
        if let Some(value) = value.filter(|value| !(least..=most).contains(value)) {
            let range = match most.is_finite() {
                true => format!("from {least} to {most}"),
                false => format!("of at least {least}"),
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
            wrong.push(format!("expected {what} with at most {most} {unit}, found {found}"));
        }
    };
    let stops: Vec<IgnoredAny> = read(parameters, "stop").unwrap_or_default();
    limit("`stop`", MAX_STOPS, "strings", stops.len());
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

/// The abilities of a model for lists, in this order: `vision`, `audio`, `files`, `tools`, `reasoning`, `json`,
/// `images` if it generates them, `free` if it never costs anything.
pub fn badges(model: &Model) -> Vec<&'static str> {
    let can = |ability: Ability| ability.is_listed_with(model) == Some(true);
    let is_free = model.request_price == Some(Usd::ZERO)
        // Even the longest prompt at any time of day.
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
    /// Whether it needs more than text.
    pub fn has_any(&self) -> bool {
        !self.abilities.is_empty()
    }

    /// Whether the prompt may fit into a model's context; `None` if unknown.
    fn fits(&self, model: &Model) -> Option<bool> {
        let most = model.context_length.filter(|most| *most > 0)?;
        Some(self.prompt_tokens <= most)
    }

    /// Whether a model is listed as supporting everything.
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
            Self::Tools => "tools, which this request uses",
            Self::ToolChoice => "`tool_choice`, which this request uses",
            Self::JsonSchema => "output by a JSON schema, which this request asks for",
            Self::JsonObject => "JSON output, which this request asks for",
            Self::Reasoning => "reasoning, which this request asks for",
            Self::ImageInput => "image input, which this request has",
            Self::AudioInput => "audio input, which this request has",
            Self::FileInput => "file input, which this request has",
            Self::VideoInput => "video input, which this request has",
            Self::ImageOutput => "image output, which this request asks for",
            Self::AudioOutput => "audio output, which this request asks for",
        }
    }

    /// Whether a model is listed as supporting it; `None` if its entry says nothing.
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

/// Whether a model is a router, which chooses a model for each request.
fn is_router(id: &str) -> bool {
    id.starts_with("openrouter/")
}

/// The models to choose instead of `model`, as the end of a message; empty if there are none. Models of the same author
/// come first. A free model is only replaced by free models.
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
        // Aliases and routers may mean another model tomorrow.
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

/// A parameter, if it is present, not `null` and of the expected type.
fn read<'a, T: Deserialize<'a>>(parameters: &'a BTreeMap<String, Box<RawValue>>, name: &str) -> Option<T> {
    serde_json::from_str::<Option<T>>(parameters.get(name)?.get()).ok()?
}

/// Whether a request asks for reasoning. `exclude`, which hides it, does not.
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

/// The function names of tools, with their places in the list.
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

/// The input that a content part of this type needs.
fn input_of(part_type: &str) -> Option<Ability> {
    match part_type {
        "image_url" => Some(Ability::ImageInput),
        "input_audio" => Some(Ability::AudioInput),
        "file" => Some(Ability::FileInput),
        // `input_video` is the older name.
        "video_url" | "input_video" => Some(Ability::VideoInput),
        _ => None,
    }
}

/// The strings after `"type":` in JSON.
fn part_types(json: &str) -> impl Iterator<Item = &str> {
    const KEY: &str = r#""type""#;
    // Inside a string every quotation mark has a backslash before it, so the key is never found there.
    let places = memmem::find_iter(json.as_bytes(), KEY).filter(|place| !json[..*place].ends_with('\\'));
    places.filter_map(|place| {
        let value = json[place + KEY.len()..].trim_ascii_start().strip_prefix(':')?;
        let text = value.trim_ascii_start().strip_prefix('"')?;
        text.split('"').next()
    })
}

/// A lower estimate of the tokens in JSON that contains only text.
fn least_tokens(json: &str) -> u64 {
    // An escaped character has six bytes in JSON and at least two as text.
    let n_escapes = memmem::find_iter(json.as_bytes(), r"\u").count();
    let bytes = json.len().saturating_sub(4 * n_escapes);
    u64::try_from(bytes).unwrap_or(u64::MAX) / MOST_BYTES_PER_TOKEN
}

#[cfg(test)]
mod tests;
