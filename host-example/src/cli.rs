//! The command line: what can be asked of `agent-host`.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;
use serde_json::value::RawValue;

use crate::serve;
use crate::terminal::exit;

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
    /// Ask a model that may use the built-in tools, and run the tools until it has its answer
    #[command(long_about = AGENT)]
    Agent(Agent),
    /// List the service's models: search, filter, sort
    #[command(long_about = MODELS)]
    Models(Models),
    /// Show what is left to spend
    Credits(Credits),
    /// Show what the service says about the key: its limit, what it spent, what is left
    Key(Output),
    /// Send any request to the service and print its answer as it is
    #[command(long_about = API, override_usage = "agent-host api [OPTIONS] [METHOD] <PATH>")]
    Api(Api),
    /// Serve the active plugin to every program that speaks OpenAI's protocol
    #[command(long_about = serve::ABOUT)]
    Serve(serve::Options),
    /// Try against the service what a user would try by hand
    #[command(long_about = SELFTEST)]
    Selftest(Selftest),
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
            Self::Agent(args) => args.json,
            Self::Models(args) => args.wants_json(),
            Self::Credits(args) => args.output.json,
            Self::Selftest(args) => args.output.json,
            Self::Api(_) | Self::Serve(_) | Self::Plugins(_) | Self::Profile(_) | Self::Completions { .. } => false,
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
    /// A file or an address of a picture, a sound or a document that goes with the prompt; may be repeated; `-` for standard input
    #[arg(short, long, visible_alias = "image", value_name = "FILE|URL", value_hint = ValueHint::FilePath)]
    pub attach: Vec<String>,
    /// A JSON Schema that the answer must fit; exit code 8 if it does not
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub schema: Option<PathBuf>,
    #[command(flatten)]
    pub wanted: Wanted,
    /// Do not follow changes of the profile file during a conversation
    #[arg(long)]
    pub no_watch: bool,
    /// Neither read nor keep the history of what was typed in conversations
    #[arg(long)]
    pub no_history: bool,
}

/// What is wanted of an answer beside its words. The options go into the request under their names in OpenAI's and OpenRouter's protocol.
#[derive(Args, Clone, Default)]
pub struct Wanted {
    /// How long the model may think
    #[arg(long, value_name = "EFFORT", value_parser = ["max", "xhigh", "high", "medium", "low", "minimal", "none"])]
    pub effort: Option<String>,
    /// What to choose the model's provider by
    #[arg(long, value_name = "BY", value_parser = ["price", "throughput", "latency", "exacto"])]
    pub sort: Option<String>,
    /// A name for the request where the service keeps traces
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub trace_name: Option<String>,
    /// The session that the request belongs to
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub session: Option<String>,
    /// The user that the request is made for, by an id that means nothing to others
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub user: Option<String>,
    /// The longest answer, in tokens
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub max_tokens: Option<u64>,
    /// How freely the model chooses its words; usually 0 to 2
    #[arg(long, value_name = "X", value_parser = temperature)]
    pub temperature: Option<f64>,
    /// Any other field of the request, such as `seed=7` or `stop='["END"]'`; may be repeated
    #[arg(long = "param", value_name = "NAME=JSON", value_parser = parameter)]
    pub parameters: Vec<(String, Box<RawValue>)>,
}

#[derive(Args)]
pub struct Agent {
    /// What to do; what comes on standard input is put behind it
    pub prompt: Vec<String>,
    /// The tier: small, large or reasoning, or any name that `agent-host tiers` shows
    #[arg(short, long, value_name = "TIER", value_parser = NonEmptyStringValueParser::new())]
    pub tier: Option<String>,
    /// A model by its id, instead of a tier's
    #[arg(short, long, value_name = "MODEL", value_parser = NonEmptyStringValueParser::new())]
    pub model: Option<String>,
    /// What the model is told before
    #[arg(short, long, value_name = "TEXT")]
    pub system: Option<String>,
    /// The tools that the model may use
    #[arg(long, value_delimiter = ',', value_name = "TOOL", default_values = ["clock", "calc"], value_parser = ["clock", "calc"])]
    pub tools: Vec<String>,
    /// The most answers of the model, the last one included
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub max_steps: u32,
    /// Whether the tools may run: never, if somebody at the terminal says so, or always
    #[arg(long, value_name = "WHEN", default_value = "always", value_enum)]
    pub tools_approve: Approval,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
    /// Leave out the lines about tools, models, time and cost
    #[arg(short, long)]
    pub quiet: bool,
    #[command(flatten)]
    pub wanted: Wanted,
}

/// Whether tools may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Approval {
    Never,
    Ask,
    Always,
}

