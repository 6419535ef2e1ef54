//! A question at the terminal.

use std::io::{self, Write};
use std::thread;

use tokio::sync::oneshot;

/// A line from the terminal in small letters, if one comes; none after Ctrl-C.
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
                // Nobody waits any more after Ctrl-C.
                let _ = sender.send(line.to_ascii_lowercase());
            }
        })
        .ok()?;
    tokio::select! {
        line = answer => line.ok(),
        _ = tokio::signal::ctrl_c() => None,
    }
}
