//! Finds the route of a request, checks its method and its key, and lets the route answer.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::{
    chat, other,
    plan::{Plan, Received, USER_ID, json_plan, refusal},
    state::Service,
};
use crate::{
    catalogue::{Model, listing},
    failure::Failure,
    forms::Form,
};

/// Answers one request.
pub(crate) fn plan_for(service: &Service, received: &Received) -> Plan {
    let decoded = |segment| percent_decode_str(segment).decode_utf8_lossy();
    let segments: Vec<Cow<'_, str>> = received.path.split('/').skip(1).map(decoded).collect();
    let segments: Vec<&str> = segments.iter().map(|segment| &**segment).collect();
    let Some(route) = Route::find(&segments) else {
        let message = format!("{} {} is no route of the sandbox", received.method, received.path);
        return refusal(Form::Chat, &Failure::status(404).message(message), None);
    };
    let form = route.form();
    if received.method != route.method() {
        let message = format!("{} is not allowed here, {} is", received.method, route.method());
        let mut failure = Failure::status(405).error_type("invalid_request").message(message);
        failure.headers.insert("allow".to_owned(), route.method().to_owned());
        return refusal(form, &failure, None);
    }
    let mut user_id = None;
    if !route.is_public() {
        if let Err(failure) = check_key(service, received) {
            return refusal(form, &failure, None);
        }
        user_id = Some(USER_ID);
    }
    route
        .answer(service, received)
        .unwrap_or_else(|failure| refusal(form, &failure, user_id))
}

fn check_key(service: &Service, received: &Received) -> Result<(), Failure> {
    let message = match &received.key {
        Some(key) if service.settings.keys.contains(key) => return Ok(()),
        Some(_) => "User not found.",
        None => "No auth credentials found",
    };
    Err(Failure::status(401).message(message))
}

/// Answers a request to a model that does not chat.
type Answer = fn(&Service, &Received) -> Result<Plan, Failure>;

enum Route<'a> {
    /// Asks a model to write, in one of the forms.
    Chat(Form),
    /// Asks a model for something other than text.
    Other(Answer),
    Models {
        output: Option<&'static str>,
        is_public: bool,
    },
    ModelCount,
    Model(&'a str, &'a str),
    Endpoints(&'a str, &'a str),
    Providers,
    Key,
    Credits,
    Generation,
}

impl<'a> Route<'a> {
    fn find(segments: &[&'a str]) -> Option<Self> {
        let models = |output, is_public| Some(Self::Models { output, is_public });
        match *segments.strip_prefix(&["api", "v1"])? {
            ["chat", "completions"] => Some(Self::Chat(Form::Chat)),
            ["completions"] => Some(Self::Chat(Form::Text)),
            ["responses"] => Some(Self::Chat(Form::Responses)),
            ["messages"] => Some(Self::Chat(Form::Messages)),
            ["embeddings"] => Some(Self::Other(other::embeddings)),
            ["rerank"] => Some(Self::Other(other::rerank)),
            ["audio", "speech"] => Some(Self::Other(other::speech)),
            ["models"] => models(None, true),
            ["models", "user"] => models(None, false),
            ["embeddings", "models"] => models(Some("embeddings"), true),
            ["models", "count"] => Some(Self::ModelCount),
            ["model", author, slug] => Some(Self::Model(author, slug)),
            ["models", author, slug, "endpoints"] => Some(Self::Endpoints(author, slug)),
            ["providers"] => Some(Self::Providers),
            ["key"] => Some(Self::Key),
            ["credits"] => Some(Self::Credits),
            ["generation"] => Some(Self::Generation),
            _ => None,
        }
    }

    fn asks_a_model(&self) -> bool {
        matches!(self, Self::Chat(_) | Self::Other(_))
    }

    fn method(&self) -> &'static str {
        if self.asks_a_model() { "POST" } else { "GET" }
    }

    /// The form in which errors are reported.
    fn form(&self) -> Form {
        match self {
            Self::Chat(form) => *form,
            _ => Form::Chat,
        }
    }

    /// Whether the service answers without a key.
    fn is_public(&self) -> bool {
        match self {
            Self::Models { is_public, .. } => *is_public,
            Self::ModelCount | Self::Model(..) | Self::Endpoints(..) | Self::Providers => true,
            _ => false,
        }
    }

    fn answer(&self, service: &Service, received: &Received) -> Result<Plan, Failure> {
        let settings = &service.settings;
        if self.asks_a_model() && settings.is_management {
            return Err(Failure::status(403).message("Management keys cannot be used for completions"));
        }
        let mut query: Vec<(String, String)> = form_urlencoded::parse(received.query.as_bytes()).into_owned().collect();
        let body = match self {
            Self::Chat(form) => return chat::plan(service, received, *form),
            Self::Other(answer) => return answer(service, received),
            Self::Models { output, .. } => {
                query.retain(|(name, _)| name != "output_modalities" || output.is_none());
                query.extend(output.map(|output| ("output_modalities".to_owned(), output.to_owned())));
                listing::models_value(service.entries(), &query, &received.path, settings.page_size)?
            }
            Self::ModelCount => {
                let body = listing::models_value(service.entries(), &query, &received.path, None)?;
                json!({"data": {"count": body["total_count"]}})
            }
            Self::Model(author, slug) => {
                let model = known(service, author, slug)?;
                json!({"data": service.entry_value(&model)})
            }
            Self::Endpoints(author, slug) => listing::endpoints_value(&known(service, author, slug)?),
            Self::Providers => listing::providers_value(),
            Self::Key => service.account().key_value(settings.is_management),
            Self::Credits if settings.is_management => service.account().credits_value(),
            Self::Credits => {
                let message = "Only management keys can fetch credits for an account";
                return Err(Failure::status(403).message(message));
            }
            Self::Generation => generation(service, &query)?,
        };
        Ok(json_plan(200, &body))
    }
}

fn known(service: &Service, author: &str, slug: &str) -> Result<Model, Failure> {
    let id = format!("{author}/{slug}");
    let not_found = || Failure::status(404).message(format!("Model {id} not found"));
    service.find(&id).ok_or_else(not_found)
}

fn generation(service: &Service, query: &[(String, String)]) -> Result<Value, Failure> {
    let id = query.iter().find(|(name, _)| name == "id").map(|(_, id)| id.as_str());
    let id = id.ok_or_else(|| Failure::status(400).message("id: expected text, found nothing"))?;
    let not_found = || Failure::status(404).message(format!("Generation {id} not found"));
    service.account().generation(id).ok_or_else(not_found)
}
