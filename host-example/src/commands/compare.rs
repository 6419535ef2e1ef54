//! `agent-host compare`: the same prompt to several tiers and models; their answers, times and costs side by side.

mod judge;
mod report;

use clap::ValueHint;
use clap::builder::NonEmptyStringValueParser;
use clap_complete::ArgValueCandidates;
use plugin_api::{ChatReply, ChatRequest, Error, Plugin};
use tokio::task::JoinSet;

use super::Output;
use crate::history::{self, Asker, Open};
use crate::setup::{Active, Global, Setup, candidates, tiers};
use crate::talk::answer::{advised, request};
use crate::talk::attach;
use crate::talk::choosing;
use crate::talk::dialogue::system_message;
use crate::talk::ending::{calls, ending, is_usable};
use crate::talk::parameters::{Wanted, parameters};
use crate::talk::prompt;
use crate::talk::structured::Schema;
use crate::terminal::{self, Exit, Failure, Interrupts, counted, progress, stopped};

/// Ask several tiers and models the same, and compare their answers, times and costs
#[derive(clap::Args)]
pub struct Args {
    /// The question; standard input is appended to it
    pub prompt: Vec<String>,
    /// A tier to ask; may be repeated
    #[arg(short, long = "tier", value_name = "TIER", value_parser = NonEmptyStringValueParser::new(),
        add = ArgValueCandidates::new(candidates::tiers))]
    pub tiers: Vec<String>,
    /// A model to ask; may be repeated
    #[arg(short, long = "model", value_name = "MODEL", value_parser = NonEmptyStringValueParser::new(),
        add = ArgValueCandidates::new(candidates::models))]
    pub models: Vec<String>,
    /// The system message
    #[arg(short, long, value_name = "TEXT")]
    pub system: Option<String>,
    /// How often each is asked
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub runs: u32,
    /// Attach a picture, a sound or a document, by file or URL; may be repeated
    #[arg(short, long, value_name = "FILE|URL", value_hint = ValueHint::FilePath)]
    pub attach: Vec<String>,
    /// Score by a schema that answers must match: a file, the schema itself, or its short form
    #[arg(long, value_name = "SCHEMA", value_hint = ValueHint::FilePath)]
    pub schema: Option<String>,
    /// Score by a model, which grades the answers from 0 to 10 without knowing whose they are
    #[arg(long, value_name = "TIER|MODEL", value_parser = NonEmptyStringValueParser::new(),
        add = ArgValueCandidates::new(candidates::models))]
    pub judge: Option<String>,
    /// Print the table without the answers
    #[arg(short, long)]
    pub quiet: bool,
    #[command(flatten)]
    pub output: Output,
    #[command(flatten)]
    pub wanted: Wanted,
}

/// One of those who are compared.
struct Contender {
    /// The tier or the model, as the user named it.
    name: String,
    request: ChatRequest,
    /// One for each run.
    answers: Vec<Answer>,
}

/// How one request ended.
#[derive(Default)]
struct Answer {
    /// An unusable answer is kept too: it was billed.
    reply: Option<ChatReply>,
    failure: Option<Failure>,
    /// Whether it matches the schema. `None` without a schema, and for a failure.
    matches: Option<bool>,
    /// The judge's grade from 0 to 10.
    grade: Option<f64>,
}

impl Answer {
    fn text(&self) -> Option<&str> {
        let reply = self.reply.as_ref().filter(|_| self.failure.is_none())?;
        Some(&reply.text)
    }
}

pub async fn run(global: &Global, args: &Args) -> Result<Exit, Failure> {
    if args.tiers.len() + args.models.len() < 2 {
        return Err(Failure::usage("expected at least two tiers or models to compare")
            .with_hint("name them: agent-host compare -t small -m openai/gpt-4o \"What is a stable ABI?\""));
    }
    let Some(prompt) = prompt::read(&args.prompt, !args.attach.is_empty())? else {
        return Err(Failure::usage("expected a prompt")
            .with_hint("put it at the end of the command, in quotes, or send it to standard input"));
    };
    let schema = args.schema.as_deref();
    let schema = schema.map(|given| Schema::read(given, false)).transpose()?;
    let mut contenders = contenders(args, prompt.clone(), schema.as_ref())?;
    let mut interrupts = Interrupts::listen()?;
    let mut active = Setup::read(global)?.activate(true).await?;
    active.say_address();
    active.read_tiers().await?;
    check_names(&active, args).await?;
    let n_requests = contenders.len() * args.runs as usize + args.judge.as_ref().map_or(0, |_| args.runs as usize);
    terminal::say(&format!(
        "note: sending {}, billed as usual",
        counted(n_requests, "request")
    ));
    let compared = compare(&active, args, &prompt, schema.as_ref(), &mut contenders);
    let outcome = interrupts.or(compared).await;
    active.shut_down().await;
    // What was answered before Ctrl-C was paid for, so it is shown.
    if outcome.is_none() && contenders.iter().all(|contender| contender.answers.is_empty()) {
        return Err(stopped());
    }
    report::print(&contenders, args);
    match outcome {
        None => Err(stopped()),
        Some(Err(failure)) => Err(failure),
        Some(Ok(())) => Ok(report::exit(&contenders)),
    }
}

