//! `agent-host log`: the conversations that are kept.

use std::path::PathBuf;

use clap::{Args as Options, Subcommand, ValueHint};
use jiff::Timestamp;
use plugin_api::Message;
use serde_json::{Value, json};
use store::{Conversation, Sqlite, Store, Summary, now_ms};

use super::Output;
use crate::history;
use crate::setup::write_new;
use crate::talk::dialogue::document;
use crate::talk::kept::{State, refused, short};
use crate::terminal::{self, Exit, FAINT, Failure, Fit, Page, clean, clean_line, counted};
use crate::views::usage::moment;

/// List, read, search, export and delete the conversations that are kept
#[derive(Options)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    list: List,
}

#[derive(Options)]
struct List {
    /// How many conversations at most
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    #[command(flatten)]
    output: Output,
}

#[derive(Subcommand)]
enum Command {
    /// List the conversations, the one that was used last first; `log` alone does it too
    List(List),
    /// Print a conversation
    Show {
        /// Its id, the beginning of its id, or its session
        id: String,
        #[command(flatten)]
        output: Output,
    },
    /// Find messages with all of these words; the last one may be the beginning of a word
    Search {
        #[arg(required = true)]
        words: Vec<String>,
        #[command(flatten)]
        list: List,
    },
    /// Print a conversation as Markdown, or write it to a new file
    Export {
        /// Its id, the beginning of its id, or its session
        id: String,
        /// The new file; JSON if its name ends in `.json`
        #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        output: Option<PathBuf>,
        /// Write JSON, as a request has the messages
        #[arg(long)]
        json: bool,
    },
    /// Delete conversations, for good
    Delete {
        /// Their ids, the beginnings of their ids, or their sessions
        #[arg(required = true)]
        ids: Vec<String>,
    },
    /// Delete the conversations that were last used before a time, for good
    Prune {
        /// How long ago: `24h`, `30d` or `52w`, or a day in UTC
        #[arg(long, value_name = "TIME")]
        older: String,
    },
    /// Give a conversation another title
    Rename {
        /// Its id, the beginning of its id, or its session
        id: String,
        #[arg(required = true)]
        title: Vec<String>,
    },
}

pub fn run(args: &Args) -> Result<Exit, Failure> {
    let command = args.command.as_ref();
    match command {
        None => list(&args.list)?,
        Some(Command::List(options)) => list(options)?,
        Some(Command::Search { words, list }) => search(&words.join(" "), list)?,
        Some(Command::Show { id, output }) => show(&load(id)?.1, output.json),
        Some(Command::Export { id, output, json }) => export(&load(id)?.1, output.as_ref(), *json)?,
        Some(Command::Delete { ids }) => {
            for id in ids {
                let (mut store, found) = load(id)?;
                store.delete(&found.summary.id).map_err(refused)?;
                say(&format!("deleted \"{}\"", found.summary.title));
            }
        }
        Some(Command::Prune { older }) => {
            let before_ms = moment(older, Timestamp::now()).map_err(Failure::usage)?;
            let n_pruned = match history::is_there()? {
                true => history::open()?.prune_conversations(before_ms).map_err(refused)?,
                false => 0,
            };
            let n_pruned = usize::try_from(n_pruned).unwrap_or(usize::MAX);
            say(&format!("deleted {}", counted(n_pruned, "conversation")));
        }
        Some(Command::Rename { id, title }) => {
            let (mut store, found) = load(id)?;
            store.rename(&found.summary.id, &title.join(" ")).map_err(refused)?;
            say(&format!("\"{}\" is now \"{}\"", found.summary.title, title.join(" ")));
        }
    }
    Ok(Exit::Ok)
}

fn say(line: &str) {
    terminal::say(&clean_line(line));
}

fn load(id: &str) -> Result<(Sqlite, Conversation), Failure> {
    if !history::is_there()? {
        return Err(refused(store::Error::NoConversation(id.to_owned())));
    }
    let mut store = history::open()?;
    let found = store.load(id).map_err(refused)?;
    Ok((store, found))
}

