//! `agent-host agent`: the model answers, asks for tools, gets their results, and answers again,
//! until it asks for none.
//!
//! An answer goes back to the model with everything that came with it, reasoning included: some models refuse a turn
//! without it. The calls of one answer run one after another, and their results keep that order.

use std::io::{self, IsTerminal};
use std::time::{Instant, SystemTime};

use clap::ValueEnum;
use plugin_api::{ChatReply, Message, ToolCall, Usage};
use serde::Serialize;
use serde_json::{Value, json};

use crate::history;
use crate::setup::{Active, Global, Setup};
use crate::talk::answer::{Answer, answer, report, request};
use crate::talk::calc;
use crate::talk::dialogue::system_message;
use crate::talk::ending::is_usable;
use crate::talk::events::{self, End, Event, print_end};
use crate::talk::media::{self, Target};
use crate::talk::parameters::{Recipient, Wanted, fields, parameters};
use crate::talk::prompt;
use crate::talk::screen::{Manner, Shown};
use crate::talk::session::Session;
use crate::talk::tools::{self, Outcome, Tool};
use crate::terminal::{self, Exit, FAINT, Failure, Interrupts, counted, shortened, stopped, time};

/// Let a model call the built-in tools until it has an answer
#[derive(clap::Args)]
#[command(long_about = ABOUT)]
pub struct Args {
    /// The task; standard input is appended to it
    pub prompt: Vec<String>,
    #[command(flatten)]
    pub recipient: Recipient,
    /// The tools that the model may use
    #[arg(long, value_delimiter = ',', value_name = "TOOL", default_values = ["clock", "calc"], value_parser = ["clock", "calc"])]
    pub tools: Vec<String>,
    /// The maximum number of model answers, including the last one
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub max_steps: u32,
    /// Whether tools may run: never, after asking at the terminal, or always
    #[arg(long, value_name = "WHEN", default_value = "always", value_enum)]
    pub tools_approve: Approval,
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

const ABOUT: &str = "\
Let a model call the built-in tools until it has an answer

The tools are `clock`, the current time, and `calc`, exact arithmetic. Each call prints a line to standard error. The \
model's reasoning goes back to it with each step, because some models require it.

  agent-host agent \"How many seconds are there from now until midnight UTC?\"";

/// Whether tools may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Approval {
    Never,
    Ask,
    Always,
}

/// The line of a call shows at most this many characters of its arguments, and of its result.
const MAX_SHOWN_CHARS: usize = 60;

/// A tool call and its result.
#[derive(Serialize)]
struct Called {
    step: u32,
    name: String,
    arguments: String,
    result: String,
    is_error: bool,
    duration_ms: u64,
}

pub async fn run(global: &Global, args: &Args) -> Result<Exit, Failure> {
    let nothing = || {
        Failure::usage("no prompt on the command line or on standard input")
            .with_hint("run `agent-host agent \"What is 17% of 2340?\"`")
    };
    if args.prompt.is_empty() && io::stdin().is_terminal() {
        return Err(nothing());
    }
    let prompt = prompt::read(&args.prompt, false)?.ok_or_else(nothing)?;
    args.target.check()?;
    history::ask_as("agent");
    let mut interrupts = Interrupts::listen()?;
    let active = Setup::read(global)?.activate(true).await?;
    if !args.quiet {
        active.say_address();
    }
    let outcome = interrupts.or(work(&active, args, prompt)).await;
    active.shut_down().await;
    outcome.unwrap_or_else(|| Err(stopped()))
}

async fn work(active: &Active, args: &Args, prompt: String) -> Result<Exit, Failure> {
    let Recipient { tier, model, system } = &args.recipient;
    let tools: Vec<Tool> = args.tools.iter().filter_map(|name| Tool::named(name)).collect();
    let descriptions: Vec<Value> = tools.iter().map(|tool| tool.description()).collect();
    let mut parameters = parameters(&args.wanted, None);
    parameters.append(&mut fields(json!({"tools": descriptions})));
    let is_for_programs = args.json || args.jsonl;
    let shows_all_text = !is_for_programs && terminal::stdout_is_terminal();
    let manner = Manner {
        is_streamed: true,
        has_text: shows_all_text,
        has_json: false,
        has_events: args.jsonl,
        is_raw: args.shown.raw,
        reasoning: args.shown.reasoning(is_for_programs || args.quiet),
        has_footer: !args.quiet,
    };
    let mut approver = Approver {
        approval: args.tools_approve,
        has_said_why: false,
    };
    let mut messages = system_message(system.as_deref());
    messages.push(Message::user(prompt));
    let mut spent = nothing_spent();
    let mut called: Vec<Called> = Vec::new();
    for step in 1..=args.max_steps {
        let request = request(tier.as_deref(), model.as_deref(), &messages, &parameters)?;
        let answer = answer(active, &request, manner, None, None, &mut Session::default()).await;
        let Answer { reply, failure, .. } = answer.map_err(|error| report(error, manner))?;
        add(&mut spent, reply.done.usage.as_ref());
        if reply.tool_calls.is_empty() {
            let last = Last {
                reply: &reply,
                step,
                called: &called,
                spent: &spent,
            };
            return Ok(last.print(args, failure, shows_all_text));
        }
        if !shows_all_text && !args.quiet && !reply.text.trim().is_empty() {
            // Only the last answer is data.
            terminal::say_styled(FAINT, terminal::clean(&reply.text).trim_end());
        }
        if step == args.max_steps {
            // No further request would carry the results.
            break;
        }
        messages.push(Message::assistant(&reply));
        for call in &reply.tool_calls {
            called.push(approver.called(call, &tools, step, args).await);
            let result = called.last().map(|called| called.result.as_str()).unwrap_or_default();
            messages.push(Message::tool(call.id.as_str(), result));
        }
    }
    Err(still_calls_tools(args.max_steps))
}

