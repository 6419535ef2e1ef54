//! `agent-host store`: the file with everything that is kept, and its upkeep.

use std::path::PathBuf;

use clap::ValueHint;
use jiff::Timestamp;
use serde_json::json;
use store::Store;

use super::Output;
use crate::history;
use crate::setup::write_new;
use crate::terminal::{self, Exit, Failure, clean_line, counted};
use crate::views::usage::moment;

/// Show, copy and trim the file with what calls cost and with conversations
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
    /// Print the path of the file
    Path,
    /// Copy everything into a new file, also while other programs write
    Backup {
        /// The copy, which must not exist yet
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Delete calls and conversations that are older, for good; `log prune` deletes conversations alone
    Prune {
        /// How old: `24h`, `90d` or `52w`, or a day in UTC
        #[arg(long, value_name = "TIME")]
        older: String,
    },
    /// Give room that is no longer used back to the disk
    Vacuum,
}

pub fn run(args: &Args) -> Result<Exit, Failure> {
    let file = history::file()?;
    let shown = clean_line(&file.display().to_string());
    let failed = |cause: store::Error| Failure::internal(format!("the store `{shown}`: {cause}"));
    match &args.command {
        Some(Command::Path) => terminal::print_line(&file.display().to_string()),
        None if !history::is_there()? && !args.output.json => {
            terminal::say(&format!("nothing is kept yet; it will be in `{shown}`"));
        }
        None => {
            let (mut n_calls, mut n_conversations) = (0, 0);
            if history::is_there()? {
                (n_calls, n_conversations) = history::open()?.counts().map_err(failed)?;
            }
            let n_bytes = file.metadata().map_or(0, |found| found.len());
            if args.output.json {
                let object =
                    json!({"path": file, "bytes": n_bytes, "calls": n_calls, "conversations": n_conversations});
                terminal::print_json(&object);
            } else {
                let size = format!("{} KiB", n_bytes.div_ceil(1024));
                terminal::print_line(&format!(
                    "{shown}: {}, {}, {size}",
                    calls(n_calls),
                    conversations(n_conversations)
                ));
            }
        }
        Some(Command::Backup { file: copy }) => {
            let store = history::open()?;
            store.check().map_err(failed)?;
            // For its owner alone, and nothing is overwritten.
            match write_new(copy, b"") {
                Ok(true) => {}
                Ok(false) => {
                    return Err(Failure::usage(format!(
                        "`{}` exists already",
                        clean_line(&copy.display().to_string())
                    )));
                }
                Err(cause) => {
                    return Err(Failure::internal(format!(
                        "cannot write `{}`: {cause}",
                        clean_line(&copy.display().to_string())
                    )));
                }
            }
            store.back_up(copy).map_err(failed)?;
            terminal::say(&format!("copied to `{}`", clean_line(&copy.display().to_string())));
        }
        Some(Command::Prune { older }) => {
            let before_ms = moment(older, Timestamp::now()).map_err(Failure::usage)?;
            let mut store = history::open()?;
            let n_calls = store.prune_calls(before_ms).map_err(failed)?;
            let n_conversations = store.prune_conversations(before_ms).map_err(failed)?;
            terminal::say(&format!(
                "deleted {} and {}",
                calls(n_calls),
                conversations(n_conversations)
            ));
        }
        Some(Command::Vacuum) => history::open()?.vacuum().map_err(failed)?,
    }
    Ok(Exit::Ok)
}

fn calls(n: u64) -> String {
    counted(usize::try_from(n).unwrap_or(usize::MAX), "call")
}

fn conversations(n: u64) -> String {
    counted(usize::try_from(n).unwrap_or(usize::MAX), "conversation")
}
