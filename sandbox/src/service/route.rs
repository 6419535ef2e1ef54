//! Finds the route of a request, checks its method and its key, and lets the route answer.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::{
    chat, other,
    plan::{Plan, Received, USER_ID, json_plan, refusal},
    sign_in,
    state::Service,
};
use crate::{
    catalogue::{Kind, Model, listing},
    failure::Failure,
    forms::Form,
};

/// Who may use a route.
enum Access {
    Anyone,
    Key,
    /// Any key but a management key. Errors are reported in this form.
    Model(Form),
}

/// A route: its method, who may use it, what it answers.
type Route<'a> = (&'static str, Access, Answer<'a>);

/// What a route answers.
type Answer<'a> = Box<dyn FnOnce(&Service, &Received) -> Result<Plan, Failure> + 'a>;

/// Answers one request.
pub(crate) fn plan_for(service: &Service, received: &Received) -> Plan {
    let decoded = |segment| percent_decode_str(segment).decode_utf8_lossy();
    let segments: Vec<Cow<'_, str>> = received.path.split('/').skip(1).map(decoded).collect();
    let segments: Vec<&str> = segments.iter().map(|segment| &**segment).collect();
    let Some((method, access, answer)) = route(&segments) else {
        let message = format!("{} {} is no route of the sandbox", received.method, received.path);
        return refusal(Form::Chat, &Failure::status(404).message(message), None);
    };
    let form = match access {
        Access::Model(form) => form,
        Access::Anyone | Access::Key => Form::Chat,
    };
    if received.method != method {
        let message = format!("{} is not allowed here, {method} is", received.method);
        let mut failure = Failure::status(405).error_type("invalid_request").message(message);
        failure.headers.insert("allow".to_owned(), method.to_owned());
        return refusal(form, &failure, None);
    }
    let mut user_id = None;
    let is_management = is_management(service, received);
    if !matches!(access, Access::Anyone) {
        if let Err(failure) = check_key(service, received) {
            return refusal(form, &failure, None);
        }
        user_id = Some(USER_ID);
    }
    if matches!(access, Access::Model(_)) && is_management {
        let failure = Failure::status(403).message("Management keys cannot be used for completions");
        return refusal(form, &failure, user_id);
    }
    answer(service, received).unwrap_or_else(|failure| refusal(form, &failure, user_id))
}

fn check_key(service: &Service, received: &Received) -> Result<(), Failure> {
    let message = match &received.key {
        key if service.settings.is_management_key(key.as_deref()).is_some() => return Ok(()),
        Some(_) => "User not found.",
        None => "No auth credentials found",
    };
    Err(Failure::status(401).message(message))
}

fn is_management(service: &Service, received: &Received) -> bool {
    service.settings.is_management_key(received.key.as_deref()) == Some(true)
}

fn route<'a>(segments: &[&'a str]) -> Option<Route<'a>> {
    use Access::{Anyone, Key};
    if segments == ["auth"] {
        return Some(("GET", Anyone, Box::new(sign_in::page)));
    }
    match *segments.strip_prefix(&["api", "v1"])? {
        ["chat", "completions"] => writes(Form::Chat),
        ["completions"] => writes(Form::Text),
        ["responses"] => writes(Form::Responses),
        ["messages"] => writes(Form::Messages),
        ["embeddings"] => takes(Access::Model(Form::Chat), other::embeddings),
        ["rerank"] => takes(Access::Model(Form::Chat), other::rerank),
        ["audio", "speech"] => takes(Access::Model(Form::Chat), other::speech),
        ["audio", "transcriptions"] => makes(Kind::Transcripts),
        ["images"] => makes(Kind::Pictures),
        ["videos"] => makes(Kind::Videos),
        ["models"] => gives(Anyone, |service, received| models(service, received, None)),
        ["models", "user"] => gives(Key, |service, received| models(service, received, None)),
        ["embeddings", "models"] => gives(Anyone, |service, received| {
            models(service, received, Some("embeddings"))
        }),
        ["models", "count"] => gives(Anyone, |service, received| {
            let body = listing::models_value(service.entries(), &received.parameters(), &received.path, None)?;
            Ok(json!({"data": {"count": body["total_count"]}}))
        }),
        ["model", author, slug] => gives(Anyone, move |service, _| {
            let model = known(service, author, slug)?;
            Ok(json!({"data": service.entry_value(&model)}))
        }),
        ["models", author, slug, "endpoints"] => gives(Anyone, move |service, _| {
            Ok(listing::endpoints_value(&known(service, author, slug)?))
        }),
        ["providers"] => gives(Anyone, |_, _| Ok(listing::providers_value())),
        ["key"] => gives(Key, |service, received| {
            Ok(service.account().key_value(is_management(service, received)))
        }),
        ["credits"] => gives(Key, credits),
        ["activity"] => gives(Key, activity),
        ["generation"] => gives(Key, generation),
        ["auth", "keys"] => takes(Anyone, sign_in::exchange),
        ["auth", "keys", "code"] => takes(Key, sign_in::code),
        _ => None,
    }
}

