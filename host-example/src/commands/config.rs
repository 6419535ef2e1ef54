//! `agent-host config`: reads and changes single options of the profile.

use clap::builder::NonEmptyStringValueParser;
use clap_complete::ArgValueCandidates;
use plugin_api::Manifest;
use serde_json::{Value, json};

use super::Output;
use super::profile::defaults_of;
use crate::profile::{dotted, place_of, unknown_option};
use crate::setup::{Changed, Global, Setup, candidates};
use crate::terminal::{self, Exit, FAINT, Failure};

/// Read and change single options of the profile
#[derive(clap::Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum Command {
    /// Print the value of an option: the profile's, or else the built-in default
    Get {
        /// The option, such as `retry.attempts`, or its JSON pointer, such as `/retry/attempts`
        #[arg(value_parser = NonEmptyStringValueParser::new(), add = ArgValueCandidates::new(candidates::options))]
        option: String,
    },
    /// Set an option in the profile file, if the file stays valid; comments and formatting stay
    Set {
        /// The option, such as `retry.attempts`, or its JSON pointer, such as `/retry/attempts`
        #[arg(value_parser = NonEmptyStringValueParser::new(), add = ArgValueCandidates::new(candidates::options))]
        option: String,
        /// The value: JSON, or plain text
        #[arg(allow_hyphen_values = true)]
        value: String,
        #[command(flatten)]
        output: Output,
    },
    /// Remove an option from the profile file, so that its default applies
    Unset {
        /// The option, such as `retry.attempts`, or its JSON pointer, such as `/retry/attempts`
        #[arg(value_parser = NonEmptyStringValueParser::new(), add = ArgValueCandidates::new(candidates::options))]
        option: String,
        #[command(flatten)]
        output: Output,
    },
}

const EXAMPLES: &str = "\
Examples:
  agent-host config get retry.attempts
  agent-host config set model openrouter/auto      let the service choose the model
  agent-host config set providerPreferences.order '[\"anthropic\", \"amazon-bedrock\"]'
  agent-host config unset budget";

pub async fn run(global: &Global, command: &Command) -> Result<Exit, Failure> {
    let setup = Setup::read(global)?;
    match command {
        Command::Get { option } => get(&setup, option).await,
        Command::Set { option, value, output } => {
            let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value.as_str()));
            change(&setup, option, Some(&value), output.json).await
        }
        Command::Unset { option, output } => {
            let changed = setup.change(option, None).await?;
            if changed.before.is_none() {
                // The profile need not be valid, so its provider is read as it stands there.
                let document = setup.document(&setup.places.config)?;
                let provider = &document.value["auth"]["profiles"][&setup.places.profile]["provider"];
                if let Ok((_, manifest)) = setup.folder.find(provider.as_str().unwrap_or_default()) {
                    exists(&setup, manifest, option)?;
                }
            }
            Ok(print_change(&setup, changed, output.json))
        }
    }
}

async fn get(setup: &Setup, option: &str) -> Result<Exit, Failure> {
    let chosen = setup.profile().await?;
    let (_, manifest) = setup.choose(chosen.as_ref())?;
    let set = chosen.as_ref().and_then(|chosen| {
        let document = &chosen.document;
        document
            .value
            .pointer(&place_of(document, &chosen.profile.name, option))
    });
    if let Some(value) = set {
        print(value);
        return Ok(Exit::Ok);
    }
    let schema = manifest.options_schema.as_ref().unwrap_or(&Value::Null);
    let wanted = dotted(option);
    let defaults = defaults_of(schema);
    if let Some((_, default)) = defaults.iter().find(|(pointer, _)| dotted(pointer) == wanted) {
        terminal::say_styled(FAINT, "note: the profile does not set it; this is the built-in default");
        print(default);
        return Ok(Exit::Ok);
    }
    exists(setup, manifest, option)?;
    let shown = terminal::clean_line(option);
    Err(Failure::usage(format!("`{shown}` is not set and has no default"))
        .with_hint(format!("set it: agent-host config set {shown} VALUE")))
}

/// Checks that there is such an option.
fn exists(setup: &Setup, manifest: &Manifest, option: &str) -> Result<(), Failure> {
    let schemas = setup.folder.schemas();
    let schema = schemas.iter().find(|schema| schema.provider == manifest.id);
    let Some(unknown) = schema.and_then(|schema| unknown_option(schema, option)) else {
        return Ok(());
    };
    let near = unknown.closest.map(|near| format!("did you mean `{near}`?"));
    let message = format!("`{}` is no option of the profile", terminal::clean_line(option));
    let hint = near.unwrap_or_else(|| "`agent-host profile show --resolved` lists the options".to_owned());
    Err(Failure::usage(message).with_hint(hint))
}

/// Text as it is, anything else as JSON.
fn print(value: &Value) {
    match value {
        Value::String(text) => terminal::print_line(&terminal::clean(text)),
        value => terminal::print_json(value),
    }
}

/// Changes an option and shows the change.
pub(super) async fn change(setup: &Setup, option: &str, value: Option<&Value>, as_json: bool) -> Result<Exit, Failure> {
    Ok(print_change(setup, setup.change(option, value).await?, as_json))
}

/// Shows a change of the profile file.
pub(super) fn print_change(setup: &Setup, changed: Changed, as_json: bool) -> Exit {
    let file = setup.places.config.display().to_string();
    if as_json {
        let (pointer, before, after) = (changed.pointer, changed.before, changed.after);
        terminal::print_json(&json!({"file": file, "pointer": pointer, "before": before, "after": after}));
    } else {
        let shown = |value: Option<Value>| value.map_or("not set".to_owned(), |value| value.to_string());
        let (before, after) = (shown(changed.before), shown(changed.after));
        let change = match before == after {
            true if after == "not set" => "nothing to remove: it is not set".to_owned(),
            true => format!("already {after}"),
            false => format!("{before} → {after}"),
        };
        terminal::print_line(&terminal::clean_line(&format!("{file}: {}: {change}", changed.pointer)));
    }
    if !changed.warnings.is_empty() {
        terminal::say(changed.warnings.trim_end());
    }
    Exit::Ok
}
