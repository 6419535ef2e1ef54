//! A chat request that names an agent: the endpoint runs its loop and returns the last answer.
//!
//! The agent's system prompt, model, parameters and tools are those of its definition; what the request has besides
//! comes behind them. No one is there to approve calls, so only tools that always run are offered. A definition inside
//! a request reaches nothing of this machine: whoever may ask a model must not thereby read files or start programs.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame};
use hyper::header::{self, HeaderValue};
use hyper::{Response, StatusCode};
use plugin_api::{ChatEvent, ChatReply, ChatRequest, Error, ErrorKind, Plugin, ToolCall};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::course::{Course, Interruption, cut_off};
use super::forward;
use super::headers::{X_ACCEL_BUFFERING, set_done, set_fallback, set_notices};
use super::last_words::last_words;
use super::problem::Problem;
use super::record::Record;
use super::reply::{self, Body, json_response};
use super::route::Dialect;
use super::shared::Serving;
use super::typed::{self, Asked, Writer};
use crate::agents::{Approval, Attendant, Called, Definition, Reach, Shelf, Task, Toolbox, Turn, Wish, checked};
use crate::profile::Document;
use crate::terminal::Failure;

/// The member of a request's body that names an agent, or holds one.
pub const MEMBER: &str = "agent";

/// The limits of an agent, whose names are the codes of their errors.
pub const LIMITS: [&str; 3] = ["max_cost_usd", "max_seconds", "max_steps"];

/// Answers a request with an agent.
pub async fn answer(
    serving: &Serving,
    body: &[u8],
    wants_stream: bool,
    course: Course,
    mut record: Record,
) -> Response<Body> {
    let (task, asked) = match task(serving, body).await {
        Ok(begun) => begun,
        Err(problem) => {
            record.answered(problem.status);
            return problem.into_response();
        }
    };
    if wants_stream {
        return streamed(serving.plugin.clone(), task, Writer::new(&asked), course, record).await;
    }
    let mut task = task;
    let outcome = whole(serving, &mut task).await;
    task.close().await;
    match outcome {
        Ok(reply) => {
            let mut response = json_response(StatusCode::OK, &typed::completion(&reply));
            let headers = response.headers_mut();
            set_done(&reply.done, headers);
            set_fallback(&reply.notices, headers);
            set_notices(&reply.notices, headers);
            record.answered(StatusCode::OK);
            record.complete(Box::new(reply.done));
            response
        }
        Err(error) => forward::failure(&error, &[], &mut record),
    }
}

/// The work that a request asks for.
async fn task(serving: &Serving, body: &[u8]) -> Result<(Task, Asked), Problem> {
    let mut members: BTreeMap<String, Box<RawValue>> =
        serde_json::from_slice(body).map_err(|_| Problem::bad_request("expected the body to be a JSON object"))?;
    let agent = members.remove(MEMBER).unwrap_or_default();
    if members.contains_key("tools") {
        let problem = Problem::bad_request("expected no `tools` beside `agent`, which has its own");
        return Err(problem.with_hint("add them to the agent, or leave `agent` out"));
    }
    let (definition, reach) = match serde_json::from_str::<Value>(agent.get()) {
        Ok(Value::String(name)) => kept(&serving.shelf, &name)?,
        Ok(Value::Object(_)) => (inline(agent.get())?, Reach::default()),
        _ => {
            return Err(Problem::bad_request(
                "expected `agent` to be the name of an agent, or an object",
            ));
        }
    };
    let id = &serving.plugin.manifest().id;
    if definition.provider.as_ref().is_some_and(|provider| provider != id) {
        return Err(Problem::bad_request(format!(
            "the agent needs another provider than `{id}`"
        )));
    }
    let body = serde_json::to_vec(&members).unwrap_or_default();
    let asked = typed::asked(&body, &serving.tiers)?;
    let messages = asked.request.read_messages();
    let messages = messages.map_err(|error| Problem::bad_request(error.message))?;
    let mut definition = definition;
    if definition.model.is_none() && definition.tier.is_none() {
        (definition.model, definition.tier) = (asked.request.model.clone(), asked.request.tier.clone());
    }
    let toolbox = Toolbox::open(&definition, &reach).await;
    let mut toolbox = toolbox.map_err(|failure| {
        tracing::warn!("an agent cannot be used: {}", failure.message);
        unusable("a tool of the agent cannot be used").with_hint("the log of the host says why")
    })?;
    toolbox.keep_those_that_run_always();
    let parameters = asked.request.parameters.clone();
    Ok((Task::new(definition, toolbox, messages, parameters), asked))
}

