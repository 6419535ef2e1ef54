//! An agent at work on the command line: its answers, its calls, and what goes below the last answer.

use std::io::{self, IsTerminal};
use std::path::Path;

use plugin_api::{ChatReply, Message};
use serde_json::{Value, json};

use super::attendant::AtTheTerminal;
use crate::agents::{Approval, Approvals, Definition, Shelf, Task, Toolbox, Turn, check_ability, confirm};
use crate::history;
use crate::setup::{Active, Global, KeyUse, Setup};
use crate::talk::answer::{Answer, answer, report};
use crate::talk::ending::is_usable;
use crate::talk::events::{End, print_end};
use crate::talk::media::{self, Target};
use crate::talk::parameters::{Recipient, Wanted, parameters};
use crate::talk::prompt;
use crate::talk::screen::{Manner, Shown};
use crate::talk::session::Session;
use crate::terminal::{self, Exit, FAINT, Failure, Interrupts, stopped};

/// What an agent is given, and how it shows what it does.
#[derive(clap::Args)]
pub struct Work {
    /// The task; standard input is appended to it
    pub prompt: Vec<String>,
    #[command(flatten)]
    pub recipient: Recipient,
    /// The maximum number of model answers, including the last one [default: 8, or the agent's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub max_steps: Option<u32>,
    /// The cost in US dollars at which no further answer is asked for
    #[arg(long, value_name = "USD", value_parser = dollars)]
    pub max_cost: Option<f64>,
    /// The maximum time for everything, in seconds
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=86400))]
    pub max_seconds: Option<u64>,
    /// Whether tools may run: never, after asking at the terminal, or always [default: always, or the agent's]
    #[arg(long, value_name = "WHEN", value_enum)]
    pub tools_approve: Option<Approval>,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
    /// Print an object for each event, one a line; `agent-host schema events` describes them
    #[arg(long, conflicts_with = "json")]
    pub jsonl: bool,
    /// Do not print the lines about tools, models, time and cost
    #[arg(short, long)]
    pub quiet: bool,
    #[command(flatten)]
    pub shown: Shown,
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    pub wanted: Wanted,
}

fn dollars(text: &str) -> Result<f64, String> {
    let value = text
        .parse()
        .ok()
        .filter(|value: &f64| value.is_finite() && *value > 0.0);
    value.ok_or_else(|| "expected an amount in US dollars, such as 0.05".to_owned())
}

impl Work {
    fn is_for_programs(&self) -> bool {
        self.json || self.jsonl
    }

    /// The agent with what the command line changes.
    fn applied(&self, mut definition: Definition) -> Definition {
        let Recipient { tier, model, system } = &self.recipient;
        if tier.is_some() || model.is_some() {
            (definition.tier, definition.model) = (tier.clone(), model.clone());
        }
        definition.system_prompt = system.clone().or(definition.system_prompt);
        definition.max_steps = self.max_steps.unwrap_or(definition.max_steps);
        definition.max_cost_usd = self.max_cost.or(definition.max_cost_usd);
        definition.max_seconds = self.max_seconds.or(definition.max_seconds);
        if let Some(approval) = self.tools_approve {
            definition.approval = Approvals::All(approval);
        }
        definition
    }
}

/// - In: `file`, the one that holds the agent; `nothing`, what to do without a prompt.
pub async fn run(
    global: &Global,
    shelf: &Shelf,
    file: Option<&Path>,
    definition: Definition,
    work: &Work,
    nothing: &str,
) -> Result<Exit, Failure> {
    let nothing = || Failure::usage("no prompt on the command line or on standard input").with_hint(nothing);
    if work.prompt.is_empty() && io::stdin().is_terminal() {
        return Err(nothing());
    }
    let prompt = prompt::read(&work.prompt, false)?.ok_or_else(nothing)?;
    work.target.check()?;
    history::ask_as("agent");
    let definition = work.applied(definition);
    if let Some(file) = file {
        let reach = shelf.reach(Some(&definition), None, global.trust_profile)?;
        confirm(shelf, file, &definition, &reach).await?;
    }
    let mut interrupts = Interrupts::listen()?;
    let mut active = activated(global, &definition).await?;
    if !work.quiet {
        active.say_address();
    }
    let working = async {
        check_ability(&mut active, &definition).await?;
        let mut reach = shelf.reach(Some(&definition), active.chosen.as_ref(), global.trust_profile)?;
        reach.agent = file.map(|file| shelf.named(file));
        let opening = Toolbox::open(&definition, &reach);
        let toolbox = terminal::progress::while_waiting("getting its tools ready", opening).await?;
        let parameters = parameters(&work.wanted, None);
        let mut task = Task::new(definition, toolbox, vec![Message::user(prompt)], parameters);
        let outcome = done(&active, work, &mut task).await;
        task.close().await;
        outcome
    };
    let outcome = interrupts.or(working).await;
    active.shut_down().await;
    outcome.unwrap_or_else(|| Err(stopped()))
}

