//! `agent-host chat`: one question, or a conversation.

use std::path::PathBuf;

use clap::ValueHint;
use clap::builder::NonEmptyStringValueParser;
use plugin_api::Message;

use crate::setup::{Global, Setup};
use crate::talk::answer::{answer, report, request};
use crate::talk::attach;
use crate::talk::conversation::{self, Opening, system_message};
use crate::talk::parameters::{Wanted, parameters};
use crate::talk::prompt;
use crate::talk::screen::Manner;
use crate::talk::structured::Schema;
use crate::terminal::{Exit, Failure, Interrupts, stopped};

/// Ask a model; on a terminal without a prompt, start a conversation
#[derive(clap::Args)]
pub struct Args {
    /// The question; standard input is appended to it
    pub prompt: Vec<String>,
    /// The tier: small, large or reasoning, or any name that `agent-host tiers` shows
    #[arg(short, long, value_name = "TIER", value_parser = NonEmptyStringValueParser::new())]
    pub tier: Option<String>,
    /// A model id, instead of a tier
    #[arg(short, long, value_name = "MODEL", value_parser = NonEmptyStringValueParser::new())]
    pub model: Option<String>,
    /// The system message
    #[arg(short, long, value_name = "TEXT")]
    pub system: Option<String>,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
    /// Print the answer when it is complete instead of streaming it
    #[arg(long)]
    pub no_stream: bool,
    /// Do not print the line about model, time and cost
    #[arg(short, long)]
    pub quiet: bool,
    /// Attach a picture, a sound or a document, by file or URL; may be repeated; `-` for standard input
    #[arg(short, long, visible_alias = "image", value_name = "FILE|URL", value_hint = ValueHint::FilePath)]
    pub attach: Vec<String>,
    /// A JSON Schema that the answer must match; exit code 8 if it does not
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub schema: Option<PathBuf>,
    #[command(flatten)]
    pub wanted: Wanted,
    /// Do not reload the profile when its file changes during a conversation
    #[arg(long)]
    pub no_watch: bool,
    /// Neither read nor save the history of input lines
    #[arg(long)]
    pub no_history: bool,
}

/// Runs `agent-host chat`.
pub async fn run(global: &Global, args: &Args) -> Result<Exit, Failure> {
    let prompt = match attach::takes_stdin(&args.attach) {
        true => prompt::words(&args.prompt)?.or_else(|| Some(String::new())),
        false => prompt::read(&args.prompt, !args.attach.is_empty())?,
    };
    let attached = attach::parts(&args.attach)?;
    let schema = args.schema.as_deref().map(Schema::read).transpose()?;
    let response_format = schema.as_ref().map(Schema::response_format);
    let parameters = parameters(&args.wanted, response_format.as_ref());
    let manner = Manner {
        is_streamed: !args.no_stream,
        has_text: !args.json,
        has_json: args.json,
        has_thoughts: !args.json && !args.quiet,
        has_footer: !args.quiet,
    };
    let mut interrupts = Interrupts::listen()?;
    let mut active = Setup::read(global)?.activate(true).await?;
    let Some(prompt) = prompt else {
        active.read_tiers().await?;
        let opening = Opening {
            system: args.system.clone(),
            tier: args.tier.clone(),
            model: args.model.clone(),
            attached,
            parameters,
            schema,
            manner,
            follows_edits: !args.no_watch,
            keeps_history: !args.no_history,
        };
        return conversation::run(active, interrupts, global, opening).await;
    };
    let mut messages = system_message(args.system.as_deref());
    let mut message = Message::user("");
    message.content = attach::content(prompt, attached);
    messages.push(message);
    let request = request(args.tier.as_deref(), args.model.as_deref(), &messages, &parameters)?;
    let outcome = interrupts.or(answer(&active, &request, manner, schema.as_ref())).await;
    active.shut_down().await;
    match outcome {
        Some(Ok(answer)) => match answer.mismatch {
            None => Ok(Exit::Ok),
            Some(failure) => {
                // The answer is on stdout already, as JSON where that was asked for.
                failure.print(false);
                Ok(failure.exit)
            }
        },
        Some(Err(error)) => Err(with_modality_hint(report(error, manner), !args.attach.is_empty())),
        None => Err(stopped()),
    }
}

/// Services answer "no such model" when a model cannot read an attachment; the model list says which ones can.
fn with_modality_hint(failure: Failure, has_attachments: bool) -> Failure {
    if failure.exit == Exit::Refused && failure.hint.is_none() && has_attachments {
        return failure
            .with_hint("not every model reads every kind of file; `agent-host models show MODEL` lists what it reads");
    }
    failure
}
