//! What the command line says about models.

use clap::ValueEnum;
use clap::builder::NonEmptyStringValueParser;
use clap_complete::ArgValueCandidates;
use plugin_api::MeasuredOrder;

use super::values::{tokens, usd};
use crate::commands::Output;
use crate::setup::candidates;

/// List the service's models: search, filter, sort
#[derive(clap::Args)]
#[command(long_about = ABOUT)]
pub struct Args {
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Words that the id or name contains, in any case; without such a model, words that are almost there
    pub query: Vec<String>,
    /// Only free models
    #[arg(long)]
    pub free: bool,
    /// Only models that can call tools
    #[arg(long)]
    pub tools: bool,
    /// Only models that can read pictures
    #[arg(long)]
    pub vision: bool,
    /// Only models that can reason
    #[arg(long)]
    pub reasoning: bool,
    /// Only models with structured output
    #[arg(long)]
    pub structured: bool,
    /// Only models with a context of at least this many tokens, such as 200k or 1M
    #[arg(long, value_name = "TOKENS", value_parser = tokens)]
    pub min_context: Option<u64>,
    /// Only models whose prompt and answer both cost at most this much, in US dollars per million tokens
    #[arg(long, value_name = "USD", value_parser = usd)]
    pub max_price: Option<f64>,
    /// Only models of this author, the part before the `/` of an id
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub author: Option<String>,
    /// Only models that this provider serves, by its name or slug; asks the service each time
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub provider: Option<String>,
    /// Only models that some provider serves without keeping prompts (zero data retention); asks the service each time
    #[arg(long)]
    pub zdr: bool,
    /// The order; by default the service's own
    #[arg(long, value_name = "BY", value_enum)]
    pub sort: Option<Order>,
    /// Fetch the list even if a cached one is fresh
    #[arg(long)]
    pub refresh: bool,
    /// Use the cached list, however old, and send no request
    #[arg(long, conflicts_with_all = ["refresh", "provider", "zdr"])]
    pub offline: bool,
    /// Print one id per line, even on a terminal
    #[arg(long, conflicts_with = "json")]
    pub ids: bool,
    #[command(flatten)]
    pub output: Output,
}

#[derive(clap::Subcommand)]
pub enum Command {
    /// Show everything that is known about one model
    Show {
        /// Its id, or a tier such as small
        #[arg(add = ArgValueCandidates::new(candidates::models))]
        id: String,
        /// Fetch the list even if a cached one is fresh
        #[arg(long)]
        refresh: bool,
        /// Use the cached list, however old, and send no request
        #[arg(long, conflicts_with = "refresh")]
        offline: bool,
        #[command(flatten)]
        output: Output,
    },
}

const ABOUT: &str = "\
List the service's models: search, filter, sort

Prints a table on a terminal, with prices in US dollars per million tokens; elsewhere, one id per line.

  agent-host models claude --tools --min-context 200k --sort price
  agent-host models --zdr --provider amazon-bedrock --sort throughput
  agent-host models show openrouter/auto";

/// The order of a list of models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Order {
    Name,
    /// The cheapest first
    Price,
    /// The largest first
    Context,
    /// The newest first
    New,
    /// The most tokens per second first, as the service measures them
    Throughput,
    /// The shortest wait for the first token first, as the service measures it
    Latency,
}

impl Order {
    /// The order that only the service can make.
    pub fn measured(self) -> Option<MeasuredOrder> {
        match self {
            Self::Throughput => Some(MeasuredOrder::Throughput),
            Self::Latency => Some(MeasuredOrder::Latency),
            Self::Name | Self::Price | Self::Context | Self::New => None,
        }
    }
}
