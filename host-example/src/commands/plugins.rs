//! `agent-host plugins`: what is in the plugin folder, and which bytes of it are used; and what plugin authors need.

mod new;
mod verify;

use std::env::consts::DLL_EXTENSION;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::ValueHint;
use serde_json::{Value, json};

use super::Output;
use crate::setup::{Chosen, Entry, Folder, Global, Setup, Verdict};
use crate::terminal::{self, BAD, DOUBTFUL, Exit, FAINT, Failure, GOOD, clean_line, print_line};

/// List, install, enable and disable plugins
#[derive(clap::Subcommand)]
pub enum Command {
    /// List every plugin, whether it is enabled, and why
    List(Output),
    /// Show what a plugin declares, its file, and what is recorded of it
    Info(One),
    /// Check a plugin, try it in a process of its own, and copy it into the plugin folder
    Install {
        /// The shared library; or an id, for the library beside this program
        #[arg(value_hint = ValueHint::FilePath)]
        path: PathBuf,
        #[command(flatten)]
        output: Output,
    },
    /// Delete a plugin from the plugin folder
    Remove(One),
    /// Enable a plugin again
    Enable(One),
    /// Disable a plugin, even if its key is set
    Disable(One),
    /// Record the bytes that a plugin's file has now, after you replaced it
    Accept(One),
    /// Record every plugin in the folder, for `--locked`
    Lock(Output),
    /// Check whether a plugin does what every plugin must; for authors, without a key
    Verify {
        /// The shared library; or an id, for the library beside this program
        #[arg(value_hint = ValueHint::FilePath)]
        path: PathBuf,
        #[command(flatten)]
        output: Output,
    },
    /// Write a crate with a small plugin, to build on
    New(new::Args),
}

/// One plugin of the folder.
#[derive(clap::Args)]
pub struct One {
    /// The plugin's id
    id: String,
    #[command(flatten)]
    output: Output,
}

pub async fn run(global: &Global, command: &Command) -> Result<Exit, Failure> {
    let mut setup = Setup::read(global)?;
    match command {
        Command::Verify { path, output } => verify::run(&library_at(path)?, output),
        Command::New(args) => new::run(&setup, args),
        Command::List(output) => list(&setup, output).await,
        Command::Info(One { id, output }) => info(&setup, id, output),
        Command::Install { path, output } => {
            let (manifest, to) = setup.folder.install(&library_at(path)?)?;
            setup.folder = Folder::read(&setup.places)?;
            let verdict = setup.verdict(setup.folder.find(&manifest.id)?.0, None);
            let (id, version, to) = (&manifest.id, &manifest.version, to.to_string_lossy());
            let lines = format!(
                "installed {id} {version} as {to}\nit is {}: {}",
                verdict.word(),
                verdict.reason()
            );
            Ok(say_done(
                output,
                json!({"id": id, "version": version, "file": to}),
                &lines,
            ))
        }
        Command::Remove(One { id, output }) => {
            let files = setup.folder.remove(id)?;
            let files: Vec<_> = files.iter().map(|file| file.to_string_lossy()).collect();
            let line = format!("deleted {}", files.join(" and "));
            Ok(say_done(output, json!({"id": id, "deleted": files}), &line))
        }
        Command::Enable(One { id, output }) | Command::Disable(One { id, output }) => {
            let disabled = matches!(command, Command::Disable(_));
            setup.folder.find(id)?;
            setup.folder.set_disabled(id, disabled)?;
            let verdict = setup.verdict(setup.folder.find(id)?.0, None);
            let line = if disabled {
                format!("{id} is disabled; `agent-host plugins enable {id}` enables it again")
            } else {
                format!("{id} is {}: {}", verdict.word(), verdict.reason())
            };
            Ok(say_done(output, json!({"id": id, "verdict": verdict.word()}), &line))
        }
        Command::Accept(One { id, output }) => {
            let image = setup.folder.accept(id)?;
            let (version, sha256) = (&image.manifest().version, image.sha256());
            let line = format!("recorded {id} {version}, SHA-256 {sha256}");
            Ok(say_done(
                output,
                json!({"id": id, "version": version, "sha256": sha256}),
                &line,
            ))
        }
        Command::Lock(output) => lock(&setup, output),
    }
}

