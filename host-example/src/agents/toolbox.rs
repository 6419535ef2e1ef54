//! The tools of one agent: found, connected, offered to the model, and run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use plugin_api::{Tool as Function, ToolCall};
use serde_json::{Value, json};

use super::builtin::{Calc, Clock};
use super::definition::{Approval, Approvals, Definition, Fetched, Wish};
use super::fetch::Fetch;
use super::folder;
use super::mcp::{Connection, Server};
use super::names::MCP;
use super::shelf::word;
use super::tool::{Arguments, Tool};
use crate::terminal::{Exit, Failure, shortened};

/// The longest time for one call.
const CALL_LIMIT: Duration = Duration::from_secs(120);
/// The longest name of a function that services take.
const MAX_NAME_CHARS: usize = 64;
/// What the model gets of a result.
const MAX_RESULT_CHARS: usize = 60_000;

/// The result of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The text for the model.
    pub result: String,
    pub is_error: bool,
}

impl Outcome {
    pub fn error(reason: &str) -> Self {
        let result = json!({"error": shortened(reason, MAX_RESULT_CHARS)}).to_string();
        Self { result, is_error: true }
    }
}

/// A tool that the model may call.
struct Offered {
    function: Function,
    tool: Arc<dyn Tool>,
    approval: Approval,
}

/// What agents may reach besides what their definitions hold.
#[derive(Default)]
pub struct Reach {
    /// The MCP servers for all agents.
    pub shared: BTreeMap<String, Server>,
    /// The variables whose values no server gets.
    pub secrets: BTreeSet<String>,
    /// The agent as a word for a shell, if it has a file.
    pub agent: Option<String>,
    /// Whether the user trusts files that may be somebody else's.
    pub is_trusted: bool,
}

#[derive(Default)]
pub struct Toolbox {
    offered: Vec<Offered>,
    /// The tools that the service runs, as the definition has them.
    of_the_service: Vec<Value>,
    connections: Vec<Connection>,
}

/// A call that can run: it outlives the toolbox.
pub struct Ready {
    tool: Arc<dyn Tool>,
    arguments: Arguments,
}

impl Toolbox {
    /// Finds the tools that an agent names, and connects to its MCP servers.
    ///
    /// - Errors: a folder cannot be opened, or a server does not answer.
    pub async fn open(definition: &Definition, reach: &Reach) -> Result<Self, Failure> {
        let mut toolbox = Self::default();
        for wish in &definition.tools {
            match wish {
                Wish::Named(name) if name == "clock" => toolbox.offer(Box::new(Clock), &["clock"], definition),
                Wish::Named(name) if name == "calc" => toolbox.offer(Box::new(Calc), &["calc"], definition),
                Wish::Named(name) if name == "fetch" => {
                    toolbox.offer(Box::new(Fetch::new(&Fetched::default())), &["fetch"], definition);
                }
                // `connect` takes them, and the check knows the others.
                Wish::Named(_) => {}
                Wish::Files(wish) => {
                    for tool in folder::tools(&wish.files).map_err(Failure::usage)? {
                        let name = tool.function().name;
                        toolbox.offer(tool, &[&name, "files"], definition);
                    }
                }
                Wish::Fetch(wish) => toolbox.offer(Box::new(Fetch::new(&wish.fetch)), &["fetch"], definition),
                Wish::Service(wish) => {
                    let object = serde_json::to_value(wish).unwrap_or_default();
                    toolbox.of_the_service.push(object);
                }
            }
        }
        let connected = toolbox.connect(definition, reach).await;
        match connected {
            Ok(()) => Ok(toolbox),
            Err(failure) => {
                toolbox.close().await;
                Err(failure)
            }
        }
    }

    /// - In: `names`, under which the definition may say whether it runs, the most exact one first.
    fn offer(&mut self, tool: Box<dyn Tool>, names: &[&str], definition: &Definition) {
        let mut function = tool.function();
        let is_taken = |name: &str| self.offered.iter().any(|offered| offered.function.name == name);
        let mut n = 1;
        let wanted = function.name.clone();
        while is_taken(&function.name) {
            n += 1;
            let start: String = wanted.chars().take(MAX_NAME_CHARS - 4).collect();
            function.name = format!("{start}_{n}");
        }
        let approval = match &definition.approval {
            Approvals::All(approval) => *approval,
            Approvals::Each(each) => {
                let named = names.iter().filter_map(|name| each.get(*name)).next();
                named.copied().unwrap_or_else(|| tool.approval())
            }
        };
        self.offered.push(Offered {
            function,
            tool: tool.into(),
            approval,
        });
    }

