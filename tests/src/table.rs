//! Reads the tables of documents that name tests, and finds the tests that exist.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::workspace;

/// The rows of the table in this document of `tests`: each row's number and all its cells.
pub fn numbered_rows(file: &str) -> Vec<(usize, Vec<String>)> {
    let table = fs::read_to_string(workspace().join("tests").join(file)).expect("the table is there");
    let rows = table.lines().filter_map(|line| {
        let cells: Vec<String> = line
            .strip_prefix('|')?
            .split('|')
            .map(|cell| cell.trim().to_owned())
            .collect();
        Some((cells.first()?.parse().ok()?, cells))
    });
    rows.collect()
}

/// The words between backticks.
pub fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The names of the workspace's tests, with their files.
pub fn tests_of_the_workspace() -> BTreeMap<String, String> {
    let mut tests = BTreeMap::new();
    for folder in [
        "tests/tests",
        "plugin-openrouter/src",
        "plugin-api/src",
        "host-example/src",
    ] {
        collect(&workspace().join(folder), &mut tests);
    }
    tests
}

fn collect(folder: &Path, tests: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).expect("the workspace is there") {
        let path = entry.expect("the workspace is readable").path();
        if path.is_dir() {
            collect(&path, tests);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&path).expect("a source is text");
            let mut is_test = false;
            for line in source.lines().map(str::trim_start) {
                let name = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
                if let Some(name) = name.filter(|_| is_test) {
                    let name = name.split('(').next().unwrap_or_default();
                    tests.insert(name.to_owned(), path.display().to_string());
                }
                // Only other attributes may stand between `#[test]` and the function.
                is_test = line == "#[test]" || line.starts_with("#[tokio::test") || is_test && line.starts_with("#[");
            }
        }
    }
}
