//! `agent-host`: a command-line host for plugin-api plugins, to use and to copy.
//!
//! [`cli`] picks one of the [`commands`] or starts [`serve`], an endpoint for programs that speak OpenAI's protocol.
//! [`setup`] turns options, variables and the [`profile`] file into a plugin that answers;
//! [`talk`] holds the conversation; [`terminal`] prints. No code here names a provider: what differs between providers
//! comes from their plugins. For a whole host in one short file see `examples/minimal.rs`.

// In the order in which data travels.
mod cli;
mod commands;
mod serve;
mod talk;
mod setup;
mod profile;
mod near;
mod files;
mod terminal;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use crate::cli::{Cli, wants_json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    #[cfg(unix)]
    setup::take_off_quotes();
    setup::forbid_dumps();
    let matches = Cli::command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let outcome = match setup::start_log(&cli.global) {
        Ok(()) => cli.run().await,
        Err(failure) => Err(failure),
    };
    match outcome {
        Ok(exit) => ExitCode::from(exit as u8),
        Err(failure) => {
            failure.print(wants_json(&matches));
            ExitCode::from(failure.exit as u8)
        }
    }
}
