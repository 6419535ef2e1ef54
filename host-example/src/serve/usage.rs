//! `GET /v1/usage`: what calls cost, as `agent-host usage --json` has it.

use hyper::{Response, StatusCode};

use super::problem::Problem;
use super::record::Record;
use super::reply::{Body, json_response};
use crate::history;
use crate::views::usage;

/// - In: the query of the path: `by`, `since` and `until`, as the command has them.
pub async fn answer(query: String, mut record: Record) -> Response<Body> {
    // A disk may be slow.
    let asked = tokio::task::spawn_blocking(move || page(&query)).await;
    let cannot = |_| Err(internal("cannot read the store"));
    let response = match asked.unwrap_or_else(cannot) {
        Ok(page) => json_response(StatusCode::OK, &page),
        Err(problem) => problem.into_response(),
    };
    record.answered(response.status());
    response
}

fn page(query: &str) -> Result<serde_json::Value, Problem> {
    let (mut by, mut since, mut until) = ("model".to_owned(), None, None);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "by" => by = value.into_owned(),
            "since" => since = Some(value.into_owned()),
            "until" => until = Some(value.into_owned()),
            _ => {
                return Err(Problem::bad_request(
                    "expected the parameters `by`, `since` and `until`, found another one",
                ));
            }
        }
    }
    let query = usage::query(&by, since.as_deref(), until.as_deref()).map_err(Problem::bad_request)?;
    let (rows, total) = history::usage(&query).map_err(|failure| internal(&failure.message))?;
    Ok(usage::json(&query, &rows, &total))
}

fn internal(message: &str) -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
}
