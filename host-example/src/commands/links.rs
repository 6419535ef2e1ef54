//! `agent-host links`: the service's pages, by the manifests of the plugins.

use serde_json::{Value, json};

use crate::setup::{Global, Setup};
use crate::terminal::{self, Exit, Failure, Fit, Page};

pub fn run(global: &Global, as_json: bool) -> Result<Exit, Failure> {
    let setup = Setup::read(global)?;
    let manifests = setup.folder.entries.iter().filter_map(|entry| entry.manifest.as_ref());
    let links: Vec<_> = manifests
        .flat_map(|manifest| manifest.links.iter().map(|link| (manifest.id.as_str(), link)))
        .collect();
    if as_json {
        let links = links.iter();
        let links = links.map(|(plugin, link)| json!({"plugin": plugin, "name": link.name, "url": link.url}));
        terminal::print_json(&links.collect::<Vec<Value>>());
    } else if links.is_empty() {
        terminal::say("no plugin names a page of its service");
    } else {
        let rows = links.into_iter();
        let rows = rows.map(|(plugin, link)| vec![plugin.to_owned(), link.name.clone(), link.url.clone()]);
        const HEAD: [(&str, Fit); 3] = [("PLUGIN", Fit::Dropped), ("PAGE", Fit::Whole), ("ADDRESS", Fit::Whole)];
        terminal::print_table(&terminal::table(&HEAD, rows, Page::of_stdout()));
    }
    Ok(Exit::Ok)
}
