//! A connection to an MCP server, and its tools as tools of this host.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use plugin_api::Tool as Function;
use rmcp::model::{
    CallToolRequestParams, CallToolResult, ClientCapabilities, ClientConfig, ContentBlock, Implementation,
    PaginatedRequestParams, Tool as Listed,
};
use rmcp::service::{Peer, RoleClient, RunningService, ServiceExt};
use rmcp::transport::TokioChildProcess;
use rmcp::transport::streamable_http_client::{StreamableHttpClientTransport, StreamableHttpClientTransportConfig};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::process::{ChildStderr, Command};

use super::config::Server;
use super::{environment, words};
use crate::agents::definition::Approval;
use crate::agents::tool::{Answering, Arguments, Tool};
use crate::agents::web;
use crate::terminal::{clean_line, shortened};

/// The longest name of a function that services take.
const NAME_CHARS: usize = 64;
/// Further tools of a server are left out.
const MAX_TOOLS: usize = 128;
/// Further pages of its list are not asked for.
const MAX_PAGES: usize = 16;
/// What a tool may say about itself; models read it with each request.
const MAX_DESCRIPTION_CHARS: usize = 4_000;
/// The largest schema of a tool's arguments, in bytes.
const MAX_SCHEMA_BYTES: usize = 64 << 10;
/// The largest message over HTTP; over pipes the library has a limit of 16 MiB.
const MAX_MESSAGE_BYTES: usize = 16 << 20;
/// What is kept of a server's standard error, in bytes.
const KEPT_BYTES: usize = 4 << 10;
/// How long a server may take to end.
const END_LIMIT: Duration = Duration::from_secs(2);

type Running = RunningService<RoleClient, ClientConfig>;

/// A server that answers.
pub struct Connection {
    name: String,
    running: Running,
    limit: Duration,
}

impl Connection {
    /// Starts the server, or reaches it, and agrees with it on a version.
    ///
    /// - Errors: what failed, with the last line that its program wrote to standard error.
    pub async fn open(name: &str, server: &Server, secrets: &BTreeSet<String>) -> Result<Self, String> {
        let limit = server.limit();
        let me = Implementation::new("agent-host", env!("CARGO_PKG_VERSION"));
        let client = ClientConfig::new(ClientCapabilities::default(), me);
        let said = Arc::new(Mutex::new(Vec::new()));
        let opening = async {
            match &server.url {
                Some(url) => {
                    let transport = over_http(url, server, secrets)?;
                    client.serve(transport).await.map_err(|cause| words::of_start(&cause))
                }
                None => {
                    let (transport, stderr) = child(server, secrets)?;
                    if let Some(stderr) = stderr {
                        tokio::spawn(keep(stderr, Arc::clone(&said)));
                    }
                    client.serve(transport).await.map_err(|cause| words::of_start(&cause))
                }
            }
        };
        let opened = tokio::time::timeout(limit, opening).await;
        let opened = opened.unwrap_or_else(|_| Err(format!("no answer within {} s", limit.as_secs_f32())));
        let running = opened.map_err(|cause| match last_line(&said) {
            Some(line) => format!("{}; it wrote: {line}", clean_line(&cause)),
            None => clean_line(&cause),
        })?;
        Ok(Self {
            name: name.to_owned(),
            running,
            limit,
        })
    }

    /// What the server says it is: its name and its version.
    pub fn about(&self) -> String {
        let info = self.running.peer().peer_info();
        let about = info.as_ref().and_then(|info| info.server_info.as_ref());
        let about = about.map(|about| format!("{} {}", about.name, about.version));
        clean_line(&shortened(&about.unwrap_or_default(), 80))
    }

    /// Its tools by the names that it has for them.
    ///
    /// - Errors: it does not answer in time, or not with a list.
    pub async fn tools(&self) -> Result<Vec<(String, Box<dyn Tool>)>, String> {
        let listing = async {
            let mut listed: Vec<Listed> = Vec::new();
            let mut cursor = None;
            for _ in 0..MAX_PAGES {
                let params = PaginatedRequestParams::default().with_cursor(cursor.take());
                let page = self.running.peer().list_tools(Some(params)).await;
                let page = page.map_err(|cause| words::of_request(&cause))?;
                listed.extend(page.tools);
                cursor = page.next_cursor;
                if cursor.is_none() || listed.len() >= MAX_TOOLS {
                    break;
                }
            }
            listed.truncate(MAX_TOOLS);
            Ok::<_, String>(listed)
        };
        let listed = tokio::time::timeout(self.limit, listing).await;
        let listed = listed.map_err(|_| format!("no list of tools within {} s", self.limit.as_secs_f32()))??;
        let mut taken = BTreeMap::new();
        Ok(listed
            .into_iter()
            .filter_map(|tool| self.offered(tool, &mut taken))
            .collect())
    }

    /// The tool under a name that no other one has; `None` if nobody could use it.
    fn offered(&self, tool: Listed, taken: &mut BTreeMap<String, usize>) -> Option<(String, Box<dyn Tool>)> {
        let name = tool.name.into_owned();
        let schema = Value::Object((*tool.input_schema).clone());
        if name.is_empty() || schema.to_string().len() > MAX_SCHEMA_BYTES {
            tracing::warn!(
                "MCP server `{}`: a tool is left out: no name, or too large a schema",
                self.name
            );
            return None;
        }
        let cleaned = function_name(&self.name, &name);
        let n_before = taken.entry(cleaned.clone()).or_default();
        *n_before += 1;
        let unique = match *n_before {
            1 => cleaned,
            n => format!("{}_{n}", cleaned.chars().take(NAME_CHARS - 4).collect::<String>()),
        };
        let description = shortened(&tool.description.unwrap_or_default(), MAX_DESCRIPTION_CHARS);
        let remote = Remote {
            function: Function::new(unique, description, schema),
            name: name.clone(),
            peer: self.running.peer().clone(),
            limit: self.limit,
        };
        Some((name, Box::new(remote)))
    }

