//! The command line: the commands by their names, and who runs each.

use std::env;
use std::io::{self, IsTerminal};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgMatches, CommandFactory, Parser, Subcommand};
use clap_complete::ArgValueCandidates;

use crate::commands::{
    Output, agent, api, chat, compare, completions, config, credits, doctor, explain, fallback, key, keys, links, log,
    mcp, models, paths, plugins, profile, run, selftest, store, tiers, usage,
};
use crate::serve;
use crate::setup::{Global, candidates, trial};
use crate::talk::events::{self, End};
use crate::terminal::{Exit, Failure, clean_line, exit};

/// Chat with models through plugins, from a terminal.
///
/// A plugin is a shared library in the plugin folder, enabled as soon as its key is set. You choose a model by tier;
/// the profile file says which model a tier stands for. Without a command, on a terminal, it starts a conversation.
#[derive(Parser)]
#[command(name = "agent-host", version, after_help = EXAMPLES, after_long_help = after_long_help(), max_term_width = 100,
    arg_required_else_help = !io::stdin().is_terminal())]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    Chat(Box<chat::Args>),
    Run(Box<run::Args>),
    #[command(subcommand)]
    Plugins(plugins::Command),
    Tiers(tiers::Args),
    #[command(subcommand)]
    Profile(profile::Command),
    #[command(subcommand)]
    Config(config::Command),
    #[command(subcommand)]
    Fallback(fallback::Command),
    Compare(compare::Args),
    Agent(Box<agent::Args>),
    #[command(subcommand)]
    Mcp(mcp::Command),
    Models(models::Args),
    Credits(credits::Args),
    Log(log::Args),
    Usage(usage::Args),
    Store(store::Args),
    /// Show what the service reports about the key: limit, usage, credit left
    Key(Output),
    #[command(subcommand)]
    Keys(keys::Command),
    /// List every file and folder: what it is for, whether it exists, what moves it
    Paths(Output),
    Api(api::Args),
    Serve(serve::Options),
    Selftest(selftest::Args),
    Doctor(doctor::Args),
    Explain(explain::Args),
    /// Show the service's pages: status, keys, credits, support
    Links(Output),
    /// Print the JSON Schema of what the program prints or reads
    Schema {
        /// Of agents' files, of the lines of `--jsonl`, or of profile files
        #[arg(value_parser = ["agent", "events", "profile"])]
        of: String,
    },
    /// Try the plugin on standard input; `plugins` runs it in a process of its own
    #[command(name = trial::COMMAND, hide = true)]
    TryPlugin {
        check: Option<String>,
    },
    /// Print a completion script for a shell
    Completions {
        /// The shell
        #[arg(value_parser = ["bash", "elvish", "fish", "powershell", "zsh"])]
        shell: String,
    },
    Man(completions::Man),
}

impl Cli {
    /// The commands, with the names from the disk that shells complete.
    pub fn completing() -> clap::Command {
        let profiles = ArgValueCandidates::new(candidates::profiles);
        Self::command().mut_arg("profile", |profile| profile.add(profiles))
    }

    /// Runs the command.
    pub async fn run(&self) -> Result<Exit, Failure> {
        let global = &self.global;
        let Some(command) = &self.command else {
            return Box::pin(conversation(global)).await;
        };
        match command {
            Command::Chat(args) => chat::run(global, args).await,
            Command::Run(args) => run::run(global, args).await,
            Command::Plugins(command) => plugins::run(global, command).await,
            Command::Tiers(args) => tiers::run(global, args).await,
            Command::Profile(command) => profile::run(global, command).await,
            Command::Config(command) => config::run(global, command).await,
            Command::Fallback(command) => fallback::run(global, command).await,
            Command::Compare(args) => compare::run(global, args).await,
            Command::Agent(args) => agent::run(global, args).await,
            Command::Mcp(command) => mcp::run(global, command).await,
            Command::Models(args) => models::run(global, args).await,
            Command::Credits(args) => credits::run(global, args).await,
            Command::Log(args) => log::run(args),
            Command::Usage(args) => usage::run(global, args).await,
            Command::Store(args) => store::run(args),
            Command::Key(output) => key::run(global, output.json).await,
            Command::Keys(command) => keys::run(global, command).await,
            Command::Paths(output) => paths::run(global, output.json),
            Command::Api(args) => api::run(global, args).await,
            Command::Serve(options) => serve::run(global, options).await,
            Command::Selftest(args) => selftest::run(global, args).await,
            Command::Doctor(args) => doctor::run(global, args).await,
            Command::Explain(args) => explain::run(global, args),
            Command::Links(output) => links::run(global, output.json),
            Command::Schema { of } => profile::print_schema(global, of),
            Command::TryPlugin { check } => Ok(trial::run_child(check.as_deref()).await),
            Command::Completions { shell } => completions::run(shell),
            Command::Man(args) => completions::man(Self::command(), args),
        }
    }
}

/// What happens without a command.
async fn conversation(global: &Global) -> Result<Exit, Failure> {
    let chat = Cli::parse_from(["agent-host", "chat"]).command;
    match chat {
        Some(Command::Chat(args)) => chat::run(global, &args).await,
        _ => Ok(Exit::Usage),
    }
}

/// Adds to an unknown command how to send it as a prompt, and suggests no hidden one.
pub fn with_tip(mut error: clap::Error) -> clap::Error {
    if let Some(ContextValue::Strings(mut near)) = error.remove(ContextKind::SuggestedSubcommand) {
        let is_hidden = |name: &String| {
            let found = Cli::command().find_subcommand(name).cloned();
            found.is_some_and(|command| command.is_hide_set())
        };
        near.retain(|name| !is_hidden(name));
        if !near.is_empty() {
            error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(near));
        }
    }
    let Some(ContextValue::String(unknown)) = error.get(ContextKind::InvalidSubcommand) else {
        return error;
    };
    let is_command = |word: &String| Cli::command().find_subcommand(word).is_some();
    let (before, words): (Vec<_>, Vec<_>) = {
        let mut is_past = false;
        env::args().skip(1).partition(|word| {
            is_past |= word == unknown;
            !is_past
        })
    };
    if error.kind() == ErrorKind::InvalidSubcommand && !before.iter().any(is_command) {
        let tip = clean_line(&format!("to ask a model: agent-host chat \"{}\"", words.join(" ")));
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
    error
}

/// Prints a failure to stderr, and to stdout in the form that the caller asked for.
pub fn print(failure: &Failure, matches: &ArgMatches) {
    if wants(matches, "jsonl") {
        events::print_end(None, Some(failure), End::default());
    }
    failure.print(wants(matches, "json"));
}

/// Whether the command has this flag.
fn wants(matches: &ArgMatches, flag: &str) -> bool {
    matches!(matches.try_get_one(flag), Ok(Some(true)))
        || matches.subcommand().is_some_and(|(_, below)| wants(below, flag))
}

const EXAMPLES: &str = "\
Examples:
  agent-host                      a conversation; without a key, it helps you to get one
  agent-host plugins install ./libplugin_openrouter.so
  agent-host chat \"What is a stable ABI?\"
  git diff | agent-host chat -t small \"Write a commit message for this\"
  agent-host chat -a photo.jpg \"What is this?\"
  agent-host models claude --sort price
  agent-host doctor               what is wrong, and how to fix it";

fn after_long_help() -> String {
    let mut text = format!("{EXAMPLES}\n\nExit codes:\n");
    for (code, _, meaning) in exit::TABLE {
        text.push_str(&format!("{:>5}  {meaning}\n", *code as u8));
    }
    text
}
