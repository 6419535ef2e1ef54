//! `agent-host chat`: one question, or a conversation.

use clap::ValueHint;
use serde_json::Value;

use crate::history;
use crate::setup::{Active, Global};
use crate::talk::answer::{Answer, answer, report, request};
use crate::talk::attach;
use crate::talk::choosing::{self, Who};
use crate::talk::conversation::{Conversation, Habits};
use crate::talk::dialogue::Prompt;
use crate::talk::events::{End, print_end};
use crate::talk::kept::{Meant, Resumed, found};
use crate::talk::media::Target;
use crate::talk::parameters::{Recipient, Wanted, parameters};
use crate::talk::prompt;
use crate::talk::screen::{Manner, Shown};
use crate::talk::session::Session;
use crate::talk::structured::Schema;
use crate::terminal::{Exit, Failure, Interrupts, progress, stopped};
use crate::welcome::{self, Ready};

/// Ask a model; on a terminal without a prompt, start a conversation
#[derive(clap::Args, Clone)]
pub struct Args {
    /// The question; standard input is appended to it
    pub prompt: Vec<String>,
    #[command(flatten)]
    pub recipient: Recipient,
    /// Go on with the last conversation that was kept, or with the one of this id, as `-c=ID`
    #[arg(short, long = "continue", value_name = "ID", num_args = 0..=1, require_equals = true,
        conflicts_with = "session")]
    pub continued: Option<Option<String>>,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
    /// Print an object for each event, one a line; `agent-host schema events` describes them
    #[arg(long, conflicts_with_all = ["json", "no_stream"])]
    pub jsonl: bool,
    /// Print the answer when it is complete instead of streaming it
    #[arg(long)]
    pub no_stream: bool,
    /// Let the sandbox answer: no key, no network, no cost, invented answers
    #[arg(long)]
    pub sandbox: bool,
    /// Do not print the line about model, time and cost
    #[arg(short, long)]
    pub quiet: bool,
    /// Attach a picture, a sound or a document, by file or URL; may be repeated; `-` for standard input
    #[arg(short, long, visible_alias = "image", value_name = "FILE|URL", value_hint = ValueHint::FilePath)]
    pub attach: Vec<String>,
    /// What the answer must match: a file with a JSON Schema, the schema itself, or its short form, such as
    /// `name, age int, tags [string], address {street, zip?}`; exit code 8 if it does not
    #[arg(long, value_name = "SCHEMA", value_hint = ValueHint::FilePath)]
    pub schema: Option<String>,
    /// If the answer does not match the schema, ask once more with the list of what is wrong
    #[arg(long, requires = "schema")]
    pub repair: bool,
    #[command(flatten)]
    pub shown: Shown,
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    pub wanted: Wanted,
    #[command(flatten)]
    pub habits: Habits,
}

pub async fn run(global: &Global, args: &Args) -> Result<Exit, Failure> {
    if args.habits.no_history {
        history::leave_nothing();
    }
    let prompt = match args.attach.iter().any(|name| name == "-") {
        true => prompt::words(&args.prompt)?.or_else(|| Some(String::new())),
        false => prompt::read(&args.prompt, !args.attach.is_empty())?,
    };
    args.target.check()?;
    let attached = attach::parts(&args.attach)?;
    let schema = args.schema.as_deref();
    let schema = schema.map(|given| Schema::read(given, args.repair)).transpose()?;
    let manner = Manner {
        is_streamed: !args.no_stream,
        has_text: !args.json && !args.jsonl,
        has_json: args.json,
        has_events: args.jsonl,
        is_raw: args.shown.raw,
        reasoning: args.shown.reasoning(args.json || args.jsonl || args.quiet),
        has_footer: !args.quiet,
    };
    if args.jsonl && prompt.is_none() {
        return Err(Failure::usage("`--jsonl` needs a prompt").with_hint("a conversation has no end to print"));
    }
    let resumed = resumed(args)?;
    let mut interrupts = Interrupts::listen()?;
    let ready = welcome::ready(global, args.sandbox, &mut interrupts).await?;
    let Ready { mut active, global, .. } = ready;
    if manner.has_footer {
        active.say_address();
    }
    let Some(prompt) = prompt else {
        active.read_tiers().await?;
        let conversation = Conversation {
            active,
            interrupts,
            dialogue: resumed.dialogue,
            kept: resumed.kept,
            who: resumed.who,
            attached,
            parameters: resumed.parameters,
            schema,
            target: args.target.clone(),
            manner,
            session: Session::default(),
            listed: Vec::new(),
        };
        return conversation.run(&global, &args.habits).await;
    };
    let prompt = Prompt {
        message: attach::message(prompt.clone(), attached.clone()),
        typed: prompt,
        attached,
    };
    asked(args, active, interrupts, resumed, prompt, schema.as_ref(), manner).await
}

