//! Where agents and MCP servers are kept: the folder `agents` and the file `mcp.json` beside the profile.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::check::checked;
use super::definition::Definition;
use super::mcp::{self, Server};
use super::toolbox::Reach;
use crate::near;
use crate::profile::{Document, KeySource, LoadError, Report, read};
use crate::setup::{Chosen, Folder, Places, is_secret};
use crate::terminal::{self, Exit, Failure, listed};

/// Holds the endpoint's token.
const TOKEN_VARIABLE: &str = "AGENT_HOST_TOKEN";

pub struct Shelf {
    /// With one file for each agent: `NAME.json`.
    pub folder: PathBuf,
    /// The MCP servers for all agents.
    pub servers_file: PathBuf,
    /// The variables that hold keys of this program and its plugins.
    secrets: BTreeSet<String>,
}

impl Shelf {
    pub fn of(places: &Places, plugins: &Folder) -> Self {
        let manifests = plugins.entries.iter().filter_map(|entry| entry.manifest.as_ref());
        let variables = manifests.flat_map(|manifest| &manifest.environment);
        let secrets = variables.filter(|variable| is_secret(variable));
        let secrets = secrets.map(|variable| variable.name.clone());
        Self {
            secrets: secrets.chain([TOKEN_VARIABLE.to_owned()]).collect(),
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

    /// What agents may reach.
    ///
    /// - In: `chosen`, the profile, which may name a variable as its key.
    pub fn reach(&self, chosen: Option<&Chosen>, is_trusted: bool) -> Result<Reach, Failure> {
        let mut secrets = self.secrets.clone();
        if let Some(KeySource::Env(name)) = chosen.and_then(|chosen| chosen.profile.api_key.as_ref()) {
            secrets.insert(name.clone());
        }
        Ok(Reach {
            shared: self.servers()?,
            secrets,
            is_trusted,
        })
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
