//! Where agents and MCP servers are kept: the folder `agents` and the file `mcp.json` beside the profile.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::check::checked;
use super::definition::Definition;
use super::mcp::{self, Server};
use crate::near;
use crate::profile::{Document, LoadError, Report, read};
use crate::setup::Places;
use crate::terminal::{self, Exit, Failure, listed};

pub struct Shelf {
    /// With one file for each agent: `NAME.json`.
    pub folder: PathBuf,
    /// The MCP servers for all agents.
    pub servers_file: PathBuf,
}

impl Shelf {
    pub fn of(places: &Places) -> Self {
        Self {
            folder: places.config_folder.join("agents"),
            servers_file: places.config_folder.join("mcp.json"),
        }
    }

    /// The file of the agent with this name.
    ///
    /// - Errors: the name could lead elsewhere.
    pub fn file(&self, name: &str) -> Result<PathBuf, Failure> {
        let is_plain = |letter: char| letter.is_alphanumeric() || "_-.".contains(letter);
        if name.is_empty() || name.starts_with('.') || !name.chars().all(is_plain) || name.len() > 100 {
            let message = format!("expected a name of letters, digits, `-` and `_`, found `{name}`");
            return Err(Failure::usage(message));
        }
        Ok(self.folder.join(format!("{name}.json")))
    }

    /// The names of all agents.
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            name.strip_suffix(".json").map(str::to_owned)
        });
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    /// The file that a name or a path means.
    ///
    /// - Errors: there is none; the nearest name.
    pub fn found(&self, named: &str) -> Result<PathBuf, Failure> {
        let is_path = named.contains(['/', '\\']) || named.ends_with(".json");
        let path = if is_path {
            PathBuf::from(named)
        } else {
            self.file(named)?
        };
        if path.exists() {
            return Ok(path);
        }
        let failure = Failure::new(Exit::Usage, format!("there is no agent `{named}`"));
        let names = self.names();
        let known = || names.iter().map(String::as_str);
        Err(failure.with_hint(match near::closest(named, known()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if names.is_empty() => format!("create it with `agent-host agent new {}`", name_of(&path)),
            None => format!(
                "there are {}; a new one: agent-host agent new {}",
                listed(known(), "and"),
                name_of(&path)
            ),
        }))
    }

    /// Reads an agent.
    ///
    /// - Errors: every problem of its file.
    pub fn read(&self, path: &Path) -> Result<Definition, Failure> {
        checked(&document(path)?, &self.servers()?).map_err(|report| failure(&report))
    }

    /// The MCP servers for all agents.
    pub fn servers(&self) -> Result<BTreeMap<String, Server>, Failure> {
        mcp::read(&self.servers_file).map_err(|report| failure(&report))
    }
}

/// - Errors: it is no JSON, or no file.
pub fn document(path: &Path) -> Result<Document, Failure> {
    let shown = path.display().to_string();
    let text = read(path).map_err(|error| match error {
        LoadError::Report(report) => failure(&report.of_a("agent")),
        _ => Failure::usage(format!("there is no file `{shown}`")),
    })?;
    Document::parse(&shown, text).map_err(|report| failure(&report.of_a("agent")))
}

/// The name that a file gives its agent.
pub fn name_of(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// All problems of a file as a failure.
pub fn failure(report: &Report) -> Failure {
    let mut details = report.to_json();
    details["code"] = "agent".into();
    details["message"] = "the file has problems".into();
    let text = report.render(terminal::stderr_has_colour());
    let failure = Failure::of_report(Exit::Profile, text, details);
    failure.with_hint("correct the file, then check it with `agent-host agent check FILE`")
}
