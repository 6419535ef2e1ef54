//! One call through the plugin: reads the whole answer, or drops it in the middle.

use std::sync::Arc;
use std::time::Duration;

use plugin_api::{ChatEvent, ChatRequest, Error, Message, Plugin};
use tokio::time::timeout;

use crate::case::{Case, Moment, Outcome};

/// No call takes this long: the total timeout is half of it.
pub const HANGS_AFTER: Duration = Duration::from_secs(60);
/// A call that is dropped while it waits does not end by itself before this.
const PATIENCE: Duration = Duration::from_millis(20);

/// How a call ended.
pub enum Found {
    Ended(Outcome),
    /// With an unexpected error.
    Broken(Error),
    Hung,
}

/// Makes call number `n_call`.
pub async fn ask(plugin: Plugin, case: Arc<Case>, n_call: u64) -> (Arc<Case>, Found) {
    let mut request = ChatRequest::new(&[Message::user("Hello")]).expect("a message is JSON");
    request.model = Some(case.model_of(n_call));
    let is_dropped_waiting = case.expected == Outcome::Dropped(Moment::Waiting);
    let limit = if is_dropped_waiting { PATIENCE } else { HANGS_AFTER };
    let found = match timeout(limit, outcome(&plugin, &case, &request)).await {
        Ok(Ok(outcome)) => Found::Ended(outcome),
        Ok(Err(error)) if case.expected == Outcome::Failed(error.kind) => Found::Ended(case.expected),
        Ok(Err(error)) => Found::Broken(error),
        Err(_) if is_dropped_waiting => Found::Ended(case.expected),
        Err(_) => Found::Hung,
    };
    (case, found)
}

async fn outcome(plugin: &Plugin, case: &Case, request: &ChatRequest) -> Result<Outcome, Error> {
    let is_dropped = |moment| case.expected == Outcome::Dropped(moment);
    if !case.is_streamed {
        let answer = plugin.chat(request);
        if is_dropped(Moment::Unpolled) {
            return Ok(case.expected);
        }
        return Ok(Outcome::answered(&answer.await?.text));
    }
    let opening = plugin.stream(request);
    if is_dropped(Moment::Unpolled) {
        return Ok(case.expected);
    }
    let mut events = opening.await?;
    if is_dropped(Moment::Opened) {
        return Ok(case.expected);
    }
    let (mut text, mut n_texts) = (String::new(), 0);
    while let Some(event) = events.next().await {
        if let ChatEvent::Text(piece) = event? {
            text.push_str(&piece);
            n_texts += 1;
            if is_dropped(Moment::AfterTexts(n_texts)) {
                return Ok(case.expected);
            }
        }
    }
    Ok(Outcome::answered(&text))
}
