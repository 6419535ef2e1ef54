//! `agent-host mcp`: the MCP servers that agents may use: which there are, whether they answer, what they offer.

use std::collections::BTreeMap;
use std::time::Instant;

use clap::Subcommand;
use serde_json::{Value, json};

use super::Output;
use crate::agents::mcp::{Connection, Server};
use crate::agents::{Reach, Shelf, confirm_servers, unreachable};
use crate::near;
use crate::setup::{Folder, Global, Places};
use crate::terminal::{self, Exit, Failure, Fit, Page, clean_line, counted, listed, shortened, time};

/// List, test and read the MCP servers that agents may use
#[derive(Subcommand)]
pub enum Command {
    /// List the servers of `mcp.json`, or those of an agent
    List(Whose),
    /// Start or reach servers, and say what they are
    Test(Which),
    /// List the tools of servers, as the model sees them
    Tools(Which),
}

#[derive(clap::Args)]
pub struct Whose {
    /// The agent, by its name or path, whose servers count too
    #[arg(long, value_name = "AGENT")]
    agent: Option<String>,
    #[command(flatten)]
    output: Output,
}

#[derive(clap::Args)]
pub struct Which {
    /// The server's name; all of them if absent
    name: Option<String>,
    #[command(flatten)]
    whose: Whose,
}

pub async fn run(global: &Global, command: &Command) -> Result<Exit, Failure> {
    let shelf = {
        let places = Places::from(global)?;
        Shelf::of(&places, &Folder::read(&places)?)
    };
    let reach = shelf.reach(None, None, global.trust_profile)?;
    match command {
        Command::List(whose) => Ok(list(&shelf, &servers(&shelf, whose)?, whose.output.json)),
        Command::Test(which) => test(&chosen(&shelf, which, &reach).await?, &reach, which.whose.output.json).await,
        Command::Tools(which) => tools(&shelf, &chosen(&shelf, which, &reach).await?, &reach, &which.whose).await,
    }
}

type Servers = BTreeMap<String, Server>;

fn servers(shelf: &Shelf, whose: &Whose) -> Result<Servers, Failure> {
    let mut servers = shelf.servers()?;
    if let Some(agent) = &whose.agent {
        servers.extend(shelf.read(&shelf.found(agent)?)?.mcp_servers);
    }
    Ok(servers)
}

/// The named server, or all that are not disabled.
///
/// - Errors: there is none, or it belongs to a file that may be somebody else's, and the user did not say yes.
async fn chosen(shelf: &Shelf, which: &Which, reach: &Reach) -> Result<Servers, Failure> {
    let chosen = named(shelf, which)?;
    if let Some(agent) = &which.whose.agent {
        let file = shelf.found(agent)?;
        let own = shelf.read(&file)?.mcp_servers;
        let own = chosen.iter().filter(|(name, _)| own.contains_key(*name));
        confirm_servers(shelf, &file, own, reach).await?;
    }
    Ok(chosen)
}

fn named(shelf: &Shelf, which: &Which) -> Result<Servers, Failure> {
    let mut servers = servers(shelf, &which.whose)?;
    let none = || {
        format!(
            "add it to `mcpServers` in `{}`, or name the `--agent` that has it",
            shelf.servers_file.display()
        )
    };
    match &which.name {
        None if servers.is_empty() => Err(Failure::usage("there is no MCP server").with_hint(none())),
        None => {
            servers.retain(|_, server| !server.disabled);
            Ok(servers)
        }
        Some(name) => match servers.remove_entry(name) {
            Some(found) => Ok(Servers::from([found])),
            None => {
                let near = near::closest(name, servers.keys().map(String::as_str));
                let hint = match near {
                    Some(near) => format!("did you mean `{near}`?"),
                    None if servers.is_empty() => none(),
                    None => format!("there are {}", listed(servers.keys().map(String::as_str), "and")),
                };
                Err(Failure::usage(format!("there is no MCP server `{name}`")).with_hint(hint))
            }
        },
    }
}

