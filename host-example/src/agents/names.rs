//! The names that tools have in a definition, and what people call them elsewhere. Pure.

use crate::near;
use crate::terminal::listed;

/// What an agent's `tools` may name. `fetch` is off unless it is named, as all of them are.
pub const KNOWN: [&str; 4] = ["clock", "calc", "files", "fetch"];

/// The functions that `files` gives the model; the last one only with `"write": true`.
pub const OF_FILES: [&str; 4] = ["files_list", "files_read", "files_search", "files_write"];

/// What comes before the name of an MCP server.
pub const MCP: &str = "mcp:";

/// Names of other programs, and what comes nearest here; empty: a tool of the service's own.
const ELSEWHERE: [(&str, &str); 21] = [
    ("browser", "fetch"),
    ("calculator", "calc"),
    ("codeinterpreter", "calc"),
    ("currenttime", "clock"),
    ("datetime", "clock"),
    ("execute", "calc"),
    ("filesearch", "files"),
    ("filesystem", "files"),
    ("http", "fetch"),
    ("httpfetch", "fetch"),
    ("listfiles", "files"),
    ("math", "calc"),
    ("python", "calc"),
    ("read", "files"),
    ("readfile", "files"),
    ("search", ""),
    ("time", "clock"),
    ("url", "fetch"),
    ("webfetch", "fetch"),
    ("websearch", ""),
    ("write", "files"),
];

/// What to do about a name that no tool has.
///
/// - In: `servers`, the MCP servers that are set up.
pub fn remedy(name: &str, servers: &[&str]) -> String {
    let folded = near::fold(name);
    let elsewhere = ELSEWHERE.iter().find(|(other, _)| *other == folded);
    let (all, servers) = (listed(KNOWN, "and"), listed(servers.iter().copied(), "and"));
    let all = match servers.as_str() {
        "" => format!("there are {all}, and `mcp:NAME` for MCP servers"),
        servers => format!("there are {all}, and `mcp:NAME` for the MCP servers {servers}"),
    };
    match elsewhere
        .map(|(_, near)| *near)
        .or_else(|| near::closest(name, KNOWN.into_iter()))
    {
        Some("") => format!("tools that the service runs are objects, such as {{\"type\": \"…\"}}; {all}"),
        Some(near) => format!("the nearest is `{near}`; {all}"),
        None => all,
    }
}
