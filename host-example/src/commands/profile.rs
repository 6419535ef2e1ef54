//! `agent-host profile`: check, show, schema, init, add, import.

mod import;

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::ValueHint;
use clap::builder::NonEmptyStringValueParser;
use clap_complete::ArgValueCandidates;
use serde_json::{Map, Value, json};

use super::{Output, config};
use crate::agents;
use crate::profile::{self, LoadError, Report, dotted, leaves_of};
use crate::setup::{Chosen, Global, Setup, candidates, exists, is_secret, write_atomically, write_new};
use crate::talk::events;
use crate::terminal::{self, Exit, Failure, Fit, Page};

/// Check, show, describe and create profile files
#[derive(clap::Subcommand)]
pub enum Command {
    /// Report every problem in a profile file
    Check {
        /// The file to check; by default the profile file
        #[arg(value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
        #[command(flatten)]
        output: Output,
    },
    /// Print the profile
    Show {
        /// Show every effective value, including defaults, and where it comes from
        #[arg(long)]
        resolved: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Print the JSON Schema of profile files, for editors
    Schema,
    /// Create a commented starter profile, with its schema next to it
    Init {
        /// The plugin that the profile is for
        #[arg(long, value_name = "ID")]
        provider: Option<String>,
        /// Replace an existing file
        #[arg(long)]
        force: bool,
    },
    /// Add another profile to the file; comments and formatting stay
    Add {
        /// Its name, which `--profile` selects
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
        /// The plugin that it is for; by default the one of the selected profile
        #[arg(long, value_name = "ID", add = ArgValueCandidates::new(candidates::plugins))]
        provider: Option<String>,
        #[command(flatten)]
        output: Output,
    },
    /// Write a profile from another program's settings
    ///
    /// Reads librechat.yaml, milady.json, a file of variables such as .env, LiteLLM's config.yaml, opencode.json and
    /// aichat's config.yaml, whatever their names are. Says for each line what it became, or why it was not taken.
    /// A key is never copied, and no file is overwritten.
    Import {
        /// The other program's file
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// The profile file to write; by default the profile file
        #[arg(short, long, value_name = "PROFILE", value_hint = ValueHint::FilePath)]
        output: Option<PathBuf>,
        /// The plugin that the profile is for
        #[arg(long, value_name = "ID")]
        provider: Option<String>,
        #[command(flatten)]
        format: Output,
    },
}

pub async fn run(global: &Global, command: &Command) -> Result<Exit, Failure> {
    let setup = Setup::read(global)?;
    match command {
        Command::Check { file, output } => check(&setup, file.as_deref(), output.json).await,
        Command::Show {
            resolved: false,
            output: _,
        } => show(&setup).await,
        Command::Show { resolved: true, output } => show_resolved(&setup, output.json).await,
        Command::Schema => print_schema(global, "profile"),
        Command::Add { name, provider, output } => add(&setup, name, provider.as_deref(), output.json).await,
        Command::Init { provider, force } => init(&setup, provider.as_deref(), *force),
        Command::Import {
            file,
            output,
            provider,
            format,
        } => import::run(&setup, file, output.as_deref(), provider.as_deref(), format.json).await,
    }
}

/// Prints the schema of `events` or of a `profile`.
pub fn print_schema(global: &Global, of: &str) -> Result<Exit, Failure> {
    let schema = match of {
        "agent" => agents::schema(),
        "events" => events::schema(),
        _ => profile::document_schema(&Setup::read(global)?.folder.schemas()),
    };
    terminal::print_json(&schema);
    Ok(Exit::Ok)
}

async fn check(setup: &Setup, file: Option<&Path>, as_json: bool) -> Result<Exit, Failure> {
    let path = file.unwrap_or(&setup.places.config);
    let document = match setup.document(path) {
        Ok(document) => document,
        Err(LoadError::Report(report)) => return Ok(print_report(&report, as_json)),
        Err(error) => return Err(error.into()),
    };
    let report = setup.report(&document).await?;
    if !report.problems.is_empty() {
        return Ok(print_report(&report, as_json));
    }
    let profiles = document.value.pointer("/auth/profiles").and_then(Value::as_object);
    let names: Vec<String> = profiles
        .into_iter()
        .flatten()
        .map(|(name, _)| format!("`{name}`"))
        .collect();
    if as_json {
        terminal::print_line(&terminal::safe_json(&report.to_json().to_string()));
    } else {
        let listed = if names.is_empty() {
            String::new()
        } else {
            format!(": {}", names.join(", "))
        };
        terminal::print_line(&format!(
            "{} is valid, with {}{listed}",
            document.name,
            terminal::counted(names.len(), "profile")
        ));
        let wanted = &setup.places.profile;
        if !names.contains(&format!("`{wanted}`")) {
            terminal::say(&format!(
                "note: it has no profile `{wanted}`; choose another one with `--profile`"
            ));
        }
    }
    Ok(Exit::Ok)
}

/// Warnings alone leave the profile usable.
fn print_report(report: &Report, as_json: bool) -> Exit {
    if as_json {
        terminal::print_line(&terminal::safe_json(&report.to_json().to_string()));
    } else {
        terminal::say_raw(report.render(terminal::stderr_has_colour()).trim_end());
    }
    if report.has_errors() { Exit::Profile } else { Exit::Ok }
}

async fn show(setup: &Setup) -> Result<Exit, Failure> {
    let chosen = setup.profile().await?.ok_or_else(|| LoadError::NotFound {
        path: setup.places.config.clone(),
    })?;
    let profiles = &chosen.document.value["auth"]["profiles"];
    terminal::print_json(&profiles[&chosen.profile.name]);
    Ok(Exit::Ok)
}

async fn show_resolved(setup: &Setup, as_json: bool) -> Result<Exit, Failure> {
    let mut active = setup.activate(false).await?;
    active.read_tiers().await?;
    // Name, value and origin.
    let mut settings: Vec<(String, Value, String)> = Vec::new();
    let mut add = |name: &str, value: Value, origin: String| settings.push((name.to_owned(), value, origin));
    let manifest = active.plugin.manifest();
    let chosen = active.chosen.as_ref();
    let origin = match chosen {
        Some(chosen) => origin_in(chosen, "/provider"),
        None if setup.is_on(manifest) => "no profile; the only enabled plugin".to_owned(),
        None => "no profile; the plugin in the folder".to_owned(),
    };
    add("provider", Value::from(manifest.id.as_str()), origin);
    let given = setup.give(manifest, chosen)?;
    let key = given.key_origin.as_ref().map(|_| "(set)");
    let origin = given.key_origin.clone().unwrap_or_else(|| "not set".to_owned());
    add("key", Value::from(key), origin);
    let leaves = chosen.map_or_else(BTreeMap::new, |chosen| leaves_of("", &chosen.profile.options));
    if let Some(chosen) = chosen {
        for (pointer, value) in &leaves {
            add(&dotted(pointer), value.clone(), origin_in(chosen, pointer));
        }
    }
    for (pointer, value) in defaults_of(manifest.options_schema.as_ref().unwrap_or(&Value::Null)) {
        if !leaves.contains_key(&pointer) {
            add(&dotted(&pointer), value, "built-in default".to_owned());
        }
    }
    for variable in &manifest.environment {
        let is_key = manifest.keys().any(|key| key.name == variable.name);
        if let (false, Some(value)) = (is_key, given.variables.get(&variable.name)) {
            let shown = if is_secret(variable) { "(set)" } else { value.reveal() };
            let found = setup.environment.variable(&variable.name);
            let origin = found.map_or_else(|| "environment".to_owned(), |found| found.origin);
            add(&variable.name, Value::from(shown), origin);
        }
    }
    for tier in &active.tiers {
        add(&tier.tier, Value::from(tier.wire.as_str()), tier.origin.clone());
    }
    if as_json {
        let members = settings.into_iter();
        let object: Map<String, Value> = members
            .map(|(name, value, origin)| (name, json!({"value": value, "origin": origin})))
            .collect();
        terminal::print_json(&object);
    } else {
        let rows = settings.into_iter();
        let rows = rows.map(|(name, value, origin)| vec![name, value.to_string(), origin]);
        let head = [("NAME", Fit::Whole), ("VALUE", Fit::Wrapped), ("SOURCE", Fit::Wrapped)];
        terminal::print_table(&terminal::table(&head, rows, Page::of_stdout()));
    }
    Ok(Exit::Ok)
}

/// The place of an option's value in the profile file.
fn origin_in(chosen: &Chosen, pointer: &str) -> String {
    let place = profile::map_plugin_problem(&chosen.document, &chosen.profile.name, pointer, String::new(), None);
    format!("{}:{}:{}", chosen.document.name, place.line, place.column)
}

/// The defaults in the schema of the options, by their pointers.
pub(super) fn defaults_of(schema: &Value) -> BTreeMap<String, Value> {
    let mut defaults = BTreeMap::new();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let pointer = format!("/{name}");
        match &property["default"] {
            Value::Null => {}
            default => defaults.extend(leaves_of(&pointer, default)),
        }
    }
    defaults.retain(|_, value| !matches!(value, Value::Array(items) if items.is_empty()));
    defaults
}

