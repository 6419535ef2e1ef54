//! One answer: its events on the way to the screen, and the lines below it.

use plugin_api::{ChatEvent, ChatReply, ChatRequest, Error, ErrorKind, Message, Notice};
use serde_json::Value;

use super::choosing::{self, Who};
use super::ending::{self, Ending, ending, is_usable};
use super::events::{Event, Piece, Start, Tool};
use super::media::{self, Target};
use super::parameters::Parameters;
use super::screen::{Manner, Screen};
use super::session::Session;
use super::structured::{Mismatch, Schema};
use crate::history::{self, Asker};
use crate::near;
use crate::setup::Active;
use crate::terminal::{self, DOUBTFUL, FAINT, Failure};

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

/// An answer that is whole.
pub struct Answer {
    pub reply: ChatReply,
    /// Where it does not match its schema.
    pub mismatches: Vec<Mismatch>,
    /// Why the answer is unusable, does not match its schema, or has a picture that cannot be saved.
    pub failure: Option<Failure>,
}

impl Answer {
    /// What stays of it in a conversation, if anything does. Services refuse calls without results.
    pub fn message(&self) -> Option<Message> {
        let reply = &self.reply;
        match reply.tool_calls.is_empty() {
            true => is_usable(reply).then(|| Message::assistant(reply)),
            false => (!reply.text.is_empty()).then(|| Message::text("assistant", reply.text.as_str())),
        }
    }

    fn read_by_nobody(reply: ChatReply) -> Self {
        Self {
            reply,
            mismatches: Vec::new(),
            failure: None,
        }
    }

    /// The answer for hosts that run no tools: if it calls some, only its text, and a line about them. Services refuse
    /// a conversation with calls that have no results, or with reasoning that belongs to missing calls.
    pub fn without_calls(mut self) -> Self {
        if let Some(calls) = ending::calls(&self.reply) {
            self.reply.tool_calls.clear();
            let is_usable = is_usable(&self.reply);
            self.reply.done.extras.clear();
            self.reply.done.content = None;
            if is_usable || self.failure.is_some() {
                terminal::say_styled(DOUBTFUL, &terminal::clean_line(&calls.warning()));
            } else {
                self.failure = Some(calls.failure());
            }
        }
        self
    }
}

/// Gets one answer and prints it in this manner.
///
/// - In: `target`, where its pictures go; without one, nothing is printed below its text. `session`, to which it adds
///   its cost, and of an answer that is dropped the text so far.
/// - Errors: the plugin's. What arrived before is already on the screen.
pub async fn answer(
    active: &Active,
    request: &ChatRequest,
    manner: Manner,
    schema: Option<&Schema>,
    target: Option<&Target>,
    session: &mut Session,
) -> Result<Answer, Error> {
    if let Some(off) = &active.off {
        return Err(off.clone());
    }
    session.begin();
    let mut screen = Screen::new(manner);
    let repairing = schema.filter(|schema| schema.repairs);
    let shown = match repairing {
        Some(schema) => held(active, request, manner, &mut screen, session, schema).await,
        None => asked(active, request, manner, &mut screen, &mut session.heard).await,
    };
    if let Some(words) = shown.as_ref().ok().and_then(media::transcript) {
        screen.text(&words);
    }
    screen.end_line();
    let reply = match shown {
        Ok(reply) => reply,
        Err(error) => return Err(active.used_key.explained(advised(active, request, error).await)),
    };
    session.end(&reply.done);
    if screen.is_gone && screen.trouble.is_none() {
        // Nobody reads the answer, and the rest of it was not fetched.
        return Ok(Answer::read_by_nobody(reply));
    }
    let ending = ending(&reply);
    let unusable = ending.as_ref().filter(|_| !is_usable(&reply)).map(Ending::failure);
    let mismatches = match schema {
        Some(schema) if unusable.is_none() => schema.mismatches(&reply.text),
        _ => Vec::new(),
    };
    if manner.has_json && screen.trouble.is_none() {
        let mut object = flat(&reply);
        if schema.is_some() {
            object["mismatches"] = serde_json::to_value(&mismatches).unwrap_or_default();
        }
        if let Some(failure) = &unusable {
            object["error"] = failure.details.as_ref().clone();
        }
        screen.raw(&format!("{}\n", terminal::safe_json(&object.to_string())));
    }
    if let Some(usage) = &reply.done.usage {
        screen.event(Event::Usage(usage));
    }
    if let Some(cause) = screen.trouble {
        return Err(Error::new(
            ErrorKind::INTERNAL,
            format!("cannot write the answer to stdout: {cause}"),
        ));
    }
    if screen.is_gone {
        // Nobody reads the answer, so nobody needs the footer.
        return Ok(Answer::read_by_nobody(reply));
    }
    let saved = target.map_or(Ok(()), |target| {
        media::below(&reply, target, manner.has_json || manner.has_events)
    });
    say_notices(&reply.notices, &screen);
    say_below(&reply, manner, session, ending.filter(|_| unusable.is_none()));
    let mismatch = schema
        .filter(|_| !mismatches.is_empty())
        .map(|schema| schema.failure(&mismatches));
    let failure = unusable.or(mismatch).or(saved.err());
    Ok(Answer {
        reply,
        mismatches,
        failure,
    })
}

