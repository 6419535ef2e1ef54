//! Holds `faults.md`, `features.md` and `ux.md` against the tests: the tests that they name exist, and the first two name
//! every `fault_…` and every `row_…` test. The commands that `ux.md` names exist as well.

use std::collections::BTreeMap;
use std::fs;

use tests::{Home, files_below, workspace};

/// The features that show at the endpoint, and those of plugins, by their numbers.
const FEATURES: [usize; 53] = [
    1, 2, 10, 11, 12, 13, 14, 16, 17, 18, 20, 22, 25, 26, 27, 28, 29, 31, 34, 35, 37, 40, 41, 45, 46, 47, 48, 49, 50,
    52, 53, 56, 60, 61, 62, 63, 64, 67, 68, 69, 70, 72, 73, 77, 79, 84, 91, 95, 96, 97, 98, 99, 101,
];

/// What the commands for set-up, models, money and profiles promise, by the numbers of `ux.md`.
const PROMISED: [usize; 16] = [1, 2, 3, 4, 5, 6, 12, 13, 14, 25, 26, 27, 28, 29, 30, 31];

#[test]
fn the_table_of_faults_and_the_tests_agree() {
    let numbers = assert_agrees("faults.md", 2, "fault_");
    assert_eq!(numbers, (1..=72).collect::<Vec<_>>());
}

#[test]
fn the_promises_name_tests_that_exist() {
    assert_agrees("../docs/promises.md", 3, "promise_");
}

#[test]
fn the_table_of_features_and_the_tests_agree() {
    assert_eq!(assert_agrees("features.md", 2, "row_"), FEATURES);
}

#[test]
fn what_people_are_promised_has_its_commands_and_tests() {
    let numbers = assert_agrees("ux.md", 3, "ux_");
    assert!(
        numbers.windows(2).all(|pair| pair[0] < pair[1]),
        "each row once: {numbers:?}"
    );
    let missing: Vec<_> = PROMISED.iter().filter(|number| !numbers.contains(number)).collect();
    assert!(missing.is_empty(), "rows without a promise: {missing:?}");
    let table = read("ux.md");
    for (number, cells) in rows(&table) {
        let commands: Vec<&str> = quoted(cells[2]).collect();
        assert!(!commands.is_empty(), "row {number} names no command");
        for command in commands {
            let words: Vec<&str> = command.split(' ').skip(1).chain(["--help"]).collect();
            let ran = Home::new().host(&words).run();
            assert_eq!(
                (ran.code, command.starts_with("agent-host ")),
                (Some(0), true),
                "row {number}: {command}"
            );
        }
    }
}

fn read(file: &str) -> String {
    fs::read_to_string(workspace().join("tests").join(file)).expect("the table is there")
}

/// The rows of a table by their numbers.
fn rows(table: &str) -> Vec<(usize, Vec<&str>)> {
    table
        .lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.strip_prefix('|')?.split('|').map(str::trim).collect();
            Some((cells.first()?.parse().ok()?, cells))
        })
        .collect()
}

/// Asserts that each row has tests in this column or a reason why not behind it, that the tests exist, and that every
/// test with this prefix is in the row of its number. Returns the rows' numbers, in order.
fn assert_agrees(file: &str, column: usize, prefix: &str) -> Vec<usize> {
    let table = read(file);
    let rows = rows(&table);
    let mut numbers: Vec<usize> = rows.iter().map(|(number, _)| *number).collect();
    numbers.sort_unstable();
    let tests = tests_of_the_workspace();
    for (number, cells) in &rows {
        let mut named = quoted(cells[column]).peekable();
        assert!(
            named.peek().is_some() || cells.get(column + 1).is_some_and(|reason| !reason.is_empty()),
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
            .is_some_and(|cells| quoted(cells[column]).any(|named| named == name));
        assert!(is_named, "`{name}` in {path} is not in row {number} of `{file}`");
    }
    numbers
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
        "host-example/store/src",
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
