//! `agent-host`: a command-line host for plugin-api plugins, to use and to copy.
//!
//! A command ([`cli`]) finds its files ([`places`]), its variables and keys ([`environment`], [`dotenv`]), its [`profile`] and its
//! [`plugins`]; [`setup`] puts them together to a plugin that answers. [`chat`] asks once, [`conversation`] again and
//! again, [`answer`] gets each answer to the screen, [`terminal`] prints. No code here knows a provider: what differs between providers, their plugins tell.

// In the order in which data travels.
mod cli;
mod places;
mod dotenv;
mod environment;
mod profile;
mod plugins;
mod setup;
mod chat;
mod conversation;
mod answer;
mod tiers;
mod plugin_command;
mod profile_command;
mod terminal;
mod exit;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use tracing_subscriber::EnvFilter;

use crate::cli::{Cli, Command};
use crate::exit::{Exit, Failure};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    start_log(cli.global.verbose);
    match run(&cli).await {
        Ok(exit) => ExitCode::from(exit as u8),
        Err(failure) => {
            failure.tell(cli.command.wants_json());
            ExitCode::from(failure.exit as u8)
        }
    }
}

async fn run(cli: &Cli) -> Result<Exit, Failure> {
    match &cli.command {
        Command::Chat(args) => chat::run(&cli.global, args).await,
        Command::Plugins(command) => plugin_command::run(&cli.global, command).await,
        Command::Tiers(output) => tiers::run(&cli.global, output).await,
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

/// The log goes to stderr. `RUST_LOG` says what is in it, else the number of `-v`; without either, warnings.
fn start_log(verbose: u8) {
    let level = ["warn", "info", "debug", "trace"][usize::from(verbose.min(3))];
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(terminal::stderr_has_colour())
        .without_time()
        .init();
}
