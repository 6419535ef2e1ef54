//! `agent-host plugins`: what is in the plugin folder, and which bytes of it are used; and what plugin authors need.

mod new;
mod verify;

use std::env::consts::DLL_EXTENSION;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::ValueHint;
use clap_complete::ArgValueCandidates;
use plugin_api::Manifest;
use serde_json::{Value, json};

use super::Output;
use crate::setup::{Chosen, Entry, Folder, Global, Key, Setup, Verdict, candidates};
use crate::terminal::{self, BAD, DOUBTFUL, Exit, FAINT, Failure, Fit, GOOD, Page, clean_line, few, print_line};

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
        signed: Signed,
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
    Accept {
        #[command(flatten)]
        one: One,
        #[command(flatten)]
        signed: Signed,
    },
    /// Record every new plugin in the folder, for `--locked`; what is recorded stays
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
    /// The plugin's id, or the name of its file
    #[arg(add = ArgValueCandidates::new(candidates::plugins))]
    plugin: String,
    #[command(flatten)]
    output: Output,
}

/// Who must have signed a plugin.
#[derive(clap::Args)]
pub struct Signed {
    /// The author's minisign key, or a file with it: the signature in `FILE.minisig` must be made with it, and those of
    /// later builds too
    #[arg(long, value_name = "KEY", value_hint = ValueHint::FilePath)]
    key: Option<String>,
}

impl Signed {
    fn key(&self) -> Result<Option<Key>, Failure> {
        self.key.as_deref().map(Key::named).transpose()
    }
}

pub async fn run(global: &Global, command: &Command) -> Result<Exit, Failure> {
    let mut setup = Setup::read(global)?;
    match command {
        Command::Verify { path, output } => verify::run(&library_at(path)?, output),
        Command::New(args) => new::run(&setup, args),
        Command::List(output) => {
            setup.folder.try_all();
            list(&setup, output).await
        }
        Command::Info(One { plugin, output }) => {
            setup.folder.try_all();
            info(&setup, plugin, output).await
        }
        Command::Install { path, signed, output } => install(&mut setup, &library_at(path)?, signed, output),
        Command::Remove(One { plugin, output }) => {
            let id = setup.folder.named(plugin)?.id();
            let files = setup.folder.remove(plugin)?;
            let files: Vec<_> = files.iter().map(|file| file.to_string_lossy()).collect();
            let line = match files.as_slice() {
                [] => format!("forgot {id}; its file was missing already"),
                files => format!("deleted {}", files.join(" and ")),
            };
            Ok(say_done(output, json!({"id": id, "deleted": files}), &line))
        }
        Command::Enable(One { plugin, output }) | Command::Disable(One { plugin, output }) => {
            let disabled = matches!(command, Command::Disable(_));
            let (id, file) = setup.folder.of(plugin)?;
            setup.folder.set_disabled(&id, disabled)?;
            let entry = setup.folder.named(&file)?;
            let verdict = setup.verdict(entry, None);
            let line = if disabled {
                format!("{id} is disabled; `agent-host plugins enable {id}` enables it again")
            } else {
                format!("{id} is {}: {}", verdict.word(), verdict.reason())
            };
            let exit = say_done(output, json!({"id": id, "verdict": verdict.word()}), &line);
            if !disabled {
                say_remedy(&setup, entry, &verdict);
            }
            Ok(exit)
        }
        Command::Accept { one, signed } => accept(&mut setup, one, signed),
        Command::Lock(output) => Ok(lock(setup.folder.record_all(), output)),
    }
}

fn install(setup: &mut Setup, library: &Path, signed: &Signed, output: &Output) -> Result<Exit, Failure> {
    let (manifest, to) = setup.folder.install(library, signed.key()?.as_ref())?;
    setup.folder = Folder::read(&setup.places)?;
    let entry = setup.folder.find(&manifest.id)?.0;
    let verdict = setup.verdict(entry, None);
    let (id, version, to) = (&manifest.id, &manifest.version, to.to_string_lossy());
    let signer = signer_of(setup, entry);
    let lines = format!(
        "installed {id} {version} as {to}\n{}it is {}: {}",
        signed_line(signer),
        verdict.word(),
        verdict.reason()
    );
    let value = json!({"id": id, "version": version, "file": to, "signer": signer});
    let exit = say_done(output, value, &lines);
    say_warnings(entry);
    say_remedy(setup, entry, &verdict);
    Ok(exit)
}

