//! One request: judged by `guard`, read, and passed to the module that answers it.

use std::fmt;
use std::sync::Arc;

use hyper::body::{Body as _, Incoming};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode, Version};
use plugin_api::{Error, method};

use super::agents;
use super::body::{self, Read, Wanted};
use super::cache::Ticket;
use super::choices::empty_choice;
use super::client::Client;
use super::connections::Connection;
use super::count_tokens;
use super::course::{Course, Interruption, cut_off};
use super::credits;
use super::error_object::{anthropic, error_object, status_of};
use super::forward::{self, Call};
use super::guard::{Passed, Verdict};
use super::headers;
use super::health;
use super::models;
use super::problem::Problem;
use super::providers;
use super::record::Record;
use super::reply::{self, Body, OwnError, error_response};
use super::route::{self, Dialect, Route};
use super::shared::{Serving, Shared};
use super::stream::Form;
use super::tiers::tier_named;
use super::typed::{self, Writer};
use super::usage;
use crate::history::client_of;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest time for which a browser may remember what it may ask, in seconds.
const PREFLIGHT_S: &str = "600";

/// The client left before its answer began, so there is none.
#[derive(Debug)]
pub struct Left;

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the client left")
    }
}

impl std::error::Error for Left {}

/// The answer to a request.
pub async fn handle(
    shared: Arc<Shared>,
    connection: Arc<Connection>,
    client: Client,
    request: Request<Incoming>,
) -> Result<Response<Body>, Left> {
    connection.is_heard();
    let serving = shared.serving.load_full();
    let (parts, incoming) = request.into_parts();
    let route = Route::of(parts.uri.path_and_query(), &serving.plugin.manifest().id);
    let label = route.as_ref().map_or("none", Route::label);
    let mut record = Record::begin(Arc::clone(&shared.telemetry), label, &parts.method, parts.uri.path());
    let id = record.id().to_owned();
    #[cfg(feature = "otel")]
    record.trace(&serving.plugin.manifest().id, &parts);
    let Verdict { cors_origin, outcome } =
        shared
            .rules
            .judge(&serving.keys(), &parts.method, &parts.uri, &parts.headers, route);
    let mut response = match outcome {
        // Takes no place, so that it comes at any load.
        Ok(Passed::Request {
            route: Route::Health,
            is_known,
        }) => {
            let response = health::health(&shared, &serving, is_known).await;
            record.answered(response.status());
            response
        }
        Ok(Passed::Request { route, is_known }) => match connection.work(is_known).await {
            Ok(work) => {
                let course = Course::new(client, shared.phase.subscribe());
                let asked = Asked {
                    parts: &parts,
                    route,
                    is_known,
                };
                let answered = answer(&shared, &serving, asked, incoming, course, record).await?;
                answered.map(|body| reply::holding(body, work))
            }
            Err(problem) => refuse(body::closing(problem), &mut record),
        },
        Ok(Passed::Preflight(methods)) => {
            let response = preflight(methods, &parts.headers);
            record.answered(response.status());
            response
        }
        // A client must not send its next request on a connection that is closed because nobody reads this one's body.
        Err(problem) if !incoming.is_end_stream() => refuse(body::closing(problem), &mut record),
        Err(problem) => refuse(problem, &mut record),
    };
    if let Some(OwnError(object)) = response.extensions_mut().remove()
        && is_anthropic(&parts)
    {
        *response.body_mut() = reply::whole(anthropic(&object).to_string());
    }
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(X_REQUEST_ID, id);
    }
    if let Some(origin) = cors_origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.append(header::VARY, HeaderValue::from_static("origin"));
        let exposed = HeaderValue::from_static(headers::EXPOSED);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
    Ok(response)
}

/// Whether the client speaks Anthropic's protocol.
fn is_anthropic(parts: &Parts) -> bool {
    parts.headers.contains_key("anthropic-version") || route::is_anthropic(parts.uri.path())
}

fn refuse(problem: Problem, record: &mut Record) -> Response<Body> {
    record.answered(problem.status);
    problem.into_response()
}

