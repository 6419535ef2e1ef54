//! `GET /v1/providers` for callers without the token, who must not cause any number of requests to the service.

use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::{Response, StatusCode};
use plugin_api::{Error, HttpRequest};

use super::reply::{Body, response};
use super::shared::Serving;

/// How long the service's answer is reused, even if it is an error.
const KEPT: Duration = Duration::from_secs(60);

pub async fn answer(serving: &Serving) -> Result<Response<Body>, Error> {
    // Locked while the service is asked, so that all callers wait for one answer.
    let mut kept = serving.providers.lock().await;
    let answer = match &*kept {
        Some((at, answer)) if at.elapsed() < KEPT => answer.clone(),
        _ => {
            let answer = serving
                .asked(|| serving.plugin.raw(HttpRequest::new("GET", "/providers")))
                .await;
            let answer = answer.map(|answer| Bytes::from_owner(answer.body));
            *kept = Some((Instant::now(), answer.clone()));
            answer
        }
    };
    Ok(response(StatusCode::OK, "application/json", answer?))
}
