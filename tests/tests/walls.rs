//! Holds the code to the walls that ARCHITECTURE.md draws: who may not know whom.
//!
//! It reads the imports as text. It skips test modules: they may look over any wall.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A folder, what its code may not name, and why.
const WALLS: &[(&str, &[&str], &str)] = &[
    (
        "host-example/src",
        &["openrouter", "OPENROUTER"],
        "the host knows no provider by name",
    ),
    ("host-example/src", &["abi_stable", "async_ffi"], "the ABI has one home"),
    ("host-example/src", &["rusqlite"], "SQL has one home"),
    (
        "host-example/store/src",
        &["plugin_api", "openrouter", "clap", "anstream"],
        "the store knows neither plugins nor terminals",
    ),
    (
        "plugin-openrouter/src",
        &["abi_stable", "async_ffi"],
        "the ABI has one home",
    ),
    (
        "sandbox/src",
        &["plugin_api", "plugin_openrouter"],
        "the sandbox checks independently",
    ),
    ("plugin-openrouter/src/values", PURE, "it is pure"),
    ("plugin-openrouter/src/profile", PURE, "it is pure"),
    ("plugin-openrouter/src/request", PURE, "it is pure"),
    ("plugin-openrouter/src/failure", PURE, "it is pure"),
    ("plugin-openrouter/src/answer", PURE, "it is pure"),
    (
        "plugin-openrouter/src/money",
        &["reqwest", "hyper", "http::", "h2::"],
        "money knows a path to fetch, and nothing else of HTTP",
    ),
    (
        "plugin-openrouter/src/models",
        &["reqwest", "hyper", "http::", "h2::"],
        "models know a path to fetch, and nothing else of HTTP",
    ),
];

/// What waits, or depends on the moment.
const PURE: &[&str] = &[
    "tokio",
    "reqwest",
    "hyper",
    "std::fs",
    "std::net::Tcp",
    "std::env",
    "Instant::now",
    "SystemTime::now",
];

/// Crates whose imports follow the order of their `mod` lines, by their first files: an import leads to folders before
/// its own, or in a program, whose data travels down from the command line, to folders after it.
const ORDERED: &[(&str, bool)] = &[
    ("plugin-openrouter/src/lib.rs", true),
    ("host-example/src/main.rs", false),
];

const CRATES: &[&str] = &[
    "plugin-api/src",
    "plugin-openrouter/src",
    "host-example/src",
    "sandbox/src",
];

