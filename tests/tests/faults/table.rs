//! Holds `faults.md` and `features.md` against the tests: the tests that they name exist, and they name every `fault_…`
//! and every `row_…` test.

use std::collections::BTreeMap;
use std::fs;

use tests::{files_below, workspace};

/// The features that show at the endpoint, and those of plugins, by their numbers.
const FEATURES: [usize; 48] = [
    1, 2, 10, 11, 12, 13, 14, 16, 17, 18, 20, 22, 25, 26, 27, 28, 29, 31, 34, 35, 37, 40, 41, 45, 46, 47, 48, 49, 50,
    52, 53, 56, 60, 61, 62, 63, 64, 67, 68, 69, 70, 84, 91, 95, 96, 97, 98, 101,
];

#[test]
fn the_table_of_faults_and_the_tests_agree() {
    assert_agrees("faults.md", "fault_", (1..=72).collect());
}

#[test]
fn the_table_of_features_and_the_tests_agree() {
    assert_agrees("features.md", "row_", FEATURES.into());
}

/// Asserts that the table has these rows, each with tests or a reason why not, that the tests exist, and that every
/// test with this prefix is in the row of its number.
fn assert_agrees(file: &str, prefix: &str, numbers: Vec<usize>) {
    let table = fs::read_to_string(workspace().join("tests").join(file)).expect("the table is there");
    let rows: Vec<(usize, Vec<&str>)> = table
        .lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.strip_prefix('|')?.split('|').map(str::trim).collect();
            Some((cells.first()?.parse().ok()?, cells))
        })
        .collect();
    let mut found: Vec<usize> = rows.iter().map(|(number, _)| *number).collect();
    found.sort_unstable();
    assert_eq!(found, numbers, "each row of `{file}` once");
    let tests = tests_of_the_workspace();
    for (number, cells) in &rows {
        let mut named = quoted(cells[2]).peekable();
        assert!(
            named.peek().is_some() || !cells[3].is_empty(),
            "{number} has neither a test nor a reason"
        );
        let missing: Vec<&str> = named.filter(|name| !tests.contains_key(*name)).collect();
        assert!(
            missing.is_empty(),
            "`{file}` names tests that do not exist: {missing:#?}"
        );
    }
    let rows: BTreeMap<usize, Vec<&str>> = rows.into_iter().collect();
    for (name, path) in tests {
        let number = name.strip_prefix(prefix).and_then(|rest| rest.get(..2)?.parse().ok());
        let Some(number) = number else { continue };
        let is_named = rows
            .get(&number)
            .is_some_and(|cells| quoted(cells[2]).any(|named| named == name));
        assert!(is_named, "`{name}` in {path} is not in row {number} of `{file}`");
    }
}

/// The words between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The names of the workspace's tests, with their files.
fn tests_of_the_workspace() -> BTreeMap<String, String> {
    let mut tests = BTreeMap::new();
    let folders = [
        "tests/tests",
        "plugin-openrouter/src",
        "plugin-api/src",
        "host-example/src",
    ];
    let files = folders.iter().flat_map(|folder| files_below(&workspace().join(folder)));
    for path in files.filter(|path| path.extension().is_some_and(|extension| extension == "rs")) {
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
    tests
}
