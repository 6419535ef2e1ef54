//! The agents in files: a new one, all of them, and what is wrong with one.

use std::path::Path;

use serde_json::json;

use crate::agents::{Definition, Shelf, checked, document, word};
use crate::setup::write_new;
use crate::terminal::{self, Exit, Failure, Fit, Page};

/// What a new agent's file holds: every member, with what it means.
const EXAMPLE: &str = include_str!("example.jsonc");

pub fn new(shelf: &Shelf, name: &str) -> Result<Exit, Failure> {
    let path = shelf.file(name)?;
    let shown = path.display();
    match write_new(&path, EXAMPLE.as_bytes()) {
        Ok(true) => {
            terminal::print_line(&format!("wrote {shown}"));
            terminal::say(&format!(
                "next: edit it, then agent-host agent run {name} \"What is 17% of 2340?\""
            ));
            Ok(Exit::Ok)
        }
        Ok(false) => {
            let failure = Failure::usage(format!("there is an agent `{name}` already, in `{shown}`"));
            Err(failure.with_hint("choose another name, or edit that file"))
        }
        Err(cause) => Err(Failure::usage(format!("cannot write `{shown}`: {cause}"))),
    }
}

pub fn list(shelf: &Shelf, as_json: bool) -> Result<Exit, Failure> {
    let names = shelf.names();
    let agents: Vec<_> = names
        .iter()
        .map(|name| (name, shelf.file(name).and_then(|path| shelf.read(&path))))
        .collect();
    if as_json {
        let objects = agents.iter().map(|(name, read)| match read {
            Ok(definition) => json!({
                "name": name, "description": definition.description, "model": definition.model,
                "tier": definition.tier, "is_valid": true,
            }),
            Err(_) => json!({"name": name, "is_valid": false}),
        });
        terminal::print_json(&objects.collect::<Vec<_>>());
        return Ok(Exit::Ok);
    }
    if agents.is_empty() {
        terminal::say("there is no agent yet; create one with `agent-host agent new NAME`");
        return Ok(Exit::Ok);
    }
    const HEAD: [(&str, Fit); 3] = [("NAME", Fit::Whole), ("MODEL", Fit::Spare), ("WHAT FOR", Fit::Spare)];
    let rows = agents.iter().map(|(name, read)| {
        let (model, about) = match read {
            Ok(definition) => (model_of(definition), definition.description.clone().unwrap_or_default()),
            Err(_) => (
                "-".to_owned(),
                format!("✗ has problems: agent-host agent check {}", word(name)),
            ),
        };
        [(*name).clone(), model, about]
            .map(|cell| terminal::clean_line(&cell))
            .to_vec()
    });
    terminal::print_table(&terminal::table(&HEAD, rows, Page::of_stdout()));
    Ok(Exit::Ok)
}

fn model_of(definition: &Definition) -> String {
    let named = definition.model.clone().or_else(|| definition.tier.clone());
    named.unwrap_or_else(|| "the default tier".to_owned())
}

pub fn check(shelf: &Shelf, path: &Path, as_json: bool) -> Result<Exit, Failure> {
    let document = document(path)?;
    let servers = shelf.servers_for(&document)?;
    let found = checked(&document, &servers);
    let found = found.and_then(|definition| shelf.missing(&document, &definition).map_or(Ok(()), Err));
    match found {
        Err(report) => {
            if as_json {
                terminal::print_line(&terminal::safe_json(&report.to_json().to_string()));
            } else {
                terminal::say_raw(&report.render(terminal::stderr_has_colour()));
            }
            Ok(Exit::Profile)
        }
        Ok(_) if as_json => {
            terminal::print_json(&json!({"file": document.name, "problems": []}));
            Ok(Exit::Ok)
        }
        Ok(_) => {
            terminal::print_line(&format!(
                "{} is valid: agent-host agent run {}",
                document.name,
                shelf.named(path)
            ));
            Ok(Exit::Ok)
        }
    }
}
