//! Stdout and stderr themselves: what they lead to, and what that can show.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;

use anstyle::{AnsiColor, Effects, Style};

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

/// Writes to stdout at once.
///
/// - Errors: the reader is gone, or there is no room left for the output.
pub(super) fn write_stdout(bytes: &[u8]) -> io::Result<()> {
    if let Some(claimed) = CLAIMED.get() {
        return (&claimed.file).write_all(bytes);
    }
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}
