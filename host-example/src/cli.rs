//! The command line: what can be asked of `agent-host`.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Parser, Subcommand, ValueHint};
use clap_complete::Shell;

use crate::exit;

/// Chat with models through plugins, from a terminal.
///
/// A plugin is a shared library in the plugin folder. It switches itself on when its key is there; which model
/// answers is chosen by tier, and the profile file says which model a tier stands for.
#[derive(Parser)]
#[command(name = "agent-host", version, after_help = examples(), after_long_help = after_long_help(), max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command accepts.
#[derive(Args, Clone)]
pub struct Global {
    /// The profile file [env: AGENT_HOST_CONFIG] [default: ~/.config/agent-host/profile.json]
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    /// The plugin folder [env: AGENT_HOST_PLUGINS] [default: ~/.local/share/agent-host/plugins]
    #[arg(long, global = true, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub plugins: Option<PathBuf>,
    /// The profile in the file [env: AGENT_HOST_PROFILE] [default: default]
    #[arg(long, global = true, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub profile: Option<String>,
    /// A file of variables, read after `.env` of this folder; the environment wins over both
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub env_file: Option<PathBuf>,
    /// Accept a key that does not look like one of the service's
    #[arg(long, global = true)]
    pub allow_any_key: bool,
    /// Print what happens inside: -v for information, -vv for debugging, -vvv for everything
    ///
    /// RUST_LOG says it in detail and wins. Without either, DEBUG=ID:* shows the details of one plugin, and LOG_LEVEL=info sets the level.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Write what happens inside to the end of a file instead; warnings are printed all the same [env: AGENT_HOST_LOG_FILE]
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub log_file: Option<PathBuf>,
}

#[derive(Subcommand)]
pub enum Command {
    /// Ask a model; without a prompt on a terminal, hold a conversation
    Chat(Chat),
    /// List, install, enable and disable plugins
    #[command(subcommand)]
    Plugins(Plugins),
    /// Show which model each tier stands for, and why
    Tiers(Output),
    /// Check, show, describe and make profile files
    #[command(subcommand)]
    Profile(Profile),
    /// Try the models of a fallback chain
    #[command(subcommand)]
    Fallback(Fallback),
    /// Show what the service says about the key: its limit, what it spent, what is left
    Key(Output),
    /// Look at everything that an answer depends on, and say what to do where something is wrong
    #[command(long_about = DOCTOR)]
    Doctor(Doctor),
    /// Say what an error code, an exit code or a service's own word for an error means
    Explain(Explain),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

impl Command {
    /// Whether the caller asked for JSON.
    pub fn wants_json(&self) -> bool {
        match self {
            Self::Chat(args) => args.json,
            Self::Plugins(Plugins::List(output)) | Self::Tiers(output) | Self::Key(output) => output.json,
            Self::Fallback(Fallback::Test(args)) => args.output.json,
            Self::Doctor(args) => args.output.json,
            Self::Explain(args) => args.output.json,
            Self::Profile(Profile::Check { output, .. } | Profile::Show { output, .. }) => output.json,
            Self::Plugins(_) | Self::Profile(_) | Self::Completions { .. } => false,
        }
    }
}

#[derive(Args)]
pub struct Chat {
    /// What to ask; what comes on standard input is put behind it
    pub prompt: Vec<String>,
    /// The tier: small, large or reasoning, or any name that `agent-host tiers` shows
    #[arg(short, long, value_name = "TIER", value_parser = NonEmptyStringValueParser::new())]
    pub tier: Option<String>,
    /// A model by its id, instead of a tier's
    #[arg(short, long, value_name = "MODEL", value_parser = NonEmptyStringValueParser::new())]
    pub model: Option<String>,
    /// What the model is told before the conversation
    #[arg(short, long, value_name = "TEXT")]
    pub system: Option<String>,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
    /// Wait for the whole answer instead of printing it as it comes
    #[arg(long)]
    pub no_stream: bool,
    /// Leave out the line about model, time and cost
    #[arg(short, long)]
    pub quiet: bool,
    /// Do not follow changes of the profile file during a conversation
    #[arg(long)]
    pub no_watch: bool,
    /// Neither read nor keep the history of what was typed in conversations
    #[arg(long)]
    pub no_history: bool,
}

#[derive(Subcommand)]
pub enum Plugins {
    /// Show every plugin, whether it is on, and why
    List(Output),
    /// Copy a plugin into the plugin folder, after a look at it
    Install {
        /// The shared library
        #[arg(value_hint = ValueHint::FilePath)]
        path: PathBuf,
    },
    /// Take back `disable`
    Enable {
        /// The plugin's id
        id: String,
    },
    /// Keep a plugin off, whatever key is there
    Disable {
        /// The plugin's id
        id: String,
    },
}

#[derive(Subcommand)]
pub enum Profile {
    /// Report every problem of a profile file
    Check {
        /// The file, instead of the usual one
        #[arg(value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
        #[command(flatten)]
        output: Output,
    },
    /// Print the profile
    Show {
        /// With everything that holds, and where each value comes from
        #[arg(long)]
        resolved: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Print the JSON Schema of profile files, for editors
    Schema,
    /// Write a commented profile file to start from, with its schema beside it
    Init {
        /// The plugin that the profile is for
        #[arg(long, value_name = "ID")]
        provider: Option<String>,
        /// Replace a file that is there
        #[arg(long)]
        force: bool,
    },
}

#[derive(Subcommand)]
pub enum Fallback {
    /// Send one small request to a tier's model and to each of its fallback models
    #[command(long_about = FALLBACK_TEST)]
    Test(FallbackTest),
}

#[derive(Args)]
pub struct FallbackTest {
    /// The tier: small, large or reasoning, or any name that `agent-host tiers` shows
    #[arg(short, long, value_name = "TIER", default_value = "large", value_parser = NonEmptyStringValueParser::new())]
    pub tier: String,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Args)]
pub struct Doctor {
    /// Ask the service nothing: look at files, variables and plugins alone
    #[arg(long)]
    pub offline: bool,
    /// Leave out the one small request that may be billed
    #[arg(long)]
    pub free: bool,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Args)]
pub struct Explain {
    /// A code such as `rate_limit`, an exit code such as `6`, or a service's own word or status such as `402`; without it, a table of all
    pub code: Vec<String>,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Args)]
pub struct Output {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

const DOCTOR: &str = "\
Look at everything that an answer depends on, and say what to do where something is wrong

Each row says how one thing is: ✓ well, ⚠ works but could be better, ✗ does not work, ○ not looked at. What is wrong in one place \
does not keep the rest from being looked at. To see an answer stream, the plugin may send one small request, which may be billed; \
--free leaves it out.

The exit code is 0 if no row has a ✗, and 2 otherwise.";

const FALLBACK_TEST: &str = "\
Send one small request to a tier's model and to each of its fallback models

Each model is asked by its own id for at most 16 tokens, so that none can stand in for another. The requests are billed as any \
others are.

The exit code is 0 if every model answered, and otherwise that of the first one that did not, such as 6 for a service that cannot \
answer now.";

fn examples() -> &'static str {
    "\
Examples:
  agent-host plugins install ./libplugin_openrouter.so
  agent-host chat \"What is a stable ABI?\"
  git diff | agent-host chat -t small \"Write a commit message for this\"
  agent-host chat                 a conversation; /help in it
  agent-host doctor               what is wrong, and what to do about it"
}

fn after_long_help() -> String {
    let mut text = format!("{}\n\nExit codes:\n", examples());
    for (code, meaning) in exit::TABLE {
        text.push_str(&format!("{:>5}  {meaning}\n", *code as u8));
    }
    text
}
