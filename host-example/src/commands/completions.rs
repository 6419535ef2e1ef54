//! `agent-host completions` and `man`: what shells and `man` read about the program.

use std::io;
use std::path::{Path, PathBuf};

use clap::{Command, ValueHint};
use clap_complete::env::Shells;

use crate::files::make_folder;
use crate::terminal::{self, Exit, Failure};

/// The name of the program for shells.
const NAME: &str = "agent-host";
/// The variable by which a shell's script asks for completions.
pub const VARIABLE: &str = "AGENT_HOST_COMPLETE";

/// Print the manual page, or write the pages of all commands to a folder
#[derive(clap::Args)]
pub struct Man {
    /// The folder, such as ~/.local/share/man/man1
    #[arg(value_hint = ValueHint::DirPath)]
    folder: Option<PathBuf>,
}

/// Prints the script, which asks this program for completions at each press of the key.
pub fn run(shell: &str) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    let shells = Shells::builtins();
    let written = shells
        .completer(shell)
        .ok_or_else(|| io::Error::from(io::ErrorKind::Unsupported))
        .and_then(|shell| shell.write_registration(VARIABLE, NAME, NAME, NAME, &mut script));
    written.map_err(|cause| Failure::internal(format!("cannot write a script for {shell}: {cause}")))?;
    terminal::print(&String::from_utf8_lossy(&script));
    Ok(Exit::Ok)
}

/// - In: `line`, the whole command line of this program.
pub fn man(line: Command, args: &Man) -> Result<Exit, Failure> {
    let Some(folder) = &args.folder else {
        let mut page = Vec::new();
        let rendered = clap_mangen::Man::new(line).render(&mut page);
        rendered.map_err(|cause| Failure::internal(format!("cannot write the page: {cause}")))?;
        terminal::print(&String::from_utf8_lossy(&page));
        return Ok(Exit::Ok);
    };
    let failed = |cause: io::Error| {
        Failure::internal(format!("cannot write the pages to `{}`: {cause}", folder.display()))
            .with_hint("name a folder that you may write to")
    };
    make_folder(folder).map_err(failed)?;
    clap_mangen::generate_to(line, folder).map_err(failed)?;
    terminal::print_line(&format!("wrote the pages to {}", folder.display()));
    let page = Path::new(".").join(folder).join(format!("{NAME}.1"));
    terminal::print_line(&format!("next: man {}", page.display()));
    Ok(Exit::Ok)
}