#[test]
fn nobody_knows_whom_a_wall_keeps_away() {
    let mut broken = Vec::new();
    for (folder, forbidden, why) in WALLS {
        for file in files(folder) {
            for (number, line) in code(&file) {
                if let Some(name) = forbidden.iter().find(|name| line.contains(*name) && !is_help(&line)) {
                    broken.push(format!("{}:{number}: names `{name}`, but {why}", file.display()));
                }
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn unsafe_code_and_the_abi_crate_stay_in_one_folder() {
    let outside = |file: &PathBuf| !file.starts_with("plugin-api/src/abi");
    let broken: Vec<String> = CRATES
        .iter()
        .flat_map(|folder| files(folder))
        .filter(outside)
        .flat_map(|file| {
            code(&file)
                .into_iter()
                .map(move |(number, line)| (file.clone(), number, line))
        })
        .filter(|(_, _, line)| {
            line.contains("unsafe {") || line.contains("unsafe fn") || line.contains("use abi_stable")
        })
        .map(|(file, number, line)| format!("{}:{number}: {line}", file.display()))
        .collect();
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn imports_follow_the_order_of_the_modules() {
    for (root, leads_up) in ORDERED {
        let order: Vec<String> = code(Path::new(root))
            .into_iter()
            .filter_map(|(_, line)| Some(line.strip_prefix("mod ")?.strip_suffix(';')?.to_owned()))
            .collect();
        let place = |name: &str| order.iter().position(|known| known == name);
        let folder = Path::new(root).parent().expect("it is in a folder");
        for name in &order {
            for file in files(folder.join(name).to_str().expect("UTF-8")) {
                for import in imports(&file) {
                    let other = import.split("::").next().unwrap_or_default();
                    let (upper, lower) = if *leads_up {
                        (other, name.as_str())
                    } else {
                        (name.as_str(), other)
                    };
                    assert!(
                        place(other).is_none() || place(upper) <= place(lower),
                        "{} imports `{other}` against the order in {root}",
                        file.display()
                    );
                }
            }
        }
    }
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    for folder in CRATES {
        let all = files(folder);
        let known: BTreeSet<&PathBuf> = all.iter().collect();
        let mut arrows: BTreeMap<&PathBuf, BTreeSet<PathBuf>> = BTreeMap::new();
        for file in &all {
            let targets = imports(file).into_iter().filter_map(|path| file_of(folder, &path));
            arrows.insert(file, targets.filter(|to| to != file && known.contains(to)).collect());
        }
        // Whoever imports nobody that is left, or is imported by nobody that is left, is in no circle.
        loop {
            let before = arrows.len();
            let left: BTreeSet<PathBuf> = arrows.keys().map(|file| (*file).clone()).collect();
            arrows
                .values_mut()
                .for_each(|targets| targets.retain(|to| left.contains(to)));
            let imported: BTreeSet<PathBuf> = arrows.values().flatten().cloned().collect();
            arrows.retain(|file, targets| !targets.is_empty() && imported.contains(*file));
            if arrows.len() == before {
                break;
            }
        }
        assert!(arrows.is_empty(), "a circle among the files of {folder}:\n{arrows:#?}");
    }
}

/// The Rust files below a folder of the workspace (or the file of that module) that are not tests, from the root on.
fn files(below: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![PathBuf::from(below), PathBuf::from(format!("{below}.rs"))];
    while let Some(path) = waiting.pop() {
        let whole = tests::workspace().join(&path);
        if whole.is_dir() {
            let entries = fs::read_dir(&whole).expect("a readable folder");
            waiting.extend(entries.map(|entry| path.join(entry.expect("an entry").file_name())));
        } else if whole.is_file() && path.extension().is_some_and(|ending| ending == "rs") {
            let is_test = path
                .iter()
                .any(|part| part == "tests" || part == "tests.rs" || part == "kit.rs");
            found.extend((!is_test).then_some(path));
        }
    }
    found.sort();
    found
}

/// The lines of a file that are neither comments nor tests, with their numbers.
fn code(file: &Path) -> Vec<(usize, String)> {
    let text = fs::read_to_string(tests::workspace().join(file)).expect("a readable file");
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.to_owned()));
    let mut was_test = false;
    lines
        .take_while(|(_, line)| {
            let begins_tests =
                was_test && (line.starts_with("mod ") || line.starts_with("pub mod ")) && line.ends_with('{');
            was_test = line == "#[cfg(test)]";
            !begins_tests
        })
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .collect()
}

/// An example of a command in a help text.
fn is_help(line: &str) -> bool {
    line.trim_start().starts_with("agent-host ")
}

/// The paths behind `crate::` in a file, as far as they are modules.
fn imports(file: &Path) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    for (_, line) in code(file) {
        for rest in line.split("crate::").skip(1) {
            let end = rest.find(|letter: char| !(letter.is_alphanumeric() || "_:".contains(letter)));
            paths.insert(rest[..end.unwrap_or(rest.len())].trim_end_matches(':').to_owned());
        }
    }
    paths
}

/// The file that a path of modules leads to.
fn file_of(folder: &str, path: &str) -> Option<PathBuf> {
    let mut parts: Vec<&str> = path.split("::").collect();
    while !parts.is_empty() {
        let base = Path::new(folder).join(parts.join("/"));
        let candidates = [base.with_extension("rs"), base.join("mod.rs")];
        if let Some(found) = candidates
            .into_iter()
            .find(|file| tests::workspace().join(file).is_file())
        {
            // A door hands on what others define, and is no end of an arrow.
            return (!found.ends_with("mod.rs")).then_some(found);
        }
        parts.pop();
    }
    None
}
