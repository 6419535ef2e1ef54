//! `agent-host plugins`: list, install, enable, disable.

use std::path::PathBuf;

use clap::ValueHint;
use serde_json::json;

use super::Output;
use crate::setup::{Folder, Global, Setup, Verdict, create};
use crate::terminal::{self, BAD, DOUBTFUL, Exit, FAINT, Failure, GOOD, clean_line, print_line};

/// List, install, enable and disable plugins
#[derive(clap::Subcommand)]
pub enum Command {
    /// List every plugin, whether it is enabled, and why
    List(Output),
    /// Check a plugin and copy it into the plugin folder
    Install {
        /// The shared library
        #[arg(value_hint = ValueHint::FilePath)]
        path: PathBuf,
    },
    /// Enable a plugin again
    Enable {
        /// The plugin's id
        id: String,
    },
    /// Disable a plugin, even if its key is set
    Disable {
        /// The plugin's id
        id: String,
    },
}

pub async fn run(global: &Global, command: &Command) -> Result<Exit, Failure> {
    let mut setup = Setup::read(global)?;
    match command {
        Command::List(output) => list(&setup, output.json).await,
        Command::Install { path } => {
            let (manifest, to) = setup.folder.install(path)?;
            print_line(&clean_line(&format!(
                "installed {} {} as {}",
                manifest.id,
                manifest.version,
                to.display()
            )));
            setup.folder = Folder::read(&setup.places.plugins)?;
            let entry = setup.folder.find(&manifest.id)?.0;
            let verdict = setup.verdict(entry, None);
            print_line(&clean_line(&format!("it is {}: {}", verdict.word(), verdict.reason())));
            Ok(Exit::Ok)
        }
        Command::Enable { id } => {
            setup.folder.find(id)?;
            setup.folder.set_disabled(id, false)?;
            let verdict = setup.verdict(setup.folder.find(id)?.0, None);
            let (word, reason) = (verdict.word(), verdict.reason());
            print_line(&clean_line(&format!("{id} is {word}: {reason}")));
            Ok(Exit::Ok)
        }
        Command::Disable { id } => {
            setup.folder.find(id)?;
            setup.folder.set_disabled(id, true)?;
            print_line(&clean_line(&format!(
                "{id} is disabled; `agent-host plugins enable {id}` enables it again"
            )));
            Ok(Exit::Ok)
        }
    }
}

async fn list(setup: &Setup, as_json: bool) -> Result<Exit, Failure> {
    // A profile with mistakes must not hide the plugins.
    let (chosen, trouble) = match setup.profile().await {
        Ok(chosen) => (chosen, None),
        Err(failure) => (None, Some(failure)),
    };
    let mut rows = Vec::new();
    let mut listed = Vec::new();
    for entry in &setup.folder.entries {
        let mut verdict = setup.verdict(entry, chosen.as_ref());
        let manifest = entry.manifest.as_ref().ok();
        if let (Verdict::Enabled(_), Some(manifest)) = (&verdict, manifest) {
            // Only loading shows whether an enabled plugin works.
            let own = chosen.as_ref().filter(|chosen| chosen.profile.provider == manifest.id);
            let created = setup
                .config(manifest, own)
                .and_then(|config| create(&entry.file, manifest, &config));
            match created {
                Ok(_) => {}
                Err(failure) if failure.exit == Exit::Plugin => verdict = Verdict::Refused(failure.message),
                Err(failure) => verdict = Verdict::Failed(failure.message),
            }
        }
        let version = manifest.map_or("-", |manifest| manifest.version.as_str());
        let api = manifest.map_or("-", |manifest| manifest.plugin_api.as_str());
        let replaced = entry.replaced_version();
        let aside = match &replaced {
            Some(installed) => format!("; file replaced since {installed} was installed"),
            None => String::new(),
        };
        rows.push(vec![
            entry.id(),
            version.to_owned(),
            api.to_owned(),
            verdict.word().to_owned(),
            format!("{}{aside}", verdict.reason()),
        ]);
        let mut row = serde_json::to_value(&verdict).unwrap_or_default();
        row["id"] = json!(manifest.map(|manifest| manifest.id.as_str()));
        row["file"] = json!(entry.file);
        row["version"] = json!(manifest.map(|manifest| manifest.version.as_str()));
        row["plugin_api"] = json!(manifest.map(|manifest| manifest.plugin_api.as_str()));
        row["installed_version"] = json!(replaced);
        listed.push(row);
    }
    if as_json {
        terminal::print_json(&listed);
    } else if listed.is_empty() {
        print_line(&format!("no plugins in {}", setup.folder.path.display()));
        terminal::say("hint: install one with `agent-host plugins install PATH`");
    } else {
        let mut table = terminal::table(&["PLUGIN", "VERSION", "API", "VERDICT", "REASON"], rows);
        let styles = [
            ("enabled", GOOD),
            ("idle", DOUBTFUL),
            ("disabled", FAINT),
            ("refused", BAD),
            ("failed", BAD),
        ];
        for (word, style) in styles.iter().filter(|_| terminal::stdout_has_colour()) {
            table = table.replace(&format!("  {word}  "), &format!("  {style}{word}{style:#}  "));
        }
        terminal::print(&table);
    }
    if let Some(failure) = trouble {
        terminal::say(&format!("{failure}\nnote: the verdicts above ignore the profile"));
    }
    Ok(Exit::Ok)
}
