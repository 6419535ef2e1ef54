//! `agent-host paths`: every file and folder that the program uses.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::history;
use crate::setup::{FOLDER_FILE, Global, HISTORY, KNOWN, LOCK_FILE, MODEL_IDS, Places, SWITCHES_FILE, TOKEN, TRUSTED};
use crate::setup::{exists, set_variable, state_file};
use crate::terminal::{self, Exit, Failure, Fit, Page};

/// A file or folder.
#[derive(Serialize)]
struct Place {
    name: &'static str,
    /// `null`: it has no place unless you name one.
    path: Option<PathBuf>,
    exists: bool,
    purpose: &'static str,
    /// The options and variables that name another one; the first that is set wins.
    moved_by: &'static [&'static str],
}

/// - In: `as_json`, for programs.
pub fn run(global: &Global, as_json: bool) -> Result<Exit, Failure> {
    let places = places(global)?;
    if as_json {
        terminal::print_json(&places);
        return Ok(Exit::Ok);
    }
    let rows = places.into_iter().map(|place| {
        let path = place
            .path
            .map_or("-".to_owned(), |path| terminal::clean_line(&path.display().to_string()));
        let there = if place.exists { "✓" } else { "–" };
        let moved_by = place.moved_by.join(", ");
        vec![
            place.name.to_owned(),
            there.to_owned(),
            path,
            place.purpose.to_owned(),
            moved_by,
        ]
    });
    const HEAD: [(&str, Fit); 5] = [
        ("NAME", Fit::Whole),
        ("THERE", Fit::Whole),
        ("PATH", Fit::Whole),
        ("WHAT FOR", Fit::Spare),
        ("MOVED BY", Fit::Dropped),
    ];
    terminal::print_table(&terminal::records(&HEAD, rows, Page::of_stdout()));
    Ok(Exit::Ok)
}

fn places(global: &Global) -> Result<Vec<Place>, Failure> {
    const CONFIG: &[&str] = &["--config", "AGENT_HOST_CONFIG", "XDG_CONFIG_HOME"];
    const PLUGINS: &[&str] = &["--plugins", "AGENT_HOST_PLUGINS", "XDG_DATA_HOME"];
    const STATE: &[&str] = &["XDG_STATE_HOME"];
    let places = Places::from(global)?;
    let log = global.log_file.clone();
    let log = log.or_else(|| set_variable("AGENT_HOST_LOG_FILE").map(PathBuf::from));
    let variables = global
        .env_file
        .clone()
        .unwrap_or_else(|| Path::new(FOLDER_FILE).to_owned());
    let schema = places.config.with_file_name("profile.schema.json");
    let in_plugins = |name: &str| places.plugins.join(name);
    let place = |name, path: Option<PathBuf>, purpose, moved_by| Place {
        name,
        exists: path.as_deref().is_some_and(exists),
        path,
        purpose,
        moved_by,
    };
    let kept = |name, file: &str, purpose| Ok::<_, Failure>(place(name, Some(state_file(file)?), purpose, STATE));
    Ok(vec![
        place(
            "profile",
            Some(places.config.clone()),
            "which models answer, and how",
            CONFIG,
        ),
        place(
            "schema",
            Some(schema),
            "the profile's schema for editors; `profile init` writes it",
            CONFIG,
        ),
        place(
            "variables",
            Some(variables),
            "keys and other variables",
            &["--env-file"],
        ),
        place(
            "keys",
            Some(places.config_folder.join("keys")),
            "keys that `keys set` stored",
            &["XDG_CONFIG_HOME"],
        ),
        place(
            "templates",
            Some(places.templates()),
            "prompts for `run`",
            &["XDG_CONFIG_HOME"],
        ),
        place(
            "agents",
            Some(places.config_folder.join("agents")),
            "agents that `agent new` wrote, a file each",
            &["XDG_CONFIG_HOME"],
        ),
        place(
            "mcp",
            Some(places.config_folder.join("mcp.json")),
            "the MCP servers for all agents",
            &["XDG_CONFIG_HOME"],
        ),
        place("plugins", Some(places.plugins.clone()), "the plugin folder", PLUGINS),
        place(
            "lock",
            Some(in_plugins(LOCK_FILE)),
            "the recorded SHA-256 of each plugin",
            PLUGINS,
        ),
        place(
            "switches",
            Some(in_plugins(SWITCHES_FILE)),
            "which plugins are disabled",
            PLUGINS,
        ),
        place(
            "log",
            log,
            "the log, if you want one",
            &["--log-file", "AGENT_HOST_LOG_FILE"],
        ),
        place(
            "store",
            Some(history::file()?),
            "what calls cost; `agent-host store` trims it",
            &["AGENT_HOST_STORE", "XDG_STATE_HOME"],
        ),
        kept("history", HISTORY, "input lines of conversations")?,
        kept(
            "model-ids",
            MODEL_IDS,
            "the ids that `models` listed last, for completions",
        )?,
        kept("known-plugins", KNOWN, "verdicts of plugins that were tried")?,
        kept("trusted-addresses", TRUSTED, "addresses that you confirmed")?,
        Place {
            moved_by: &["serve --token-file", "AGENT_HOST_TOKEN", "XDG_STATE_HOME"],
            ..kept("token", TOKEN, "the token that clients of `serve` send")?
        },
    ])
}
