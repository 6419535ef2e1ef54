//! A table for each program: which of its settings becomes which option.
//!
//! A path is written with dots. `*` is any key, `#` any element of a list, `@mine` an entry that is for the plugin's
//! provider, `@profile` the same if its key names a profile, `@model` a key that is one of the profile's models. Rules further up are followed first, so that
//! they win where two settings mean the same option. Options are named without the profile in front.

use serde_json::Value;

use super::source::Source;
use crate::terminal::{joined, listed};

/// What is done with a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Action {
    /// It becomes this option.
    To(&'static str),
    /// The number becomes this option, multiplied and increased.
    Scaled(&'static str, f64, f64),
    /// The model id becomes this option; with the provider in front or without.
    Model(&'static str),
    /// The same, of a program whose ids all have the provider in front: without it, it is another provider's model.
    OwnModel(&'static str),
    /// One model id, or a list of them, goes to the end of the list of fallback models.
    Fallback,
    /// Names of models, for the model whose name is the key.
    FallbackByName,
    /// It switches this option on, if it is anything at all.
    Switch(&'static str),
    /// The key, or where it comes from.
    Key,
    /// The name of the variable that holds the key.
    KeyVariable,
    /// Members of a request, in any spelling; the service may know further ones.
    Body,
    /// Options in any spelling, among others.
    Options,
    /// HTTP headers.
    Headers,
    /// An environment variable by its name.
    Variable,
    /// Nothing, for this reason.
    No(&'static str),
}

/// The settings of one program.
#[derive(Debug)]
pub(super) struct Format {
    /// The file, as its program calls it.
    pub name: &'static str,
    /// What only such a file has: a path, and a part of the text there.
    marks: &'static [(&'static str, &'static str)],
    /// The member that names an entry of a list: the name of a tier, or one for its clients.
    pub entry_name: &'static str,
    pub rules: &'static [(&'static str, Action)],
}

use Action::{
    Body, Fallback, FallbackByName, Headers, Key, KeyVariable, Model, No, Options, OwnModel, Scaled, Switch, To,
    Variable,
};

/// Members of requests whose options have other names, without their spelling.
pub(super) const MEMBERS: &[(&str, Action)] = &[
    ("model", Model("/model")),
    ("models", Fallback),
    ("provider", To("/providerPreferences")),
    ("reasoningeffort", To("/parameters/reasoning/effort")),
    ("maxoutputtokens", To("/parameters/maxTokens")),
    ("transforms", Switch("/compress")),
    ("extrabody", Body),
    ("headers", Headers),
    ("extraheaders", Headers),
    ("apikey", Key),
    ("route", No("fallback models are tried in their order without it")),
    ("stream", No("each call says whether it streams")),
];

/// Headers that are options, without their spelling.
pub(super) const HEADERS: &[(&str, &str)] = &[
    ("httpreferer", "/attribution/siteUrl"),
    ("referer", "/attribution/siteUrl"),
    ("xtitle", "/attribution/appName"),
];

/// Words that stand where a model or a key might.
pub(super) const NO_MODELS: &[&str] = &["current_model", ""];
pub(super) const NO_KEYS: &[&str] = &["user_provided", "none", ""];

const SECOND: f64 = 1000.0;

const FORMATS: &[Format] = &[
    Format {
        name: "milady.json",
        marks: &[("auth.profiles", ""), ("agents.defaults.model", "")],
        entry_name: "",
        rules: &[
            ("auth.profiles.@profile.provider", To("/provider")),
            ("auth.profiles.@profile.apiKey", Key),
            ("auth.profiles.@profile.model", Model("/model")),
            ("auth.profiles.@profile", Options),
            ("agents.defaults.model", OwnModel("/model")),
            ("agents.defaults.model.primary", OwnModel("/model")),
            ("agents.defaults.model.fallbacks", Fallback),
            ("env.vars.*", Variable),
            ("env.*", Variable),
            ("secrets.*", Variable),
        ],
    },
    Format {
        name: "librechat.yaml",
        marks: &[("endpoints.custom", ""), ("modelSpecs.list", "")],
        entry_name: "",
        rules: &[
            ("modelSpecs.list.@mine.preset.endpoint", To("/provider")),
            ("modelSpecs.list.@mine.preset.model", Model("/model")),
            ("modelSpecs.list.@mine.preset", Options),
            ("endpoints.custom.@mine.name", To("/provider")),
            ("endpoints.custom.@mine.apiKey", Key),
            ("endpoints.custom.@mine.baseURL", To("/baseUrl")),
            ("endpoints.custom.@mine.headers", Headers),
            ("endpoints.custom.@mine.models.default.#", Model("/model")),
            (
                "endpoints.custom.@mine.models.fetch",
                No("the model list always comes from the service"),
            ),
            ("endpoints.custom.@mine.titleModel", Model("/tiers/TEXT_SMALL/model")),
            ("endpoints.custom.@mine.addParams", Body),
            (
                "endpoints.custom.@mine.dropParams",
                No("only the parameters that are set are sent"),
            ),
        ],
    },
    Format {
        name: "LiteLLM's config.yaml",
        marks: &[("model_list", "")],
        entry_name: "model_name",
        rules: &[
            ("model_list.@mine.litellm_params.model", Model("/model")),
            ("model_list.@mine.litellm_params.api_key", Key),
            ("model_list.@mine.litellm_params.api_base", To("/baseUrl")),
            (
                "model_list.@mine.litellm_params.timeout",
                Scaled("/timeouts/totalMs", SECOND, 0.0),
            ),
            (
                "model_list.@mine.litellm_params.stream_timeout",
                Scaled("/timeouts/firstTokenMs", SECOND, 0.0),
            ),
            (
                "model_list.@mine.litellm_params.max_retries",
                Scaled("/retry/attempts", 1.0, 1.0),
            ),
            ("model_list.@mine.litellm_params.rpm", To("/limits/requestsPerMinute")),
            ("model_list.@mine.litellm_params.extra_body", Body),
            ("model_list.@mine.litellm_params.custom_llm_provider", To("/provider")),
            ("model_list.@mine.litellm_params", Options),
            ("model_list.@mine.model_name", No("a call names a tier or a model's id")),
            ("litellm_settings.fallbacks.#.*", FallbackByName),
            ("router_settings.fallbacks.#.*", FallbackByName),
            ("litellm_settings.num_retries", Scaled("/retry/attempts", 1.0, 1.0)),
            ("router_settings.num_retries", Scaled("/retry/attempts", 1.0, 1.0)),
            (
                "litellm_settings.request_timeout",
                Scaled("/timeouts/totalMs", SECOND, 0.0),
            ),
            ("router_settings.timeout", Scaled("/timeouts/totalMs", SECOND, 0.0)),
            (
                "litellm_settings.max_budget",
                No("its period may be any; set `budget.perDayUsd` for a day"),
            ),
            (
                "litellm_settings.drop_params",
                No("only the parameters that are set are sent"),
            ),
            (
                "general_settings.master_key",
                No("the endpoint has a token of its own, `AGENT_HOST_TOKEN`"),
            ),
        ],
    },
    Format {
        name: "opencode.json",
        marks: &[
            ("$schema", "opencode"),
            ("small_model", ""),
            ("provider.*.options", ""),
            ("provider.*.models", ""),
        ],
        entry_name: "",
        rules: &[
            ("model", OwnModel("/model")),
            ("small_model", OwnModel("/tiers/TEXT_SMALL/model")),
            ("provider.@mine.env.#", KeyVariable),
            ("provider.@mine.options.apiKey", Key),
            ("provider.@mine.options.baseURL", To("/baseUrl")),
            ("provider.@mine.options.timeout", To("/timeouts/totalMs")),
            ("provider.@mine.options.headers", Headers),
            ("provider.@mine.options.extraBody", Body),
            ("provider.@mine.models.@model.options", Body),
            ("agent", No("a profile has no agents; `agent-host agent` runs one")),
            ("$schema", No("it describes the other file")),
        ],
    },
    Format {
        name: "aichat's config.yaml",
        marks: &[("clients", "")],
        entry_name: "",
        rules: &[
            ("model", OwnModel("/model")),
            ("temperature", To("/parameters/temperature")),
            ("top_p", To("/parameters/topP")),
            ("rag_embedding_model", OwnModel("/tiers/TEXT_EMBEDDING/model")),
            ("stream", No("each call says whether it streams")),
            ("clients.@mine.name", To("/provider")),
            ("clients.@mine.api_key", Key),
            ("clients.@mine.api_base", To("/baseUrl")),
            (
                "clients.@mine.models",
                No("the model list always comes from the service"),
            ),
            // Source: `config.example.yaml` in sigoden/aichat; the second form is that of 0.19 and older.
            ("clients.@mine.patch.chat_completions.*.body", Body),
            ("clients.@mine.patches.*.chat_completions_body", Body),
            ("clients.@mine.patch.chat_completions.*.headers", Headers),
            (
                "clients.@mine.extra.connect_timeout",
                Scaled("/timeouts/connectMs", SECOND, 0.0),
            ),
            ("clients.@mine.extra.proxy", No("set `HTTPS_PROXY` in the environment")),
        ],
    },
];

/// A file of variables has no marks: its form is enough.
static VARIABLES: Format = Format {
    name: ".env",
    marks: &[],
    entry_name: "",
    rules: &[("*", Variable)],
};

/// The program whose settings these are.
pub(super) fn recognised(source: &Source) -> Option<&'static Format> {
    if source.has_variables {
        return Some(&VARIABLES);
    }
    let value = &source.value;
    FORMATS.iter().find(|format| {
        let mut marks = format.marks.iter();
        marks.any(|(path, part)| match *part {
            "" => exists(value, path),
            part => text_at(value, path).is_some_and(|text| text.contains(part)),
        })
    })
}

/// Says which formats are known, and what was found.
pub(super) fn unknown(value: &Value) -> String {
    let mut names: Vec<String> = FORMATS.iter().map(|format| format!("`{}`", format.name)).collect();
    names.push(format!("`{}`", VARIABLES.name));
    let members = value.as_object().into_iter().flatten().map(|(name, _)| name.as_str());
    let members: Vec<&str> = members.take(5).collect();
    let found = match members.as_slice() {
        [] => "found none of theirs".to_owned(),
        members => format!(
            "found a file that begins with {}",
            listed(members.iter().copied(), "and")
        ),
    };
    format!("expected the settings of {}, {found}", joined(names, "or"))
}

/// Whether there is something at a path of [`Format::marks`](Format).
fn exists(value: &Value, path: &str) -> bool {
    let Some((name, rest)) = path.split_once('.') else {
        return path == "*" || value.get(path).is_some();
    };
    match name {
        "*" => value
            .as_object()
            .is_some_and(|all| all.values().any(|member| exists(member, rest))),
        name => value.get(name).is_some_and(|member| exists(member, rest)),
    }
}

fn text_at<'a>(value: &'a Value, path: &str) -> Option<&'a str> {
    path.split('.').try_fold(value, |value, name| value.get(name))?.as_str()
}
