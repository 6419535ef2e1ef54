//! What came of a check. Pure.

use plugin_api::{ChatReply, Error, ErrorKind};

use crate::terminal::{self, Failure};

/// What came of a check.
pub enum Outcome {
    Ok(String),
    /// It works, but not as it could.
    Doubtful(String, &'static str),
    Skipped(String),
}

/// The outcome, with the answers that are billed.
pub type Billed = Result<(Outcome, Vec<ChatReply>), Failure>;

/// `None` if the plugin does not have the method, which is not a failure.
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

/// `acme/small via Acme, 12→3 tokens, $0.0001`
pub fn served(reply: &ChatReply) -> String {
    let served = terminal::served(&reply.done);
    match &reply.done.usage {
        None => format!("{served}, tokens and cost unknown"),
        Some(usage) => {
            let (prompt, completion) = (usage.prompt_tokens, usage.completion_tokens);
            format!("{served}, {prompt}→{completion} tokens, {}", terminal::cost(usage))
        }
    }
}
