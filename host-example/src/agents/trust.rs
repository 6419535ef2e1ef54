//! What an agent's file wants that may be somebody else's: one outside the config folder. Before one of its programs
//! starts, an address is reached or a folder elsewhere is opened, the user says yes, once for each.

use std::env;
use std::path::Path;

use serde_json::json;

use super::definition::{Definition, Wish};
use super::folder::at_home;
use super::mcp::Server;
use super::shelf::Shelf;
use super::toolbox::Reach;
use crate::setup::agreed_once;
use crate::terminal::{Failure, listed};

/// What a stranger's file would do, and how it is asked about.
struct Want {
    message: String,
    what: &'static str,
    question: &'static str,
    /// What is kept of a yes.
    kept: String,
}

/// Makes sure that the user allows everything that an agent reaches.
///
/// - Errors: the file may be somebody else's, and the user did not say yes.
pub async fn confirm(shelf: &Shelf, file: &Path, definition: &Definition, reach: &Reach) -> Result<(), Failure> {
    let servers = super::toolbox::servers_of(definition, &reach.shared);
    confirm_servers(shelf, file, servers.iter(), reach).await?;
    let mut wants = Vec::new();
    for wish in &definition.tools {
        if let Wish::Files(wish) = wish {
            wants.extend(folder(file, &wish.files.folder, wish.files.write));
        }
    }
    agreed(shelf, file, wants, reach).await
}

/// The same for these servers alone.
pub async fn confirm_servers<'a>(
    shelf: &Shelf,
    file: &Path,
    servers: impl Iterator<Item = (&'a String, &'a Server)>,
    reach: &Reach,
) -> Result<(), Failure> {
    let wants = servers.map(|(name, server)| self::server(file, name, server)).collect();
    agreed(shelf, file, wants, reach).await
}

async fn agreed(shelf: &Shelf, file: &Path, wants: Vec<Want>, reach: &Reach) -> Result<(), Failure> {
    if reach.is_trusted || !is_strangers(shelf, file) {
        return Ok(());
    }
    for want in wants {
        agreed_once(&want.kept, &want.message, want.what, want.question).await?;
    }
    Ok(())
}

/// Whether the file lies outside the user's config folder. A link in there is the user's.
fn is_strangers(shelf: &Shelf, file: &Path) -> bool {
    let config = shelf.servers_file.parent().map(Path::canonicalize);
    let folder = folder_of(file).canonicalize();
    match (config, folder) {
        (Some(Ok(config)), Ok(folder)) => !folder.starts_with(config),
        _ => true,
    }
}

fn folder_of(file: &Path) -> &Path {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

fn server(file: &Path, name: &str, server: &Server) -> Want {
    let shown = file.display();
    let here = env::current_dir().unwrap_or_default();
    let variables = server.variables();
    let with = match variables.is_empty() {
        true => String::new(),
        false => format!(
            " with your variables {}",
            listed(variables.iter().map(String::as_str), "and")
        ),
    };
    match &server.command {
        Some(command) => {
            let words = [std::slice::from_ref(command), server.args.as_slice()].concat();
            let sets = match server.env.is_empty() {
                true => String::new(),
                false => format!(", set {} for it", listed(server.env.keys().map(String::as_str), "and")),
            };
            let place = server.cwd.as_ref().map(|folder| format!(" in `{}`", folder.display()));
            Want {
                message: format!(
                    "the agent in `{shown}` would start `{}`{}{with}{sets} (MCP server `{name}`)",
                    words.join(" "),
                    place.unwrap_or_default()
                ),
                what: "program",
                question: "Start it?",
                // Another folder may have another program under the same name.
                kept: json!(["start", words, server.env, server.cwd, here]).to_string(),
            }
        }
        None => Want {
            message: format!(
                "the agent in `{shown}` would send what its model writes to {}{with} (MCP server `{name}`)",
                server.place()
            ),
            what: "address",
            question: "Trust this address?",
            kept: json!(["reach", server.place(), variables]).to_string(),
        },
    }
}

/// A folder that a stranger's file may not open by itself: absolute, or outside the file's own.
fn folder(file: &Path, wanted: &Path, writes: bool) -> Option<Want> {
    let whole = at_home(wanted).canonicalize();
    let own = folder_of(file).canonicalize();
    let is_below = matches!((&whole, &own), (Ok(whole), Ok(own)) if whole.starts_with(own));
    if wanted.is_relative() && !wanted.starts_with("~") && is_below {
        return None;
    }
    let whole = whole.unwrap_or_else(|_| at_home(wanted));
    let verb = if writes { "read and write" } else { "read" };
    Some(Want {
        message: format!(
            "the agent in `{}` would {verb} files in `{}`",
            file.display(),
            whole.display()
        ),
        what: "agent",
        question: "Allow it?",
        kept: json!([verb, whole, own.ok()]).to_string(),
    })
}
