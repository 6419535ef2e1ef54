//! Finds everything that is wrong in a definition, with its place. Reads nothing else.

use std::collections::{BTreeMap, BTreeSet};

use super::definition::{Approvals, Definition, Wish, schema};
use super::mcp::Server;
use super::names::{KNOWN, MCP, OF_FILES, remedy};
use crate::profile::{Document, Problem, Report, check_against};

/// Fields of a request that a definition sets by members of its own.
const OWN_FIELDS: [(&str, &str); 6] = [
    ("messages", "system_prompt"),
    ("model", "model"),
    ("models", "fallbacks"),
    ("tools", "tools"),
    ("max_steps", "max_steps"),
    ("system", "system_prompt"),
];

/// The definition in a document.
///
/// - In: `shared`, the MCP servers that are set up for all agents.
/// - Errors: a report with every problem.
pub fn checked(document: &Document, shared: &BTreeMap<String, Server>) -> Result<Definition, Report> {
    let refused = |problems: Vec<Problem>| document.report(&[], problems).of_a("agent");
    let problems = check_against(document, &schema());
    if !problems.is_empty() {
        return Err(refused(problems));
    }
    let read = serde_json::from_value::<Definition>(document.value.clone());
    let definition = read.map_err(|cause| {
        // The schema is derived from the same types, so this is a difference between the two.
        refused(vec![document.problem(
            "",
            true,
            format!("cannot read it: {cause}"),
            None,
        )])
    })?;
    let mut checker = Checker {
        document,
        definition: &definition,
        shared,
        problems: Vec::new(),
    };
    checker.model();
    checker.servers();
    checker.tools();
    checker.approvals();
    let mut problems = checker.problems;
    problems.sort_by_key(|problem| problem.range.start);
    if problems.is_empty() {
        Ok(definition)
    } else {
        Err(refused(problems))
    }
}

struct Checker<'a> {
    document: &'a Document,
    definition: &'a Definition,
    shared: &'a BTreeMap<String, Server>,
    problems: Vec<Problem>,
}

impl Checker<'_> {
    fn push(&mut self, pointer: &str, at_key: bool, message: impl Into<String>, hint: Option<String>) {
        let problem = self.document.problem(pointer, at_key, message.into(), hint);
        self.problems.push(problem);
    }

    fn model(&mut self) {
        if self.definition.model.is_some() && self.definition.tier.is_some() {
            let hint = Some("remove one of the two".to_owned());
            self.push("/tier", true, "expected `model` or `tier`, found both", hint);
        }
        for (field, member) in OWN_FIELDS {
            if self.definition.parameters.contains_key(field) {
                let hint = Some(format!("use `{member}` of the agent"));
                self.push(&format!("/parameters/{field}"), true, "not allowed here", hint);
            }
        }
    }

    fn servers(&mut self) {
        for (name, server) in &self.definition.mcp_servers {
            let pointer = format!("/mcpServers/{}", escaped(name));
            if let Err(message) = server.check() {
                self.push(&pointer, true, message, None);
            }
        }
    }

    fn server_names(&self) -> Vec<&str> {
        let own = self.definition.mcp_servers.keys();
        own.chain(self.shared.keys()).map(String::as_str).collect()
    }

    fn tools(&mut self) {
        let mut met = BTreeSet::new();
        for (n, wish) in self.definition.tools.iter().enumerate() {
            let pointer = format!("/tools/{n}");
            let name = match wish {
                Wish::Named(name) => name.as_str(),
                Wish::Files(_) => "files",
                Wish::Fetch(_) => "fetch",
                Wish::Service(_) => continue,
            };
            if let Wish::Fetch(wish) = wish {
                self.hosts(&pointer, &wish.fetch.hosts);
            }
            if !met.insert(name) {
                self.push(
                    &pointer,
                    false,
                    format!("duplicate tool `{name}`"),
                    Some("remove this one".to_owned()),
                );
            } else if let Wish::Named(name) = wish {
                self.named(&pointer, name);
            }
        }
    }

    fn hosts(&mut self, pointer: &str, hosts: &[String]) {
        for (n, host) in hosts.iter().enumerate() {
            let is_plain = |letter: char| letter.is_alphanumeric() || "-._".contains(letter);
            if host.is_empty() || !host.chars().all(is_plain) {
                let message = format!("expected the name of a host, such as `docs.rs`, found `{host}`");
                let hint = "write neither scheme, port, path nor `*`: hosts below it count too".to_owned();
                self.push(&format!("{pointer}/fetch/hosts/{n}"), false, message, Some(hint));
            }
        }
    }

    fn named(&mut self, pointer: &str, name: &str) {
        if let Some(server) = name.strip_prefix(MCP) {
            let server = server.split('/').next().unwrap_or_default();
            if !self.server_names().contains(&server) {
                let names = self.server_names();
                let hint = match crate::near::closest(server, names.iter().copied()) {
                    Some(near) => format!("did you mean `{MCP}{near}`?"),
                    None => "add it to `mcpServers` here, or to `mcp.json`; see `agent-host mcp list`".to_owned(),
                };
                self.push(pointer, false, format!("unknown MCP server `{server}`"), Some(hint));
            }
        } else if name == "files" {
            let hint = "write {\"files\": {\"folder\": \".\"}}".to_owned();
            self.push(
                pointer,
                false,
                "expected the folder of `files`, found its name alone",
                Some(hint),
            );
        } else if !KNOWN.contains(&name) {
            let hint = remedy(name, &self.server_names());
            self.push(pointer, false, format!("unknown tool `{name}`"), Some(hint));
        }
    }

    fn approvals(&mut self) {
        let Approvals::Each(each) = &self.definition.approval else {
            return;
        };
        let servers = self.server_names();
        let is_known = |name: &str| match name.strip_prefix(MCP) {
            Some(server) => servers.contains(&server.split('/').next().unwrap_or_default()),
            None => KNOWN.contains(&name) || OF_FILES.contains(&name),
        };
        let unknown: Vec<&String> = each.keys().filter(|name| !is_known(name)).collect();
        let found = unknown.into_iter().map(|name| {
            let hint = remedy(name, &servers);
            (
                format!("/approval/{}", escaped(name)),
                format!("unknown tool `{name}`"),
                hint,
            )
        });
        for (pointer, message, hint) in found.collect::<Vec<_>>() {
            self.push(&pointer, true, message, Some(hint));
        }
    }
}

/// A member's name as a segment of a JSON pointer.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
