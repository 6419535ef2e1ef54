//! `agent-host`: a command-line host for plugin-api plugins, to use and to copy.
//!
//! [`cli`] picks one of the [`commands`] or starts [`serve`], an endpoint for programs that speak OpenAI's protocol.
//! [`setup`] turns options, variables and the [`profile`] file into a plugin that answers;
//! [`talk`] holds the conversation, [`agents`] what a model does with tools, [`welcome`] the dialogue before the first
//! conversation; [`history`] keeps what each call cost; [`views`] lays out lists, [`terminal`] prints. No code here names
//! a provider: what differs between providers comes from their plugins. For a whole host in one short file see
//! `examples/minimal.rs`.

// In the order in which data travels.
mod cli;
mod commands;
mod serve;
mod agents;
mod talk;
mod welcome;
mod history;
mod setup;
mod profile;
mod views;
mod near;
mod files;
mod terminal;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use clap::{CommandFactory, FromArgMatches};
use clap_complete::CompleteEnv;

use crate::cli::Cli;
use crate::terminal::{Exit, Failure};

fn main() -> ! {
    #[cfg(unix)]
    setup::take_off_quotes();
    setup::forbid_dumps();
    CompleteEnv::with_factory(Cli::completing)
        .var(commands::completions::VARIABLE)
        .complete();
    let matches = Cli::command().try_get_matches();
    let matches = matches.unwrap_or_else(|error| cli::with_tip(error).exit());
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    cli.global.looks.apply();
    // A panic was reported when it happened.
    let outcome = catch_unwind(AssertUnwindSafe(|| run(&cli)));
    history::flush();
    match outcome {
        Ok(Ok(exit)) => exit.end(),
        Ok(Err(failure)) => {
            cli::print(&failure, &matches);
            failure.exit.end()
        }
        Err(_) => Exit::Internal.end(),
    }
}

fn run(cli: &Cli) -> Result<Exit, Failure> {
    let failed = |cause: io::Error| Failure::internal(format!("cannot start: {cause}"));
    expect_free_files().map_err(failed)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(failed)?;
    let outcome = setup::start_log(&cli.global).and_then(|()| runtime.block_on(cli.run()));
    // Dropping it would wait for its threads.
    runtime.shutdown_background();
    outcome
}

/// The runtime panics if it cannot open what it needs.
fn expect_free_files() -> io::Result<()> {
    #[cfg(unix)]
    {
        let files = (0..16).map(|_| rustix::io::fcntl_dupfd_cloexec(io::stderr(), 3));
        files.collect::<Result<Vec<_>, _>>()?;
    }
    Ok(())
}