async fn add(setup: &Setup, name: &str, provider: Option<&str>, as_json: bool) -> Result<Exit, Failure> {
    let document = setup.document(&setup.places.config)?;
    let profiles = &document.value["auth"]["profiles"];
    let shown = terminal::clean_line(name);
    if profiles.get(name).is_some() {
        return Err(
            Failure::usage(format!("`{}` has a profile `{shown}` already", document.name)).with_hint(format!(
                "change it: agent-host --profile {shown} config set OPTION VALUE"
            )),
        );
    }
    let selected = profiles[&setup.places.profile]["provider"].as_str();
    let manifest = match provider.or(selected) {
        Some(id) => setup.folder.find(id)?.1,
        None => setup.choose(None)?.1,
    };
    let value = json!({"provider": manifest.id});
    let changed = setup
        .write(&document, profile::profile_pointer(name), Some(&value))
        .await?;
    let exit = config::print_change(setup, changed, as_json);
    if !as_json {
        terminal::print_line(&format!(
            "next: agent-host --profile {shown} config set model MODEL; agent-host --profile {shown} chat"
        ));
    }
    Ok(exit)
}

/// Copies a file that is about to be replaced, under a name that is free.
fn keep_previous(path: &Path) -> Result<Option<PathBuf>, Failure> {
    let failed = |cause| Failure::internal(format!("`{}` cannot be kept: {cause}", path.display()));
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(failed(cause)),
    };
    let name = |number: u32| {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        path.with_file_name(format!("{file}.bak{number}"))
    };
    for kept in (1..).map(name) {
        if write_new(&kept, &bytes).map_err(failed)? {
            return Ok(Some(kept));
        }
    }
    Ok(None)
}