/// Gets the answer and prints its text; with a renewed key if the first one was refused.
async fn asked(
    active: &Active,
    request: &ChatRequest,
    manner: Manner,
    screen: &mut Screen,
    heard: &mut String,
) -> Result<ChatReply, Error> {
    let n_before = active.used_key.n_renewals();
    let (tier, model) = (request.tier.clone(), request.model.clone());
    screen.event(Event::Start(Start { tier, model }));
    let shown = shown(active, request, manner, screen, heard).await;
    match &shown {
        Err(error) if error.details.partial_text.is_none() && active.used_key.renewed(error, n_before).await => {
            self::shown(active, request, manner, screen, heard).await
        }
        _ => shown,
    }
}

/// Gets an answer that must match its schema, asks once more if it does not, and prints only the last one.
async fn held(
    active: &Active,
    request: &ChatRequest,
    manner: Manner,
    screen: &mut Screen,
    session: &mut Session,
    schema: &Schema,
) -> Result<ChatReply, Error> {
    screen.shows_text = false;
    let mut shown = asked(active, request, manner, screen, &mut session.heard).await;
    if let Ok(reply) = &shown {
        match repaired(schema, request, reply, manner, screen) {
            Ok(Some(again)) => {
                session.end(&reply.done);
                session.begin();
                shown = asked(active, &again, manner, screen, &mut session.heard).await;
            }
            Ok(None) => {}
            Err(error) => shown = Err(error),
        }
    }
    screen.shows_text = manner.has_text;
    screen.text(match &shown {
        Ok(reply) => &reply.text,
        Err(error) => error.details.partial_text.as_deref().unwrap_or_default(),
    });
    shown
}

/// The request that asks for a repair, if the answer is of use and does not match its schema. Says so.
fn repaired(
    schema: &Schema,
    request: &ChatRequest,
    reply: &ChatReply,
    manner: Manner,
    screen: &mut Screen,
) -> Result<Option<ChatRequest>, Error> {
    let mismatches = schema.mismatches(&reply.text);
    if mismatches.is_empty() || !is_usable(reply) || !reply.tool_calls.is_empty() || screen.is_gone {
        return Ok(None);
    }
    let places = terminal::counted(mismatches.len(), "place");
    let message = format!("the answer does not match its schema in {places}; asking once more");
    if let Some(usage) = &reply.done.usage {
        screen.event(Event::Usage(usage));
    }
    screen.event(Event::Notice(&Notice::new("repair", message.as_str())));
    terminal::say_styled(FAINT, &format!("note: {message}"));
    if manner.has_footer {
        terminal::say_styled(FAINT, &terminal::footer(&reply.done));
    }
    schema.again(request, reply, &mismatches).map(Some)
}