/// The agent that the host keeps under this name.
///
/// - Errors: there is none, its owner keeps it from the endpoint, or its file has problems.
fn kept(shelf: &Shelf, name: &str) -> Result<(Definition, Reach), Problem> {
    let hint = "`agent-host agent list` shows the agents of this host";
    let path = shelf.file(name).ok().filter(|path| path.exists());
    let path = path.ok_or_else(|| Problem::not_found("there is no agent of that name").with_hint(hint))?;
    let problems = |_| {
        let hint = format!("on the host: agent-host agent check {name}");
        unusable("the agent's file has problems").with_hint(hint)
    };
    let definition = shelf.read(&path).map_err(problems)?;
    if !definition.endpoint {
        let message = "the agent is not for the endpoint";
        return Err(
            Problem::new(StatusCode::FORBIDDEN, ErrorKind::FORBIDDEN.code(), message)
                .with_hint("on the host: set `\"endpoint\": true` in the agent's file"),
        );
    }
    let reach = shelf.reach(Some(&definition), None, false).map_err(problems)?;
    Ok((definition, reach))
}

fn unusable(message: &str) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "agent", message)
}

/// An agent in the request itself.
///
/// - Errors: it is none, or it would reach files, programs or other machines.
fn inline(text: &str) -> Result<Definition, Problem> {
    let refused = |problem: Option<String>| {
        let problem = problem.unwrap_or_else(|| "it cannot be read".to_owned());
        Problem::bad_request(format!("`agent`: {problem}")).with_hint("`agent-host schema agent` describes it")
    };
    let document = Document::parse(MEMBER, text.to_owned());
    let checked = document.and_then(|document| checked(&document, &BTreeMap::new()));
    let definition = checked.map_err(|report| {
        let first = report.problems.first();
        refused(first.map(|problem| match problem.pointer.as_str() {
            "" => problem.message.clone(),
            pointer => format!("at {pointer}: {}", problem.message),
        }))
    })?;
    let is_harmless = |wish: &Wish| match wish {
        Wish::Named(name) => ["clock", "calc"].contains(&name.as_str()),
        Wish::Service(_) => true,
        Wish::Files(_) | Wish::Fetch(_) => false,
    };
    if definition.mcp_servers.is_empty() && definition.tools.iter().all(is_harmless) {
        return Ok(definition);
    }
    let message = "an agent in a request may use `clock`, `calc` and tools of the service, and nothing of this host";
    Err(
        Problem::new(StatusCode::FORBIDDEN, ErrorKind::FORBIDDEN.code(), message)
            .with_hint("keep it on the host as agents/NAME.json, and send its name"),
    )
}

/// Nobody is there: what always runs, runs.
struct Nobody;

impl Attendant for Nobody {
    async fn allows(&mut self, _call: &ToolCall, approval: Approval) -> Result<bool, Failure> {
        Ok(approval == Approval::Always)
    }

    fn ran(&mut self, _call: &ToolCall, _called: &Called) {}
}

async fn whole(serving: &Serving, task: &mut Task) -> Result<ChatReply, Error> {
    loop {
        let request = task.request().map_err(error_of)?;
        let asked = task.within(serving.asked(|| serving.plugin.chat(&request))).await;
        let mut reply = asked.map_err(error_of)??;
        if task.take(&reply, &mut Nobody).await.map_err(error_of)? == Turn::Answer {
            reply.done.usage = task.usage().cloned();
            return Ok(reply);
        }
    }
}

/// The failure of a limit, or of a request that cannot be made.
fn error_of(failure: Failure) -> Error {
    let code = failure.details["code"].as_str().unwrap_or_default().to_owned();
    let kind = match code.as_str() {
        "max_cost_usd" => ErrorKind::SPEND_LIMIT,
        "max_seconds" => ErrorKind::TIMEOUT,
        "max_steps" => ErrorKind::INVALID_REQUEST,
        _ => ErrorKind::INTERNAL,
    };
    let mut error = Error::new(kind, failure.message);
    if !LIMITS.contains(&code.as_str()) {
        return match failure.hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        };
    }
    if code == "max_steps" {
        error.details.status = Some(StatusCode::UNPROCESSABLE_ENTITY.as_u16());
    }
    let hint = format!("allow more on the host: `{code}` in the agent's file");
    error.details.error_type = Some(code);
    error.with_hint(hint)
}