#[derive(Args)]
pub struct Models {
    #[command(subcommand)]
    pub command: Option<ModelsCommand>,
    /// What the id or the name contains, in any case; of several words, each
    pub query: Vec<String>,
    /// Those that cost nothing
    #[arg(long)]
    pub free: bool,
    /// Those that can call tools
    #[arg(long)]
    pub tools: bool,
    /// Those that can read pictures
    #[arg(long)]
    pub vision: bool,
    /// Those that can reason
    #[arg(long)]
    pub reasoning: bool,
    /// Those whose answers can be held to a schema
    #[arg(long)]
    pub structured: bool,
    /// Those with room for this many tokens, such as 200k or 1M
    #[arg(long, value_name = "TOKENS", value_parser = crate::commands::models::tokens)]
    pub min_context: Option<u64>,
    /// Those of which neither a million tokens of the prompt nor of the answer cost more than this, in US dollars
    #[arg(long, value_name = "USD", value_parser = crate::commands::models::usd)]
    pub max_price: Option<f64>,
    /// Those of this author: what stands before the `/` of an id
    #[arg(long, visible_alias = "provider", value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub author: Option<String>,
    /// The order; without it, the service's
    #[arg(long, value_name = "BY", value_enum)]
    pub sort: Option<ModelOrder>,
    /// Ask the service although a list is at hand
    #[arg(long)]
    pub refresh: bool,
    /// Print one id in a line, also on a terminal
    #[arg(long, conflicts_with = "json")]
    pub ids: bool,
    #[command(flatten)]
    pub output: Output,
}

impl Models {
    fn wants_json(&self) -> bool {
        let shows_json = |command: &ModelsCommand| match command {
            ModelsCommand::Show { output, .. } => output.json,
        };
        self.output.json || self.command.as_ref().is_some_and(shows_json)
    }
}

#[derive(Subcommand)]
pub enum ModelsCommand {
    /// Show everything that is known about one model
    Show {
        /// Its id, or a tier such as small
        id: String,
        /// Ask the service although a list is at hand
        #[arg(long)]
        refresh: bool,
        #[command(flatten)]
        output: Output,
    },
}

/// The order of a list of models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ModelOrder {
    Name,
    /// The cheapest first
    Price,
    /// The largest first
    Context,
    /// The newest first
    New,
}

#[derive(Args)]
pub struct Credits {
    /// Ask the service although an answer is at hand
    #[arg(long)]
    pub refresh: bool,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Args)]
pub struct Api {
    /// The path below the service's address, such as /models; before it the method, if it is not GET, or POST with --data
    #[arg(value_name = "METHOD PATH", num_args = 1..=2, required = true)]
    pub target: Vec<String>,
    /// The body: JSON, or @FILE, or - for standard input
    #[arg(short, long, value_name = "JSON|@FILE|-")]
    pub data: Option<String>,
    /// A header; may be repeated
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub headers: Vec<String>,
    /// Print the answer as it comes; `"stream": true` is put into JSON that does not say
    #[arg(long)]
    pub stream: bool,
    /// Print the status and the headers first
    #[arg(short, long)]
    pub include: bool,
}

#[derive(Args)]
pub struct Selftest {
    /// Leave out everything that is billed
    #[arg(long)]
    pub free: bool,
    #[command(flatten)]
    pub output: Output,
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

const AGENT: &str = "\
Ask a model that may use the built-in tools, and run the tools until it has its answer

The tools are `clock`, the time now, and `calc`, exact arithmetic. Each call is a line on standard error. The model's thoughts go back \
to it between the steps, as some models demand.

  agent-host agent \"How many seconds are there from now until midnight UTC?\"";

const MODELS: &str = "\
List the service's models: search, filter, sort

On a terminal a table; prices are US dollars for a million tokens. Elsewhere one id in a line.

  agent-host models claude --tools --min-context 200k --sort price
  agent-host models show openrouter/auto";

const API: &str = "\
Send any request to the service and print its answer as it is

The plugin adds the key. The body goes to standard output byte for byte, also that of an error, whose exit code says of which kind it is.

  agent-host api /models/count
  agent-host api POST /chat/completions --data @request.json --stream";

const SELFTEST: &str = "\
Try against the service what a user would try by hand

Key, models, credit, answers whole and streamed, the auto router, tiers, tool calls, structured output, a refused model, a cancelled \
stream. The small requests that it sends are billed as any other; --free leaves them out.

The exit code is 0 if no row has a ✗, and 2 otherwise.";

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

/// `seed=7`, with the value as it was written.
fn parameter(text: &str) -> Result<(String, Box<RawValue>), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=JSON, such as `seed=7`")?;
    if name.is_empty() {
        return Err("expected a name before the `=`".to_owned());
    }
    let value = RawValue::from_string(value.to_owned())
        .map_err(|_| format!("expected JSON behind `{name}=`; texts need quotation marks: '{name}=\"text\"'"))?;
    Ok((name.to_owned(), value))
}

fn temperature(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|value: &f64| value.is_finite() && *value >= 0.0)
        .ok_or_else(|| "expected a number from 0 on".to_owned())
}

fn examples() -> &'static str {
    "\
Examples:
  agent-host plugins install ./libplugin_openrouter.so
  agent-host chat \"What is a stable ABI?\"
  git diff | agent-host chat -t small \"Write a commit message for this\"
  agent-host chat                 a conversation; /help in it
  agent-host chat -a photo.jpg \"What is this?\"
  agent-host models claude --sort price
  agent-host doctor               what is wrong, and what to do about it"
}

fn after_long_help() -> String {
    let mut text = format!("{}\n\nExit codes:\n", examples());
    for (code, meaning) in exit::TABLE {
        text.push_str(&format!("{:>5}  {meaning}\n", *code as u8));
    }
    text
}
