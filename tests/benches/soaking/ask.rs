//! One call through the plugin: asks, reads, or drops it in the middle.

use std::sync::Arc;
use std::time::Duration;

use plugin_api::{ChatEvent, ChatRequest, Error, Message, Plugin};
use tokio::time::timeout;

use super::case::{Case, Moment, Outcome};

/// No call takes so long: the time for the whole call is half of it.
pub const HANGS_AFTER: Duration = Duration::from_secs(60);
/// Before it, no call to a slow model ends by itself.
const PATIENCE: Duration = Duration::from_millis(20);

/// How a call ended that should have ended in some way.
enum Found {
    Outcome(Outcome),
    /// An answer that is not the whole one.
    Words(usize),
    Error(Error),
    Hung,
}

async fn ask(plugin: Plugin, case: Arc<Case>, n: u64) -> (Arc<Case>, Found) {
    let mut request = ChatRequest::new(&[Message::user("Hello")]).expect("a message is JSON");
    request.model = Some(case.model_of(n));
    let limit = match case.expected {
        Outcome::Dropped(Moment::Waiting) => PATIENCE,
        Outcome::Answered | Outcome::Failed(_) | Outcome::Dropped(_) => HANGS_AFTER,
    };
    let found = match timeout(limit, outcome(&plugin, &case, &request)).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) if case.expected == Outcome::Failed(error.kind) => Found::Outcome(case.expected),
        Ok(Err(error)) => Found::Error(error),
        Err(_) if limit == PATIENCE => Found::Outcome(case.expected),
        Err(_) => Found::Hung,
    };
    (case, found)
}

async fn outcome(plugin: &Plugin, case: &Case, request: &ChatRequest) -> Result<Found, Error> {
    let dropped = match case.expected {
        Outcome::Dropped(moment) => Some(moment),
        Outcome::Answered | Outcome::Failed(_) => None,
    };
    let words = |text: &str| match text.split_whitespace().count() {
        WORDS => Found::Outcome(Outcome::Answered),
        words => Found::Words(words),
    };
    if !case.is_streamed {
        let answer = plugin.chat(request);
        if dropped == Some(Moment::Unpolled) {
            return Ok(Found::Outcome(case.expected));
        }
        return Ok(words(&answer.await?.text));
    }
    let opening = plugin.stream(request);
    if dropped == Some(Moment::Unpolled) {
        return Ok(Found::Outcome(case.expected));
    }
    let mut events = opening.await?;
    if dropped == Some(Moment::Opened) {
        return Ok(Found::Outcome(case.expected));
    }
    let (mut text, mut n_texts) = (String::new(), 0);
    while let Some(event) = events.next().await {
        if let ChatEvent::Text(piece) = event? {
            text.push_str(&piece);
            n_texts += 1;
        }
        if dropped == Some(Moment::AfterTexts(n_texts)) {
            return Ok(Found::Outcome(case.expected));
        }
    }
    Ok(words(&text))
}

