//! Signs users in with OAuth and PKCE: a page that gives a code, and the key for that code.
//!
//! Everybody is signed in at once, and every code buys the key that the sandbox accepts. What is documented is checked:
//! the callback's address, the challenge, and that a code is good once.
// Source: OpenRouter docs, `guides/overview/auth/oauth`, and the API description, `/auth/keys`, `/auth/keys/code`.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{
    codes::Challenge,
    other::body_of,
    plan::{Body, Plan, Received, USER_ID, json_plan, plan},
    state::Service,
};
use crate::failure::Failure;

/// `GET /auth`, for browsers: sends them to the callback with a code, or shows the code.
pub(super) fn page(service: &Service, received: &Received) -> Result<Plan, Failure> {
    let query = received.parameters();
    let parameter = |name: &str| Some(query.iter().find(|(known, _)| known == name)?.1.as_str());
    let callback = parameter("callback_url");
    callback.map_or(Ok(()), check_callback)?;
    let code = service.codes().give(Challenge::read(parameter)?);
    let text = format!("<!doctype html><title>Sandbox</title><p>Your code: <code>{code}</code></p>\n");
    let body = Body::Whole {
        content_type: "text/html; charset=utf-8",
        bytes: Bytes::from(text),
    };
    let Some(callback) = callback else {
        return Ok(plan(200, body));
    };
    let separator = if callback.contains('?') { '&' } else { '?' };
    let mut plan = plan(302, body);
    let location = format!("{callback}{separator}code={code}");
    plan.headers.push(("location".to_owned(), location));
    Ok(plan)
}

/// `POST /auth/keys/code`: a code for the key's own user.
pub(super) fn code(service: &Service, received: &Received) -> Result<Plan, Failure> {
    let body = body_of(received)?;
    check_callback(
        text_of(&body, "callback_url").ok_or_else(|| refused("callback_url: expected text, found nothing"))?,
    )?;
    let id = service.codes().give(Challenge::read(|name| text_of(&body, name))?);
    let data = json!({"id": id, "app_id": 1, "created_at": "2026-01-01T00:00:00.000Z"});
    Ok(json_plan(200, &json!({"data": data})))
}

/// `POST /auth/keys`: a key for a code.
pub(super) fn exchange(service: &Service, received: &Received) -> Result<Plan, Failure> {
    let body = body_of(received)?;
    let code = text_of(&body, "code").ok_or_else(|| refused("code: expected text, found nothing"))?;
    let wrong = || Failure::status(403).message("Invalid code or code_verifier");
    // A code is used up even by a wrong verifier: whoever has neither may not guess on.
    let challenge = service.codes().open.remove(code).ok_or_else(wrong)?;
    if let Some(challenge) = challenge {
        let is_hashed = text_of(&body, "code_challenge_method") == Some("S256");
        if is_hashed != challenge.is_hashed {
            return Err(refused("Invalid code_challenge_method"));
        }
        let verifier = text_of(&body, "code_verifier").ok_or_else(wrong)?;
        if !challenge.is_met_by(verifier) {
            return Err(wrong());
        }
    }
    let key = &service.settings.keys[0];
    Ok(json_plan(200, &json!({"key": key, "user_id": USER_ID})))
}

fn text_of<'a>(body: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    body.get(name)?.as_str()
}

/// Callbacks are on TLS, or on the user's own machine.
fn check_callback(url: &str) -> Result<(), Failure> {
    let is_local = |rest: &str| {
        let host = rest.split(['/', '?', ':']).next();
        matches!(host, Some("localhost" | "127.0.0.1"))
    };
    match url.split_once("://") {
        Some(("https", _)) => Ok(()),
        Some(("http", rest)) if is_local(rest) => Ok(()),
        _ => Err(refused(
            "callback_url: expected an address with https, or on localhost or 127.0.0.1",
        )),
    }
}

fn refused(message: &str) -> Failure {
    Failure::status(400).message(message)
}
