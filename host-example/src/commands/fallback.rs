//! `agent-host fallback test`: checks that each model of a chain answers before it is needed.

use std::time::Instant;

use clap::builder::NonEmptyStringValueParser;
use clap_complete::ArgValueCandidates;
use plugin_api::{ChatReply, Error, ErrorKind, Message, TierModel};
use serde::Serialize;
use serde_json::json;

use super::Output;
use crate::history::{self, Asker};
use crate::setup::{Active, Global, Setup, candidates, tiers};
use crate::talk::answer::{advised, request};
use crate::talk::parameters::fields;
use crate::terminal::{self, Exit, Failure, Fit, Page, Table, counted, exit, progress, time};

/// Try the models of a fallback chain
#[derive(clap::Subcommand)]
pub enum Command {
    Test(Test),
}

/// Send one small request to a tier's model and to each of its fallback models
#[derive(clap::Args)]
#[command(long_about = ABOUT)]
pub struct Test {
    /// The tier: small, large or reasoning, or any name that `agent-host tiers` shows
    #[arg(short, long, value_name = "TIER", default_value = "large", value_parser = NonEmptyStringValueParser::new(),
        add = ArgValueCandidates::new(candidates::tiers))]
    pub tier: String,
    #[command(flatten)]
    pub output: Output,
}

const ABOUT: &str = "\
Send one small request to a tier's model and to each of its fallback models

Each request names one model by its id and asks for at most 16 tokens, so no other model can answer in its place. The \
requests are billed as usual.

The exit code is 0 if every model answered, otherwise that of the first failure, such as 6 for an unavailable service.";

/// The limit for each answer, in tokens.
const MAX_TOKENS: u32 = 16;

/// The outcome for one model.
#[derive(Serialize)]
pub(super) struct Tried {
    model: String,
    pub(super) ok: bool,
    /// The model that served, where the service said so.
    served: Option<String>,
    provider: Option<String>,
    /// From the start of the call to the first token; `null` is unknown.
    time_to_first_token_ms: Option<u64>,
    duration_ms: u64,
    /// US dollars; `null` is unknown.
    cost_usd: Option<String>,
    /// The error's code, where there is one.
    code: Option<&'static str>,
    message: Option<String>,
    #[serde(skip)]
    pub(super) exit: Exit,
}

pub async fn run(global: &Global, command: &Command) -> Result<Exit, Failure> {
    let Command::Test(args) = command;
    let mut active = Setup::read(global)?.activate(true).await?;
    active.say_address();
    active.read_tiers().await?;
    let tier = tiers::named(&active.tiers, &args.tier)?;
    let models = chain(tier);
    if tier.fallbacks.is_empty() {
        terminal::say(&terminal::clean_line(&format!(
            "{} has no fallback models; testing only its own model",
            tier.tier
        )));
    }
    let requests = counted(models.len(), "small request");
    terminal::say(&format!("note: sending {requests}, billed as usual"));
    let mut tried = Vec::new();
    for model in models {
        let what = terminal::clean_line(&format!("testing {model}"));
        tried.push(progress::while_waiting(&what, ask(&active, &tier.tier, model, false)).await);
    }
    let tier = tier.tier.clone();
    active.shut_down().await;
    let exit = tried
        .iter()
        .map(|tried| tried.exit)
        .find(|exit| *exit != Exit::Ok)
        .unwrap_or(Exit::Ok);
    if args.output.json {
        terminal::print_json(&json!({"tier": tier, "ok": exit == Exit::Ok, "models": tried}));
        return Ok(exit);
    }
    print(&tried);
    Ok(exit)
}

/// Prints a table, and below it what went wrong.
pub(super) fn print(tried: &[Tried]) {
    terminal::print_table(&table(tried));
    for failed in tried {
        if let Some(message) = &failed.message {
            terminal::say(&terminal::clean_line(&format!("{}: {message}", failed.model)));
        }
    }
}

