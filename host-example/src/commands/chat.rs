//! `agent-host chat`: what is asked, and whether it is one question or a conversation.

use std::io::{self, IsTerminal, Read};

use plugin_api::Message;

use crate::cli::{Chat, Global};
use crate::setup::Setup;
use crate::talk::answer::{Interrupts, Manner, answer, report, request, stopped};
use crate::talk::attach;
use crate::talk::conversation;
use crate::talk::parameters::parameters;
use crate::talk::structured::Schema;
use crate::terminal::exit::{Exit, Failure};

/// The most that standard input may add to a prompt, in bytes.
const MAX_INPUT_BYTES: u64 = 16 << 20;

/// Runs `agent-host chat`.
pub async fn run(global: &Global, args: &Chat) -> Result<Exit, Failure> {
    let prompt = match attach::takes_stdin(&args.attach) {
        true => words(&args.prompt)?.or_else(|| Some(String::new())),
        false => prompt(&args.prompt, !args.attach.is_empty())?,
    };
    let attached = attach::parts(&args.attach)?;
    let schema = args.schema.as_deref().map(Schema::read).transpose()?;
    let response_format = schema.as_ref().map(Schema::response_format);
    let parameters = parameters(&args.wanted, response_format.as_ref());
    let mut interrupts = Interrupts::listen()?;
    let mut active = Setup::read(global)?.activate(true).await?;
    let Some(prompt) = prompt else {
        active.read_tiers().await?;
        let first = conversation::First {
            attached,
            parameters,
            schema,
        };
        return conversation::run(active, interrupts, global, args, first).await;
    };
    let mut messages: Vec<Message> = args
        .system
        .iter()
        .map(|text| Message::text("system", text.as_str()))
        .collect();
    let mut message = Message::user("");
    message.content = attach::content(prompt, attached);
    messages.push(message);
    let request = request(args.tier.as_deref(), args.model.as_deref(), &messages, &parameters)?;
    let manner = Manner::from(args);
    let outcome = interrupts.or(answer(&active, &request, manner, schema.as_ref())).await;
    active.shut_down().await;
    match outcome {
        Some(Ok(answer)) => match answer.mismatch {
            None => Ok(Exit::Ok),
            Some(failure) => {
                // The answer is on stdout already, as JSON where that was asked for.
                failure.tell(false);
                Ok(failure.exit)
            }
        },
        Some(Err(error)) => Err(with_modality_hint(report(error, manner), !args.attach.is_empty())),
        None => Err(stopped()),
    }
}

/// Of what the model cannot read, services say that there is no such model; which ones can read it, the list of models says.
fn with_modality_hint(failure: Failure, has_attachments: bool) -> Failure {
    if failure.exit == Exit::Refused && failure.hint.is_none() && has_attachments {
        return failure.with_hint("not every model reads every kind of file; `agent-host models` says what each reads");
    }
    failure
}

/// The prompt of the command line; `None` without one.
fn words(words: &[String]) -> Result<Option<String>, Failure> {
    let text = words.join(" ");
    match (text.trim().is_empty(), words.is_empty()) {
        (false, _) => Ok(Some(text)),
        (true, true) => Ok(None),
        (true, false) => Err(nothing_to_ask()),
    }
}

/// The prompt of the command line with standard input behind it; `None` for a conversation.
///
/// - In: `has_more`, whether there is something to ask about beside the prompt.
pub fn prompt(typed: &[String], has_more: bool) -> Result<Option<String>, Failure> {
    let mut parts: Vec<String> = words(typed)?.into_iter().collect();
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        let mut bytes = Vec::new();
        stdin
            .lock()
            .take(MAX_INPUT_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(|cause| Failure::new(Exit::Usage, format!("standard input cannot be read: {cause}")))?;
        if bytes.len() as u64 > MAX_INPUT_BYTES {
            let limit = MAX_INPUT_BYTES >> 20;
            return Err(Failure::new(
                Exit::Usage,
                format!("expected at most {limit} MiB on standard input, found more"),
            ));
        }
        let text = String::from_utf8(bytes).map_err(|_| {
            Failure::new(
                Exit::Usage,
                "expected text in UTF-8 on standard input, found something else",
            )
        })?;
        if !text.trim().is_empty() {
            parts.push(text.trim_end().to_owned());
        }
        if parts.is_empty() && !has_more {
            return Err(nothing_to_ask());
        }
        return Ok(Some(parts.join("\n\n")));
    }
    if parts.is_empty() && !io::stdout().is_terminal() {
        return Err(Failure::new(
            Exit::Usage,
            "a conversation needs a terminal, and standard output is none",
        )
        .with_hint("name the question: agent-host chat \"your question\" > FILE"));
    }
    Ok((!parts.is_empty()).then(|| parts.join("\n\n")))
}

fn nothing_to_ask() -> Failure {
    Failure::new(
        Exit::Usage,
        "there is nothing to ask: no prompt, and nothing on standard input",
    )
    .with_hint("agent-host chat \"your question\", or run it on a terminal for a conversation")
}
