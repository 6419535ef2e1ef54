//! Runs a program to its end, with a limit.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::canary;

/// What a program did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// Its exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Ran {
    /// Panics with everything it wrote unless the exit code is 0.
    #[track_caller]
    pub fn expect_success(self) -> Self {
        assert_eq!(self.code, Some(0), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }
}

/// Runs `command`, gives it `stdin`, and waits for its end.
///
/// - Panics: if it does not start, or wrote a key. After `limit` it is killed, and the panic shows what it wrote.
pub fn run(mut command: Command, stdin: Option<&str>, limit: Duration) -> Ran {
    let input = if stdin.is_some() { Stdio::piped() } else { Stdio::null() };
    command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .unwrap_or_else(|cause| panic!("{command:?} did not start: {cause}"));
    if let (Some(mut pipe), Some(text)) = (child.stdin.take(), stdin.map(str::to_owned)) {
        // The program may exit without reading, which is not a failure here.
        thread::spawn(move || pipe.write_all(text.as_bytes()));
    }
    let stdout = collected(child.stdout.take().expect("it is piped"));
    let stderr = collected(child.stderr.take().expect("it is piped"));
    let (sender, ended) = mpsc::channel();
    let waiting = thread::spawn(move || {
        let texts = (stdout.join(), stderr.join());
        let _ = sender.send(());
        texts
    });
    let late = ended.recv_timeout(limit).is_err();
    if late {
        let _ = child.kill();
    }
    let status = child.wait().expect("it was started here");
    let (stdout, stderr) = waiting.join().expect("reading does not panic");
    for (pipe, text) in [("stdout", &stdout), ("stderr", &stderr)] {
        let text = text.as_deref().unwrap_or_default();
        canary::assert_none(
            &format_args!("the {pipe} of {:?}", command.get_program()),
            text.as_bytes(),
        );
    }
    let ran = Ran {
        code: status.code(),
        stdout: stdout.expect("reading does not panic"),
        stderr: stderr.expect("reading does not panic"),
    };
    assert!(!late, "{command:?} had not ended after {limit:?}: {ran:?}");
    ran
}

fn collected(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What arrived before an error is worth more than the error.
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