fn still_calls_tools(max_steps: u32) -> Failure {
    let steps = counted(max_steps as usize, "step");
    let more = max_steps.saturating_mul(2);
    Failure::internal(format!("the model still calls tools after {steps}"))
        .with_hint(format!("allow more steps: --max-steps {more}"))
}

/// The answer without calls.
struct Last<'a> {
    reply: &'a ChatReply,
    step: u32,
    called: &'a [Called],
    spent: &'a Usage,
}

impl Last<'_> {
    /// Prints it, unless it `is_shown` already, and what goes below it.
    fn print(&self, args: &Args, failure: Option<Failure>, is_shown: bool) -> Exit {
        let Self {
            reply,
            step,
            called,
            spent,
        } = *self;
        let is_for_programs = args.json || args.jsonl;
        if args.json {
            terminal::print_json(&object(reply, step, called, spent));
        } else if !is_for_programs && !is_shown && is_usable(reply) {
            let text = media::transcript(reply).unwrap_or_else(|| reply.text.clone());
            terminal::print_line(terminal::clean(&text).trim_end_matches('\n'));
        }
        let saved = media::below(reply, &args.target, is_for_programs);
        let failure = failure.or(saved.err());
        if args.jsonl {
            let (steps, usage) = (Some(step), Some(spent));
            print_end(
                Some(reply),
                failure.as_ref(),
                End {
                    steps,
                    usage,
                    ..End::default()
                },
            );
        }
        if step > 1 && !args.quiet {
            terminal::say_styled(FAINT, &summary(step, called.len(), spent));
        }
        failure.map_or(Exit::Ok, |failure| {
            // The answer is on stdout already, as JSON where that was asked for.
            failure.print(false);
            failure.exit
        })
    }
}

/// Decides whether a call may run.
struct Approver {
    approval: Approval,
    has_said_why: bool,
}

impl Approver {
    /// Runs the call, if it may run, and shows it.
    async fn called(&mut self, call: &ToolCall, tools: &[Tool], step: u32, args: &Args) -> Called {
        let is_allowed = self.allows(call).await;
        let begun = Instant::now();
        let outcome = match is_allowed {
            true => tools::run(tools, &call.name, &call.arguments, SystemTime::now()),
            false => Outcome::error("the user denied this call"),
        };
        let duration_ms = time::elapsed_ms(begun);
        if !args.quiet {
            terminal::say(&call_line(call, &outcome, duration_ms));
        }
        let Outcome { result, is_error } = outcome;
        if args.jsonl {
            let outcome = Some(events::Outcome {
                result: result.clone(),
                is_error,
                duration_ms,
            });
            Event::Tool(events::Tool { call, outcome }).print();
        }
        Called {
            step,
            name: call.name.clone(),
            arguments: call.arguments.clone(),
            result,
            is_error,
            duration_ms,
        }
    }

    async fn allows(&mut self, call: &ToolCall) -> bool {
        match self.approval {
            Approval::Always => true,
            Approval::Never => false,
            Approval::Ask if !io::stdin().is_terminal() => {
                if !self.has_said_why {
                    self.has_said_why = true;
                    terminal::say(
                        "note: tool calls are denied because standard input is not a terminal; `--tools-approve always` allows them",
                    );
                }
                false
            }
            Approval::Ask => {
                let question = format!("{} — run it? [y]es, [n]o, [a]lways: ", call_shown(call));
                match terminal::ask(&question).await.as_deref().map(str::trim) {
                    Some("y" | "yes") => true,
                    Some("a" | "always") => {
                        self.approval = Approval::Always;
                        true
                    }
                    _ => false,
                }
            }
        }
    }
}

/// `⚙ calc {"expression":"2+2"}`
fn call_shown(call: &ToolCall) -> String {
    let line = format!(
        "⚙ {} {}",
        shortened(&call.name, MAX_SHOWN_CHARS),
        shortened(&call.arguments, MAX_SHOWN_CHARS)
    );
    terminal::clean_line(line.trim_end())
}

