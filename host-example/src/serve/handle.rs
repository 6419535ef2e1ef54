//! One request: judged by `guard`, read, and passed to the module that answers it.

use std::convert::Infallible;
use std::sync::Arc;

use hyper::body::{Body as _, Incoming};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use plugin_api::{Error, method};

use super::body::{self, Wanted};
use super::choices::empty_choice;
use super::count_tokens;
use super::credits;
use super::error_object::anthropic;
use super::forward::{self, Call};
use super::guard::{Passed, Verdict};
use super::headers;
use super::health;
use super::models;
use super::problem::Problem;
use super::providers;
use super::record::Record;
use super::reply::{self, Body, OwnError};
use super::route::{self, Dialect, Route};
use super::shared::{Serving, Shared};
use super::stream::Form;
use super::typed::{self, Writer};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest time for which a browser may remember what it may ask, in seconds.
const PREFLIGHT_S: &str = "600";

/// The answer to a request; there always is one.
pub async fn handle(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
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
        Ok(Passed::Request { route, is_known }) => {
            answer(&shared, &serving, &parts, incoming, route, is_known, record).await
        }
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

async fn answer(
    shared: &Shared,
    serving: &Serving,
    parts: &Parts,
    incoming: Incoming,
    route: Route,
    is_known: bool,
    mut record: Record,
) -> Response<Body> {
    let made: Result<Response<Body>, Error> = match route {
        Route::Home => Ok(health::home(serving)),
        Route::Health => Ok(health::health(shared, serving, is_known)),
        Route::Metrics => Ok(health::metrics(shared, serving).await),
        Route::Models { force, filters } => models::list(serving, force, filters, is_known, is_anthropic(parts)).await,
        Route::Model { id, is_data } => models::one(serving, &id, is_data, is_anthropic(parts)).await,
        Route::Credits { force } => credits::answer(serving, force).await,
        Route::CountTokens => {
            let body = read(shared, parts, incoming).await;
            return match body.and_then(|body| count_tokens::answer(&body)) {
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
            return match read(shared, parts, incoming).await {
                Ok(body) => passed_on(serving, parts, path, dialect, body, record).await,
                Err(problem) => refuse(problem, &mut record),
            };
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

async fn read(shared: &Shared, parts: &Parts, incoming: Incoming) -> Result<Vec<u8>, Problem> {
    body::check_encoding(&parts.headers)?;
    body::read(incoming, shared.max_body_bytes).await
}

/// Has the plugin answer.
async fn passed_on(
    serving: &Serving,
    parts: &Parts,
    path: String,
    dialect: Dialect,
    body: Vec<u8>,
    mut record: Record,
) -> Response<Body> {
    let needs_body = dialect != Dialect::Other && parts.method == Method::POST;
    let wanted = if body.is_empty() && !needs_body {
        Wanted::default()
    } else {
        match body::wanted(&body) {
            Ok(wanted) => wanted,
            Err(problem) => return refuse(problem, &mut record),
        }
    };
    #[cfg(feature = "otel")]
    record.wants_stream(wanted.stream);
    if !serving.has(method::RAW) {
        return by_types(serving, dialect, &body, wanted.stream, record).await;
    }
    let body = (!body.is_empty()).then_some(body);
    let request = headers::request(parts.method.as_str(), path, &parts.headers, body);
    if wanted.stream {
        let choice = empty_choice(dialect).filter(|_| !wanted.usage);
        forward::in_pieces(serving, Call::Raw(request), Form::Raw { dialect, choice }, record).await
    } else {
        forward::whole(serving, request, dialect, record).await
    }
}

/// Has a plugin answer that has no raw form.
async fn by_types(
    serving: &Serving,
    dialect: Dialect,
    body: &[u8],
    wants_stream: bool,
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
            forward::in_pieces(serving, call, Form::Typed(Writer::new(&asked)), record).await
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
