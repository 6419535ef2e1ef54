//! `agent-host chat`: what is asked, and whether it is one question or a conversation.

use std::io::{self, IsTerminal, Read};

use plugin_api::Message;

use crate::answer::{Interrupts, answer, report, request};
use crate::cli::{Chat, Global};
use crate::conversation;
use crate::exit::{Exit, Failure};
use crate::setup::Setup;
use crate::terminal;

/// The most that standard input may add to a prompt, in bytes.
const MAX_INPUT_BYTES: u64 = 16 << 20;

/// Runs `agent-host chat`.
pub async fn run(global: &Global, args: &Chat) -> Result<Exit, Failure> {
    let prompt = prompt(&args.prompt)?;
    let mut interrupts = Interrupts::listen()?;
    let mut active = Setup::read(global)?.activate(true).await?;
    let Some(prompt) = prompt else {
        active.read_tiers().await?;
        return conversation::run(active, interrupts, global, args).await;
    };
    let mut messages: Vec<Message> = args
        .system
        .iter()
        .map(|text| Message::text("system", text.as_str()))
        .collect();
    messages.push(Message::user(prompt));
    let request = request(args.tier.as_deref(), args.model.as_deref(), &messages)?;
    let outcome = interrupts.or(answer(&active, &request, args)).await;
    active.shut_down().await;
    match outcome {
        Some(Ok(_)) => Ok(Exit::Ok),
        Some(Err(error)) => Err(report(error, args)),
        None => Err({
            // The terminal has shown `^C` behind what had been written.
            if io::stdout().is_terminal() {
                terminal::say("");
            }
            Failure::new(
                Exit::Interrupted,
                "stopped by Ctrl-C; what had arrived is not the whole answer",
            )
        }),
    }
}

/// The prompt of the command line with standard input behind it; `None` for a conversation.
fn prompt(words: &[String]) -> Result<Option<String>, Failure> {
    let mut parts: Vec<String> = Vec::new();
    let text = words.join(" ");
    if !text.trim().is_empty() {
        parts.push(text);
    } else if !words.is_empty() {
        return Err(nothing_to_ask());
    }
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
        if parts.is_empty() {
            return Err(nothing_to_ask());
        }
    } else if parts.is_empty() && !io::stdout().is_terminal() {
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
