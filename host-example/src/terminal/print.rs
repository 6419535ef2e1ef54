//! Writes to stdout and stderr.
//!
//! The answer goes to stdout and nothing else does; everything for people goes to stderr. A reader of stdout that is
//! gone must never cause a panic, so all printing goes through here.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use anstyle::{AnsiColor, Effects, Style};
use serde::Serialize;

use super::clean::safe_json;
use super::page::Page;
use super::progress;
use super::table::{Table, wrapped};

/// Faint text, for what accompanies an answer.
pub const FAINT: Style = Style::new().effects(Effects::DIMMED);
/// For the words of success, warning and error.
pub const GOOD: Style = AnsiColor::Green.on_default();
pub const BAD: Style = AnsiColor::Red.on_default();
pub const DOUBTFUL: Style = AnsiColor::Yellow.on_default();
/// For the word in front of what to do.
pub const HINT: Style = AnsiColor::Cyan.on_default();

/// Whether stderr may have colours: it is a terminal, and neither `NO_COLOR` nor `TERM=dumb` is set.
pub fn stderr_has_colour() -> bool {
    anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never
}

/// The same for stdout.
pub fn stdout_has_colour() -> bool {
    let choice = || anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never;
    CLAIMED.get().map_or_else(choice, |claimed| claimed.has_colour)
}

/// The real stdout, once it is claimed.
static CLAIMED: OnceLock<Claimed> = OnceLock::new();

struct Claimed {
    file: File,
    has_colour: bool,
}

/// Reserves stdout for the host: what others print, such as a plugin, goes to stderr. A terminal is left alone, because
/// its user sees both anyway.
#[cfg(unix)]
pub fn claim_stdout() -> io::Result<()> {
    if CLAIMED.get().is_some() || io::stdout().is_terminal() {
        return Ok(());
    }
    let real = rustix::io::fcntl_dupfd_cloexec(io::stdout(), 3)?;
    let claimed = Claimed {
        file: real.into(),
        has_colour: stdout_has_colour(),
    };
    if CLAIMED.set(claimed).is_ok() {
        rustix::stdio::dup2_stdout(io::stderr())?;
    }
    Ok(())
}

#[cfg(not(unix))]
pub fn claim_stdout() -> io::Result<()> {
    Ok(())
}

/// Whether stdout is a terminal.
pub fn stdout_is_terminal() -> bool {
    CLAIMED.get().is_none() && io::stdout().is_terminal()
}

/// Writes to stdout at once.
///
/// - Errors: the reader is gone, or there is no room left for the output.
pub fn try_write(bytes: &[u8]) -> io::Result<()> {
    progress::erase();
    if let Some(claimed) = CLAIMED.get() {
        return (&claimed.file).write_all(bytes);
    }
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
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

/// Whether somebody is looking at stderr.
pub fn stderr_is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Whether a line on stderr can be erased.
pub fn stderr_has_cursor() -> bool {
    stderr_is_terminal() && has_cursor()
}

/// The same for stdout.
pub fn stdout_has_cursor() -> bool {
    stdout_is_terminal() && has_cursor()
}

fn has_cursor() -> bool {
    std::env::var_os("TERM").is_none_or(|name| name != "dumb")
}