/// A request that may be answered.
struct Asked<'a> {
    parts: &'a Parts,
    route: Route,
    is_known: bool,
}

/// Reads the rest of a request, and answers it unless something ends the answer first.
async fn answer(
    shared: &Shared,
    serving: &Serving,
    asked: Asked<'_>,
    incoming: Incoming,
    course: Course,
    mut record: Record,
) -> Result<Response<Body>, Left> {
    let takes_body = match asked.route {
        Route::CountTokens => true,
        Route::Raw { .. } => asked.is_known,
        _ => false,
    };
    let body = if takes_body {
        let checked = body::check_encoding(&asked.parts.headers);
        let read = match checked {
            Ok(()) => body::read(incoming, &shared.bodies).await,
            Err(problem) => Err(problem),
        };
        match read {
            Ok(body) => body,
            Err(problem) => return Ok(refuse(problem, &mut record)),
        }
    } else {
        Read::default()
    };
    let has_interim = asked.parts.version >= Version::HTTP_11;
    let before = async { course.clone().ended(has_interim).await };
    tokio::select! {
        made = made(shared, serving, asked, body, course.clone(), record) => Ok(made),
        end = before => match end {
            Interruption::Cut => {
                let error = cut_off();
                Ok(error_response(status_of(&error), error_object(&error)))
            }
            Interruption::Left | Interruption::HalfClosed => Err(Left),
        }
    }
}

async fn made(
    shared: &Shared,
    serving: &Serving,
    asked: Asked<'_>,
    body: Read,
    course: Course,
    mut record: Record,
) -> Response<Body> {
    let Asked { parts, route, is_known } = asked;
    let is_about_itself = matches!(
        route,
        Route::Home | Route::Health | Route::Metrics | Route::Usage { .. }
    );
    if let Some(off) = serving.off.as_ref().filter(|_| !is_about_itself) {
        return forward::failure(off, &[], &mut record);
    }
    let made: Result<Response<Body>, Error> = match route {
        Route::Home => Ok(health::home(serving)),
        Route::Health => Ok(health::health(shared, serving, is_known).await),
        Route::Metrics => Ok(health::metrics(shared, serving).await),
        Route::Models { force, filters } => models::list(serving, force, filters, is_known, is_anthropic(parts)).await,
        Route::Model { id, is_data } => models::one(serving, &id, is_data, is_known, is_anthropic(parts)).await,
        Route::Credits { force } => credits::answer(serving, force).await,
        Route::Usage { query } => return usage::answer(query, record).await,
        Route::CountTokens => {
            // Reading a large body delays the answers of this thread.
            let counted = tokio::task::spawn_blocking(move || count_tokens::answer(&body.bytes)).await;
            let cannot = |_| {
                Err(Problem::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "internal",
                    "cannot count the tokens",
                ))
            };
            return match counted.unwrap_or_else(cannot) {
                Ok(response) => {
                    record.answered(response.status());
                    response
                }
                Err(problem) => refuse(problem, &mut record),
            };
        }
        // The only path of the service that needs no token.
        Route::Raw { .. } if !is_known => providers::answer(serving).await,
        Route::Raw { path, dialect } => {
            return passed_on(serving, parts, path, dialect, body, course, record).await;
        }
    };
    match made {
        Ok(response) => {
            record.answered(response.status());
            response
        }
        Err(error) => forward::failure(&error, &[], &mut record),
    }
}