/// The texts of all answers as they come, then the end of the last one. A failure before the first piece still gets
/// its own status.
async fn streamed(plugin: Plugin, task: Task, writer: Writer, course: Course, mut record: Record) -> Response<Body> {
    let (sender, mut pieces) = channel(16);
    let mut driver: Driver = Box::pin(drive(plugin, task, writer, course, sender));
    let (first, is_done) = tokio::select! {
        biased;
        first = pieces.recv() => (first, false),
        () = &mut driver => (pieces.recv().await, true),
    };
    match first {
        Some(Piece::Failed(error)) => forward::failure(&error, &[], &mut record),
        first => {
            let mut response = Response::new(reply::whole(Bytes::new()));
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
            headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
            record.streams(StatusCode::OK);
            let driver = Some(driver).filter(|_| !is_done);
            *response.body_mut() = Driven {
                first,
                driver,
                pieces,
                record,
            }
            .boxed_unsync();
            response
        }
    }
}

enum Piece {
    Text(String),
    /// The last one.
    End(String, Box<plugin_api::Done>),
    /// The last one; with the words for a client that has an answer already.
    Broken(String, Box<Error>),
    /// The last one, and the first.
    Failed(Box<Error>),
}

type Driver = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Does the work, and sends what the client gets.
async fn drive(plugin: Plugin, mut task: Task, mut writer: Writer, mut course: Course, sender: Sender<Piece>) {
    let mut has_begun = false;
    let cut = async {
        loop {
            match course.interrupted().await {
                Interruption::HalfClosed => {}
                // Dropping the body ends the work.
                Interruption::Left => std::future::pending().await,
                Interruption::Cut => return cut_off(),
            }
        }
    };
    let ended = tokio::select! {
        ended = steps(&plugin, &mut task, &mut writer, &mut has_begun, &sender) => ended,
        error = cut => Err(error),
    };
    let last = match ended {
        Ok(mut done) => {
            done.usage = task.usage().cloned();
            Piece::End(writer.end(&done), done)
        }
        Err(error) if has_begun => Piece::Broken(last_words(&error, Dialect::Chat, &writer.id, None), Box::new(error)),
        Err(error) => Piece::Failed(Box::new(error)),
    };
    // Fails if the client has left.
    let _ = sender.send(last).await;
    // The client has its answer already.
    tokio::spawn(task.close());
}

async fn steps(
    plugin: &Plugin,
    task: &mut Task,
    writer: &mut Writer,
    has_begun: &mut bool,
    sender: &Sender<Piece>,
) -> Result<Box<plugin_api::Done>, Error> {
    loop {
        let request = task.request().map_err(error_of)?;
        let asked = step(plugin, &request, writer, has_begun, sender);
        let reply = task.within(asked).await.map_err(error_of)??;
        if task.take(&reply, &mut Nobody).await.map_err(error_of)? == Turn::Answer {
            return Ok(Box::new(reply.done));
        }
    }
}

async fn step(
    plugin: &Plugin,
    request: &ChatRequest,
    writer: &mut Writer,
    has_begun: &mut bool,
    sender: &Sender<Piece>,
) -> Result<ChatReply, Error> {
    let mut reply = ChatReply::default();
    let mut events = plugin.stream(request).await?;
    while let Some(event) = events.next().await.transpose()? {
        let is_for_client = matches!(event, ChatEvent::Text(_) | ChatEvent::Reasoning(_));
        if let Some(text) = writer.event(&event).filter(|_| is_for_client) {
            *has_begun = true;
            // Fails if the client has left, which ends the work.
            let _ = sender.send(Piece::Text(text)).await;
        }
        reply.add(event);
    }
    Ok(reply)
}

/// The body of a streamed answer. It does the work while it is read, so that the work ends with it.
struct Driven {
    first: Option<Piece>,
    driver: Option<Driver>,
    pieces: Receiver<Piece>,
    record: Record,
}

impl Driven {
    fn taken(&mut self, piece: Piece) -> Bytes {
        match piece {
            Piece::Text(text) => {
                self.record.piece();
                text.into()
            }
            Piece::End(text, done) => {
                self.record.complete(done);
                text.into()
            }
            Piece::Broken(text, error) => {
                self.record.broke_off(&error);
                text.into()
            }
            Piece::Failed(error) => {
                self.record.broke_off(&error);
                Bytes::new()
            }
        }
    }
}

impl HttpBody for Driven {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        if let Some(driver) = &mut this.driver
            && driver.as_mut().poll(context).is_ready()
        {
            this.driver = None;
        }
        let next = match this.first.take() {
            Some(first) => Poll::Ready(Some(first)),
            None => this.pieces.poll_recv(context),
        };
        next.map(|piece| Some(Ok(Frame::data(this.taken(piece?)))))
    }
}
