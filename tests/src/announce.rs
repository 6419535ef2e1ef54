//! Says what a test left out, so that it shows although the test passes.

use std::io::{self, Write};

/// Prints a line to stderr past the test harness, which hides what `eprintln!` of a passing test prints.
pub fn announce(line: &str) {
    // Without stderr there is nobody to tell.
    let _ = writeln!(io::stderr(), "{line}");
}
