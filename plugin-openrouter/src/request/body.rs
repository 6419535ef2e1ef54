//! The bodies of a call's requests.
//!
//! In: a plan, the profile's options, a request. Out: JSON. Messages are copied in as bytes. Pure.
//! Only fields that the call or the profile sets are sent: never an empty `provider`, a sampling parameter or a
//! `max_tokens` of our own.

use std::collections::BTreeMap;

use bytes::Bytes;
use plugin_api::ChatRequest;
use serde_json::value::RawValue;

use crate::profile::options::{Options, Privacy};
use crate::profile::tiers::Tier;
use crate::request::dialect::{self, Dialect};
use crate::request::{Ask, Plan};
use crate::values::members::Members;

/// How an attempt differs from the plan.
#[derive(Clone, Copy, Default)]
pub struct Changes {
    /// A lower token limit than the request's.
    pub max_tokens: Option<u64>,
}

/// Parameters that [`Plan::body`] adds itself, so that they are not copied with the others.
const PLACED_FIELDS: [&str; 3] = ["provider", "plugins", "models"];

/// Fields that OpenAI's protocol does not know.
const OWN_FIELDS: [&str; 21] = [
    "provider",
    "models",
    "plugins",
    "route",
    "transforms",
    "reasoning",
    "include_reasoning",
    "top_k",
    "top_a",
    "min_p",
    "repetition_penalty",
    "usage",
    "session_id",
    "trace",
    "debug",
    "preset",
    "stop_server_tools_when",
    "max_tool_calls",
    "prompt_cache_options",
    "cache_control",
    "image_config",
];

impl Plan {
    /// The body of a request to OpenRouter for these models.
    pub fn body(
        &self,
        options: &Options,
        request: &ChatRequest,
        models: &[String],
        changes: Changes,
        stream: bool,
    ) -> Vec<u8> {
        // A dialect without fallbacks has no `models`; if the caller sends it anyway, the service decides.
        let placed = if self.dialect.has_fallbacks() {
            &PLACED_FIELDS[..]
        } else {
            &PLACED_FIELDS[..2]
        };
        let mut body = self.common(options, request, models, changes, stream, placed);
        let others = models.get(1..).unwrap_or_default();
        if !others.is_empty() {
            body.field("models", &others);
        }
        if self.dialect.has_provider()
            && let Some(provider) = provider(self.dialect, options, self.tier, &request.parameters)
        {
            body.raw("provider", &provider);
        }
        let plugins = options.plugins_for(self.tier);
        match request.parameters.get("plugins") {
            Some(called) => body.raw("plugins", called.get()),
            None if !plugins.is_empty() && self.dialect.has_plugins() => body.field("plugins", &plugins),
            None => {}
        }
        body.end()
    }

    /// The caller's own body, with its model replaced by the resolved one.
    /// If `privacy` is strict, the provider preferences it demands are set too.
    pub fn given_body(&self, options: &Options, ask: &Ask, given: &Bytes, models: &[String]) -> Bytes {
        let model = models
            .first()
            .filter(|model| ask.request.model.as_ref() != Some(*model));
        let is_strict = options.privacy == Some(Privacy::Strict) && !models.is_empty();
        if model.is_none() && !is_strict {
            return given.clone();
        }
        let Ok(mut members) = Members::parse(given) else {
            return given.clone();
        };
        if let Some(model) = model {
            members.set_value("model", model);
        }
        if is_strict {
            let called = members
                .get("provider")
                .map(|provider| Members::parse(provider.get().as_bytes()));
            let mut provider = called.and_then(Result::ok).unwrap_or_default();
            demand_privacy(&mut provider);
            members.set_value("provider", &provider);
        }
        members.to_json().into()
    }

    /// The body of a request to the secondary service for `model`, without the fields that only OpenRouter knows.
    pub fn plain_body(
        &self,
        options: &Options,
        request: &ChatRequest,
        model: &str,
        changes: Changes,
        stream: bool,
    ) -> Vec<u8> {
        self.common(options, request, &[model.to_owned()], changes, stream, &OWN_FIELDS)
            .end()
    }