fn lock(setup: &Setup, output: &Output) -> Result<Exit, Failure> {
    let usable = setup.folder.entries.iter().filter(|entry| entry.manifest.is_ok());
    let images: Result<Vec<_>, Failure> = usable.map(|entry| setup.folder.accept(&entry.id())).collect();
    let rows: Vec<[String; 3]> = images?
        .iter()
        .map(|image| {
            let manifest = image.manifest();
            [&manifest.id, &manifest.version, image.sha256()].map(str::to_owned)
        })
        .collect();
    if output.json {
        terminal::print_json(&rows);
    } else {
        let rows = rows.into_iter().map(Vec::from);
        terminal::print(&terminal::table(&["PLUGIN", "VERSION", "SHA-256"], rows));
    }
    Ok(Exit::Ok)
}

/// Reports what a command did.
fn say_done(output: &Output, value: Value, lines: &str) -> Exit {
    if output.json {
        terminal::print_json(&value);
    } else {
        lines.lines().for_each(|line| print_line(&clean_line(line)));
    }
    Exit::Ok
}

/// The library to install: a path, or the id of a plugin that came with this program.
fn library_at(path: &Path) -> Result<PathBuf, Failure> {
    let is_id = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    let Some(id) = path.to_str().filter(|text| is_id(text) && !path.exists()) else {
        return expect_file(path).map(|()| path.to_owned());
    };
    let name = format!(
        "{}plugin_{}{}",
        std::env::consts::DLL_PREFIX,
        id.replace('-', "_"),
        std::env::consts::DLL_SUFFIX
    );
    let program = std::env::current_exe().unwrap_or_default();
    let beside = program.parent().unwrap_or(Path::new("."));
    let places = [beside.join(&name), beside.join("../lib").join(&name)];
    places.iter().find(|file| file.is_file()).cloned().ok_or_else(|| {
        let looked: Vec<String> = places.iter().map(|place| format!("`{}`", place.display())).collect();
        Failure::usage(format!(
            "there is no library of a plugin `{id}`: looked for {}",
            looked.join(" and ")
        ))
        .with_hint(format!("name the file: agent-host plugins install PATH/TO/{name}"))
    })
}

fn expect_file(path: &Path) -> Result<(), Failure> {
    let found = match fs::metadata(path) {
        Ok(found) if found.is_dir() => "a folder".to_owned(),
        Ok(_) => return Ok(()),
        Err(cause) if cause.kind() == ErrorKind::NotFound => "nothing".to_owned(),
        Err(cause) => cause.to_string(),
    };
    let folder = if path.is_dir() { Some(path) } else { path.parent() };
    let folder = folder
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let (shown, folder) = (path.display(), folder.display());
    let message = format!("`{shown}`: expected the file of a plugin, such as `libNAME.{DLL_EXTENSION}`, found {found}");
    Err(Failure::new(Exit::Plugin, message).with_hint(format!("look for it: ls {folder}")))
}

/// What the list says of one file.
fn verdict_of(setup: &Setup, entry: &Entry, chosen: Option<&Chosen>) -> Verdict {
    if let Err(refusal) = setup.folder.examine(entry) {
        return Verdict::Refused(refusal.reason);
    }
    let verdict = setup.verdict(entry, chosen);
    let answers = setup.choose(chosen).is_ok_and(|(chosen, _)| chosen.file == entry.file);
    let (Verdict::Enabled(_), Ok(manifest), true) = (&verdict, &entry.manifest, answers) else {
        return verdict;
    };
    // Only loading shows whether the plugin that answers works with its key and profile.
    let own = chosen.filter(|chosen| chosen.profile.provider == manifest.id);
    let config = setup.config(manifest, own);
    match config.and_then(|config| setup.create(entry, manifest, &config, own)) {
        Ok(_) => verdict,
        Err(failure) if failure.exit == Exit::Plugin => Verdict::Refused(failure.message),
        Err(failure) => Verdict::Failed(failure.message),
    }
}

