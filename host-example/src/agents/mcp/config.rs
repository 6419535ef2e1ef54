//! The entry of an MCP server, as other programs write it, and the file that all agents share.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
#[cfg(feature = "mcp")]
use std::time::Duration;

use reqwest::Url;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::profile::{Document, LoadError, Problem, Report, read as read_text};
use crate::terminal::counted;

/// An MCP server: a program to start, or an address. Members that are not listed here belong to other programs.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Server {
    /// The program to start; it speaks over its standard input and output.
    pub command: Option<String>,
    /// Its arguments.
    pub args: Vec<String>,
    /// Variables for it, with `${NAME}` or `${NAME:-default}` for yours. It inherits only what programs need to run,
    /// such as `PATH` and `HOME`.
    pub env: BTreeMap<String, String>,
    /// Where it runs; default: where this program runs.
    pub cwd: Option<PathBuf>,
    /// The address of a server that is reached over HTTP, instead of `command`.
    pub url: Option<String>,
    /// Headers for it, with `${NAME}` as in `env`.
    pub headers: BTreeMap<String, String>,
    /// `stdio`, or `http`; default: the one that fits.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Whether it is left out.
    pub disabled: bool,
    /// The longest wait for its start and for each answer, in milliseconds; default 60000.
    #[schemars(range(min = 1, max = 600_000))]
    pub timeout: Option<u64>,
}

impl Server {
    /// - Errors: what is wrong with the entry.
    pub fn check(&self) -> Result<(), String> {
        match (&self.command, &self.url) {
            (Some(_), Some(_)) => return Err("expected `command` or `url`, found both".to_owned()),
            (None, None) => return Err("expected `command` or `url`, found neither".to_owned()),
            (Some(command), None) if command.trim().is_empty() => {
                return Err("expected a program as `command`, found an empty one".to_owned());
            }
            (None, Some(url)) => check_url(url)?,
            _ => {}
        }
        match self.kind.as_deref() {
            Some("sse") => Err("the transport `sse` is obsolete: use the server's address for `http`".to_owned()),
            Some("stdio") if self.command.is_none() => Err("expected `command` for the type `stdio`".to_owned()),
            None | Some("stdio" | "http" | "streamable-http" | "streamableHttp") => Ok(()),
            Some(_) => Err("expected `stdio` or `http` as `type`".to_owned()),
        }
    }

    #[cfg(feature = "mcp")]
    pub fn limit(&self) -> Duration {
        Duration::from_millis(self.timeout.unwrap_or(60_000))
    }

    /// How it is reached, for people.
    pub fn place(&self) -> String {
        match (&self.command, &self.url) {
            // An argument may be a key.
            (Some(command), _) if self.args.is_empty() => command.clone(),
            (Some(command), _) => format!("{command} ({})", counted(self.args.len(), "argument")),
            // The rest of an address may hold a key.
            (None, Some(url)) => {
                Url::parse(url).map_or_else(|_| String::new(), |url| url.origin().ascii_serialization())
            }
            (None, None) => String::new(),
        }
    }

    /// The user's variables that it gets.
    pub fn variables(&self) -> BTreeSet<String> {
        let texts = self.env.values().chain(self.headers.values());
        let names = texts.flat_map(|text| text.split("${").skip(1)).filter_map(|rest| {
            let inside = rest.split_once('}')?.0;
            Some(inside.split(":-").next().unwrap_or_default().to_owned())
        });
        names.collect()
    }
}

/// - Errors: the address is none, or what goes to it could be read on its way.
fn check_url(url: &str) -> Result<(), String> {
    let expected = "expected a `url` that begins with `https://`, or with `http://` for this machine";
    let url = Url::parse(url).map_err(|_| expected.to_owned())?;
    match (url.scheme(), url.host_str()) {
        ("https", Some(_)) => Ok(()),
        ("http", Some(host)) if is_here(host) => Ok(()),
        ("http", Some(_)) => Err(format!("{expected}, found plain http to another machine")),
        _ => Err(expected.to_owned()),
    }
}

fn is_here(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    address.map_or(host == "localhost", |address| address.is_loopback())
}

/// The servers of a file, which need not exist.
///
/// - Errors: a report with every problem.
pub fn read(path: &Path) -> Result<BTreeMap<String, Server>, Report> {
    let about = |report: Report| report.of_a("file of MCP servers");
    let text = match read_text(path) {
        Ok(text) => text,
        Err(LoadError::Report(report)) => return Err(about(report)),
        Err(_) => return Ok(BTreeMap::new()),
    };
    let document = Document::parse(&path.display().to_string(), text).map_err(about)?;
    let none = Value::Object(serde_json::Map::new());
    let entries = document.value.get("mcpServers").unwrap_or(&none);
    let problem = |pointer: &str, message: String| document.problem(pointer, true, message, None);
    let Some(entries) = entries.as_object() else {
        let problem = problem("/mcpServers", "expected an object with the servers by name".to_owned());
        return Err(about(document.report(&[], vec![problem])));
    };
    let mut servers = BTreeMap::new();
    let mut problems: Vec<Problem> = Vec::new();
    for (name, entry) in entries {
        let read = serde_json::from_value::<Server>(entry.clone());
        let server = read.map_err(|_| "expected an object with `command` or `url`, and texts below them".to_owned());
        match server.and_then(|server| server.check().map(|()| server)) {
            Ok(server) => drop(servers.insert(name.clone(), server)),
            Err(message) => {
                let pointer = format!("/mcpServers/{}", name.replace('~', "~0").replace('/', "~1"));
                problems.push(problem(&pointer, message));
            }
        }
    }
    if problems.is_empty() {
        Ok(servers)
    } else {
        Err(about(document.report(&[], problems)))
    }
}
