//! `agent-host plugins new`: a crate with a small plugin, made of the crate `starter` beside this one.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::ValueHint;
use serde_json::json;

use super::super::Output;
use super::say_done;
use crate::setup::Setup;
use crate::terminal::{Exit, Failure};

/// The files of a crate, and the crate `starter`, whose name they contain in several forms.
const FILES: [(&str, &str); 3] = [
    ("Cargo.toml", include_str!("../../../starter/Cargo.toml")),
    ("src/lib.rs", include_str!("../../../starter/src/lib.rs")),
    ("README.md", include_str!("../../../starter/README.md")),
];
/// Where `starter` has plugin-api.
const SOURCE: &str = "path = \"../../plugin-api\"";
/// Makes the crate independent of a workspace above it, by accident or not.
const WORKSPACE: &str = "\n# Remove this to make the crate a member of a workspace.\n[workspace]\n";

/// The longest id that hosts accept.
const MAX_NAME_CHARS: usize = 64;
/// Words that no crate can be named after, and the crates that this one depends on.
const TAKEN: &str = "abstract alloc as async await become box break const continue core crate do dyn else enum extern \
                     false final fn for gen if impl in let loop macro match mod move mut override priv proc-macro pub \
                     ref return self static std struct super test trait true try type typeof unsafe unsized use \
                     virtual where while yield futures-core plugin-api serde-json tokio tracing";

#[derive(clap::Args)]
pub struct Args {
    /// The crate's name, which becomes the plugin's id: lower-case letters, digits and dashes
    name: String,
    /// The folder to create; by default one with the crate's name, here
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    path: Option<PathBuf>,
    /// The folder of plugin-api, or its repository's URL; by default the one above this folder or this program
    #[arg(long, value_name = "PATH", value_hint = ValueHint::DirPath)]
    plugin_api: Option<String>,
    #[command(flatten)]
    output: Output,
}

pub fn run(setup: &Setup, args: &Args) -> Result<Exit, Failure> {
    let name = &args.name;
    check_name(name)?;
    if setup.folder.find(name).is_ok() {
        let folder = setup.folder.path.display();
        return Err(
            Failure::usage(format!("the plugin folder `{folder}` already has a plugin `{name}`"))
                .with_hint("choose another name, or look at it: agent-host plugins list"),
        );
    }
    let source = source_of(args.plugin_api.as_deref())?;
    let folder = args.path.clone().unwrap_or_else(|| name.into());
    write(&folder, name, &source).map_err(|cause| match cause.kind() {
        io::ErrorKind::AlreadyExists => Failure::usage(format!(
            "expected to create the folder `{}`, found that it exists; nothing was changed",
            folder.display()
        ))
        .with_hint("choose another with `--path DIR`"),
        _ => Failure::usage(format!("`{}` cannot be written: {cause}", folder.display())),
    })?;
    let shown = folder.display();
    let lines = format!(
        "wrote {shown}, with plugin-api from {source}\nnext: cd {shown} && cargo test && cargo build --release"
    );
    Ok(say_done(
        &args.output,
        json!({"name": name, "folder": folder, "plugin_api": source}),
        &lines,
    ))
}

fn check_name(name: &str) -> Result<(), Failure> {
    let is_word = |word: &str| {
        !word.is_empty()
            && word
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    let found = if name.len() > MAX_NAME_CHARS {
        "more"
    } else if TAKEN.split(' ').any(|taken| taken == name) {
        "a word that Rust or a dependency has"
    } else if !name.starts_with(|first: char| first.is_ascii_lowercase()) || !name.split('-').all(is_word) {
        "something else"
    } else {
        return Ok(());
    };
    Err(Failure::usage(format!(
        "`{name}`: expected a name of at most {MAX_NAME_CHARS} lower-case letters, digits and single dashes, found {found}"
    ))
    .with_hint("such as: agent-host plugins new my-service"))
}

/// What `Cargo.toml` says of plugin-api.
fn source_of(asked: Option<&str>) -> Result<String, Failure> {
    let quoted = |text: &str| json!(text).to_string();
    let is_it = |folder: &Path| {
        let manifest = fs::read_to_string(folder.join("Cargo.toml"));
        manifest.is_ok_and(|text| text.lines().any(|line| line == "name = \"plugin-api\""))
    };
    let folder = match asked {
        Some(url) if url.contains("://") => return Ok(format!("git = {}", quoted(url))),
        Some(path) => Some(PathBuf::from(path)).filter(|folder| is_it(folder)),
        None => {
            let starts = [env::current_dir(), env::current_exe()];
            let starts: Vec<PathBuf> = starts.into_iter().flatten().collect();
            let mut above = starts.iter().flat_map(|start| start.ancestors());
            above.find_map(|folder| Some(folder.join("plugin-api")).filter(|folder| is_it(folder)))
        }
    };
    let folder = folder.and_then(|folder| fs::canonicalize(folder).ok()).ok_or_else(|| {
        let place = asked.map_or("above this folder or this program".to_owned(), |path| {
            format!("in `{path}`")
        });
        Failure::usage(format!(
            "expected the crate `plugin-api` {place}, found none; it is not on crates.io"
        ))
        .with_hint("name the folder in a copy of the repository, or the repository itself: --plugin-api PATH-OR-URL")
    })?;
    Ok(format!("path = {}", quoted(&folder.to_string_lossy())))
}

/// Writes the crate into a new folder.
fn write(folder: &Path, name: &str, source: &str) -> io::Result<()> {
    if let Some(above) = folder.parent() {
        fs::create_dir_all(above)?;
    }
    fs::create_dir(folder)?;
    fs::create_dir(folder.join("src"))?;
    for (path, text) in FILES {
        let mut text = named(text, name).replace(SOURCE, source);
        if path == "Cargo.toml" {
            text.push_str(WORKSPACE);
        }
        fs::write(folder.join(path), text)?;
    }
    Ok(())
}

/// A text of `starter` with another name.
fn named(text: &str, name: &str) -> String {
    let words = name.split('-').map(|word| word[..1].to_uppercase() + &word[1..]);
    let (snake, pascal) = (name.replace('-', "_"), words.collect::<String>());
    text.replace("libstarter", &format!("lib{snake}"))
        .replace("starter.dll", &format!("{snake}.dll"))
        .replace("STARTER", &snake.to_uppercase())
        .replace("Starter", &pascal)
        .replace("starter", name)
}
