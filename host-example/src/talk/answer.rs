//! One answer: its events on the way to the screen, and what is said below it.

use std::time::Duration;

use plugin_api::{ChatEvent, ChatReply, ChatRequest, Error, ErrorKind, Message, ModelsRequest};
use serde_json::Value;

use super::parameters::Parameters;
use super::screen::{Manner, Screen};
use super::structured::Schema;
use crate::near;
use crate::setup::Active;
use crate::terminal::{self, FAINT, Failure};

/// A request for these messages.
pub fn request(
    tier: Option<&str>,
    model: Option<&str>,
    messages: &[Message],
    parameters: &Parameters,
) -> Result<ChatRequest, Error> {
    let mut request = ChatRequest::new(messages)?;
    request.tier = tier.map(str::to_owned);
    request.model = model.map(str::to_owned);
    request.parameters.clone_from(parameters);
    Ok(request)
}

/// How long to wait for the model list, which is needed only for a suggestion.
const SUGGESTION_LIMIT: Duration = Duration::from_secs(3);

/// An answer that is whole.
pub struct Answer {
    pub reply: ChatReply,
    /// Why the answer does not match its schema, if it does not.
    pub mismatch: Option<Failure>,
}

/// Gets one answer and prints it in this manner.
///
/// - Errors: the plugin's. What had arrived is on the screen by then.
pub async fn answer(
    active: &Active,
    request: &ChatRequest,
    manner: Manner,
    schema: Option<&Schema>,
) -> Result<Answer, Error> {
    let mut screen = Screen::new(manner);
    let shown = if manner.is_streamed {
        streamed(active, request, &mut screen).await
    } else {
        let reply = active.plugin.chat(request).await;
        match &reply {
            Ok(reply) => screen.text(&reply.text),
            Err(error) => screen.text(error.details.partial_text.as_deref().unwrap_or_default()),
        }
        reply
    };
    screen.end_line();
    let reply = match shown {
        Ok(reply) => reply,
        Err(error) => return Err(with_suggestion(active, request, error).await),
    };
    let mismatches = match schema {
        // If the reader went away, the rest of the answer was not fetched.
        Some(schema) if !screen.is_gone => schema.mismatches(&reply.text),
        _ => Vec::new(),
    };
    if manner.has_json && !screen.is_gone {
        let mut object = flat(&reply);
        if schema.is_some() {
            object["mismatches"] = serde_json::to_value(&mismatches).unwrap_or_default();
        }
        screen.raw(&format!("{}\n", terminal::safe_json(&object.to_string())));
    }
    if let Some(cause) = screen.trouble {
        return Err(Error::new(
            ErrorKind::INTERNAL,
            format!("cannot write the answer to stdout: {cause}"),
        ));
    }
    if screen.is_gone {
        // Nobody reads the answer, so nobody needs the footer.
        return Ok(Answer { reply, mismatch: None });
    }
    for notice in reply.notices.iter().filter(|notice| !screen.printed.contains(notice)) {
        terminal::say_styled(FAINT, &format!("note: {}", terminal::clean(&notice.message)));
    }
    if manner.has_footer {
        terminal::say_styled(FAINT, &terminal::footer(&reply.done));
    }
    let mismatch = schema
        .filter(|_| !mismatches.is_empty())
        .map(|schema| schema.failure(&mismatches));
    Ok(Answer { reply, mismatch })
}

/// The error, with the listed model closest to the unknown one as a hint.
async fn with_suggestion(active: &Active, request: &ChatRequest, error: Error) -> Error {
    let is_suggested = || error.hint().is_some_and(|hint| hint.starts_with("did you mean"));
    let Some(model) = request
        .model
        .as_deref()
        .filter(|_| error.kind == ErrorKind::NOT_FOUND && !is_suggested())
    else {
        return error;
    };
    let listed = active.plugin.models(ModelsRequest::default());
    let Ok(Ok(list)) = tokio::time::timeout(SUGGESTION_LIMIT, listed).await else {
        return error;
    };
    match near::closest(model, list.models.iter().map(|model| model.id.as_str())) {
        Some(closest) => error.with_hint(format!("did you mean `{closest}`?")),
        None => error,
    }
}

/// A reply as one flat object, for programs.
fn flat(reply: &ChatReply) -> Value {
    let mut object = serde_json::to_value(reply).unwrap_or_default();
    if let Some(members) = object.as_object_mut()
        && let Some(Value::Object(done)) = members.shift_remove("done")
    {
        members.extend(done);
    }
    object
}

async fn streamed(active: &Active, request: &ChatRequest, screen: &mut Screen) -> Result<ChatReply, Error> {
    let mut reply = ChatReply::default();
    let mut events = screen
        .while_waiting("waiting for the service", active.plugin.stream(request))
        .await?;
    while let Some(event) = screen.while_waiting("waiting for the model", events.next()).await {
        let event = match event {
            Ok(event) => event,
            Err(mut error) => {
                if error.details.partial_text.is_none() && !reply.text.is_empty() {
                    error.details.partial_text = Some(reply.text);
                }
                return Err(error);
            }
        };
        match &event {
            ChatEvent::Text(text) => screen.text(text),
            ChatEvent::Reasoning(text) => screen.reasoning(text),
            ChatEvent::Notice(notice) => screen.notice(notice),
            _ => {}
        }
        reply.add(event);
        if screen.is_gone {
            break;
        }
    }
    Ok(reply)
}

/// Turns the error of a call into a failure, and says at once that the answer above is incomplete.
pub fn report(error: Error, manner: Manner) -> Failure {
    if error.details.partial_text.is_some() && manner.has_text {
        terminal::say("the answer above is incomplete");
    }
    let failure = Failure::from(error);
    if manner.has_footer { failure } else { failure.briefly() }
}
