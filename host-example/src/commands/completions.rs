//! `agent-host completions`: a completion script for a shell.

use clap::Command;
use clap_complete::Shell;

use crate::terminal::{self, exit::Exit};

/// - In: `line`, the whole command line of this program.
pub fn run(mut line: Command, shell: Shell) -> Exit {
    // Written here first: the library panics when the reader of stdout is gone.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut line, "agent-host", &mut script);
    terminal::print(&String::from_utf8_lossy(&script));
    Exit::Ok
}