    /// The body without its end: model, messages, and all parameters except `dropped`.
    fn common(
        &self,
        options: &Options,
        request: &ChatRequest,
        models: &[String],
        changes: Changes,
        stream: bool,
        dropped: &[&str],
    ) -> Body {
        let messages = request.messages.get();
        let mut body = Body(Vec::with_capacity(messages.len() + 256));
        if let Some(model) = models.first() {
            body.field("model", model);
        }
        if messages != "null" {
            body.raw("messages", messages);
        }
        if stream {
            body.field("stream", &true);
        }
        let mut has_limit = false;
        let mut limit = |name: &str| {
            let is_limit = self.dialect.max_tokens_names().contains(&name) && changes.max_tokens.is_some();
            has_limit |= is_limit;
            is_limit
        };
        let configured = self.dialect.defaults(options.parameters_for(self.tier));
        let is_called = |name: &str| request.parameters.contains_key(name) || self.is_set_in_headers(name);
        for (name, value) in configured
            .iter()
            .filter(|(name, _)| !dialect::is_set(name, is_called) && !dropped.contains(&name.as_str()))
        {
            match limit(name) {
                true => body.field(name, &changes.max_tokens),
                false => body.field(name, value),
            }
        }
        let called = request.parameters.iter();
        for (name, value) in called.filter(|(name, _)| !dropped.contains(&name.as_str())) {
            match limit(name) {
                true => body.field(name, &changes.max_tokens),
                false => body.raw(name, value.get()),
            }
        }
        if let (Some(tokens), false) = (changes.max_tokens, has_limit) {
            let name = self.dialect.max_tokens_names().last().unwrap_or(&"max_tokens");
            body.field(name, &tokens);
        }
        body
    }

    /// Whether a header of the call sets what the parameter would.
    fn is_set_in_headers(&self, name: &str) -> bool {
        name == "session_id" && self.headers.contains_key("x-session-id")
    }
}

/// The provider preferences: the call's override the options' field by field. A strict `privacy` is applied last,
/// so that a call cannot relax it.
fn provider(
    dialect: Dialect,
    options: &Options,
    tier: Option<Tier>,
    called: &BTreeMap<String, Box<RawValue>>,
) -> Option<String> {
    let called = called.get("provider").filter(|called| called.get() != "null");
    let overlaid = match called.map(|called| Members::parse(called.get().as_bytes())) {
        Some(Ok(members)) => members,
        // The service refuses anything but an object, with its own message.
        Some(Err(_)) => return called.map(|called| called.get().to_owned()),
        None => Members::default(),
    };
    let preferences = match dialect {
        // The providers that the profile prefers for text may have no embeddings.
        Dialect::Embeddings => options.own_preferences_for(tier),
        _ => options.preferences_for(tier),
    };
    let mut merged = Members::default();
    for (name, value) in preferences.to_wire() {
        merged.set_value(&name, &value);
    }
    for (name, value) in overlaid {
        merged.set(&name, value);
    }
    if options.privacy == Some(Privacy::Strict) {
        demand_privacy(&mut merged);
    }
    (!merged.is_empty())
        .then(|| String::from_utf8(merged.to_json()).ok())
        .flatten()
}

/// Sets the preferences that a strict `privacy` demands.
fn demand_privacy(provider: &mut Members) {
    let strict = Options {
        privacy: Some(Privacy::Strict),
        ..Options::default()
    };
    for (name, value) in strict.preferences_for(None).to_wire() {
        provider.set_value(&name, &value);
    }
}

/// A JSON object under construction.
struct Body(Vec<u8>);

impl Body {
    fn name(&mut self, name: &str) {
        self.0.push(if self.0.is_empty() { b'{' } else { b',' });
        // A string always serialises, and writing into a Vec cannot fail.
        let _ = serde_json::to_writer(&mut self.0, name);
        self.0.push(b':');
    }

    fn raw(&mut self, name: &str, json: &str) {
        self.name(name);
        self.0.extend_from_slice(json.as_bytes());
    }

    fn field(&mut self, name: &str, value: &impl serde::Serialize) {
        self.name(name);
        // Cannot fail: values are JSON, strings, numbers, or lists of those.
        let _ = serde_json::to_writer(&mut self.0, value);
    }

    fn end(mut self) -> Vec<u8> {
        self.0.push(b'}');
        self.0
    }
}