/// What programs read of one file.
fn json_of(setup: &Setup, entry: &Entry, verdict: &Verdict) -> Value {
    let manifest = entry.manifest.as_ref().ok();
    let mut row = serde_json::to_value(verdict).unwrap_or_default();
    if let Err(refusal) = setup.folder.examine(entry) {
        row["code"] = json!(refusal.code);
        row["hint"] = json!(refusal.hint);
    }
    row["id"] = json!(manifest.map(|manifest| &manifest.id));
    row["file"] = json!(entry.file.to_string_lossy());
    row["version"] = json!(manifest.map(|manifest| &manifest.version));
    row["plugin_api"] = json!(manifest.map(|manifest| &manifest.plugin_api));
    row["sha256"] = json!(entry.sha256);
    row["recorded"] = json!(manifest.and_then(|manifest| setup.folder.lock.record_of(&manifest.id)));
    row["warnings"] = json!(entry.warnings);
    row
}

async fn list(setup: &Setup, output: &Output) -> Result<Exit, Failure> {
    // A profile with mistakes must not hide the plugins.
    let (chosen, trouble) = match setup.profile().await {
        Ok(chosen) => (chosen, None),
        Err(failure) => (None, Some(failure)),
    };
    let entries = &setup.folder.entries;
    let verdicts: Vec<Verdict> = entries
        .iter()
        .map(|entry| verdict_of(setup, entry, chosen.as_ref()))
        .collect();
    if output.json {
        let rows = entries.iter().zip(&verdicts);
        let rows: Vec<Value> = rows.map(|(entry, verdict)| json_of(setup, entry, verdict)).collect();
        terminal::print_json(&rows);
    } else if entries.is_empty() {
        print_line(&format!("no plugins in {}", setup.folder.path.display()));
        terminal::say("hint: install one with `agent-host plugins install PATH`");
    } else {
        let rows = entries.iter().zip(&verdicts).map(|(entry, verdict)| {
            let manifest = entry.manifest.as_ref().ok();
            let version = manifest.map_or("-", |manifest| manifest.version.as_str());
            let api = manifest.map_or("-", |manifest| manifest.plugin_api.as_str());
            let reasons: Vec<&str> = [verdict.reason()]
                .into_iter()
                .chain(entry.warnings.iter().map(String::as_str))
                .collect();
            vec![
                entry.id(),
                version.to_owned(),
                api.to_owned(),
                verdict.word().to_owned(),
                reasons.join("; "),
            ]
        });
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

fn info(setup: &Setup, id: &str, output: &Output) -> Result<Exit, Failure> {
    let (entry, manifest) = setup.folder.find(id)?;
    let verdict = match setup.folder.examine(entry) {
        Ok(()) => setup.verdict(entry, None),
        Err(refusal) => Verdict::Refused(refusal.reason),
    };
    if output.json {
        let mut value = json_of(setup, entry, &verdict);
        value["manifest"] = json!(manifest);
        terminal::print_json(&value);
        return Ok(Exit::Ok);
    }
    let names = |names: Vec<&str>| {
        if names.is_empty() {
            "-".to_owned()
        } else {
            names.join(", ")
        }
    };
    let recorded = match setup.folder.lock.record_of(id) {
        Some(record) => format!("{} on {}", record.version, record.first_seen),
        None => "not yet; the first use records it".to_owned(),
    };
    let texts = |texts: &[String]| names(texts.iter().map(String::as_str).collect());
    let variables = manifest.environment.iter().map(|variable| variable.name.as_str());
    terminal::print(&terminal::pairs([
        ("name", format!("{} {}", manifest.name, manifest.version)),
        ("about", manifest.description.clone()),
        ("plugin-api", manifest.plugin_api.clone()),
        ("verdict", format!("{}: {}", verdict.word(), verdict.reason())),
        ("file", entry.file.to_string_lossy().into_owned()),
        ("SHA-256", entry.sha256.clone().unwrap_or_default()),
        ("recorded", recorded),
        ("warnings", texts(&entry.warnings)),
        ("variables", names(variables.collect())),
        ("tiers", texts(&manifest.tiers)),
        ("methods", texts(&manifest.methods)),
    ]));
    Ok(Exit::Ok)
}
