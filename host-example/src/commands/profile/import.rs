//! `agent-host profile import`: a profile from another program's settings.

use std::path::Path;

use serde_json::{Value, json};

use crate::files::{ReadError, read_named};
use crate::profile::{self, Document, Fate, Imported, Source};
use crate::setup::{Setup, dotenv, exists, write_new};
use crate::terminal::{self, Exit, Failure};

/// The largest file, in bytes.
const MAX_BYTES: u64 = 1 << 20;

pub async fn run(
    setup: &Setup,
    file: &Path,
    output: Option<&Path>,
    provider: Option<&str>,
    as_json: bool,
) -> Result<Exit, Failure> {
    let source = source(file)?;
    let path = output.unwrap_or(&setup.places.config);
    let taken = || {
        Failure::usage(format!("`{}` already exists", path.display()))
            .with_hint("write to another file with `--output FILE`; nothing is overwritten")
    };
    if exists(path) {
        return Err(taken());
    }
    let manifest = match provider {
        Some(id) => setup.folder.find(id)?.1,
        None => setup.choose(None)?.1,
    };
    let schemas = setup.folder.schemas();
    let schema = schemas.iter().find(|schema| schema.provider == manifest.id);
    let Some(schema) = schema else {
        return Err(Failure::internal(format!("plugin `{}` has no schema", manifest.id)));
    };
    let imported = profile::import(&source, manifest, schema, &setup.places.profile);
    let mut imported = imported.map_err(|message| unreadable(file, &message))?;
    while imported.has_anything() {
        let document = Document::parse(&path.display().to_string(), imported.text());
        let document = document.map_err(|report| Failure::from(profile::LoadError::Report(report)))?;
        let report = setup.report(&document).await?;
        if !report.has_errors() {
            break;
        }
        if !imported.without(&report.problems) {
            return Err(profile::LoadError::Report(report).into());
        }
    }
    let is_written = imported.has_anything();
    if is_written {
        let written = write_new(path, imported.text().as_bytes());
        let failed = |cause| Failure::internal(format!("`{}` cannot be written: {cause}", path.display()));
        if !written.map_err(failed)? {
            return Err(taken());
        }
    }
    print(&imported, &source.file, is_written.then_some(path), as_json);
    if !is_written {
        let message = format!(
            "`{}` has nothing that a profile of `{}` can hold",
            file.display(),
            manifest.id
        );
        return Err(Failure::usage(message).with_hint("create a profile with `agent-host profile init`"));
    }
    Ok(Exit::Ok)
}

fn source(file: &Path) -> Result<Source, Failure> {
    let bytes = read_named(file, MAX_BYTES).map_err(|error| match error {
        ReadError::Missing => unreadable(file, "there is no such file").with_hint("check the path"),
        ReadError::Refused(why) => unreadable(file, &why),
    })?;
    let text = String::from_utf8(bytes).map_err(|_| unreadable(file, "expected UTF-8, found other bytes"))?;
    let name = file.file_name().unwrap_or(file.as_os_str()).display().to_string();
    let variables = dotenv::parse(&text);
    if variables.values.len() > variables.odd_lines.len() {
        for line in variables.odd_lines {
            terminal::say(&format!(
                "note: expected `NAME=value` in line {line}; the line is left out"
            ));
        }
        let lines = text.lines().enumerate().flat_map(|(index, line)| {
            let variables = dotenv::parse(line).values.into_iter();
            variables.map(move |(name, value)| (name, value, index + 1))
        });
        return Ok(Source::of_variables(&name, lines));
    }
    Source::parse(&name, &text).map_err(|message| unreadable(file, &message))
}

fn unreadable(file: &Path, message: &str) -> Failure {
    Failure::usage(format!("`{}` cannot be imported: {message}", file.display()))
        .with_hint("`agent-host profile import --help` lists what can be imported")
}

fn print(imported: &Imported, file: &str, written: Option<&Path>, as_json: bool) {
    if as_json {
        let fates = imported.fates.iter().map(|fate| {
            json!({"line": fate.line, "source": fate.path, "taken": fate.is_taken, "pointer": fate.pointer, "why": fate.why})
        });
        return terminal::print_json(&json!({
            "format": imported.format,
            "written": written.map(|path| path.display().to_string()),
            "lines": fates.collect::<Vec<Value>>(),
        }));
    }
    for fate in &imported.fates {
        let fate = format!("{file}:{}: {}{}", fate.line, fate.path, told(fate));
        terminal::print_line(&terminal::clean_line(&fate));
    }
    if let Some(path) = written {
        let is_address = |fate: &&Fate| {
            fate.pointer
                .as_ref()
                .is_some_and(|pointer| pointer.ends_with("/baseUrl"))
        };
        for fate in imported.fates.iter().filter(is_address) {
            let line = fate.line;
            terminal::say(&terminal::clean_line(&format!(
                "note: prompts and the key will go to the address in line {line} of `{file}`"
            )));
        }
        let count = |is_meant: fn(&Fate) -> bool| imported.fates.iter().filter(|fate| is_meant(fate)).count();
        let n_taken = count(|fate| fate.is_taken && fate.pointer.is_some());
        let n_needless = count(|fate| fate.is_taken && fate.pointer.is_none());
        let needless = match n_needless {
            0 => String::new(),
            n => format!("{n} not needed, "),
        };
        let n_left = count(|fate| !fate.is_taken);
        terminal::print_line(&format!(
            "wrote {}: {n_taken} taken, {needless}{n_left} not taken",
            path.display()
        ));
        terminal::print_line(&format!("next: agent-host --config {} tiers", path.display()));
    }
}

fn told(fate: &Fate) -> String {
    let why = fate.why.as_deref().unwrap_or_default();
    match (&fate.pointer, fate.is_taken) {
        (Some(pointer), true) => format!(" -> {pointer}"),
        (_, true) => format!(": not needed: {why}"),
        (_, false) => format!(": not taken: {why}"),
    }
}
