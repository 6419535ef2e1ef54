//! Runs a program to its end, with a limit.

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::canary;
use crate::output::Output;

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

    /// Waits for the end of `child`, whose standard output and error these are, and kills it after `limit`.
    ///
    /// - Out: whether it ended by itself.
    /// - Panics: if the program, by this name, wrote a key.
    pub(crate) fn of(child: &mut Child, [stdout, stderr]: [&Output; 2], name: &str, limit: Duration) -> (Self, bool) {
        let has_ended = stdout.wait_for_end(limit) && stderr.wait_for_end(limit);
        if !has_ended {
            let _ = child.kill();
        }
        let status = child.wait().expect("it was started here");
        let ran = Self {
            code: status.code(),
            stdout: stdout.text(),
            stderr: stderr.text(),
        };
        for (pipe, text) in [("stdout", &ran.stdout), ("stderr", &ran.stderr)] {
            canary::assert_none(&format_args!("the {pipe} of {name}"), text.as_bytes());
        }
        (ran, has_ended)
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
    let stdout = Output::of(child.stdout.take().expect("it is piped"));
    let stderr = Output::of(child.stderr.take().expect("it is piped"));
    let name = format!("{:?}", command.get_program());
    let (ran, has_ended) = Ran::of(&mut child, [&stdout, &stderr], &name, limit);
    assert!(has_ended, "{command:?} had not ended after {limit:?}: {ran:?}");
    ran
}