/// `⚙ calc {"expression":"2+2"} → 4 (1 ms)`
fn call_line(call: &ToolCall, outcome: &Outcome, duration_ms: u64) -> String {
    let result = terminal::clean_line(&shortened(&outcome.result, MAX_SHOWN_CHARS));
    let mark = if outcome.is_error { "✗ " } else { "" };
    format!(
        "{} → {mark}{result} ({})",
        call_shown(call),
        terminal::seconds(duration_ms)
    )
}

fn nothing_spent() -> Usage {
    Usage {
        cost_usd: Some("0".to_owned()),
        ..Usage::default()
    }
}

/// Adds the usage of a step. If one step's cost is unknown, so is the sum.
fn add(spent: &mut Usage, usage: Option<&Usage>) {
    let costs = [Some(&*spent), usage].map(|usage| usage?.cost_usd.as_deref());
    let costs: Option<Vec<&str>> = costs.into_iter().collect();
    spent.cost_usd = costs.and_then(calc::sum);
    if let Some(usage) = usage {
        let upstream = [&spent.upstream_cost_usd, &usage.upstream_cost_usd];
        let upstream: Vec<&str> = upstream.into_iter().filter_map(|cost| cost.as_deref()).collect();
        spent.upstream_cost_usd = (!upstream.is_empty()).then(|| calc::sum(upstream)).flatten();
        spent.is_byok |= usage.is_byok;
        spent.prompt_tokens += usage.prompt_tokens;
        spent.completion_tokens += usage.completion_tokens;
        spent.total_tokens += usage.total_tokens;
    }
}

/// The final answer, for programs.
fn object(reply: &ChatReply, steps: u32, called: &[Called], spent: &Usage) -> Value {
    json!({
        "text": reply.text,
        "steps": steps,
        "calls": called,
        "finish_reason": reply.done.finish_reason,
        "native_finish_reason": reply.done.native_finish_reason,
        "model": reply.done.model,
        "provider": reply.done.provider,
        "usage": spent,
        "extras": reply.done.extras,
    })
}

/// `3 steps · 2 tool calls · 1200→300 tokens · $0.01`
fn summary(steps: u32, n_calls: usize, spent: &Usage) -> String {
    let Usage {
        prompt_tokens,
        completion_tokens,
        ..
    } = spent;
    let calls = counted(n_calls, "tool call");
    let cost = terminal::cost(spent);
    format!("{steps} steps · {calls} · {prompt_tokens}→{completion_tokens} tokens · {cost} in total")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(name: &str, arguments: &str) -> ToolCall {
        ToolCall {
            id: "1".to_owned(),
            name: name.to_owned(),
            arguments: arguments.to_owned(),
            ..ToolCall::default()
        }
    }

    #[test]
    fn a_call_is_one_line_whatever_the_model_writes() {
        let outcome = |result: &str, is_error| Outcome {
            result: result.to_owned(),
            is_error,
        };
        let calc = call_line(&call("calc", r#"{"expression":"2+2"}"#), &outcome("4", false), 1);
        assert_eq!(calc, r#"⚙ calc {"expression":"2+2"} → 4 (1 ms)"#);
        let clock = call_line(&call("clock", ""), &outcome("x\ny", true), 0);
        assert_eq!(clock, "⚙ clock → ✗ x y (0 ms)");
        let hostile = call("a\u{1b}[2Jb", &"\u{9b}\n".repeat(100));
        let line = call_line(&hostile, &outcome("é".repeat(80).as_str(), false), 2);
        assert!(!line.contains(char::is_control), "{line:?}");
        assert!(line.contains(&format!("{}…", "é".repeat(60))), "{line}");
    }

    #[test]
    fn costs_add_up_exactly_and_an_unknown_one_makes_all_unknown() {
        let usage = |cost: Option<&str>| Usage {
            prompt_tokens: 10,
            completion_tokens: 2,
            cost_usd: cost.map(str::to_owned),
            ..Usage::default()
        };
        let mut spent = nothing_spent();
        for cost in ["0.1", "0.2", "0.000000001"] {
            add(&mut spent, Some(&usage(Some(cost))));
        }
        assert_eq!(
            summary(3, 1, &spent),
            "3 steps · 1 tool call · 30→6 tokens · $0.300000001 in total"
        );
        add(&mut spent, None);
        add(&mut spent, Some(&usage(Some("0.1"))));
        assert!(summary(4, 0, &spent).ends_with("0 tool calls · 40→8 tokens · cost unknown in total"));
    }

    #[tokio::test]
    async fn tools_run_only_where_they_are_allowed() {
        let approver = |approval| Approver {
            approval,
            has_said_why: false,
        };
        assert!(approver(Approval::Always).allows(&call("clock", "")).await);
        assert!(!approver(Approval::Never).allows(&call("clock", "")).await);
    }
}
