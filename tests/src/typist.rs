//! A user at a terminal: types lines into a program and waits for what appears.

use std::fs::File;
use std::io::{Read, Write};
use std::process::Command;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Instant;

use ptyprocess::{PtyProcess, WaitStatus};

use crate::canary;
use crate::wait::LIMIT;

/// A program on a terminal of its own, and its user. When it is dropped, no key may have appeared there.
pub struct Typist {
    process: PtyProcess,
    keyboard: File,
    arriving: Receiver<Vec<u8>>,
    raw: Vec<u8>,
    /// The bytes of the text that `sees` is past.
    seen: usize,
}

impl Typist {
    /// Starts `command` on a new terminal of 100 columns.
    pub fn at(mut command: Command) -> Self {
        command.env("TERM", "xterm");
        let mut process = PtyProcess::spawn(command).expect("the program starts on a terminal");
        process.set_window_size(100, 40).expect("the terminal is ours");
        // Without the terminal's echo, only the program shows what is typed.
        let keyboard = process.get_raw_handle().expect("the terminal can be written to");
        let mut screen = process.get_raw_handle().expect("the terminal can be read");
        let (sender, arriving) = mpsc::channel();
        thread::spawn(move || {
            let mut piece = [0; 4096];
            // On Linux it is an error to read from a terminal that nobody writes to any more.
            while let Ok(length @ 1..) = screen.read(&mut piece) {
                if sender.send(piece[..length].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self {
            process,
            keyboard,
            arriving,
            raw: Vec::new(),
            seen: 0,
        }
    }

    /// Types a line and the return key.
    pub fn types(&mut self, line: &str) {
        self.presses(format!("{line}\r").as_bytes());
    }

    /// Presses keys: `b"\x03"` is Ctrl-C, `b"\x04"` Ctrl-D.
    pub fn presses(&mut self, keys: &[u8]) {
        self.keyboard.write_all(keys).expect("the program still reads");
    }

    /// Waits until `text` appears after what was seen before, and returns the text in between.
    ///
    /// - Panics: if it does not appear, with everything on the screen.
    #[track_caller]
    pub fn sees(&mut self, text: &str) -> String {
        let begun = Instant::now();
        loop {
            let screen = self.screen();
            if let Some(at) = screen[self.seen..].find(text) {
                let before = screen[self.seen..self.seen + at].to_owned();
                self.seen += at + text.len();
                return before;
            }
            let left = LIMIT.saturating_sub(begun.elapsed());
            match self.arriving.recv_timeout(left) {
                Ok(piece) => self.raw.extend_from_slice(&piece),
                Err(_) => panic!(
                    "`{text}` did not appear; the screen:\n{screen}\nseen up to byte {}",
                    self.seen
                ),
            }
        }
    }

    /// Everything that appeared so far, without escape sequences.
    pub fn screen(&self) -> String {
        anstream::adapter::strip_str(&String::from_utf8_lossy(&self.raw))
            .to_string()
            .replace('\r', "")
    }

    /// Waits for the end of the program, and returns its exit code.
    pub fn leaves(mut self) -> Option<i32> {
        while let Ok(piece) = self.arriving.recv_timeout(LIMIT) {
            self.raw.extend_from_slice(&piece);
        }
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
        self.raw.extend(self.arriving.try_iter().flatten());
        canary::assert_none(&"the terminal", &self.raw);
        canary::assert_none(&"the terminal without escape sequences", self.screen().as_bytes());
    }
}