fn list(options: &List) -> Result<(), Failure> {
    let mut found = match history::is_there()? {
        true => history::open()?.list(options.limit + 1, 0).map_err(refused)?,
        false => Vec::new(),
    };
    let has_more = found.len() > options.limit as usize;
    found.truncate(options.limit as usize);
    if options.output.json {
        terminal::print_json(&found);
        return Ok(());
    }
    if found.is_empty() {
        say("no conversation is kept; `agent-host` begins one");
        return Ok(());
    }
    let head = [
        ("ID", Fit::Whole),
        ("TITLE", Fit::Cut),
        ("WHO", Fit::Dropped),
        ("MESSAGES", Fit::Spare),
        ("LAST USED", Fit::Whole),
    ];
    let ids: Vec<&str> = found.iter().map(|summary| summary.id.as_str()).collect();
    let rows = found.iter().map(|summary| {
        vec![
            unique(&summary.id, &ids).to_owned(),
            summary.title.clone(),
            who(summary),
            summary.n_messages.to_string(),
            age(summary.updated_ms),
        ]
    });
    terminal::print_table(&terminal::table(&head, rows, Page::of_stdout()));
    if has_more {
        terminal::say_styled(FAINT, &format!("the last {}; `--limit N` lists more", found.len()));
    }
    Ok(())
}

/// The beginning of an id, long enough that no other one begins so.
fn unique<'a>(id: &'a str, all: &[&str]) -> &'a str {
    let is_unique = |length: &usize| {
        let start = &id[..*length];
        !all.iter().any(|other| *other != id && other.starts_with(start))
    };
    let length = (short(id).len()..id.len()).find(is_unique);
    length.map_or(id, |length| &id[..length])
}

/// Who answers: the model that was chosen, or else the tier.
fn who(summary: &Summary) -> String {
    let chosen = [&summary.model, &summary.tier]
        .into_iter()
        .find(|name| !name.is_empty());
    chosen.map_or_else(|| "default tier".to_owned(), |name| name.to_ascii_lowercase())
}

fn age(updated_ms: i64) -> String {
    let age_ms = u64::try_from(now_ms() - updated_ms).unwrap_or(0);
    match terminal::time::age(age_ms) {
        age if age == "fresh" => "just now".to_owned(),
        age => age.replace(" old", " ago"),
    }
}

fn search(words: &str, options: &List) -> Result<(), Failure> {
    let found = match history::is_there()? {
        true => history::open()?.search(words, options.limit).map_err(refused)?,
        false => Vec::new(),
    };
    if options.output.json {
        terminal::print_json(&found);
        return Ok(());
    }
    if found.is_empty() {
        say("no message has these words");
        return Ok(());
    }
    let head = [
        ("ID", Fit::Whole),
        ("TITLE", Fit::Cut),
        ("WHO", Fit::Dropped),
        ("TEXT", Fit::Wrapped),
    ];
    let ids: Vec<&str> = found.iter().map(|found| found.conversation.id.as_str()).collect();
    let rows = found.iter().map(|found| {
        let id = unique(&found.conversation.id, &ids).to_owned();
        vec![
            id,
            found.conversation.title.clone(),
            found.role.clone(),
            found.snippet.clone(),
        ]
    });
    terminal::print_table(&terminal::table(&head, rows, Page::of_stdout()));
    Ok(())
}

/// The messages, with the system message before them.
fn messages(found: &Conversation) -> Vec<Message> {
    let state: State = serde_json::from_str(&found.state).unwrap_or_default();
    let system = state.system.map(|text| Message::text("system", text));
    let said = found
        .messages
        .iter()
        .filter_map(|message| serde_json::from_str(&message.body).ok());
    system.into_iter().chain(said).collect()
}

fn show(found: &Conversation, is_json: bool) {
    if is_json {
        let json_of = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
        let mut object = json!(found.summary);
        object["state"] = json_of(&found.state);
        object["messages"] = found.messages.iter().map(|message| json_of(&message.body)).collect();
        return terminal::print_json(&object);
    }
    let summary = &found.summary;
    let messages_said = counted(found.messages.len(), "message");
    let line = [
        summary.title.clone(),
        who(summary),
        messages_said,
        age(summary.updated_ms),
    ]
    .join(" · ");
    terminal::say_styled(FAINT, &clean_line(&line));
    terminal::print(&clean(&document(&messages(found), "")));
}

fn export(found: &Conversation, file: Option<&PathBuf>, is_json: bool) -> Result<(), Failure> {
    let name = match file {
        _ if is_json => ".json".to_owned(),
        Some(file) => file.display().to_string(),
        None => String::new(),
    };
    let document = document(&messages(found), &name);
    let Some(file) = file else {
        match is_json {
            true => terminal::print(&terminal::safe_json(&document)),
            false => terminal::print(&clean(&document)),
        }
        return Ok(());
    };
    let shown = clean_line(&file.display().to_string());
    match write_new(file, document.as_bytes()) {
        Ok(true) => say(&format!("exported to `{shown}`")),
        Ok(false) => {
            return Err(Failure::usage(format!("`{shown}` exists already")).with_hint("choose another file"));
        }
        Err(cause) => return Err(Failure::internal(format!("cannot write `{shown}`: {cause}"))),
    }
    Ok(())
}
