//! `agent-host agent`: a model that calls tools until it has an answer; and the agents that are kept in files.

mod attendant;
mod kept;
mod work;

use std::path::PathBuf;

use clap::Subcommand;

use self::work::Work;
use super::Output;
use crate::agents::{Approval, Approvals, Definition, Shelf, Wish, word};
use crate::setup::{Folder, Global, Places};
use crate::terminal::{Exit, Failure};

/// Let a model call tools until it has an answer
#[derive(clap::Args)]
#[command(long_about = ABOUT, args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// The tools that the model may use
    #[arg(long, value_delimiter = ',', value_name = "TOOL", default_values = ["clock", "calc"], value_parser = ["clock", "calc"])]
    tools: Vec<String>,
    #[command(flatten)]
    work: Work,
}

#[derive(Subcommand)]
enum Command {
    /// Write the file of a new agent, as an example to change
    New {
        /// Its name
        name: String,
    },
    /// List the agents that are kept
    List(Output),
    /// Run an agent that is kept in a file
    Run(Box<Run>),
    /// Show every problem of an agent's file
    Check {
        /// The agent's name, or a path
        file: String,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(clap::Args)]
struct Run {
    /// The agent's name, or the path of its file
    name: String,
    #[command(flatten)]
    work: Work,
}

const ABOUT: &str = "\
Let a model call tools until it has an answer

Without a subcommand, the tools are `clock`, the current time, and `calc`, exact arithmetic. `agent new NAME` writes a \
file that names a model, what it is told, its tools and its limits; `agent run NAME` runs it. Each call prints a line to \
standard error. The model's reasoning goes back to it with each step, because some models require it.

  agent-host agent \"How many seconds are there from now until midnight UTC?\"
  agent-host agent new notes
  agent-host agent run notes \"What did I write about bees?\"";

pub async fn run(global: &Global, args: &Args) -> Result<Exit, Failure> {
    let shelf = || {
        let places = Places::from(global)?;
        Ok::<_, Failure>(Shelf::of(&places, &Folder::read(&places)?))
    };
    match &args.command {
        None => {
            let definition = Definition {
                tools: args.tools.iter().cloned().map(Wish::Named).collect(),
                approval: Approvals::All(Approval::Always),
                ..Definition::default()
            };
            let nothing = "run `agent-host agent \"What is 17% of 2340?\"`";
            work::run(global, &shelf()?, None, definition, &args.work, nothing).await
        }
        Some(Command::Run(run)) => {
            let Run { name, work } = &**run;
            let shelf = shelf()?;
            let file = shelf.found(name)?;
            let definition = shelf.read(&file)?;
            let nothing = format!("run `agent-host agent run {} \"What to do\"`", word(name));
            work::run(global, &shelf, Some(&file), definition, work, &nothing).await
        }
        Some(Command::New { name }) => kept::new(&shelf()?, name),
        Some(Command::List(output)) => kept::list(&shelf()?, output.json),
        Some(Command::Check { file, output }) => {
            let shelf = shelf()?;
            // A path that does not exist is an error of its own, with the nearest name.
            let path: PathBuf = shelf.found(file)?;
            kept::check(&shelf, &path, output.json)
        }
    }
}