fn init(setup: &Setup, provider: Option<&str>, force: bool) -> Result<Exit, Failure> {
    let path = &setup.places.config;
    if exists(path) && !force {
        return Err(Failure::usage(format!("`{}` already exists", path.display()))
            .with_hint("replace it with `--force`, or check it with `agent-host profile check`"));
    }
    let (_, manifest) = match provider {
        Some(id) => setup.folder.find(id)?,
        None => setup.choose(None)?,
    };
    let schema_name = "profile.schema.json";
    let schema_path: PathBuf = path.with_file_name(schema_name);
    let schema = format!("{:#}\n", profile::document_schema(&setup.folder.schemas()));
    if !force && fs::read(&schema_path).is_ok_and(|there| there != schema.as_bytes()) {
        return Err(Failure::usage(format!(
            "`{}` already exists with different content",
            schema_path.display()
        ))
        .with_hint("replace it with `--force`"));
    }
    write_atomically(&schema_path, schema.as_bytes())?;
    let options = manifest.options_schema.as_ref().unwrap_or(&Value::Null);
    let schema_ref = format!("./{schema_name}");
    let text = profile::starter(&setup.places.profile, &manifest.id, Some(&schema_ref), options);
    let kept = keep_previous(path)?;
    write_atomically(path, text.as_bytes())?;
    if let Some(kept) = kept {
        terminal::say(&format!("note: the previous file is kept as {}", kept.display()));
    }
    terminal::print_line(&format!("wrote {} and {}", path.display(), schema_path.display()));
    terminal::print_line("next: agent-host profile check; agent-host tiers");
    Ok(Exit::Ok)
}