/// A route that takes a body.
fn takes<'a>(
    access: Access,
    answer: impl FnOnce(&Service, &Received) -> Result<Plan, Failure> + 'a,
) -> Option<Route<'a>> {
    Some(("POST", access, Box::new(answer)))
}

/// A route that asks a model to write, in this form.
fn writes<'a>(form: Form) -> Option<Route<'a>> {
    takes(Access::Model(form), move |service, received| {
        chat::plan(service, received, form)
    })
}

/// A route that makes media of this kind.
fn makes<'a>(kind: Kind) -> Option<Route<'a>> {
    takes(Access::Model(Form::Chat), move |service, received| {
        other::media(service, received, kind)
    })
}

/// A route that gives a JSON value.
fn gives<'a>(
    access: Access,
    value: impl FnOnce(&Service, &Received) -> Result<Value, Failure> + 'a,
) -> Option<Route<'a>> {
    let answer = |service: &Service, received: &Received| Ok(json_plan(200, &value(service, received)?));
    Some(("GET", access, Box::new(answer)))
}

/// The list of models; `output` overrides what the query says of it.
fn models(service: &Service, received: &Received, output: Option<&str>) -> Result<Value, Failure> {
    let mut query = received.parameters();
    query.retain(|(name, _)| name != "output_modalities" || output.is_none());
    query.extend(output.map(|output| ("output_modalities".to_owned(), output.to_owned())));
    listing::models_value(service.entries(), &query, &received.path, service.settings.page_size)
}

fn known(service: &Service, author: &str, slug: &str) -> Result<Model, Failure> {
    let id = format!("{author}/{slug}");
    let not_found = || Failure::status(404).message(format!("Model {id} not found"));
    service.find(&id).ok_or_else(not_found)
}

/// The real one has completed days alone. This one was started today, so today is in it as well.
fn activity(service: &Service, received: &Received) -> Result<Value, Failure> {
    if !is_management(service, received) {
        return Err(Failure::status(403).message("Only management keys can perform this operation"));
    }
    let query = received.parameters();
    let date = query
        .iter()
        .find(|(name, _)| name == "date")
        .map(|(_, date)| date.as_str());
    if date.is_some_and(|date| date.parse::<jiff::civil::Date>().is_err()) {
        return Err(Failure::status(400).message("date: expected YYYY-MM-DD"));
    }
    Ok(service.account().activity_value(date))
}

fn credits(service: &Service, received: &Received) -> Result<Value, Failure> {
    if is_management(service, received) {
        return Ok(service.account().credits_value());
    }
    Err(Failure::status(403).message("Only management keys can fetch credits for an account"))
}

fn generation(service: &Service, received: &Received) -> Result<Value, Failure> {
    let query = received.parameters();
    let id = query.iter().find(|(name, _)| name == "id").map(|(_, id)| id.as_str());
    let id = id.ok_or_else(|| Failure::status(400).message("id: expected text, found nothing"))?;
    let not_found = || Failure::status(404).message(format!("Generation {id} not found"));
    service.account().generation(id).ok_or_else(not_found)
}
