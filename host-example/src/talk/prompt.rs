//! The prompt: what was typed after the command, and standard input.

use std::io::{self, IsTerminal, Read};

use crate::terminal::{self, Failure};

/// The largest prompt on standard input, in bytes.
const MAX_INPUT_BYTES: u64 = 16 << 20;

/// The prompt of the command line; `None` without one.
pub fn words(words: &[String]) -> Result<Option<String>, Failure> {
    let text = words.join(" ");
    match (text.trim().is_empty(), words.is_empty()) {
        (false, _) => Ok(Some(text)),
        (true, true) => Ok(None),
        (true, false) => Err(nothing_to_ask()),
    }
}

/// The prompt of the command line, followed by standard input; `None` for a conversation.
///
/// - In: `has_more`, whether something else, such as an attachment, is sent.
pub fn read(typed: &[String], has_more: bool) -> Result<Option<String>, Failure> {
    let mut parts: Vec<String> = words(typed)?.into_iter().collect();
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        let mut bytes = Vec::new();
        stdin
            .lock()
            .take(MAX_INPUT_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(|cause| Failure::usage(format!("cannot read standard input: {cause}")))?;
        if bytes.len() as u64 > MAX_INPUT_BYTES {
            let limit = MAX_INPUT_BYTES >> 20;
            return Err(Failure::usage(format!(
                "expected at most {limit} MiB on standard input, found more"
            )));
        }
        let text = String::from_utf8(bytes)
            .map_err(|_| Failure::usage("expected UTF-8 on standard input, found bytes that are not"))?;
        if !text.trim().is_empty() {
            parts.push(text.trim_end().to_owned());
        }
        if parts.is_empty() && !has_more {
            return Err(nothing_to_ask());
        }
        return Ok(Some(parts.join("\n\n")));
    }
    if parts.is_empty() && !terminal::stdout_is_terminal() {
        return Err(
            Failure::usage("a conversation needs a terminal, but standard output is not one")
                .with_hint("pass a prompt: agent-host chat \"your question\" > FILE"),
        );
    }
    Ok((!parts.is_empty()).then(|| parts.join("\n\n")))
}

fn nothing_to_ask() -> Failure {
    Failure::usage("no prompt on the command line or on standard input")
        .with_hint("run `agent-host chat \"your question\"`, or run it on a terminal to start a conversation")
}