/// The conversation that the arguments name, or a new one, with what they say about it.
fn resumed(args: &Args) -> Result<Resumed, Failure> {
    let meant = match (&args.continued, &args.wanted.session) {
        (Some(Some(id)), _) => Some(Meant::Id(id)),
        (Some(None), _) => Some(Meant::Last),
        (None, Some(name)) => Some(Meant::Session(name)),
        (None, None) => None,
    };
    let mut resumed = meant.map(|meant| found(&meant)).transpose()?.unwrap_or_default();
    let Recipient { tier, model, system } = args.recipient.clone();
    if tier.is_some() || model.is_some() {
        resumed.who = Who { tier, model };
    }
    resumed.dialogue.system = system.or(resumed.dialogue.system);
    resumed.parameters.extend(parameters(&args.wanted, None));
    Ok(resumed)
}

/// Asks once.
async fn asked(
    args: &Args,
    mut active: Active,
    mut interrupts: Interrupts,
    resumed: Resumed,
    prompt: Prompt,
    schema: Option<&Schema>,
    manner: Manner,
) -> Result<Exit, Failure> {
    let Resumed {
        mut kept,
        mut dialogue,
        who,
        parameters,
    } = resumed;
    if choosing::has_media(&prompt.attached) && active.off.is_none() {
        active.read_tiers().await?;
        check(&active, &who, &prompt.attached).await?;
    }
    let messages = dialogue.before(&prompt.message);
    let wanted = schema.map_or_else(|| parameters.clone(), |schema| schema.asked_for(&parameters));
    let request = request(who.tier.as_deref(), who.model.as_deref(), &messages, &wanted)?;
    let mut session = Session::default();
    let answer = answer(&active, &request, manner, schema, Some(&args.target), &mut session);
    let outcome = interrupts.or(answer).await;
    let is_kept = args.continued.is_some() || args.wanted.session.is_some();
    if let Some(Ok(answer)) = &outcome
        && is_kept
        && let Some(message) = answer.message()
    {
        dialogue.keep(prompt, message);
        kept.keep(&active, &dialogue, &who, &parameters);
    }
    active.shut_down().await;
    match outcome {
        Some(Ok(answer)) => Ok(ended(args, schema, answer)),
        Some(Err(error)) => Err(with_modality_hint(report(error, manner), !args.attach.is_empty())),
        None => Err(stopped()),
    }
}

/// Checks that the model that will answer reads these parts, as far as that is known.
async fn check(active: &Active, who: &Who, attached: &[Value]) -> Result<(), Failure> {
    let models = progress::while_waiting("fetching the model list", choosing::models(active)).await;
    match (models, who.wire(&active.tiers)) {
        (Some(models), Some(id)) => choosing::check(&models, &active.tiers, id, attached, "--model ID"),
        _ => Ok(()),
    }
}

/// The end of a whole answer. It is on stdout already, as JSON where that was asked for.
fn ended(args: &Args, schema: Option<&Schema>, answer: Answer) -> Exit {
    let is_for_programs = args.json || args.jsonl;
    let answer = if is_for_programs {
        answer
    } else {
        answer.without_calls()
    };
    let failure = answer.failure.as_ref();
    if args.jsonl {
        let mismatches = schema.map(|_| answer.mismatches.as_slice());
        print_end(
            Some(&answer.reply),
            failure,
            End {
                mismatches,
                ..End::default()
            },
        );
    }
    if let Some(failure) = failure {
        failure.print(false);
    }
    failure.map_or(Exit::Ok, |failure| failure.exit)
}

/// Services answer "no such model" when a model cannot read an attachment; the model list says which ones can.
fn with_modality_hint(failure: Failure, has_attachments: bool) -> Failure {
    if failure.exit == Exit::Refused && failure.hint.is_none() && has_attachments {
        return failure
            .with_hint("not every model reads every kind of file; `agent-host models show MODEL` lists what it reads");
    }
    failure
}
