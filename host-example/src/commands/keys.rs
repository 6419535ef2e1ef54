//! `agent-host keys`: the stored key, and every other place that a key may come from.
//!
//! A key is never an argument, because other users can read command lines, and never printed: its last four letters tell
//! it from others.

use std::io::{self, IsTerminal};

use plugin_api::{ErrorKind, Manifest};
use serde_json::json;

use super::Output;
use crate::profile::KeySource;
use crate::setup::{
    Chosen, Entry, Global, KeyAt, KeyUse, Secret, Setup, described_file, exists, read_key_file, read_key_from_stdin,
};
use crate::terminal::{self, DOUBTFUL, Exit, Failure, Fit, GOOD, Interrupts, Page};
use crate::welcome::key;

/// Store a key, or see where keys come from
#[derive(clap::Subcommand)]
pub enum Command {
    /// Have the service check a key, and store it; asks for it on a terminal, and reads standard input elsewhere
    Set(Args),
    /// List every place with a key in order, and which one is used
    List(Args),
    /// Ask the service about the key that is used
    Test(Args),
    /// Delete the stored key
    Remove(Args),
}

#[derive(clap::Args)]
pub struct Args {
    /// The plugin's id; default: the plugin that answers
    id: Option<String>,
    #[command(flatten)]
    output: Output,
}

pub async fn run(global: &Global, command: &Command) -> Result<Exit, Failure> {
    let (Command::Set(args) | Command::List(args) | Command::Test(args) | Command::Remove(args)) = command;
    let setup = Setup::read(global)?;
    let chosen = setup.profile().await?;
    let (entry, manifest) = match &args.id {
        Some(id) if setup.folder.entries.iter().all(|entry| !entry.has_id(id)) => {
            // It may be a key.
            let message = "no plugin has the id that was given, which is not repeated here: it may be a key";
            let hint = "list the ids with `agent-host plugins list`; a key is never an argument: pipe it in, or run \
                        `agent-host keys set` on a terminal";
            return Err(Failure::usage(message).with_hint(hint));
        }
        Some(id) => setup.folder.find(id)?,
        None => setup.choose(chosen.as_ref())?,
    };
    if manifest.keys().next().is_none() {
        return Err(Failure::usage(format!("the plugin `{}` takes no key", manifest.id)));
    }
    let chosen = chosen.filter(|chosen| chosen.profile.provider == manifest.id);
    match command {
        Command::Set(_) => set(global, &setup, manifest, chosen.as_ref(), &args.output).await,
        Command::List(_) => Ok(list(&setup, manifest, chosen.as_ref(), &args.output)),
        Command::Test(_) => test(&setup, entry, manifest, chosen, &args.output).await,
        Command::Remove(_) => remove(&setup, manifest, &args.output),
    }
}

async fn set(
    global: &Global,
    setup: &Setup,
    manifest: &Manifest,
    chosen: Option<&Chosen>,
    output: &Output,
) -> Result<Exit, Failure> {
    let mut interrupts = Interrupts::listen()?;
    let key = match io::stdin().is_terminal() {
        true => key::typed(manifest).await?.ok_or_else(terminal::left)?,
        false => read_key_from_stdin()?,
    };
    let account = interrupts.or(key::check(global, manifest, &key)).await;
    let account = account.ok_or_else(terminal::interrupted)??;
    let file = key::store(setup, manifest, &key)?;
    let rows = rows(setup, manifest, chosen);
    let used = rows.iter().find(|row| row.key.is_some());
    let shadow = used
        .filter(|row| row.source != described_file(&file))
        .map(|row| &row.source);
    if output.json {
        let (id, file) = (&manifest.id, file.to_string_lossy());
        terminal::print_json(&json!({"plugin": id, "file": file, "ending": key.ending(), "shadowed_by": shadow}));
        return Ok(Exit::Ok);
    }
    terminal::print_line(&format!("{account}\nstored in `{}`", file.display()));
    if let Some(shadow) = shadow {
        terminal::say_styled(
            DOUBTFUL,
            &terminal::clean_line(&format!("not used: {shadow} comes first")),
        );
    }
    Ok(Exit::Ok)
}

/// A place where a key may be.
struct Row {
    source: String,
    /// `None` if there is none.
    key: Option<Key>,
}

/// What is known about a key.
enum Key {
    Known(Secret),
    /// Why it is not known.
    Unknown(String),
}

impl Key {
    fn of_file(path: &std::path::Path) -> Self {
        match read_key_file(path) {
            Ok((key, _)) => Self::Known(key),
            Err(failure) => Self::Unknown(failure.message.trim_start_matches("no key: ").to_owned()),
        }
    }

    /// The last letters.
    fn ending(&self) -> Option<&str> {
        match self {
            Self::Known(key) => key.ending(),
            Self::Unknown(_) => None,
        }
    }
}

