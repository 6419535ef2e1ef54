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

use plugin_api::FindingStatus;
use serde_json::json;

use self::answers::{
    auto_router, cancelled_stream, credit_update, fallback, streamed_answer, structured_output, tier_answer, tool_call,
    whole_answer,
};
use self::outcome::{Billed, Outcome};
use self::service::{account, cache, credits, models, provider, unknown_model};
use super::Output;
use crate::history;
use crate::setup::{Active, Global, Setup};
use crate::talk::calc;
use crate::terminal::{self, Exit, Failure, Interrupts, Page, Rows, counted, progress, stopped};

/// Test the service the way a user would
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
Test the service the way a user would

Tests the key, the model list, credit and its cache, whole and streamed answers, what they take off the credit, the auto \
router, a fallback, tiers, tool calls, structured output, an unknown model and a cancelled stream. It sends small requests, which are billed as usual; --free skips them.

The exit code is 0 if no row is marked ✗, otherwise 2.";

/// How long one check may take.
const CHECK_LIMIT: Duration = Duration::from_secs(90);

const SERVICE: &str = "Service";
const ANSWERS: &str = "Answers";
const TIERS: &str = "Tiers";
const ABILITIES: &str = "Abilities";

/// What is billed.
const BILLED: [(&str, &str); 11] = [
    (ANSWERS, "whole_answer"),
    (ANSWERS, "credit_update"),
    (ANSWERS, "streamed_answer"),
    (ANSWERS, "cancelled_stream"),
    (ANSWERS, "auto_router"),
    (ANSWERS, "fallback"),
    (TIERS, "tier:small"),
    (TIERS, "tier:large"),
    (TIERS, "tier:reasoning"),
    (ABILITIES, "tool_call"),
    (ABILITIES, "structured_output"),
];

/// Tiers that most plugins have, by the names that `--tier` takes.
const TRIED_TIERS: [&str; 3] = ["small", "large", "reasoning"];

pub async fn run(global: &Global, args: &Args) -> Result<Exit, Failure> {
    history::ask_as("selftest");
    let mut interrupts = Interrupts::listen()?;
    let mut active = Setup::read(global)?.activate(true).await?;
    active.say_address();
    active.read_tiers().await?;
    if !args.free {
        terminal::say("note: sending about a dozen small requests, billed as usual; `--free` skips them");
    }
    let mut test = Test {
        active: &active,
        rows: Rows::default(),
        billed: Vec::new(),
        n_unknown: 0,
    };
    let outcome = interrupts.or(test.all(args.free)).await;
    active.shut_down().await;
    if outcome.is_none() {
        return Err(stopped());
    }
    let cost = calc::sum(test.billed.iter().map(String::as_str)).filter(|_| !test.billed.is_empty());
    if args.output.json {
        let mut object = test.rows.json();
        object["cost_usd"] = json!(cost.as_ref().filter(|_| test.n_unknown == 0));
        terminal::print_json(&object);
    } else {
        terminal::print(&test.rows.text(Page::of_stdout()));
        if let Some(line) = cost_line(cost, test.n_unknown) {
            terminal::say(&line);
        }
    }
    Ok(test.rows.exit())
}

fn cost_line(cost: Option<String>, n_unknown: usize) -> Option<String> {
    let cost = cost?;
    Some(match n_unknown {
        0 => format!("total cost: ${cost}"),
        n => format!("total cost: ${cost}, plus {} of unknown cost", counted(n, "answer")),
    })
}

struct Test<'a> {
    active: &'a Active,
    rows: Rows,
    /// The cost of each answer, in US dollars as decimal text.
    billed: Vec<String>,
    /// Answers whose cost is unknown.
    n_unknown: usize,
}

impl Test<'_> {
    async fn all(&mut self, is_free: bool) {
        let plugin = &self.active.plugin;
        self.check(SERVICE, "provider", provider(self.active)).await;
        let key = self.check(SERVICE, "key", account(plugin)).await;
        self.check(SERVICE, "models", models(plugin)).await;
        let is_refused = key == Some(Exit::Auth);
        let skip_reason = match (is_refused, is_free) {
            // All of them would fail for the same reason.
            (true, _) => Some("not tested because the key was refused"),
            (false, true) => Some("not tested because of `--free`"),
            (false, false) => None,
        };
        if is_refused {
            for id in ["credits", "cache", "unknown_model"] {
                self.rows.skip(SERVICE, id, skip_reason.unwrap_or_default());
            }
        } else {
            self.check(SERVICE, "credits", credits(plugin)).await;
            self.check(SERVICE, "cache", cache(plugin)).await;
            self.check(SERVICE, "unknown_model", unknown_model(self.active)).await;
        }
        if let Some(reason) = skip_reason {
            for (group, id) in BILLED {
                self.rows.skip(group, id, reason);
            }
            return;
        }
        self.check_billed(ANSWERS, "whole_answer", whole_answer(self.active))
            .await;
        self.check_billed(ANSWERS, "credit_update", credit_update(self.active))
            .await;
        self.check_billed(ANSWERS, "streamed_answer", streamed_answer(self.active))
            .await;
        self.check(ANSWERS, "cancelled_stream", cancelled_stream(self.active))
            .await;
        self.check_billed(ANSWERS, "auto_router", auto_router(self.active))
            .await;
        self.check_billed(ANSWERS, "fallback", fallback(self.active)).await;
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
                None => self.n_unknown += 1,
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
        let what = format!("testing: {}", id.replace([':', '_'], " "));
        let outcome = progress::while_waiting(&what, tokio::time::timeout(CHECK_LIMIT, work)).await;
        let outcome = outcome.unwrap_or_else(|_| {
            let limit = CHECK_LIMIT.as_secs();
            Err(Failure::new(Exit::Transient, format!("no result within {limit} s"))
                .with_hint("run it again with `-vv` to see what it waits for"))
        });
        match &outcome {
            Ok(Outcome::Ok(summary)) => self.rows.add(group, id, FindingStatus::Ok, summary, None),
            Ok(Outcome::Doubtful(summary, remedy)) => {
                let remedy = Some((*remedy).to_owned());
                self.rows.add(group, id, FindingStatus::Warning, summary, remedy);
            }
            Ok(Outcome::Skipped(summary)) => self.rows.skip(group, id, summary),
            Err(failure) => self.rows.failed(group, id, failure),
        }
        self.rows.took_since(begun);
        outcome.err().map(|failure| failure.exit)
    }
}

#[cfg(test)]
mod tests;
