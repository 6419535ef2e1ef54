//! A user at a terminal: types lines into a program and waits for what appears.

use std::env;
use std::fs::File;
use std::io::Write;
use std::num::NonZeroU16;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::thread;

use ptyprocess::{PtyProcess, Signal, WaitStatus};

use crate::canary;
use crate::output::Output;
use crate::wait::LIMIT;

/// A program on a terminal of its own, and its user. When it is dropped, no key may have appeared there.
pub struct Typist {
    process: PtyProcess,
    keyboard: File,
    output: Arc<Output>,
    /// The bytes of the text that `sees` is past.
    seen: usize,
}

impl Typist {
    /// Starts `command`, which sets every variable that it needs, on a new terminal where no line is too long.
    pub fn at(command: Command) -> Self {
        Self::of_width(400, command)
    }

    /// The same on a terminal of so many columns.
    pub fn of_width(columns: u16, command: Command) -> Self {
        // The terminal gets its size when its first program has started, so a shell waits for that.
        let mut sized = Command::new("sh");
        let wait = format!("until [ \"$(stty size)\" = '40 {columns}' ]; do :; done; exec \"$0\" \"$@\"");
        sized
            .args(["-c", &wait])
            .arg(command.get_program())
            .args(command.get_args());
        sized.env_clear().env("PATH", env::var_os("PATH").unwrap_or_default());
        sized.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        sized.env("TERM", "xterm");
        sized.current_dir(command.get_current_dir().unwrap_or(Path::new(".")));
        let mut process = PtyProcess::spawn(sized).expect("the program starts on a terminal");
        process.set_window_size(columns, 40).expect("the terminal is ours");
        // Without the terminal's echo, only the program shows what is typed.
        let keyboard = process.get_raw_handle().expect("the terminal can be written to");
        let screen = process.get_raw_handle().expect("the terminal can be read");
        Self {
            process,
            keyboard,
            output: Output::of(screen),
            seen: 0,
        }
    }

    /// What a terminal of this width shows at the end of the program, however far it has scrolled.
    pub fn picture(&self, columns: u16) -> String {
        self.output.wait_for_end(LIMIT);
        let size = |number| NonZeroU16::new(number).expect("more than none");
        let mut terminal = vt100::Parser::new(size(1000), size(columns), 0);
        terminal.process(&self.output.bytes());
        let rows: Vec<String> = terminal.screen().rows(0, columns).collect();
        let rows: Vec<&str> = rows.iter().map(|row| row.trim_end()).collect();
        rows.join("\n").trim_end().to_owned() + "\n"
    }

    /// Types a line and the return key.
    pub fn types(&mut self, line: &str) {
        self.presses(format!("{line}\r").as_bytes());
    }

    /// Presses keys: `b"\x03"` is Ctrl-C, `b"\x04"` Ctrl-D.
    pub fn presses(&mut self, keys: &[u8]) {
        self.keyboard.write_all(keys).expect("the program still reads");
    }

    /// Kills the program, which gets no chance to do anything about it, and waits until it is gone.
    pub fn is_killed(mut self) {
        self.process.signal(Signal::SIGKILL).expect("the program runs");
        self.output.wait_for_end(LIMIT);
    }

    /// Sends the program SIGHUP.
    pub fn hangs_up(&mut self) {
        self.process.signal(Signal::SIGHUP).expect("the program runs");
    }

    /// Waits until `text` appears after what was seen before, and returns the text in between.
    ///
    /// - Panics: if it does not appear, with everything on the screen.
    #[track_caller]
    pub fn sees(&mut self, text: &str) -> String {
        let seen = self.seen;
        self.output.wait_until(|raw| shown(raw)[seen..].contains(text));
        let screen = self.screen();
        let Some(at) = screen[seen..].find(text) else {
            panic!("`{text}` did not appear; the screen:\n{screen}\nseen up to byte {seen}");
        };
        self.seen += at + text.len();
        screen[seen..seen + at].to_owned()
    }

    /// Everything that appeared so far, without escape sequences.
    pub fn screen(&self) -> String {
        shown(&self.output.text())
    }

    /// Waits for the end of the program, and returns its exit code.
    pub fn leaves(self) -> Option<i32> {
        self.output.wait_for_end(LIMIT);
        match self.process.wait() {
            Ok(WaitStatus::Exited(_, code)) => Some(code),
            _ => None,
        }
    }
}

impl Drop for Typist {
    fn drop(&mut self) {
        if thread::panicking() {
            return;
        }
        canary::assert_none(&"the terminal", &self.output.bytes());
        canary::assert_none(&"the terminal without escape sequences", self.screen().as_bytes());
    }
}

fn shown(raw: &str) -> String {
    anstream::adapter::strip_str(raw).to_string().replace('\r', "")
}
