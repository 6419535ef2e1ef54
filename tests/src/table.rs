//! Tables of the documents that lead to tests, and the tests that there are.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::workspace;

/// The rows of a table of a document of this folder, each with the number that it begins with and with its cells.
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

/// What stands between backticks in a text.
pub fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The names of all tests in the sources of these folders, with the files that they stand in.
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
                // Between the attribute and the function stand other attributes at most.
                is_test = line == "#[test]" || line.starts_with("#[tokio::test") || is_test && line.starts_with("#[");
            }
        }
    }
}