/// Gets the answer and prints its text.
async fn shown(
    active: &Active,
    request: &ChatRequest,
    manner: Manner,
    screen: &mut Screen,
    heard: &mut String,
) -> Result<ChatReply, Error> {
    let asker = Asker::of(active);
    let mut row = asker.begins(history::client(), request.tier.as_deref(), request.model.as_deref());
    let reply = if manner.is_streamed {
        streamed(active, request, screen, heard).await
    } else {
        let reply = screen.while_waiting(active.plugin.chat(request)).await;
        match &reply {
            Ok(reply) => screen.text(&reply.text),
            Err(error) => screen.text(error.details.partial_text.as_deref().unwrap_or_default()),
        }
        reply
    };
    match &reply {
        // The rest of it was not fetched.
        Ok(_) if screen.is_gone => {}
        Ok(reply) => row.complete(&reply.done),
        Err(error) => row.failed(error),
    }
    reply
}

/// Prints the notices that were not printed yet.
fn say_notices(notices: &[Notice], screen: &Screen) {
    for notice in notices.iter().filter(|notice| !screen.printed.contains(notice)) {
        terminal::say_styled(FAINT, &format!("note: {}", terminal::clean_line(&notice.message)));
    }
}

/// The lines for people below an answer.
fn say_below(reply: &ChatReply, manner: Manner, session: &Session, ending: Option<Ending>) {
    if let Some(line) = terminal::fallback(&reply.done, &reply.notices) {
        terminal::say_styled(FAINT, &format!("note: {line}"));
    }
    if manner.has_footer {
        let parts = [Some(terminal::footer(&reply.done)), session.footer()];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        terminal::say_styled(FAINT, &parts.join(" · "));
    }
    if let Some(ending) = ending {
        terminal::say_styled(DOUBTFUL, &terminal::clean_line(&ending.warning()));
    }
}

/// The error, with the listed models closest to an unknown one as a hint, unless the plugin named some.
pub async fn advised(active: &Active, request: &ChatRequest, error: Error) -> Error {
    let has_suggestion = error.hint().is_some_and(|hint| hint.starts_with("did you mean"));
    if error.kind != ErrorKind::NOT_FOUND || has_suggestion {
        return error;
    }
    let tiers = active.plugin.tiers().await.unwrap_or_default();
    let who = Who {
        tier: request.tier.clone(),
        model: request.model.clone().or_else(|| error.details.model.clone()),
    };
    let (Some(model), Some(models)) = (who.wire(&tiers), choosing::models(active).await) else {
        return error;
    };
    if models.iter().any(|listed| listed.id == model) {
        return error;
    }
    match near::did_you_mean(model, models.iter().map(|model| model.id.as_str())) {
        Some(hint) => error.with_hint(hint),
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

async fn streamed(
    active: &Active,
    request: &ChatRequest,
    screen: &mut Screen,
    heard: &mut String,
) -> Result<ChatReply, Error> {
    let mut reply = ChatReply::default();
    let mut events = screen.while_waiting(active.plugin.stream(request)).await?;
    screen.wait_for("waiting for the model");
    while let Some(event) = screen.while_waiting(events.next()).await {
        let event = match event {
            Ok(event) => event,
            Err(mut error) => {
                if error.details.partial_text.is_none() && !reply.text.is_empty() {
                    error.details.partial_text = Some(reply.text);
                }
                screen.end_line();
                say_notices(&reply.notices, screen);
                return Err(error);
            }
        };
        match &event {
            ChatEvent::Text(text) => {
                heard.push_str(text);
                screen.event(Event::Text(Piece { text }));
                screen.text(text);
            }
            ChatEvent::Reasoning(text) => {
                screen.event(Event::Reasoning(Piece { text }));
                screen.reasoning(text);
            }
            ChatEvent::Notice(notice) => {
                screen.event(Event::of(notice));
                screen.notice(notice);
            }
            ChatEvent::ToolCall(call) => screen.event(Event::Tool(Tool { call, outcome: None })),
            ChatEvent::KeepAlive(_) => screen.wait_for("queued at the provider"),
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