fn list(shelf: &Shelf, servers: &Servers, as_json: bool) -> Exit {
    if as_json {
        let objects = servers.iter().map(|(name, server)| {
            json!({"name": name, "place": server.place(), "is_http": server.url.is_some(), "disabled": server.disabled})
        });
        terminal::print_json(&objects.collect::<Vec<_>>());
    } else if servers.is_empty() {
        let shown = shelf.servers_file.display();
        terminal::say(&format!(
            "there is no MCP server; add some to `mcpServers` in `{shown}`"
        ));
    } else {
        const HEAD: [(&str, Fit); 2] = [("NAME", Fit::Whole), ("HOW IT IS REACHED", Fit::Spare)];
        let rows = servers.iter().map(|(name, server)| {
            let off = if server.disabled { " (disabled)" } else { "" };
            vec![clean_line(name), clean_line(&format!("{}{off}", server.place()))]
        });
        terminal::print_table(&terminal::table(&HEAD, rows, Page::of_stdout()));
    }
    Exit::Ok
}

async fn test(servers: &Servers, reach: &Reach, as_json: bool) -> Result<Exit, Failure> {
    let mut objects = Vec::new();
    let mut failed = None;
    for (name, server) in servers {
        let begun = Instant::now();
        let tried = tried(name, server, reach).await;
        let duration_ms = time::elapsed_ms(begun);
        let line = match &tried {
            Ok((about, n_tools)) => {
                format!(
                    "✓ {name}: {about}, {}, {}",
                    counted(*n_tools, "tool"),
                    terminal::seconds(duration_ms)
                )
            }
            Err(why) => format!("✗ {name}: {why}"),
        };
        objects.push(match &tried {
            Ok((about, n_tools)) => {
                json!({"name": name, "is_ok": true, "server": about, "tools": n_tools, "duration_ms": duration_ms})
            }
            Err(why) => json!({"name": name, "is_ok": false, "error": why, "duration_ms": duration_ms}),
        });
        if !as_json {
            terminal::print_line(&Page::of_stdout().text(&clean_line(&line)));
        }
        failed = tried.err().map(|why| (name, why)).or(failed);
    }
    if as_json {
        terminal::print_json(&objects);
    }
    // What failed is on stdout.
    Ok(if failed.is_some() { Exit::Usage } else { Exit::Ok })
}

async fn tried(name: &str, server: &Server, reach: &Reach) -> Result<(String, usize), String> {
    let connection = Connection::open(name, server, &reach.secrets).await?;
    let listed = connection.tools().await;
    let about = connection.about();
    connection.close().await;
    Ok((about, listed?.len()))
}

async fn tools(shelf: &Shelf, servers: &Servers, reach: &Reach, whose: &Whose) -> Result<Exit, Failure> {
    let mut functions = Vec::new();
    let agent = whose.agent.as_deref().map(|agent| shelf.found(agent)).transpose()?;
    let agent = agent.map(|file| shelf.named(&file));
    for (name, server) in servers {
        let listed = async {
            let connection = Connection::open(name, server, &reach.secrets).await?;
            let listed = connection.tools().await;
            connection.close().await;
            listed
        };
        let listed: Result<Vec<_>, String> = listed.await;
        for (tool, offered) in listed.map_err(|why| unreachable(name, &why, agent.as_deref()))? {
            functions.push((format!("mcp:{name}/{tool}"), offered.function()));
        }
    }
    if whose.output.json {
        let objects = functions.into_iter().map(|(name, function)| {
            let mut object = Value::from(function);
            object["name"] = Value::from(name);
            object
        });
        terminal::print_json(&objects.collect::<Vec<_>>());
        return Ok(Exit::Ok);
    }
    const HEAD: [(&str, Fit); 3] = [
        ("NAME", Fit::Whole),
        ("FUNCTION", Fit::Dropped),
        ("WHAT FOR", Fit::Spare),
    ];
    let rows = functions.into_iter().map(|(name, function)| {
        [name, function.name, shortened(&function.description, 300)]
            .map(|cell| clean_line(&cell))
            .to_vec()
    });
    terminal::print_table(&terminal::table(&HEAD, rows, Page::of_stdout()));
    Ok(Exit::Ok)
}
