//! Holds `faults.md` against the tests: the tests that it names exist, and it names every `fault_…` test.

use std::collections::{BTreeMap, BTreeSet};

use tests::{numbered_rows, quoted, tests_of_the_workspace};

/// The faults of the catalogue.
const N_FAULTS: usize = 72;

/// The cells of each row, by the number of its fault.
fn rows() -> BTreeMap<usize, Vec<String>> {
    let rows = numbered_rows("faults.md");
    let numbers: Vec<usize> = rows.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..=N_FAULTS).collect::<Vec<_>>(), "each fault has one row");
    rows.into_iter().collect()
}

#[test]
fn every_test_in_the_table_exists() {
    let tests = tests_of_the_workspace();
    let rows = rows();
    let named = rows.values().flat_map(|cells| quoted(&cells[2]));
    let missing: Vec<&str> = named.filter(|name| !tests.contains_key(*name)).collect();
    assert!(
        missing.is_empty(),
        "`faults.md` names tests that do not exist: {missing:#?}"
    );
}

#[test]
fn every_test_of_a_fault_is_in_its_row() {
    let rows = rows();
    for (name, file) in tests_of_the_workspace() {
        let Some(number) = name
            .strip_prefix("fault_")
            .and_then(|rest| rest.get(..2)?.parse::<usize>().ok())
        else {
            continue;
        };
        let tests: BTreeSet<&str> = quoted(&rows[&number][2]).collect();
        assert!(
            tests.contains(name.as_str()),
            "`{name}` in {file} is not in row {number} of `faults.md`"
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
