//! What of others is in the published programs: how much it is, and the notices that must go along.
//!
//! `.ci/deny` holds licences, sources and versions to `deny.toml`. This needs nothing but cargo.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tests::{LONG_LIMIT, cargo, run, workspace};

const PLUGIN: &str = "plugin-openrouter";
const HOST: &str = "host-example";

/// The platform whose notices are written.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";

/// The notices, in the repository's folder.
const NOTICES: &str = "THIRD-PARTY.txt";

/// Crates without a licence text, and a crate of the same authors under the same licence that has it.
const WITHOUT_TEXT: [(&str, &str); 5] = [
    ("jsonschema-regex", "jsonschema"),
    ("jsonschema-value", "jsonschema"),
    ("repr_offset", "typewit"),
    ("uuid-simd", "outref"),
    ("vsimd", "outref"),
];

/// What precedes the list.
const HEAD: &str = "\
Software by others in plugin-openrouter and agent-host

The two programs contain the crates below, and the Rust standard library. Whoever passes a program on must pass this
file on too. The sources of each crate are at https://crates.io/crates/NAME/VERSION, also those under the MPL-2.0, which
are used unchanged. Where a crate offers a choice that includes the Apache License, version 2.0, that is the choice.

This file is generated: UPDATE_EXPECTED=1 cargo test --workspace --test supply

";

/// Name and version of each crate that a build of the package needs, as `edges` follow.
fn crates_of(package: &str, edges: &str) -> BTreeSet<(String, String)> {
    let mut tree = cargo();
    tree.args([
        "tree",
        "--locked",
        "--offline",
        "--prefix",
        "none",
        "--target",
        PLATFORM,
    ]);
    tree.args(["-p", package, "-e", edges]);
    let printed = run(tree, None, LONG_LIMIT).expect_success().stdout;
    let lines = printed.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        Some((words.next()?.to_owned(), words.next()?.strip_prefix('v')?.to_owned()))
    });
    lines.collect()
}

/// What cargo knows about every crate, by name and version.
fn descriptions() -> BTreeMap<(String, String), Value> {
    let mut metadata = cargo();
    metadata.args(["metadata", "--format-version=1", "--locked", "--offline"]);
    metadata.args(["--filter-platform", PLATFORM]);
    let printed = run(metadata, None, LONG_LIMIT).expect_success().stdout;
    let mut read: Value = serde_json::from_str(&printed).expect("cargo prints JSON");
    let packages = read["packages"].as_array_mut().map(std::mem::take).unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let named = packages.into_iter();
    named
        .map(|package| ((text(&package["name"]), text(&package["version"])), package))
        .collect()
}

/// The texts that a crate wants to be passed on: its notices, and its licence unless the Apache License is a choice.
fn texts_of(package: &Value) -> Vec<String> {
    let licence = package["license"].as_str().unwrap_or_default();
    let is_apache = !licence.contains(" AND ") && licence.contains("Apache-2.0");
    let manifest = Path::new(package["manifest_path"].as_str().unwrap_or_default());
    let folder = manifest.parent().expect("a manifest is in a folder");
    let files = fs::read_dir(folder).expect("cargo has fetched it");
    let mut files: Vec<PathBuf> = files
        .filter_map(|file| Some(file.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
            let is_licence = name.starts_with("LICENSE") && !name.contains("APACHE");
            let is_notice = name.starts_with("NOTICE") || name.starts_with("COPYRIGHT");
            path.is_file() && (is_notice || is_licence && !is_apache)
        })
        .collect();
    files.sort();
    let read = |path: PathBuf| fs::read_to_string(&path).unwrap_or_else(|cause| panic!("{}: {cause}", path.display()));
    let lines = |text: String| text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    let mut texts: Vec<String> = files.into_iter().map(read).map(lines).collect();
    if texts.is_empty() && licence == "MIT" {
        texts.push(mit_of(&package["authors"]));
    }
    assert!(
        is_apache || !texts.is_empty(),
        "{folder:?} has no licence text; add a row to `WITHOUT_TEXT`"
    );
    texts
}

/// The MIT licence of a crate that names its authors, but lacks the text.
fn mit_of(authors: &Value) -> String {
    let ours = fs::read_to_string(workspace().join("LICENSE-MIT")).expect("it is in the repository");
    let authors: Vec<&str> = authors
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    assert!(!authors.is_empty(), "nobody to name");
    let theirs = format!("Copyright (c) {}", authors.join(", "));
    let lines = ours
        .lines()
        .map(|line| if line.starts_with("Copyright") { &theirs } else { line });
    lines.collect::<Vec<_>>().join("\n")
}

/// The whole file of notices.
fn notices() -> String {
    let (plugin, host) = (
        crates_of(PLUGIN, "normal,no-proc-macro"),
        crates_of(HOST, "normal,no-proc-macro"),
    );
    let known = descriptions();
    let mut rows = String::new();
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for id in plugin.union(&host) {
        let package = &known[id];
        if package["source"].is_null() {
            continue;
        }
        let name = format!("{} {}", id.0, id.1);
        let programs = match (plugin.contains(id), host.contains(id)) {
            (true, true) => "both",
            (true, false) => "plugin",
            _ => "host",
        };
        let licence = package["license"].as_str().expect("deny.toml wants one");
        rows.push_str(&format!("{name:<34} {programs:<7} {licence}\n"));
        let stand_in = WITHOUT_TEXT.iter().find(|(without, _)| *without == id.0);
        let with_text = stand_in.map_or(package, |(_, other)| {
            let found = known.iter().find(|((name, _), _)| name == other);
            found.expect("the crate with the text is still used").1
        });
        for text in texts_of(with_text) {
            texts.entry(text).or_default().push(name.clone());
        }
    }
    let mut texts: Vec<_> = texts.into_iter().map(|(text, names)| (names, text)).collect();
    texts.sort();
    let apache = fs::read_to_string(workspace().join("LICENSE-APACHE")).expect("it is in the repository");
    texts.push((vec!["every crate with this choice".to_owned()], apache));
    let line = "-".repeat(100);
    let texts = texts.into_iter();
    let texts = texts.map(|(names, text)| {
        format!(
            "\n{line}\n{}\n{line}\n\n{}\n",
            names.join(", "),
            text.trim_matches('\n')
        )
    });
    HEAD.to_owned() + &rows + &texts.collect::<String>()
}

#[test]
fn the_third_party_notices_match_what_is_linked() {
    let (file, expected) = (workspace().join(NOTICES), notices());
    if env::var_os("UPDATE_EXPECTED").is_some() {
        fs::write(&file, &expected).expect("the repository is writable");
    }
    assert!(
        fs::read_to_string(&file).is_ok_and(|found| found == expected),
        "`{NOTICES}` is out of date; rewrite it: UPDATE_EXPECTED=1 cargo test --workspace --test supply"
    );
}

#[test]
fn the_plugin_is_built_from_at_most_130_crates() {
    let crates = crates_of(PLUGIN, "normal");
    assert!(
        crates.len() <= 130,
        "{} crates; if `cargo update` brought ICU back: cargo update -p idna_adapter --precise 1.1.0\n{crates:?}",
        crates.len()
    );
}
