//! Where agents and MCP servers are kept: the folder `agents` and the file `mcp.json` beside the profile.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::check::checked;
use super::definition::{Definition, Wish};
use super::folder::at_home;
use super::mcp::{self, Server};
use super::names::MCP;
use super::toolbox::Reach;
use crate::near;
use crate::profile::{Document, KeySource, LoadError, Report, read};
use crate::setup::{Chosen, Folder, Places, is_secret};
use crate::terminal::{self, Exit, Failure, listed};

/// Holds the endpoint's token.
const TOKEN_VARIABLE: &str = "AGENT_HOST_TOKEN";

#[derive(Default)]
pub struct Shelf {
    /// With one file for each agent: `NAME.json`.
    pub folder: PathBuf,
    /// The MCP servers for all agents.
    pub servers_file: PathBuf,
    /// The variables that hold keys of this program and its plugins.
    secrets: BTreeSet<String>,
    /// The plugins that an agent may name.
    providers: BTreeSet<String>,
}

impl Shelf {
    pub fn of(places: &Places, plugins: &Folder) -> Self {
        let manifests = || plugins.entries.iter().filter_map(|entry| entry.manifest.as_ref());
        let variables = manifests().flat_map(|manifest| &manifest.environment);
        let secrets = variables.filter(|variable| is_secret(variable));
        let secrets = secrets.map(|variable| variable.name.clone());
        Self {
            providers: manifests().map(|manifest| manifest.id.clone()).collect(),
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
        let document = document(path)?;
        checked(&document, &self.servers_for(&document)?).map_err(|report| failure(&report))
    }

    /// What a sound agent names and this machine does not have: a plugin, a folder.
    pub fn missing(&self, document: &Document, definition: &Definition) -> Option<Report> {
        let mut problems = Vec::new();
        if let Some(provider) = &definition.provider
            && !self.providers.contains(provider)
        {
            let hint = match near::closest(provider, self.providers.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "see `agent-host plugins list`".to_owned(),
            };
            problems.push(document.problem(
                "/provider",
                false,
                format!("there is no plugin `{provider}`"),
                Some(hint),
            ));
        }
        for (n, wish) in definition.tools.iter().enumerate() {
            if let Wish::Files(wish) = wish
                && !at_home(&wish.files.folder).is_dir()
            {
                let message = format!("there is no folder `{}`", wish.files.folder.display());
                let hint = Some("create it, or name another one".to_owned());
                problems.push(document.problem(&format!("/tools/{n}/files/folder"), false, message, hint));
            }
        }
        (!problems.is_empty()).then(|| document.report(&[], problems).of_a("agent"))
    }

    /// The MCP servers for all agents. What is wrong with their file concerns only an agent that names one.
    pub fn servers_for(&self, document: &Document) -> Result<BTreeMap<String, Server>, Failure> {
        let value = &document.value;
        let named = value["tools"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str);
        let approved = value["approval"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, _)| name.as_str());
        let servers = self.servers();
        match wants_shared(named.chain(approved), |name| value["mcpServers"].get(name).is_some()) {
            true => servers,
            false => Ok(servers.unwrap_or_default()),
        }
    }

    /// What an agent may reach.
    ///
    /// - In: `definition`, if it is about an agent; `chosen`, the profile, which may name a variable as its key.
    pub fn reach(
        &self,
        definition: Option<&Definition>,
        chosen: Option<&Chosen>,
        is_trusted: bool,
    ) -> Result<Reach, Failure> {
        let mut secrets = self.secrets.clone();
        if let Some(KeySource::Env(name)) = chosen.and_then(|chosen| chosen.profile.api_key.as_ref()) {
            secrets.insert(name.clone());
        }
        let wants = |definition: &Definition| {
            let named = definition.tools.iter().filter_map(|wish| match wish {
                Wish::Named(name) => Some(name.as_str()),
                _ => None,
            });
            wants_shared(named, |name| definition.mcp_servers.contains_key(name))
        };
        Ok(Reach {
            shared: if definition.is_some_and(wants) {
                self.servers()?
            } else {
                BTreeMap::new()
            },
            agent: None,
            secrets,
            is_trusted,
        })
    }

    /// The MCP servers for all agents.
    pub fn servers(&self) -> Result<BTreeMap<String, Server>, Failure> {
        mcp::read(&self.servers_file).map_err(|report| {
            failure(&report).with_hint("correct that file, then look at it with `agent-host mcp list`")
        })
    }

    /// What a command line calls the agent in this file: its name, or the path.
    pub fn named(&self, path: &Path) -> String {
        let is_kept = path.parent() == Some(&self.folder);
        word(&if is_kept {
            name_of(path)
        } else {
            path.display().to_string()
        })
    }
}

/// Whether one of these names means a server that is not the agent's own.
fn wants_shared<'a>(mut names: impl Iterator<Item = &'a str>, is_own: impl Fn(&str) -> bool) -> bool {
    names.any(|name| {
        let server = name.strip_prefix(MCP).and_then(|name| name.split('/').next());
        server.is_some_and(|server| !is_own(server))
    })
}

/// A text as one word for a shell.
pub fn word(text: &str) -> String {
    let is_plain = |letter: char| letter.is_alphanumeric() || "-_./+:@%,=".contains(letter);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
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
