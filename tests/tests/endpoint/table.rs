//! Checks `features.md` against the tests: every test it names exists, and every row has one.

use std::collections::{BTreeMap, BTreeSet};

use tests::{numbered_rows, quoted, tests_of_the_workspace};

/// The features that show at the endpoint, by their numbers.
const ROWS: [usize; 34] = [
    13, 14, 16, 22, 25, 29, 31, 34, 35, 40, 41, 45, 46, 47, 48, 49, 50, 52, 53, 56, 60, 61, 62, 63, 64, 67, 68, 69, 70,
    84, 91, 95, 97, 98,
];

/// The cells of each row.
fn rows() -> BTreeMap<usize, Vec<String>> {
    let rows = numbered_rows("features.md");
    let numbers: BTreeSet<usize> = rows.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers.len(), rows.len(), "each feature has one row");
    assert_eq!(numbers, BTreeSet::from(ROWS));
    rows.into_iter().collect()
}

#[test]
fn every_test_named_in_the_table_of_features_exists() {
    let tests = tests_of_the_workspace();
    let rows = rows();
    let named = rows.values().flat_map(|cells| quoted(&cells[2]));
    let missing: Vec<&str> = named.filter(|name| !tests.contains_key(*name)).collect();
    assert!(missing.is_empty(), "`features.md` names missing tests: {missing:#?}");
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
        let cells = rows.get(&number);
        let is_named = cells.is_some_and(|cells| quoted(&cells[2]).any(|named| named == name));
        assert!(is_named, "`{name}` of {file} is not in row {number} of `features.md`");
    }
}

#[test]
fn every_feature_has_a_test() {
    for (number, cells) in rows() {
        assert!(quoted(&cells[2]).next().is_some(), "feature {number} has no test");
    }
}
