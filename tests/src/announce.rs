//! Says what a test skipped, so that it shows even though the test passes.

use std::io::{self, Write};

/// Prints a line to stderr past the test harness, which hides what `eprintln!` of a passing test prints.
pub fn announce(line: &str) {
    // If stderr is closed, nobody would read it.
    let _ = writeln!(io::stderr(), "{line}");
}
