//! `agent-host selftest`: runs against the configured service what a user would try by hand.
//!
//! Each check asks the plugin for one thing and becomes one row. A failed check does not stop the others. Billed checks
//! come last, with small requests, and their cost is added up.

mod small;
mod service;
mod answers;
mod outcome;

use std::future::Future;
use std::time::{Duration, Instant};

use plugin_api::{Finding, FindingStatus};
use serde_json::json;

use self::answers::{
    auto_router, cancelled_stream, streamed_answer, structured_output, tier_answer, tool_call, whole_answer,
};
use self::outcome::{Billed, Outcome};
use self::service::{account, credits, models, unknown_model};
use super::output::Output;
use crate::setup::{Active, Global, Setup};
use crate::talk::calc::Number;
use crate::terminal::{self, Exit, Failure, Interrupts, Rows, progress, stopped, time};

/// Run against the service what a user would try by hand
#[derive(clap::Args)]
#[command(long_about = ABOUT)]
pub struct Args {
    /// Skip everything that is billed
    #[arg(long)]
    pub free: bool,
    #[command(flatten)]
    pub output: Output,
}

const ABOUT: &str = "\
Run against the service what a user would try by hand

Key, models, credit, answers whole and streamed, the auto router, tiers, tool calls, structured output, a refused model, a cancelled \
stream. The small requests that it sends are billed as any other; --free leaves them out.

The exit code is 0 if no row has a ✗, and 2 otherwise.";

/// How long one check may take.
const CHECK_LIMIT: Duration = Duration::from_secs(90);

const SERVICE: &str = "Service";
const ANSWERS: &str = "Answers";
const TIERS: &str = "Tiers";
const ABILITIES: &str = "Abilities";

/// What is billed.
const BILLED: [(&str, &str); 9] = [
    (ANSWERS, "whole_answer"),
    (ANSWERS, "streamed_answer"),
    (ANSWERS, "cancelled_stream"),
    (ANSWERS, "auto_router"),
    (TIERS, "tier:small"),
    (TIERS, "tier:large"),
    (TIERS, "tier:reasoning"),
    (ABILITIES, "tool_call"),
    (ABILITIES, "structured_output"),
];

/// Tiers that most plugins have, by the names that `--tier` takes.
const TRIED_TIERS: [&str; 3] = ["small", "large", "reasoning"];

/// Runs `agent-host selftest`.
pub async fn run(global: &Global, args: &Args) -> Result<Exit, Failure> {
    let mut interrupts = Interrupts::listen()?;
    let mut active = Setup::read(global)?.activate(true).await?;
    active.read_tiers().await?;
    if !args.free {
        terminal::say(
            "note: about a dozen small requests to the service, billed as any other; `--free` leaves them out",
        );
    }
    let mut test = Test {
        active: &active,
        rows: Rows::default(),
        billed: Vec::new(),
        n_untold: 0,
    };
    let outcome = interrupts.or(test.all(args.free)).await;
    let Test {
        rows, billed, n_untold, ..
    } = test;
    active.shut_down().await;
    if outcome.is_none() {
        return Err(stopped());
    }
    let cost = sum(&billed).filter(|_| !billed.is_empty());
    if args.output.json {
        let mut told = rows.json();
        told["cost_usd"] = json!(cost.as_ref().filter(|_| n_untold == 0));
        terminal::print_json(&told);
    } else {
        terminal::print(&rows.text(terminal::stdout_has_colour()));
        if let Some(line) = cost_line(cost, n_untold) {
            terminal::say(&line);
        }
    }
    Ok(match rows.count(FindingStatus::Failed) {
        0 => Exit::Ok,
        _ => Exit::Usage,
    })
}

/// What the answers cost together.
fn sum(billed: &[String]) -> Option<String> {
    let costs = billed.iter().map(|cost| Number::parse(cost));
    let sum = costs.into_iter().try_fold(Number::ZERO, |sum, cost| sum.plus(cost?));
    sum.map(Number::shown).ok()
}

fn cost_line(cost: Option<String>, n_untold: usize) -> Option<String> {
    let cost = cost?;
    Some(match n_untold {
        0 => format!("it cost ${cost} in all"),
        1 => format!("it cost ${cost} in all, and 1 answer whose cost was not told"),
        several => format!("it cost ${cost} in all, and {several} answers whose cost was not told"),
    })
}

