//! Writes to stdout and stderr.
//!
//! The answer goes to stdout and nothing else does; everything for people goes to stderr. A reader of stdout that is
//! gone must never cause a panic, so all printing goes through here.

use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use anstyle::Style;
use serde::Serialize;

use super::clean::safe_json;
use super::page::Page;
use super::progress;
use super::streams::{FAINT, write_stdout};
use super::table::{Table, wrapped};

/// Writes to stdout at once.
///
/// - Errors: the reader is gone, or there is no room left for the output.
pub fn try_write(bytes: &[u8]) -> io::Result<()> {
    progress::erase();
    write_stdout(bytes)
}

/// Writes to stdout at once. A reader that closed the pipe, as `head` does, is fine; any other error is reported.
pub fn print(text: &str) {
    if let Err(cause) = try_write(text.as_bytes())
        && cause.kind() != io::ErrorKind::BrokenPipe
    {
        say(&format!("error: cannot write to stdout: {cause}"));
    }
}

/// Writes a line to stdout.
pub fn print_line(line: &str) {
    print(&format!("{line}\n"));
}

/// Writes a table to stdout, and says so if it lacks something.
pub fn print_table(table: &Table) {
    print(&table.text);
    if table.is_cut {
        say_styled(FAINT, "note: cut to the width of the terminal; `--json` has everything");
    }
}

/// Writes a value as JSON in several lines to stdout.
pub fn print_json(value: &impl Serialize) {
    print_line(&safe_json(&serde_json::to_string_pretty(value).unwrap_or_default()));
}

/// Writes a line for people, on a terminal in several rows if it is long.
pub fn say(text: &str) {
    let page = Page::of_stderr();
    let text = page.text(text);
    let lines: Vec<String> = text.split('\n').map(|line| wrapped(line, page.columns, "  ")).collect();
    say_raw(&lines.join("\n"));
}

/// Writes text for people that was laid out before.
pub fn say_raw(text: &str) {
    let mut stderr = stderr_for_lines();
    // If stderr is gone, nobody is left to read about it.
    let _ = writeln!(stderr, "{text}");
}

/// How many times lines were written between the pieces of an answer.
static N_LINES: AtomicUsize = AtomicUsize::new(0);

/// Stderr for whole lines, below everything that is shown for a moment only.
pub fn stderr_for_lines() -> anstream::AutoStream<io::Stderr> {
    progress::erase();
    N_LINES.fetch_add(1, Relaxed);
    anstream::stderr()
}

/// A number that changes whenever lines for people are written.
pub fn n_lines() -> usize {
    N_LINES.load(Relaxed)
}

/// Writes a part of a line for people.
pub fn say_part(text: &str) {
    progress::erase();
    let mut stderr = anstream::stderr();
    let _ = write!(stderr, "{text}").and_then(|()| stderr.flush());
}

/// Writes a line in a style, where the terminal has styles.
pub fn say_styled(style: Style, line: &str) {
    say(&format!("{style}{line}{style:#}"));
}
