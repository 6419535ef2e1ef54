//! `agent-host`: a command-line host for plugin-api plugins, to use and to copy.
//!
//! A command ([`cli`]) finds its files ([`places`]), its variables and keys ([`environment`], [`dotenv`]), its [`profile`] and its
//! [`plugins`]; [`setup`] puts them together to a plugin that answers. [`chat`] asks once, [`conversation`] again and
//! again, [`agent`] lets the model use tools, [`answer`] gets each answer to the screen, [`terminal`] prints. [`models`], [`credits`] and
//! [`api`] ask the service for other things, [`selftest`] tries it all. [`doctor`] looks at all of it, and [`explain`] says what an
//! error means. No code here knows a provider: what differs between providers, their plugins tell.

// In the order in which data travels.
mod cli;
mod commands;
mod serve;
mod talk;
mod setup;
mod profile;
mod terminal;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::cli::{Cli, Command, Fallback};
use crate::commands::{
    agent, api, chat, credits, doctor, explain, fallback, key, models, plugins, profile as profile_command, selftest,
    tiers,
};
use crate::setup::{log, protect};
use crate::terminal::exit::{Exit, Failure};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    protect::forbid_dumps();
    let cli = Cli::parse();
    match run(&cli).await {
        Ok(exit) => ExitCode::from(exit as u8),
        Err(failure) => {
            failure.tell(cli.command.wants_json());
            ExitCode::from(failure.exit as u8)
        }
    }
}

async fn run(cli: &Cli) -> Result<Exit, Failure> {
    log::start(&cli.global)?;
    match &cli.command {
        Command::Chat(args) => chat::run(&cli.global, args).await,
        Command::Plugins(command) => plugins::run(&cli.global, command).await,
        Command::Tiers(output) => tiers::run(&cli.global, output).await,
        Command::Fallback(Fallback::Test(args)) => fallback::run(&cli.global, args).await,
        Command::Agent(args) => agent::run(&cli.global, args).await,
        Command::Models(args) => models::run(&cli.global, args).await,
        Command::Credits(args) => credits::run(&cli.global, args).await,
        Command::Api(args) => api::run(&cli.global, args).await,
        Command::Serve(options) => serve::run(&cli.global, options).await,
        Command::Selftest(args) => selftest::run(&cli.global, args).await,
        Command::Key(output) => key::run(&cli.global, output).await,
        Command::Doctor(args) => doctor::run(&cli.global, args).await,
        Command::Explain(args) => explain::run(&cli.global, args),
        Command::Profile(command) => profile_command::run(&cli.global, command).await,
        Command::Completions { shell } => {
            // Written here first: the library panics when the reader of stdout is gone.
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "agent-host", &mut script);
            terminal::print(&String::from_utf8_lossy(&script));
            Ok(Exit::Ok)
        }
    }
}