struct Test<'a> {
    active: &'a Active,
    rows: Rows,
    /// The cost of each answer, in US dollars as decimal text.
    billed: Vec<String>,
    /// Answers whose cost is unknown.
    n_untold: usize,
}

impl Test<'_> {
    async fn all(&mut self, is_free: bool) {
        let plugin = &self.active.plugin;
        let key = self.check(SERVICE, "key", account(plugin)).await;
        self.check(SERVICE, "models", models(plugin)).await;
        let is_refused = key == Some(Exit::Auth);
        let left_out = match (is_refused, is_free) {
            // All of them would fail for the same reason.
            (true, _) => Some("not tried, because the key was refused"),
            (false, true) => Some("not tried, because of `--free`"),
            (false, false) => None,
        };
        if is_refused {
            self.rows.skip(SERVICE, "credits", left_out.unwrap_or_default());
            self.rows.skip(SERVICE, "unknown_model", left_out.unwrap_or_default());
        } else {
            self.check(SERVICE, "credits", credits(plugin)).await;
            self.check(SERVICE, "unknown_model", unknown_model(self.active)).await;
        }
        if let Some(reason) = left_out {
            for (group, id) in BILLED {
                self.rows.skip(group, id, reason);
            }
            return;
        }
        self.check_billed(ANSWERS, "whole_answer", whole_answer(self.active))
            .await;
        self.check_billed(ANSWERS, "streamed_answer", streamed_answer(self.active))
            .await;
        self.check(ANSWERS, "cancelled_stream", cancelled_stream(self.active))
            .await;
        self.check_billed(ANSWERS, "auto_router", auto_router(self.active))
            .await;
        for tier in TRIED_TIERS {
            self.check_billed(TIERS, &format!("tier:{tier}"), tier_answer(self.active, tier))
                .await;
        }
        self.check_billed(ABILITIES, "tool_call", tool_call(self.active)).await;
        self.check_billed(ABILITIES, "structured_output", structured_output(self.active))
            .await;
    }

    /// A check that returns the answers it was billed for.
    async fn check_billed(&mut self, group: &str, id: &str, work: impl Future<Output = Billed>) {
        let mut replies = Vec::new();
        let kept = &mut replies;
        let work = async {
            let (outcome, answered) = work.await?;
            *kept = answered;
            Ok(outcome)
        };
        self.check(group, id, work).await;
        for reply in replies {
            match reply.done.usage.and_then(|usage| usage.cost_usd) {
                Some(cost) => self.billed.push(cost),
                None => self.n_untold += 1,
            }
        }
    }

    /// Runs a check and adds its row.
    async fn check(
        &mut self,
        group: &str,
        id: &str,
        work: impl Future<Output = Result<Outcome, Failure>>,
    ) -> Option<Exit> {
        let begun = Instant::now();
        let what = format!("trying: {}", id.replace([':', '_'], " "));
        let outcome = progress::while_waiting(&what, tokio::time::timeout(CHECK_LIMIT, work)).await;
        let (status, summary, remedy) = match outcome {
            Ok(Ok(Outcome::Ok(summary))) => (FindingStatus::Ok, summary, None),
            Ok(Ok(Outcome::Doubtful(summary, remedy))) => (FindingStatus::Warning, summary, Some(remedy.to_owned())),
            Ok(Ok(Outcome::Skipped(summary))) => (FindingStatus::Skipped, summary, None),
            Ok(Err(failure)) => return self.failed(group, id, &failure, begun),
            Err(_) => {
                let limit = CHECK_LIMIT.as_secs();
                let failure = Failure::new(Exit::Transient, format!("no end within {limit} s"))
                    .with_hint("try again with `-vv`, which shows what it waits for");
                return self.failed(group, id, &failure, begun);
            }
        };
        self.rows.push(Finding {
            id: id.to_owned(),
            group: group.to_owned(),
            status,
            summary,
            remedy,
            duration_ms: time::elapsed_ms(begun),
        });
        None
    }

    fn failed(&mut self, group: &str, id: &str, failure: &Failure, begun: Instant) -> Option<Exit> {
        self.rows.failed(group, id, failure);
        if let Some(last) = self.rows.findings.last_mut() {
            last.duration_ms = time::elapsed_ms(begun);
        }
        Some(failure.exit)
    }
}

#[cfg(test)]
mod tests;