fn accept(setup: &mut Setup, One { plugin, output }: &One, signed: &Signed) -> Result<Exit, Failure> {
    let image = setup.folder.accept(plugin, signed.key()?.as_ref())?;
    setup.folder = Folder::read(&setup.places)?;
    let (id, version, sha256) = (&image.manifest().id, &image.manifest().version, image.sha256());
    let signer = setup.folder.lock.signer_of(id, sha256);
    let lines = format!("recorded {id} {version}, SHA-256 {sha256}\n{}", signed_line(signer));
    let value = json!({"id": id, "version": version, "sha256": sha256, "signer": signer});
    let exit = say_done(output, value, &lines);
    if let Ok((entry, _)) = setup.folder.find(id) {
        say_warnings(entry);
    }
    Ok(exit)
}

/// Says what is recorded now, and names every file that is not.
fn lock(outcomes: Vec<Result<&Entry, Failure>>, output: &Output) -> Exit {
    let (mut recorded, mut refused) = (Vec::new(), Vec::new());
    for outcome in outcomes {
        match outcome {
            Ok(entry) => recorded.extend(entry.usable().zip(entry.sha256.clone())),
            Err(failure) => refused.push(failure),
        }
    }
    if output.json {
        let rows = recorded
            .iter()
            .map(|(manifest, sha256)| json!({"id": manifest.id, "version": manifest.version, "sha256": sha256}));
        let failures: Vec<&Value> = refused.iter().map(|failure| failure.details.as_ref()).collect();
        terminal::print_json(&json!({"recorded": rows.collect::<Vec<_>>(), "refused": failures}));
    } else {
        let rows = recorded
            .into_iter()
            .map(|(manifest, sha256)| vec![manifest.id.clone(), manifest.version.clone(), sha256]);
        const HEAD: [(&str, Fit); 3] = [
            ("PLUGIN", Fit::Whole),
            ("VERSION", Fit::Dropped),
            ("SHA-256", Fit::Whole),
        ];
        terminal::print_table(&terminal::table(&HEAD, rows, Page::of_stdout()));
    }
    refused.iter().for_each(|failure| terminal::say(&failure.to_string()));
    if refused.is_empty() { Exit::Ok } else { Exit::Plugin }
}

/// The key that the present bytes of a plugin are signed with.
fn signer_of<'a>(setup: &'a Setup, entry: &Entry) -> Option<&'a Key> {
    let (id, sha256) = (entry.known_id.as_ref()?, entry.sha256.as_ref()?);
    setup.folder.lock.signer_of(id, sha256)
}

fn signed_line(signer: Option<&Key>) -> String {
    signer.map_or_else(String::new, |key| {
        format!("signed with the key {}, as later builds must be\n", key.number())
    })
}

/// Says what is allowed but should be changed.
fn say_warnings(entry: &Entry) {
    for warning in &entry.warnings {
        terminal::say(&clean_line(&format!("note: {warning}")));
    }
}

/// Says what a plugin that is not enabled needs.
fn say_remedy(setup: &Setup, entry: &Entry, verdict: &Verdict) {
    if let Some(hint) = setup.remedy(entry, verdict, None) {
        terminal::say(&clean_line(&format!("hint: {hint}")));
    }
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

const LIST_HEAD: [(&str, Fit); 5] = [
    ("PLUGIN", Fit::Whole),
    ("VERSION", Fit::Whole),
    ("API", Fit::Dropped),
    ("VERDICT", Fit::Whole),
    ("REASON", Fit::Cut),
];

/// One line of the list.
struct Row<'a> {
    entry: &'a Entry,
    verdict: Verdict,
    hint: Option<String>,
}