    async fn connect(&mut self, definition: &Definition, reach: &Reach) -> Result<(), Failure> {
        let mut starting = Vec::new();
        for (name, server) in servers_of(definition, &reach.shared) {
            tracing::info!("starting or reaching the MCP server `{name}`: {}", server.place());
            let (name_there, secrets) = (name.clone(), reach.secrets.clone());
            starting.push((
                name,
                tokio::spawn(async move { Connection::open(&name_there, &server, &secrets).await }),
            ));
        }
        let mut failed = None;
        for (name, opening) in starting {
            let opened = opening.await.unwrap_or_else(|_| Err("it cannot be reached".to_owned()));
            match self.connected(&name, opened, definition).await {
                Ok(()) => {}
                Err(why) => {
                    let is_own = definition.mcp_servers.contains_key(&name);
                    let agent = reach.agent.as_deref().filter(|_| is_own);
                    failed.get_or_insert_with(|| unreachable(&name, &why, agent));
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    async fn connected(
        &mut self,
        name: &str,
        opened: Result<Connection, String>,
        definition: &Definition,
    ) -> Result<(), String> {
        let connection = opened?;
        let listed = connection.tools().await;
        self.connections.push(connection);
        let listed = listed?;
        let wanted = wanted_of(definition, name);
        if let Some(missing) = wanted
            .iter()
            .find(|wanted| !listed.iter().any(|(tool, _)| tool == *wanted))
        {
            return Err(format!("it has no tool `{missing}`"));
        }
        for (tool_name, tool) in listed {
            if wanted.is_empty() || wanted.contains(&tool_name.as_str()) {
                let names = [format!("{MCP}{name}/{tool_name}"), format!("{MCP}{name}")];
                self.offer(tool, &names.each_ref().map(String::as_str), definition);
            }
        }
        Ok(())
    }

    /// Keeps the tools that run without a question.
    pub fn keep_those_that_run_always(&mut self) {
        self.offered.retain(|offered| offered.approval == Approval::Always);
    }

    /// The items of a request's `tools`.
    pub fn descriptions(&self) -> Vec<Value> {
        let functions = self.offered.iter().map(|offered| Value::from(offered.function.clone()));
        functions.chain(self.of_the_service.iter().cloned()).collect()
    }

    pub fn approval(&self, name: &str) -> Approval {
        let offered = self.offered.iter().find(|offered| offered.function.name == name);
        // What does not exist cannot do harm; the model gets the error.
        offered.map_or(Approval::Always, |offered| offered.approval)
    }

    /// - Errors: the model wrote a call that cannot run.
    pub fn ready(&self, call: &ToolCall) -> Result<Ready, Outcome> {
        let Some(offered) = self.offered.iter().find(|offered| offered.function.name == call.name) else {
            let names: Vec<&str> = self
                .offered
                .iter()
                .map(|offered| offered.function.name.as_str())
                .collect();
            return Err(Outcome::error(&format!(
                "unknown tool `{}`; available: {}",
                call.name,
                names.join(", ")
            )));
        };
        // Some models send no arguments at all instead of `{}`.
        let text = if call.arguments.trim().is_empty() {
            "{}"
        } else {
            &call.arguments
        };
        match serde_json::from_str::<Value>(text) {
            Ok(Value::Object(arguments)) => Ok(Ready {
                tool: Arc::clone(&offered.tool),
                arguments,
            }),
            Ok(_) => Err(Outcome::error("expected the arguments to be a JSON object")),
            Err(_) => Err(Outcome::error("the arguments are not JSON")),
        }
    }

    /// Ends the connections.
    pub async fn close(self) {
        for connection in self.connections {
            connection.close().await;
        }
    }
}

impl Ready {
    /// Runs it, for at most `limit`.
    pub async fn run(self, limit: Option<Duration>) -> Outcome {
        let limit = limit.map_or(CALL_LIMIT, |limit| limit.min(CALL_LIMIT));
        match tokio::time::timeout(limit, self.tool.call(&self.arguments)).await {
            Ok(Ok(result)) => Outcome {
                result: cut(result),
                is_error: false,
            },
            Ok(Err(reason)) => Outcome::error(&reason),
            Err(_) => Outcome::error(&format!("no result within {} s", limit.as_secs())),
        }
    }
}

fn cut(mut result: String) -> String {
    if let Some((end, _)) = result.char_indices().nth(MAX_RESULT_CHARS) {
        result.truncate(end);
        result.push_str(&format!("\n[cut after {MAX_RESULT_CHARS} characters]"));
    }
    result
}

/// The servers that an agent uses: its own, and those for all agents that it names.
pub fn servers_of(definition: &Definition, shared: &BTreeMap<String, Server>) -> BTreeMap<String, Server> {
    let own = definition.mcp_servers.iter().filter(|(_, server)| !server.disabled);
    let mut servers: BTreeMap<String, Server> = own.map(|(name, server)| (name.clone(), server.clone())).collect();
    for wish in &definition.tools {
        let Wish::Named(wish) = wish else { continue };
        let Some(name) = wish.strip_prefix(MCP).and_then(|name| name.split('/').next()) else {
            continue;
        };
        if let Some(server) = definition.mcp_servers.get(name).or_else(|| shared.get(name)) {
            servers.entry(name.to_owned()).or_insert_with(|| server.clone());
        }
    }
    servers
}

/// The tools of a server that an agent names; none: all of them.
fn wanted_of<'a>(definition: &'a Definition, server: &str) -> Vec<&'a str> {
    let named = definition.tools.iter().filter_map(|wish| match wish {
        Wish::Named(name) => name.strip_prefix(MCP)?.strip_prefix(server),
        _ => None,
    });
    let named: Vec<&str> = named.collect();
    match named.contains(&"") {
        true => Vec::new(),
        false => named.into_iter().filter_map(|rest| rest.strip_prefix('/')).collect(),
    }
}

/// The failure of a server that an agent needs.
///
/// - In: `agent`, the agent in whose file the server stands, as a word for a shell.
pub fn unreachable(name: &str, why: &str, agent: Option<&str>) -> Failure {
    let mut failure = Failure::new(Exit::Usage, format!("the MCP server `{name}` cannot be used: {why}"));
    failure.details["code"] = Value::from("mcp");
    let agent = agent.map(|agent| format!("--agent {agent} ")).unwrap_or_default();
    failure.with_hint(format!("try it alone: agent-host mcp test {agent}{}", word(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(definition: Value) -> Definition {
        serde_json::from_value(definition).unwrap_or_else(|cause| panic!("{cause}"))
    }

    async fn ran(name: &str, arguments: &str) -> Outcome {
        let definition = of(json!({"tools": ["clock", "calc"]}));
        let toolbox = Toolbox::open(&definition, &Reach::default()).await;
        let call = ToolCall {
            name: name.to_owned(),
            arguments: arguments.to_owned(),
            ..ToolCall::default()
        };
        match toolbox.unwrap_or_else(|failure| panic!("{failure}")).ready(&call) {
            Ok(ready) => ready.run(None).await,
            Err(outcome) => outcome,
        }
    }

    #[tokio::test]
    async fn a_bad_call_has_its_error_as_result() {
        assert_eq!(ran("calc", r#"{"expression": "2+2"}"#).await.result, "4");
        // Some models send no arguments at all instead of `{}`.
        assert!(ran("clock", "").await.result.ends_with('Z'));
        let no_expression = "expected the argument `expression`, a string";
        for (name, arguments, error) in [
            ("calc", "{\"expression\": \"2+", "the arguments are not JSON"),
            ("calc", "[1]", "expected the arguments to be a JSON object"),
            ("calc", "{}", no_expression),
            ("calc", r#"{"expression": 4}"#, no_expression),
            ("calc", r#"{"expression": "1/0"}"#, "division by zero"),
            ("rm", "{}", "unknown tool `rm`; available: clock, calc"),
        ] {
            let outcome = ran(name, arguments).await;
            assert_eq!(
                (outcome.result, outcome.is_error),
                (format!(r#"{{"error":"{error}"}}"#), true)
            );
        }
    }

    #[tokio::test]
    async fn every_tool_is_described_by_a_schema_and_asks_as_the_agent_says() {
        let folder = env!("CARGO_MANIFEST_DIR");
        let tools = json!([
            "clock", "calc", {"fetch": {"hosts": ["docs.rs"]}}, {"files": {"folder": folder, "write": true}},
            {"type": "acme:web_search", "max_results": 3}
        ]);
        let approvals = async |approval: Value| {
            let definition = of(json!({"tools": tools, "approval": approval}));
            let toolbox = Toolbox::open(&definition, &Reach::default()).await;
            let toolbox = toolbox.unwrap_or_else(|failure| panic!("{failure}"));
            for description in toolbox.descriptions() {
                let schema = &description["function"]["parameters"];
                assert!(
                    description["function"].is_null() || jsonschema::validator_for(schema).is_ok(),
                    "{schema}"
                );
            }
            let last = toolbox.descriptions().pop();
            assert_eq!(last, Some(json!({"type": "acme:web_search", "max_results": 3})));
            ["calc", "fetch", "files_read", "files_write"].map(|name| toolbox.approval(name))
        };
        use Approval::{Always, Ask, Never};
        assert_eq!(approvals(json!({})).await, [Always, Ask, Always, Ask]);
        assert_eq!(approvals(json!("ask")).await, [Ask; 4]);
        let each = json!({"files": "never", "files_write": "always", "calc": "ask"});
        assert_eq!(approvals(each).await, [Ask, Ask, Never, Always]);
    }

    #[test]
    fn an_agent_uses_its_own_servers_and_those_that_it_names() {
        let shared: BTreeMap<String, Server> = serde_json::from_value(json!({
            "everything": {"command": "e"}, "other": {"url": "https://example.org/mcp"}
        }))
        .expect("servers");
        let definition = of(json!({
            "tools": ["mcp:everything/echo", "mcp:everything/add", "mcp:own"],
            "mcpServers": {"own": {"command": "o"}, "off": {"command": "x", "disabled": true}},
        }));
        let names: Vec<String> = servers_of(&definition, &shared).into_keys().collect();
        assert_eq!(names, ["everything", "own"]);
        assert_eq!(wanted_of(&definition, "everything"), ["echo", "add"]);
        assert_eq!(wanted_of(&definition, "own"), Vec::<&str>::new());
    }
}
