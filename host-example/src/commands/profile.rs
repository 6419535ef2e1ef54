//! `agent-host profile`: check, show, schema, init.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap::ValueHint;
use serde_json::{Map, Value, json};

use super::output::Output;
use crate::profile::{self, LoadError, Report, dotted, leaves_of};
use crate::setup::{Chosen, Global, Setup, exists, is_secret, write_atomically};
use crate::terminal::{self, Exit, Failure};

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
        Command::Schema => {
            terminal::print_json(&profile::document_schema(&setup.schemas()));
            Ok(Exit::Ok)
        }
        Command::Init { provider, force } => init(&setup, provider.as_deref(), *force),
    }
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
    let profiles = document.value().pointer("/auth/profiles").and_then(Value::as_object);
    let names: Vec<String> = profiles
        .into_iter()
        .flatten()
        .map(|(name, _)| format!("`{name}`"))
        .collect();
    let noun = if names.len() == 1 { "profile" } else { "profiles" };
    if as_json {
        terminal::print_line(&terminal::safe_json(&report.to_json().to_string()));
    } else {
        let listed = if names.is_empty() {
            String::new()
        } else {
            format!(": {}", names.join(", "))
        };
        terminal::print_line(&format!(
            "{} is valid, with {} {noun}{listed}",
            document.name(),
            names.len()
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
        terminal::say(report.render(terminal::stderr_has_colour()).trim_end());
    }
    if report.has_errors() { Exit::Profile } else { Exit::Ok }
}

fn needed(chosen: Option<Chosen>, setup: &Setup) -> Result<Chosen, Failure> {
    chosen.ok_or_else(|| {
        LoadError::NotFound {
            path: setup.places.config.clone(),
        }
        .into()
    })
}

async fn show(setup: &Setup) -> Result<Exit, Failure> {
    let chosen = needed(setup.profile().await?, setup)?;
    let pointer = format!(
        "/auth/profiles/{}",
        chosen.profile.name.replace('~', "~0").replace('/', "~1")
    );
    terminal::print_json(chosen.document.value().pointer(&pointer).unwrap_or(&Value::Null));
    Ok(Exit::Ok)
}

/// One effective value, and where it comes from.
struct Setting {
    name: String,
    value: Value,
    origin: String,
}

async fn show_resolved(setup: &Setup, as_json: bool) -> Result<Exit, Failure> {
    let mut active = setup.activate(false).await?;
    active.read_tiers().await?;
    let manifest = active.plugin.manifest().clone();
    let mut settings = vec![Setting {
        name: "provider".to_owned(),
        value: Value::from(manifest.id.as_str()),
        origin: match &active.chosen {
            Some(chosen) => origin_in(chosen, "/provider"),
            None if setup.is_on(&manifest) => "no profile; the only enabled plugin".to_owned(),
            None => "no profile; the plugin in the folder".to_owned(),
        },
    }];
    let given = setup.give(&manifest, active.chosen.as_ref())?;
    settings.push(Setting {
        name: "key".to_owned(),
        value: if given.key_origin.is_some() {
            Value::from("(set)")
        } else {
            Value::Null
        },
        origin: given.key_origin.clone().unwrap_or_else(|| "not set".to_owned()),
    });
    let empty = json!({});
    let options = active.chosen.as_ref().map_or(&empty, |chosen| &chosen.profile.options);
    let leaves = leaves_of("", options);
    for (pointer, value) in &leaves {
        let origin = active
            .chosen
            .as_ref()
            .map_or_else(String::new, |chosen| origin_in(chosen, pointer));
        settings.push(Setting {
            name: dotted(pointer),
            value: value.clone(),
            origin,
        });
    }
    for (pointer, value) in defaults_of(manifest.options_schema.as_ref().unwrap_or(&empty)) {
        if !leaves.contains_key(&pointer) {
            settings.push(Setting {
                name: dotted(&pointer),
                value,
                origin: "built-in default".to_owned(),
            });
        }
    }
    for variable in &manifest.environment {
        let is_key = manifest.keys().any(|key| key.name == variable.name);
        if let (false, Some(value)) = (is_key, given.variables.get(&variable.name)) {
            let shown = if is_secret(variable) { "(set)" } else { value.reveal() };
            let found = setup.environment.variable(&variable.name).map(|found| found.origin);
            settings.push(Setting {
                name: variable.name.clone(),
                value: Value::from(shown),
                origin: found.unwrap_or_else(|| "environment".to_owned()),
            });
        }
    }
    for tier in &active.tiers {
        settings.push(Setting {
            name: tier.tier.clone(),
            value: Value::from(tier.wire.as_str()),
            origin: tier.origin.clone(),
        });
    }
    if as_json {
        let object: Map<String, Value> = settings
            .into_iter()
            .map(|setting| (setting.name, json!({"value": setting.value, "origin": setting.origin})))
            .collect();
        terminal::print_json(&object);
    } else {
        let rows = settings
            .into_iter()
            .map(|setting| vec![setting.name, setting.value.to_string(), setting.origin]);
        terminal::print(&terminal::table(
            &["NAME", "VALUE", "SOURCE"],
            &rows.collect::<Vec<_>>(),
        ));
    }
    Ok(Exit::Ok)
}

/// The place of an option's value in the profile file.
fn origin_in(chosen: &Chosen, pointer: &str) -> String {
    let place = profile::map_plugin_problem(&chosen.document, &chosen.profile.name, pointer, String::new(), None);
    format!("{}:{}:{}", chosen.document.name(), place.line, place.column)
}

/// The defaults in the schema of the options, by their pointers.
fn defaults_of(schema: &Value) -> BTreeMap<String, Value> {
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

fn init(setup: &Setup, provider: Option<&str>, force: bool) -> Result<Exit, Failure> {
    let path = &setup.places.config;
    if exists(path) && !force {
        return Err(
            Failure::new(Exit::Usage, format!("`{}` already exists", path.display()))
                .with_hint("replace it with `--force`, or check it with `agent-host profile check`"),
        );
    }
    let provider = match provider {
        Some(id) => setup.folder.find(id)?.1.id.clone(),
        None => setup.choose(None)?.1.id.clone(),
    };
    let schema_name = "profile.schema.json";
    let schema_path: PathBuf = path.with_file_name(schema_name);
    let schema = pretty(&profile::document_schema(&setup.schemas())) + "\n";
    if !force && fs::read(&schema_path).is_ok_and(|there| there != schema.as_bytes()) {
        return Err(Failure::new(
            Exit::Usage,
            format!("`{}` already exists with different content", schema_path.display()),
        )
        .with_hint("replace it with `--force`"));
    }
    write_atomically(&schema_path, schema.as_bytes())?;
    let text = profile::starter(&setup.places.profile, &provider, Some(&format!("./{schema_name}")));
    write_atomically(path, text.as_bytes())?;
    terminal::print_line(&format!("wrote {} and {}", path.display(), schema_path.display()));
    terminal::print_line("next: agent-host profile check; agent-host tiers");
    Ok(Exit::Ok)
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}
