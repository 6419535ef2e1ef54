//! Holds `features.md` against the tests: what the table names exists, and each row of the list that shows here has a test.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use tests::workspace;

/// The rows of the list of features that this table is about.
const ROWS: [usize; 34] = [
    13, 14, 16, 22, 25, 29, 31, 34, 35, 40, 41, 45, 46, 47, 48, 49, 50, 52, 53, 56, 60, 61, 62, 63, 64, 67, 68, 69, 70,
    84, 91, 95, 97, 98,
];

/// What stands behind a row: its cells.
fn rows() -> BTreeMap<usize, Vec<String>> {
    let table = fs::read_to_string(workspace().join("tests/features.md")).expect("the table is there");
    let rows = table.lines().filter_map(|line| {
        let cells: Vec<String> = line
            .strip_prefix('|')?
            .split('|')
            .map(|cell| cell.trim().to_owned())
            .collect();
        Some((cells.first()?.parse().ok()?, cells))
    });
    let rows: Vec<(usize, Vec<String>)> = rows.collect();
    let numbers: BTreeSet<usize> = rows.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers.len(), rows.len(), "each feature has one row");
    assert_eq!(numbers, BTreeSet::from(ROWS));
    rows.into_iter().collect()
}

/// What stands between backticks in a text.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The names of all tests in the sources of these folders, with the files that they stand in.
fn tests_of_the_workspace() -> BTreeMap<String, String> {
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

#[test]
fn every_test_that_the_table_of_features_names_exists() {
    let tests = tests_of_the_workspace();
    let rows = rows();
    let named = rows.values().flat_map(|cells| quoted(&cells[2]));
    let missing: Vec<&str> = named.filter(|name| !tests.contains_key(*name)).collect();
    assert!(
        missing.is_empty(),
        "`features.md` names tests that are not there: {missing:#?}"
    );
}

#[test]
fn every_test_of_a_feature_is_in_its_row() {
    let rows = rows();
    for (name, file) in tests_of_the_workspace() {
        let Some(number) = name
            .strip_prefix("row_")
            .and_then(|rest| rest.get(..2)?.parse::<usize>().ok())
        else {
            continue;
        };
        let is_named = rows
            .get(&number)
            .is_some_and(|cells| quoted(&cells[2]).any(|named| named == name));
        assert!(is_named, "`{name}` of {file} is not in row {number} of `features.md`");
    }
}

#[test]
fn every_feature_has_a_test() {
    for (number, cells) in rows() {
        assert!(quoted(&cells[2]).next().is_some(), "feature {number} has no test");
    }
}