/// Every place in order. The first one with a key is used.
fn rows(setup: &Setup, manifest: &Manifest, chosen: Option<&Chosen>) -> Vec<Row> {
    let source = chosen.and_then(|chosen| chosen.profile.api_key.as_ref());
    let in_profile = source.map(|source| match source {
        KeySource::Env(name) => {
            let found = setup.environment.variable(name).map(|found| Key::Known(found.value));
            found.unwrap_or_else(|| Key::Unknown(format!("`{name}` is not set")))
        }
        KeySource::File(path) => Key::of_file(path),
        // It may ask the user to unlock something.
        KeySource::Command(words) => Key::Unknown(format!("the command `{}` gives it", words[0])),
    });
    let mut rows = vec![Row {
        source: format!("`apiKey` of profile `{}`", setup.places.profile),
        key: in_profile,
    }];
    let key_at = |at| match at {
        KeyAt::Value(key) => Key::Known(key),
        KeyAt::File(path) => Key::of_file(&path),
    };
    let mut found: Vec<_> = setup.environment.candidates(manifest).collect();
    for variable in manifest.keys() {
        let source = format!("environment variable `{}`", variable.name);
        let place = found.iter().position(|candidate| candidate.origin == source);
        let key = place.map(|place| key_at(found.remove(place).at));
        rows.push(Row { source, key });
    }
    rows.extend(found.into_iter().map(|candidate| Row {
        source: candidate.origin,
        key: Some(key_at(candidate.at)),
    }));
    let stored = setup.environment.stored_key(manifest);
    if !exists(&stored) {
        let source = described_file(&stored);
        rows.push(Row { source, key: None });
    }
    rows
}

fn list(setup: &Setup, manifest: &Manifest, chosen: Option<&Chosen>, output: &Output) -> Exit {
    let rows = rows(setup, manifest, chosen);
    let used = rows.iter().position(|row| row.key.is_some());
    let status = |index: usize, row: &Row| match (&row.key, used) {
        (None, _) => "none",
        (Some(_), Some(used)) if used < index => "shadowed",
        (Some(Key::Known(_)), _) => "used",
        (Some(Key::Unknown(_)), _) => "unknown",
    };
    let rows = rows.iter().enumerate().map(|(index, row)| (status(index, row), row));
    if output.json {
        let sources: Vec<_> = rows
            .map(|(status, row)| {
                let ending = row.key.as_ref().and_then(Key::ending);
                let problem = row.key.as_ref().and_then(|key| match key {
                    Key::Known(_) => None,
                    Key::Unknown(why) => Some(why),
                });
                json!({"source": row.source, "status": status, "ending": ending, "problem": problem})
            })
            .collect();
        terminal::print_json(&json!({"plugin": manifest.id, "sources": sources}));
        return Exit::Ok;
    }
    let lines = rows.map(|(status, row)| {
        let key = match &row.key {
            None => String::new(),
            Some(Key::Known(key)) => format!("…{}", key.ending().unwrap_or_default()),
            Some(Key::Unknown(why)) => why.clone(),
        };
        vec![status.to_owned(), row.source.clone(), key]
    });
    const HEAD: [(&str, Fit); 3] = [("STATUS", Fit::Whole), ("SOURCE", Fit::Wrapped), ("KEY", Fit::Whole)];
    let mut table = terminal::table(&HEAD, lines, Page::of_stdout());
    if terminal::stdout_has_colour() {
        table.text = table.text.replacen("\nused", &format!("\n{GOOD}used{GOOD:#}"), 1);
    }
    terminal::print_table(&table);
    Exit::Ok
}

async fn test(
    setup: &Setup,
    entry: &Entry,
    manifest: &Manifest,
    chosen: Option<Chosen>,
    output: &Output,
) -> Result<Exit, Failure> {
    let given = setup.give(manifest, chosen.as_ref())?;
    let active = setup.start(entry, manifest, chosen, KeyUse::Needed).await?;
    let account = match active.plugin.account().await {
        Ok(account) => Some(account),
        Err(error) if error.kind == ErrorKind::UNSUPPORTED => None,
        Err(error) => return Err(active.used_key.explained(error).into()),
    };
    let key = manifest.keys().find_map(|variable| given.variables.get(&variable.name));
    let origin = given.key_origin.as_deref().unwrap_or_default();
    if output.json {
        let ending = key.and_then(Secret::ending);
        let is_accepted = account.is_some().then_some(true);
        terminal::print_json(&json!({
            "plugin": manifest.id, "source": origin, "ending": ending, "accepted": is_accepted,
            "label": account.as_ref().and_then(|account| account.label.as_ref()),
            "limit_usd": account.as_ref().and_then(|account| account.limit_usd.as_ref()),
        }));
    } else {
        let line = key.map(|key| key::described(key, account.as_ref()));
        terminal::print_line(&format!("{}\nit comes from {origin}", line.unwrap_or_default()));
    }
    active.shut_down().await;
    Ok(Exit::Ok)
}

fn remove(setup: &Setup, manifest: &Manifest, output: &Output) -> Result<Exit, Failure> {
    let file = setup.environment.stored_key(manifest);
    let shown = file.to_string_lossy();
    if !exists(&file) {
        return Err(Failure::usage(format!("no key is stored in `{shown}`"))
            .with_hint("see where keys come from: agent-host keys list"));
    }
    std::fs::remove_file(&file).map_err(|cause| Failure::internal(format!("`{shown}` cannot be deleted: {cause}")))?;
    match output.json {
        true => terminal::print_json(&json!({"plugin": manifest.id, "deleted": shown})),
        false => terminal::print_line(&format!("deleted `{shown}`")),
    }
    Ok(Exit::Ok)
}