/// The plugin that the agent names, or the one that the profile selects.
async fn activated(global: &Global, definition: &Definition) -> Result<Active, Failure> {
    let setup = Setup::read(global)?;
    match &definition.provider {
        None => setup.activate(true).await,
        Some(provider) => {
            let (entry, manifest) = setup.folder.find(provider)?;
            setup
                .start(entry, manifest, setup.profile().await?, KeyUse::Needed)
                .await
        }
    }
}

async fn done(active: &Active, work: &Work, task: &mut Task) -> Result<Exit, Failure> {
    let is_for_programs = work.is_for_programs();
    let shows_all_text = !is_for_programs && terminal::stdout_is_terminal();
    let manner = Manner {
        is_streamed: true,
        has_text: shows_all_text,
        has_json: false,
        has_events: work.jsonl,
        is_raw: work.shown.raw,
        reasoning: work.shown.reasoning(is_for_programs || work.quiet),
        has_footer: !work.quiet,
    };
    let mut attendant = AtTheTerminal::new(work.quiet, work.jsonl);
    loop {
        let request = task.request()?;
        let mut session = Session::default();
        let answering = answer(active, &request, manner, None, None, &mut session);
        let answer = task.within(answering).await?;
        let Answer { reply, failure, .. } = answer.map_err(|error| report(error, manner))?;
        if task.take(&reply, &mut attendant).await? == Turn::Answer {
            return Ok(print_last(work, task, &reply, failure, shows_all_text));
        }
        if !shows_all_text && !work.quiet && !reply.text.trim().is_empty() {
            // Only the last answer is data.
            terminal::say_styled(FAINT, terminal::clean(&reply.text).trim_end());
        }
    }
}

/// Prints the answer without calls, unless it `is_shown` already, and what goes below it.
fn print_last(work: &Work, task: &Task, reply: &ChatReply, failure: Option<Failure>, is_shown: bool) -> Exit {
    let is_for_programs = work.is_for_programs();
    if work.json {
        terminal::print_json(&object(task, reply));
    } else if !is_for_programs && !is_shown && is_usable(reply) {
        let text = media::transcript(reply).unwrap_or_else(|| reply.text.clone());
        terminal::print_line(terminal::clean(&text).trim_end_matches('\n'));
    }
    let saved = media::below(reply, &work.target, is_for_programs);
    let failure = failure.or(saved.err());
    if work.jsonl {
        let end = End {
            steps: Some(task.step),
            usage: task.usage(),
            ..End::default()
        };
        print_end(Some(reply), failure.as_ref(), end);
    }
    if task.step > 1 && !work.quiet {
        terminal::say_styled(FAINT, &task.summary());
    }
    failure.map_or(Exit::Ok, |failure| {
        // The answer is on stdout already, as JSON where that was asked for.
        failure.print(false);
        failure.exit
    })
}

/// The final answer, for programs.
fn object(task: &Task, reply: &ChatReply) -> Value {
    json!({
        "text": reply.text,
        "steps": task.step,
        "calls": task.called,
        "finish_reason": reply.done.finish_reason,
        "native_finish_reason": reply.done.native_finish_reason,
        "model": reply.done.model,
        "provider": reply.done.provider,
        "usage": task.usage(),
        "extras": reply.done.extras,
    })
}
