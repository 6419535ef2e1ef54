//! `agent-host tiers`: which model each tier stands for, and why; set one, try one.

use clap::builder::NonEmptyStringValueParser;
use clap_complete::ArgValueCandidates;
use serde_json::{Value, json};

use super::{Output, config, fallback};
use crate::profile::place_of;
use crate::setup::{Active, Global, Setup, candidates, tiers};
use crate::terminal::{self, Exit, Failure, Page, progress};

/// Show which model each tier stands for, and why; set or try one
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    output: Output,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Set the model of a tier in the profile file, if the file stays valid
    Set {
        /// The tier: small, large or reasoning, or any name that `agent-host tiers` shows
        #[arg(value_parser = NonEmptyStringValueParser::new(), add = ArgValueCandidates::new(candidates::tiers))]
        tier: String,
        /// The model's id
        #[arg(value_parser = NonEmptyStringValueParser::new(), add = ArgValueCandidates::new(candidates::models))]
        model: String,
        #[command(flatten)]
        output: Output,
    },
    /// Send one small request to a tier: which model and provider answer, how fast, and for how much
    Try {
        /// The tier: small, large or reasoning, or any name that `agent-host tiers` shows
        #[arg(default_value = "large", value_parser = NonEmptyStringValueParser::new(),
            add = ArgValueCandidates::new(candidates::tiers))]
        tier: String,
        #[command(flatten)]
        output: Output,
    },
}

pub async fn run(global: &Global, args: &Args) -> Result<Exit, Failure> {
    let setup = Setup::read(global)?;
    let mut active = match args.command {
        Some(Command::Try { .. }) => setup.activate(true).await?,
        _ => setup.activate_without_key().await?,
    };
    active.read_tiers().await?;
    match &args.command {
        None if args.output.json => terminal::print_json(&active.tiers),
        None => terminal::print_table(&tiers::table(&active.tiers, Page::of_stdout())),
        Some(Command::Set { tier, model, output }) => {
            let option = option_of(&setup, &active, tier)?;
            return config::change(&setup, &option, Some(&Value::from(model.as_str())), output.json).await;
        }
        Some(Command::Try { tier, output }) => return try_out(&active, tier, output.json).await,
    }
    Ok(Exit::Ok)
}

/// The option that holds the model of a tier. The file may have the tier in its short form, and as an object.
fn option_of(setup: &Setup, active: &Active, name: &str) -> Result<String, Failure> {
    let known = &active.tiers;
    let tier = tiers::named(known, name)?;
    let document = setup.document(&setup.places.config)?;
    let all = document
        .value
        .pointer(&place_of(&document, &setup.places.profile, "tiers"));
    let mut entries = all.and_then(Value::as_object).into_iter().flatten();
    let is_this = |key: &str| tiers::find(known, key).is_some_and(|found| found.tier == tier.tier);
    Ok(match entries.find(|(key, _)| is_this(key)) {
        Some((key, Value::Object(_))) => format!("/tiers/{key}/model"),
        Some((key, _)) => format!("/tiers/{key}"),
        None => format!("/tiers/{}", tier.tier),
    })
}

async fn try_out(active: &Active, name: &str, as_json: bool) -> Result<Exit, Failure> {
    active.say_address();
    let tier = tiers::named(&active.tiers, name)?;
    terminal::say("note: sending 1 small request, billed as usual");
    let what = terminal::clean_line(&format!("trying {}", tier.wire));
    let tried = progress::while_waiting(&what, fallback::ask(active, &tier.tier, &tier.wire, true)).await;
    let exit = tried.exit;
    if as_json {
        terminal::print_json(&json!({"tier": tier.tier, "ok": tried.ok, "models": [tried]}));
    } else {
        fallback::print(&[tried]);
    }
    active.shut_down().await;
    Ok(exit)
}