/// Everybody with the same request, tiers first.
fn contenders(args: &Args, prompt: String, schema: Option<&Schema>) -> Result<Vec<Contender>, Failure> {
    let response_format = schema.map(Schema::response_format);
    let parameters = parameters(&args.wanted, response_format.as_ref());
    let mut messages = system_message(args.system.as_deref());
    messages.push(attach::message(prompt, attach::parts(&args.attach)?));
    let tiers = args.tiers.iter().map(|tier| (Some(tier.as_str()), None, tier));
    let models = args.models.iter().map(|model| (None, Some(model.as_str()), model));
    let all = tiers.chain(models).map(|(tier, model, name)| {
        let request = request(tier, model, &messages, &parameters)?;
        Ok(Contender {
            name: name.clone(),
            request,
            answers: Vec::new(),
        })
    });
    all.collect()
}

/// Asks all of them at once, run after run, and has their answers graded.
async fn compare(
    active: &Active,
    args: &Args,
    prompt: &str,
    schema: Option<&Schema>,
    contenders: &mut [Contender],
) -> Result<(), Failure> {
    for run in 1..=args.runs {
        let what = format!("run {run} of {}", args.runs);
        progress::while_waiting(&what, all_answers(active, contenders, schema)).await;
        if let Some(judge) = &args.judge {
            let mut answers: Vec<&mut Answer> =
                contenders.iter_mut().filter_map(|one| one.answers.last_mut()).collect();
            // Judges prefer what comes first, so each run begins with somebody else.
            let n_answers = answers.len();
            answers.rotate_left(run as usize % n_answers);
            let graded = judge::grade(active, judge, prompt, answers);
            progress::while_waiting(&format!("judging run {run}"), graded).await?;
        }
    }
    Ok(())
}

/// Checks the names before anybody is billed.
///
/// - Errors: an unknown tier, or a model that is like a listed one.
async fn check_names(active: &Active, args: &Args) -> Result<(), Failure> {
    for name in &args.tiers {
        tiers::named(&active.tiers, name)?;
    }
    let judge = args
        .judge
        .iter()
        .filter(|name| tiers::find(&active.tiers, name).is_none());
    let models: Vec<&String> = args.models.iter().chain(judge).collect();
    let listed = match models.is_empty() {
        true => None,
        false => choosing::models(active).await,
    };
    for name in models {
        choosing::meant(listed.as_deref().unwrap_or_default(), name).map_err(Failure::usage)?;
    }
    Ok(())
}

/// Gets one answer of each and keeps it as soon as it is there, so that Ctrl-C loses none that was paid for.
async fn all_answers(active: &Active, contenders: &mut [Contender], schema: Option<&Schema>) {
    let mut asked = JoinSet::new();
    for (index, contender) in contenders.iter().enumerate() {
        let (plugin, request) = (active.plugin.clone(), contender.request.clone());
        let row = Asker::of(active).begins(history::client(), request.tier.as_deref(), request.model.as_deref());
        asked.spawn(async move { (index, answer(&plugin, &request, row).await) });
    }
    while let Some(ended) = asked.join_next().await {
        let Ok((index, outcome)) = ended else { continue };
        let contender = &mut contenders[index];
        let mut answer = match outcome {
            Ok(reply) => {
                let unusable = ending(&reply).filter(|_| !is_usable(&reply));
                let ending = unusable.or_else(|| calls(&reply).filter(|_| reply.text.trim().is_empty()));
                Answer {
                    failure: ending.map(|ending| ending.failure()),
                    reply: Some(reply),
                    ..Answer::default()
                }
            }
            Err(error) => Answer {
                failure: Some(advised(active, &contender.request, error).await.into()),
                ..Answer::default()
            },
        };
        if let (Some(schema), Some(text)) = (schema, answer.text()) {
            answer.matches = Some(schema.mismatches(text).is_empty());
        }
        contender.answers.push(answer);
    }
}

/// An answer. Streamed, because only a stream has a first token.
async fn answer(plugin: &Plugin, request: &ChatRequest, mut row: Open) -> Result<ChatReply, Error> {
    let outcome = match plugin.stream(request).await {
        Ok(events) => events.collect().await,
        Err(error) => Err(error),
    };
    match &outcome {
        Ok(reply) => row.complete(&reply.done),
        Err(error) => row.failed(error),
    }
    outcome
}