/// Has the plugin answer.
async fn passed_on(
    serving: &Serving,
    parts: &Parts,
    path: String,
    dialect: Dialect,
    body: Read,
    course: Course,
    mut record: Record,
) -> Response<Body> {
    // The room is given back when the answer begins.
    let Read {
        bytes: body,
        room: _room,
    } = body;
    let needs_body = dialect != Dialect::Other && parts.method == Method::POST;
    let (wanted, body) = if body.is_empty() && !needs_body {
        (Wanted::default(), body)
    } else {
        match body::looked_through(body).await {
            (Ok(wanted), body) => (wanted, body),
            (Err(problem), _) => return refuse(problem, &mut record),
        }
    };
    #[cfg(feature = "otel")]
    record.wants_stream(wanted.stream);
    if parts.method == Method::POST && (dialect != Dialect::Other || wanted.names_model) {
        let user_agent = parts.headers.get(header::USER_AGENT);
        let client = client_of(user_agent.and_then(|value| value.to_str().ok()));
        let model = wanted.model.as_deref();
        let tier = model.and_then(|model| tier_named(&serving.tiers, model));
        let model = model.filter(|_| tier.is_none());
        let tier = tier.map(|tier| tier.tier.as_str());
        record.asks(serving.asker.begins(&client, tier, model));
    }
    if dialect == Dialect::Chat && wanted.names_agent {
        return agents::answer(serving, &body, wanted.stream, course, record).await;
    }
    if dialect != Dialect::Other && wanted.names_agent {
        let problem = Problem::bad_request("expected no `agent` here: only chat completions run agents");
        return refuse(problem.with_hint("send it to `/v1/chat/completions`"), &mut record);
    }
    if !serving.has(method::RAW) {
        return by_types(serving, dialect, &body, wanted.stream, course, record).await;
    }
    let body = (!body.is_empty()).then_some(body);
    let request = headers::request(parts.method.as_str(), path, &parts.headers, body);
    let ticket = (dialect == Dialect::Chat && parts.method == Method::POST)
        .then(|| Ticket::of(serving, &parts.headers, &wanted, &request))
        .flatten();
    if let Some(ticket) = &ticket
        && let Some(response) = ticket.find(&mut record).await
    {
        return response;
    }
    if wanted.stream {
        let choice = empty_choice(dialect).filter(|_| !wanted.usage);
        forward::in_pieces(
            serving,
            Call::Raw(request),
            Form::Raw { dialect, choice },
            course,
            record,
            ticket,
        )
        .await
    } else {
        let names_model = (dialect == Dialect::Other).then_some(wanted.names_model);
        forward::whole(serving, request, names_model, record, ticket).await
    }
}

/// Has a plugin answer that has no raw form.
async fn by_types(
    serving: &Serving,
    dialect: Dialect,
    body: &[u8],
    wants_stream: bool,
    course: Course,
    mut record: Record,
) -> Response<Body> {
    if dialect != Dialect::Chat {
        let id = &serving.plugin.manifest().id;
        let message = format!("the plugin `{id}` supports only chat completions");
        let problem = Problem::new(StatusCode::NOT_IMPLEMENTED, "unsupported", message);
        return refuse(problem.with_hint("use `POST /v1/chat/completions`"), &mut record);
    }
    match typed::asked(body, &serving.tiers) {
        Ok(asked) if wants_stream => {
            let call = Call::Typed(&asked.request);
            forward::in_pieces(serving, call, Form::Typed(Writer::new(&asked)), course, record, None).await
        }
        Ok(asked) => forward::typed_whole(serving, &asked, record).await,
        Err(problem) => refuse(problem, &mut record),
    }
}

/// Tells a browser that a page of an allowed origin may ask.
fn preflight(methods: &[Method], asked: &HeaderMap) -> Response<Body> {
    const PRIVATE_ASKED: HeaderName = HeaderName::from_static("access-control-request-private-network");
    const PRIVATE_ALLOWED: HeaderName = HeaderName::from_static("access-control-allow-private-network");
    let mut response = Response::new(reply::whole(""));
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    let names: Vec<&str> = methods.iter().map(Method::as_str).collect();
    if let Ok(names) = HeaderValue::from_str(&names.join(", ")) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, names);
    }
    // A trusted origin may send any header.
    let wanted = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    let wanted = wanted.unwrap_or(HeaderValue::from_static("authorization, content-type"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(PREFLIGHT_S));
    if asked.contains_key(PRIVATE_ASKED) {
        headers.insert(PRIVATE_ALLOWED, HeaderValue::from_static("true"));
    }
    response
}
