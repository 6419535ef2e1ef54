//! What came of a check. Pure.

use plugin_api::{ChatReply, Error, ErrorKind};

use crate::terminal::Failure;

/// What came of a check.
pub enum Outcome {
    Ok(String),
    /// It works, but not as it could.
    Doubtful(String, &'static str),
    Skipped(String),
}

/// The outcome, with the answers that are billed.
pub type Billed = Result<(Outcome, Vec<ChatReply>), Failure>;

/// `None` if the plugin does not have the method, which is no failure.
pub fn supported<T>(result: Result<T, Error>) -> Result<Option<T>, Failure> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind == ErrorKind::UNSUPPORTED => Ok(None),
        Err(error) => Err(error.into()),
    }
}

pub fn skipped(what: &str) -> Outcome {
    Outcome::Skipped(format!("the plugin cannot {what}"))
}

/// The outcome of an answer whose content does not matter.
pub fn answered(reply: ChatReply) -> (Outcome, Vec<ChatReply>) {
    let summary = served(&reply);
    let outcome = if !reply.text.trim().is_empty() {
        Outcome::Ok(summary)
    } else {
        Outcome::Doubtful(
            format!(
                "an answer without text, finish reason {}: {summary}",
                reply.done.finish_reason
            ),
            "a reasoning model may need more tokens; try it with `agent-host chat`",
        )
    };
    (outcome, vec![reply])
}

/// `acme/small via Acme: 12→3 tokens, $0.0001`
pub fn served(reply: &ChatReply) -> String {
    let done = &reply.done;
    let model = done
        .model
        .as_deref()
        .or(done.requested_model.as_deref())
        .unwrap_or("unknown model");
    let via = done
        .provider
        .as_deref()
        .map_or_else(String::new, |provider| format!(" via {provider}"));
    match &done.usage {
        None => format!("{model}{via}, tokens and cost unknown"),
        Some(usage) => {
            let cost = usage
                .cost_usd
                .as_deref()
                .map_or_else(|| "cost unknown".to_owned(), |cost| format!("${cost}"));
            format!(
                "{model}{via}, {}→{} tokens, {cost}",
                usage.prompt_tokens, usage.completion_tokens
            )
        }
    }
}
