//! Holds `features.md` against the tests: what the table names exists, and each row of the list that shows here has a test.

use std::collections::{BTreeMap, BTreeSet};

use tests::{numbered_rows, quoted, tests_of_the_workspace};

/// The rows of the list of features that this table is about.
const ROWS: [usize; 34] = [
    13, 14, 16, 22, 25, 29, 31, 34, 35, 40, 41, 45, 46, 47, 48, 49, 50, 52, 53, 56, 60, 61, 62, 63, 64, 67, 68, 69, 70,
    84, 91, 95, 97, 98,
];

/// What stands behind a row: its cells.
fn rows() -> BTreeMap<usize, Vec<String>> {
    let rows = numbered_rows("features.md");
    let numbers: BTreeSet<usize> = rows.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers.len(), rows.len(), "each feature has one row");
    assert_eq!(numbers, BTreeSet::from(ROWS));
    rows.into_iter().collect()
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
