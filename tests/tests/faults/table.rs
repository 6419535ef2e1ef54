//! Holds `faults.md` against the tests: what the table names exists, and what exists for a fault is in the table.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use tests::workspace;

/// The faults of the catalogue.
const N_FAULTS: usize = 72;

/// The cells of a row of the table by the number of its fault.
fn rows() -> BTreeMap<usize, Vec<String>> {
    let table = fs::read_to_string(workspace().join("tests/faults.md")).expect("the table is there");
    let rows = table.lines().filter_map(|line| {
        let cells: Vec<String> = line
            .strip_prefix('|')?
            .split('|')
            .map(|cell| cell.trim().to_owned())
            .collect();
        Some((cells.first()?.parse().ok()?, cells))
    });
    let rows: Vec<(usize, Vec<String>)> = rows.collect();
    let numbers: Vec<usize> = rows.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..=N_FAULTS).collect::<Vec<_>>(), "each fault has one row");
    rows.into_iter().collect()
}

/// What stands between backticks in a text.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The names of all functions in the sources of these folders, with the files that they stand in.
fn functions() -> BTreeMap<String, String> {
    let mut functions = BTreeMap::new();
    for folder in [
        "tests/tests",
        "plugin-openrouter/src",
        "plugin-api/src",
        "host-example/src",
    ] {
        collect(&workspace().join(folder), &mut functions);
    }
    functions
}

fn collect(folder: &Path, functions: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).expect("the workspace is there") {
        let path = entry.expect("the workspace is readable").path();
        if path.is_dir() {
            collect(&path, functions);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&path).expect("a source is text");
            let names = source
                .lines()
                .filter_map(|line| line.trim_start().strip_prefix("fn ")?.split('(').next());
            functions.extend(names.map(|name| (name.to_owned(), path.display().to_string())));
        }
    }
}

#[test]
fn every_test_that_the_table_names_exists() {
    let functions = functions();
    let rows = rows();
    let named = rows.values().flat_map(|cells| quoted(&cells[2]));
    let missing: Vec<&str> = named.filter(|name| !functions.contains_key(*name)).collect();
    assert!(
        missing.is_empty(),
        "`faults.md` names tests that are not there: {missing:#?}"
    );
}

#[test]
fn every_test_of_a_fault_is_in_its_row() {
    let rows = rows();
    for (name, file) in functions() {
        let Some(number) = name
            .strip_prefix("fault_")
            .and_then(|rest| rest.get(..2)?.parse::<usize>().ok())
        else {
            continue;
        };
        let tests: BTreeSet<&str> = quoted(&rows[&number][2]).collect();
        assert!(
            tests.contains(name.as_str()),
            "`{name}` of {file} is not in row {number} of `faults.md`"
        );
    }
}

#[test]
fn every_fault_has_a_test_or_a_reason_why_not() {
    for (number, cells) in rows() {
        let (tests, remark) = (&cells[2], &cells[3]);
        assert!(
            !tests.is_empty() || !remark.is_empty(),
            "fault {number} has neither a test nor a reason"
        );
    }
}
