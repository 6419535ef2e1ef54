//! A question at the terminal.

use std::io::{self, Write};
use std::thread;

use tokio::sync::oneshot;

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