    /// Ends the connection, and the program behind it.
    pub async fn close(mut self) {
        if self.running.close_with_timeout(END_LIMIT).await.is_err() {
            tracing::warn!("the MCP server `{}` did not end cleanly", self.name);
        }
    }
}

/// `SERVER_TOOL` with nothing but letters, digits, `_` and `-`, because a server chooses its words.
fn function_name(server: &str, tool: &str) -> String {
    let letters = format!("{server}_{tool}");
    let letters = letters.chars().take(NAME_CHARS);
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "_-".contains(letter);
    letters.map(|letter| if plain(letter) { letter } else { '_' }).collect()
}

fn over_http(
    url: &str,
    server: &Server,
    secrets: &BTreeSet<String>,
) -> Result<StreamableHttpClientTransport<reqwest::Client>, String> {
    let mut headers = std::collections::HashMap::new();
    for (name, value) in &server.headers {
        let value = environment::filled(value, secrets, |name| std::env::var(name).ok())?;
        let unusable = |_| format!("the header `{name}` cannot be sent");
        let name = name
            .parse()
            .map_err(|_| format!("the header `{name}` cannot be sent"))?;
        let mut value = hyper::header::HeaderValue::from_str(&value).map_err(unusable)?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    let config = StreamableHttpClientTransportConfig::with_uri(url)
        .custom_headers(headers)
        .max_sse_event_size(MAX_MESSAGE_BYTES)
        .max_json_response_size(MAX_MESSAGE_BYTES);
    Ok(StreamableHttpClientTransport::with_client(
        web::client_for(url)?,
        config,
    ))
}

fn child(server: &Server, secrets: &BTreeSet<String>) -> Result<(TokioChildProcess, Option<ChildStderr>), String> {
    let program = server.command.as_deref().unwrap_or_default();
    let mut command = Command::new(program);
    command
        .args(&server.args)
        .env_clear()
        .envs(environment::of(&server.env, secrets)?)
        .kill_on_drop(true);
    if let Some(folder) = &server.cwd {
        command.current_dir(folder);
    }
    let started = TokioChildProcess::builder(command).stderr(Stdio::piped()).spawn();
    started.map_err(|cause| format!("cannot start `{program}`: {cause}"))
}

/// Reads what a program writes to standard error, so that it never waits for a reader, and keeps the end of it.
async fn keep(mut stderr: ChildStderr, said: Arc<Mutex<Vec<u8>>>) {
    let mut piece = [0; 1024];
    while let Ok(n_bytes @ 1..) = stderr.read(&mut piece).await {
        let Ok(mut said) = said.lock() else { return };
        said.extend_from_slice(&piece[..n_bytes]);
        let surplus = said.len().saturating_sub(KEPT_BYTES);
        said.drain(..surplus);
    }
}

fn last_line(said: &Mutex<Vec<u8>>) -> Option<String> {
    let said = said.lock().ok()?;
    let text = String::from_utf8_lossy(&said);
    let line = text.lines().rfind(|line| !line.trim().is_empty())?;
    Some(clean_line(&shortened(line.trim(), 200)))
}

/// A tool of a server.
struct Remote {
    function: Function,
    /// The server's name for it.
    name: String,
    peer: Peer<RoleClient>,
    limit: Duration,
}

impl Tool for Remote {
    fn function(&self) -> Function {
        self.function.clone()
    }

    /// Nobody here knows what it does; what the server says about that proves nothing.
    fn approval(&self) -> Approval {
        Approval::Ask
    }

    fn call<'a>(&'a self, arguments: &'a Arguments) -> Answering<'a> {
        Box::pin(async move {
            let mut params = CallToolRequestParams::new(self.name.clone());
            params.arguments = Some(arguments.clone());
            let called = tokio::time::timeout(self.limit, self.peer.call_tool(params)).await;
            let called = called.map_err(|_| format!("no answer within {} s", self.limit.as_secs_f32()))?;
            let result = called.map_err(|cause| words::of_request(&cause))?;
            let text = text_of(&result);
            if result.is_error == Some(true) {
                Err(text)
            } else {
                Ok(text)
            }
        })
    }
}

/// The text of a result. What is no text becomes a note: the model would see only its bytes.
fn text_of(result: &CallToolResult) -> String {
    let texts = result.content.iter().map(|block| match block {
        ContentBlock::Text(text) => text.text.clone(),
        other => {
            let value = serde_json::to_value(other).unwrap_or_default();
            let resource = value["resource"]["text"].as_str().map(str::to_owned);
            resource.unwrap_or_else(|| {
                json!({"left_out": value["type"], "mime_type": value["mimeType"], "uri": value["uri"]}).to_string()
            })
        }
    });
    let texts: Vec<String> = texts.collect();
    match &result.structured_content {
        Some(value) if texts.is_empty() => value.to_string(),
        _ => texts.join("\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_names_become_names_of_functions() {
        for (server, tool, expected) in [
            ("files", "read_file", "files_read_file"),
            ("my server", "Lösche alles!", "my_server_L_sche_alles_"),
            ("a", "b\u{1b}[2J\n", "a_b__2J_"),
        ] {
            assert_eq!(function_name(server, tool), expected);
        }
        assert_eq!(function_name("a", &"b".repeat(200)).len(), NAME_CHARS);
    }
}