impl<'a> Row<'a> {
    /// - In: `answers`, the file of the plugin that answers. Only loading shows whether it works with its key and
    ///   profile.
    async fn of(setup: &Setup, entry: &'a Entry, chosen: Option<&Chosen>, answers: Option<&Path>) -> Self {
        let verdict = setup.verdict(entry, chosen);
        let tried = match (&verdict, entry.usable()) {
            (Verdict::Enabled(_), Some(manifest)) if answers == Some(&entry.file) => {
                let own = chosen.filter(|chosen| chosen.profile.provider == manifest.id);
                setup.try_out(entry, manifest, own).await
            }
            _ => Ok(()),
        };
        let Err(failure) = tried else {
            let hint = setup.remedy(entry, &verdict, chosen);
            return Self { entry, verdict, hint };
        };
        Self {
            entry,
            verdict: match failure.exit {
                Exit::Plugin => Verdict::Refused(failure.message),
                _ => Verdict::Failed(failure.message),
            },
            hint: failure.hint,
        }
    }

    /// What programs read.
    fn json(&self, setup: &Setup) -> Value {
        let Self { entry, verdict, hint } = self;
        let recorded = entry.known_id.as_ref().and_then(|id| setup.folder.lock.record_of(id));
        let declared = entry
            .manifest
            .as_ref()
            .map(|manifest| (&manifest.version, &manifest.plugin_api));
        let declared = declared.or(recorded.map(|record| (&record.version, &record.plugin_api)));
        let mut row = serde_json::to_value(verdict).unwrap_or_default();
        if let Some(refusal) = &entry.refusal {
            row["code"] = json!(refusal.code);
        }
        if matches!(verdict, Verdict::Refused(_) | Verdict::Failed(_)) {
            row["hint"] = json!(hint);
        }
        row["id"] = json!(entry.known_id);
        row["file"] = json!(entry.file.to_string_lossy());
        row["version"] = json!(declared.map(|declared| declared.0));
        row["plugin_api"] = json!(declared.map(|declared| declared.1));
        row["sha256"] = json!(entry.sha256);
        row["recorded"] = json!(recorded);
        row["signer"] = json!(signer_of(setup, entry));
        row["warnings"] = json!(entry.warnings);
        row
    }

    /// What people read.
    fn cells(&self, setup: &Setup) -> Vec<String> {
        let Self { entry, verdict, .. } = self;
        let manifest = entry.manifest.as_ref();
        let is_about_the_file = entry.refusal.is_some() && entry.known_id.is_some();
        let lead = if is_about_the_file {
            format!("`{}`: ", entry.file_name())
        } else {
            String::new()
        };
        let mut reasons = vec![format!("{lead}{}", verdict.reason())];
        reasons.extend(signer_of(setup, entry).map(|key| format!("signed with the key {}", key.number())));
        reasons.extend(entry.warnings.iter().cloned());
        vec![
            entry.id(),
            manifest.map_or("-", |manifest| &manifest.version).to_owned(),
            manifest.map_or("-", |manifest| &manifest.plugin_api).to_owned(),
            verdict.word().to_owned(),
            reasons.join("; "),
        ]
    }
}