/// The models of a tier in the order of the fallback chain, each once.
fn chain(tier: &TierModel) -> Vec<&str> {
    let mut models = vec![tier.wire.as_str()];
    for fallback in &tier.fallbacks {
        if !models.contains(&fallback.as_str()) {
            models.push(fallback);
        }
    }
    models
}

/// Sends a small request to a model of a tier; the tier supplies everything else.
///
/// - In: `with_fallbacks`, whether the tier's fallback models may answer in its place.
pub(super) async fn ask(active: &Active, tier: &str, model: &str, with_fallbacks: bool) -> Tried {
    let begun = Instant::now();
    let reply = answered(active, tier, (!with_fallbacks).then_some(model)).await;
    let duration_ms = time::elapsed_ms(begun);
    let failed = Tried {
        model: model.to_owned(),
        ok: false,
        served: None,
        provider: None,
        time_to_first_token_ms: None,
        duration_ms,
        cost_usd: None,
        code: None,
        message: None,
        exit: Exit::Ok,
    };
    match reply {
        Ok(reply) => Tried {
            ok: true,
            served: reply.done.model,
            provider: reply.done.provider,
            time_to_first_token_ms: reply.done.time_to_first_token_ms,
            cost_usd: reply.done.usage.and_then(|usage| usage.cost_usd),
            ..failed
        },
        Err(error) => Tried {
            provider: error.details.provider.clone(),
            code: Some(error.kind.code()),
            exit: exit::exit_of(&error),
            message: Some(match error.hint() {
                Some(hint) if error.kind == ErrorKind::NOT_FOUND => format!("{}; {hint}", error.message),
                _ => error.message,
            }),
            ..failed
        },
    }
}

async fn answered(active: &Active, tier: &str, model: Option<&str>) -> Result<ChatReply, Error> {
    let question = [Message::user("Answer with the one word: yes")];
    // A model named in the request is asked without fallbacks.
    let request = request(Some(tier), model, &question, &fields(json!({"max_tokens": MAX_TOKENS})))?;
    let mut row = Asker::of(active).begins(history::client(), Some(tier), model);
    // Streamed: a plain answer would log its retries as warnings.
    let reply = match active.plugin.stream(&request).await {
        Ok(events) => events.collect().await,
        Err(error) => Err(error),
    };
    match reply {
        Ok(reply) => {
            row.complete(&reply.done);
            Ok(reply)
        }
        Err(error) => {
            row.failed(&error);
            Err(advised(active, &request, error).await)
        }
    }
}

fn table(tried: &[Tried]) -> Table {
    const HEAD: [(&str, Fit); 7] = [
        ("MODEL", Fit::Whole),
        ("RESULT", Fit::Whole),
        ("FIRST TOKEN", Fit::Dropped),
        ("TIME", Fit::Dropped),
        ("PROVIDER", Fit::Dropped),
        ("COST", Fit::Dropped),
        ("ERROR", Fit::Whole),
    ];
    let rows = tried.iter().map(|tried| {
        let result = if tried.ok { "✓ answered" } else { "✗ failed" };
        let billed = match (&tried.cost_usd, tried.ok) {
            (Some(cost), _) => format!("${cost}"),
            (None, true) => "unknown".to_owned(),
            (None, false) => "-".to_owned(),
        };
        vec![
            tried.model.clone(),
            result.to_owned(),
            tried.time_to_first_token_ms.map_or("-".to_owned(), terminal::seconds),
            terminal::seconds(tried.duration_ms),
            tried.provider.clone().unwrap_or_else(|| "-".to_owned()),
            billed,
            tried.code.unwrap_or("-").to_owned(),
        ]
    });
    terminal::table(&HEAD, rows, Page::of_stdout())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_begins_with_the_tiers_own_model_and_names_each_once() {
        let tier = TierModel {
            wire: "acme/one".to_owned(),
            fallbacks: ["acme/two", "acme/one", "acme/two"].map(str::to_owned).to_vec(),
            ..TierModel::default()
        };
        assert_eq!(chain(&tier), ["acme/one", "acme/two"]);
    }
}
