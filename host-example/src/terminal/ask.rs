//! Questions at the terminal.

use std::io::{self, IsTerminal, Write};
use std::thread;

use inquire::InquireError;
use tokio::sync::oneshot;

use super::exit::Exit;
use super::failure::Failure;
use super::print::say;
use super::streams::stderr_has_cursor;

/// Whether somebody is there to answer, on a terminal that prompts can be drawn on.
pub fn can_ask() -> bool {
    io::stdin().is_terminal() && stderr_has_cursor()
}

/// Shows a prompt, on a thread of its own because it blocks; `None` if the user left it with Esc.
///
/// - Errors: the user stopped it with Ctrl-C, or the terminal cannot be used.
pub async fn prompted<T: Send + 'static>(
    prompt: impl FnOnce() -> Result<T, InquireError> + Send + 'static,
) -> Result<Option<T>, Failure> {
    let unusable = |cause: &dyn std::fmt::Display| Failure::internal(format!("cannot use the terminal: {cause}"));
    match tokio::task::spawn_blocking(prompt)
        .await
        .map_err(|cause| unusable(&cause))?
    {
        Ok(answer) => Ok(Some(answer)),
        Err(InquireError::OperationCanceled) => Ok(None),
        Err(InquireError::OperationInterrupted) => Err(left()),
        Err(cause) => Err(unusable(&cause)),
    }
}

/// The failure of a wait that Ctrl-C ended.
pub fn interrupted() -> Failure {
    // The terminal has printed `^C` on the current line.
    say("");
    left()
}

/// The failure of a dialogue that the user left.
pub fn left() -> Failure {
    Failure::new(Exit::Interrupted, "stopped; nothing was stored")
}

/// Reads a line from the terminal, in lower case; `None` after Ctrl-C, empty at the end of the input.
pub async fn ask(question: &str) -> Option<String> {
    // If stderr is gone, nobody sees the question.
    let _ = write!(anstream::stderr(), "{question}");
    let (sender, answer) = oneshot::channel();
    // Reading blocks, so it has a thread of its own.
    thread::Builder::new()
        .name("question".to_owned())
        .spawn(move || {
            let mut line = String::new();
            if io::stdin().read_line(&mut line).is_ok() {
                // Fails after Ctrl-C, when nobody waits any more.
                let _ = sender.send(line.to_ascii_lowercase());
            }
        })
        .ok()?;
    tokio::select! {
        line = answer => line.ok(),
        _ = tokio::signal::ctrl_c() => None,
    }
}