async fn list(setup: &Setup, output: &Output) -> Result<Exit, Failure> {
    // A profile with mistakes must not hide the plugins.
    let (chosen, trouble) = match setup.profile().await {
        Ok(chosen) => (chosen, None),
        Err(failure) => (None, Some(failure)),
    };
    let chosen = chosen.as_ref();
    let answers = setup.choose(chosen).ok().map(|(entry, _)| entry.file.as_path());
    let mut rows = Vec::new();
    for entry in &setup.folder.entries {
        rows.push(Row::of(setup, entry, chosen, answers).await);
    }
    if output.json {
        let rows: Vec<Value> = rows.iter().map(|row| row.json(setup)).collect();
        terminal::print_json(&rows);
    } else if rows.is_empty() {
        print_line(&format!("no plugins in {}", setup.folder.path.display()));
        terminal::say("hint: install one with `agent-host plugins install PATH`");
    } else {
        let mut table = terminal::table(&LIST_HEAD, rows.iter().map(|row| row.cells(setup)), Page::of_stdout());
        let styles = [
            ("enabled", GOOD),
            ("idle", DOUBTFUL),
            ("disabled", FAINT),
            ("refused", BAD),
            ("failed", BAD),
        ];
        for (word, style) in styles.iter().filter(|_| terminal::stdout_has_colour()) {
            table.text = table
                .text
                .replace(&format!("  {word}  "), &format!("  {style}{word}{style:#}  "));
        }
        terminal::print_table(&table);
        say_hints(&rows);
    }
    // Without any plugin no profile is valid, and there is a hint already.
    if let Some(failure) = trouble.filter(|_| !rows.is_empty()) {
        failure.say();
        terminal::say("note: the verdicts above ignore the profile");
    }
    Ok(Exit::Ok)
}

/// What to do about the files that are not used, each hint once.
fn say_hints(rows: &[Row<'_>]) {
    let mut hints: Vec<(&str, Vec<String>)> = Vec::new();
    for row in rows
        .iter()
        .filter(|row| matches!(row.verdict, Verdict::Refused(_) | Verdict::Failed(_)))
    {
        let Some(hint) = row.hint.as_deref() else { continue };
        match hints.iter_mut().find(|(known, _)| *known == hint) {
            Some((_, files)) => files.push(row.entry.file_name()),
            None => hints.push((hint, vec![row.entry.file_name()])),
        }
    }
    for (hint, files) in hints {
        terminal::say(&clean_line(&format!("hint for {}: {hint}", few(&files))));
    }
}

async fn info(setup: &Setup, name: &str, output: &Output) -> Result<Exit, Failure> {
    let entry = match setup.folder.find(name) {
        Ok((entry, _)) => entry,
        Err(_) => setup.folder.named(name)?,
    };
    let row = Row::of(setup, entry, None, None).await;
    if output.json {
        let mut value = row.json(setup);
        value["manifest"] = json!(entry.manifest);
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
    let record = entry.known_id.as_ref().and_then(|id| setup.folder.lock.record_of(id));
    let recorded = match record {
        Some(record) => format!("{} on {}", record.version, record.first_seen),
        None => "not yet; the first use records it".to_owned(),
    };
    let texts = |texts: &[String]| names(texts.iter().map(String::as_str).collect());
    let declared = |what: fn(&Manifest) -> String| entry.manifest.as_ref().map_or("-".to_owned(), what);
    let variables = entry.manifest.iter().flat_map(|manifest| &manifest.environment);
    let (tiers, methods) = entry
        .manifest
        .as_ref()
        .map(|found| (&*found.tiers, &*found.methods))
        .unwrap_or_default();
    let pairs = [
        ("name", declared(|found| format!("{} {}", found.name, found.version))),
        ("about", declared(|found| found.description.clone())),
        ("plugin-api", declared(|found| found.plugin_api.clone())),
        ("verdict", format!("{}: {}", row.verdict.word(), row.verdict.reason())),
        ("file", entry.file.to_string_lossy().into_owned()),
        ("SHA-256", entry.sha256.clone().unwrap_or_default()),
        ("recorded", recorded),
        (
            "signed with",
            signer_of(setup, entry).map_or("-".to_owned(), |key| {
                format!("{} ({})", String::from(key.clone()), key.number())
            }),
        ),
        ("warnings", texts(&entry.warnings)),
        (
            "variables",
            names(variables.map(|variable| variable.name.as_str()).collect()),
        ),
        ("tiers", texts(tiers)),
        ("methods", texts(methods)),
    ];
    terminal::print(&terminal::pairs(pairs, Page::of_stdout()));
    if let Some(hint) = row.hint {
        terminal::say(&clean_line(&format!("hint: {hint}")));
    }
    Ok(Exit::Ok)
}
