//! A key that must appear nowhere, and the search for it.
//!
//! Every sandbox of the kit accepts [`CANARY`], so it travels with every call. After each run the kit searches what
//! programs printed and what `agent-host` wrote to disk. With `TESTS_TRACE=FOLDER` it also logs everything there, at
//! the finest level. The program `canary` runs the tests that way and then searches all of it.

use std::env;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use memchr::memmem;
use tracing::Level;

/// The key of the kit's sandboxes. It has the usual form and occurs nowhere else.
pub const CANARY: &str = "sk-or-v1-canary-5f3b9c07e2d84a61b7c0";

/// The beginning of every canary, including those of tests with a key of their own.
const BEGINNING: &str = "sk-or-v1-canary";

/// Parts that reveal [`CANARY`] without its beginning.
const PARTS: [&str; 2] = ["5f3b9c07e2", "d84a61b7c0"];

/// How a key looks in a request. The search includes it, because the key may not be a canary.
const IN_A_REQUEST: &str = "Bearer sk-";

/// How many bytes before a canary are shown, to find it in a long line.
const BEFORE_BYTES: usize = 200;

/// Names the folder of the logs.
const VARIABLE: &str = "TESTS_TRACE";

/// A place where a canary was found. It shows the place, and never the canary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// The line, from 1.
    pub line: usize,
    /// The text just before the canary in its line.
    pub before: String,
    /// Its encoding: `as it is`, `in base64` and the like.
    pub form: &'static str,
}

impl fmt::Display for Hit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}, {}: {}▒▒▒▒▒▒▒▒", self.line, self.form, self.before)
    }
}

/// Every line of `bytes` that holds a canary, whole or in part, in any encoding, or any key in the form of a request.
pub fn hits(bytes: &[u8]) -> Vec<Hit> {
    // Searching all bytes is fast. Searching line by line is not, and is hardly ever needed.
    if needles()
        .iter()
        .all(|(needle, _)| memmem::find(bytes, needle).is_none())
    {
        return Vec::new();
    }
    let lines = bytes.split(|byte| *byte == b'\n').enumerate();
    lines
        .filter_map(|(index, line)| {
            let found = needles()
                .iter()
                .filter_map(|(needle, form)| Some((memmem::find(line, needle)?, *form)));
            let (at, form) = found.min_by_key(|(at, _)| *at)?;
            Some(Hit {
                line: index + 1,
                before: String::from_utf8_lossy(&line[at.saturating_sub(BEFORE_BYTES)..at]).into_owned(),
                form,
            })
        })
        .collect()
}

/// The same for a file, which is read whole.
///
/// - Errors: it cannot be read.
pub fn hits_in(file: &Path) -> io::Result<Vec<Hit>> {
    Ok(hits(&fs::read(file)?))
}

/// Panics if `bytes` hold a canary, with the place and with `whose` bytes they are.
#[track_caller]
pub(crate) fn assert_none(whose: &dyn fmt::Display, bytes: &[u8]) {
    let hits = hits(bytes);
    let lines: Vec<String> = hits.iter().map(Hit::to_string).collect();
    assert!(hits.is_empty(), "{whose} holds a key:\n{}", lines.join("\n"));
}

/// What is searched for, and its encoding.
fn needles() -> &'static [(Vec<u8>, &'static str)] {
    static NEEDLES: OnceLock<Vec<(Vec<u8>, &str)>> = OnceLock::new();
    NEEDLES.get_or_init(|| {
        let mut needles = Vec::new();
        let mut add = |bytes: Vec<u8>, form| needles.push((bytes, form));
        add(IN_A_REQUEST.into(), "as in a request");
        for part in [BEGINNING].into_iter().chain(PARTS) {
            add(part.into(), "as it is");
            add(numbers(part), "as numbers");
            add(hexadecimal(part), "in hexadecimal digits");
            for n_bytes_before in 0..3 {
                add(base64_within(part.as_bytes(), n_bytes_before), "in base64");
            }
        }
        needles
    })
}

/// In the form of `Debug` for bytes: `115, 107, …`.
fn numbers(text: &str) -> Vec<u8> {
    let numbers: Vec<String> = text.bytes().map(|byte| byte.to_string()).collect();
    numbers.join(", ").into()
}

fn hexadecimal(text: &str) -> Vec<u8> {
    text.bytes()
        .flat_map(|byte| format!("{byte:02x}").into_bytes())
        .collect()
}

/// The base64 letters that depend only on `bytes`, if this many bytes (modulo three) stand before them.
fn base64_within(bytes: &[u8], n_bytes_before: usize) -> Vec<u8> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let first_bit = 8 * n_bytes_before;
    let end_bit = first_bit + 8 * bytes.len();
    let bit = |index: usize| (bytes[(index - first_bit) / 8] >> (7 - (index - first_bit) % 8)) & 1;
    (first_bit.div_ceil(6)..end_bit / 6)
        .map(|letter| {
            let value = (6 * letter..6 * letter + 6).fold(0, |value, index| value << 1 | bit(index));
            LETTERS[usize::from(value)]
        })
        .collect()
}

/// The file in which the next `agent-host` logs everything; `None` without `TESTS_TRACE`.
pub(crate) fn log_of_a_host() -> Option<PathBuf> {
    static N_HOSTS: AtomicUsize = AtomicUsize::new(0);
    let number = N_HOSTS.fetch_add(1, Ordering::Relaxed);
    Some(folder()?.join(format!("host-{}-{number}.log", process::id())))
}

/// Logs everything in this process if `TESTS_TRACE` is set: its plugins and its own side.
///
/// The kit calls it wherever a test may begin. Only the first call does anything.
pub(crate) fn trace_this_process() {
    static BEGUN: OnceLock<()> = OnceLock::new();
    let Some(folder) = folder() else { return };
    BEGUN.get_or_init(|| {
        let file = folder.join(format!("process-{}.log", process::id()));
        let subscriber = tracing_subscriber::fmt().with_max_level(Level::TRACE).with_ansi(false);
        // A test may have set a subscriber for the whole process.
        let _ = subscriber.with_writer(move || end_of(&file)).try_init();
    });
}

/// Opens a file to append one record. It does not stay open, because some tests count open files.
fn end_of(file: &Path) -> Box<dyn Write> {
    match OpenOptions::new().append(true).create(true).open(file) {
        Ok(file) => Box::new(file),
        // Some tests take away free files or the right to write.
        Err(_) => Box::new(io::sink()),
    }
}

/// Whether this process logs everything.
pub(crate) fn is_traced() -> bool {
    folder().is_some()
}

fn folder() -> Option<PathBuf> {
    let folder = env::var_os(VARIABLE).filter(|value| !value.is_empty())?;
    Some(folder.into())
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::process::Command;

    use super::*;
    use crate::home::Home;
    use crate::run::run;
    use crate::wait::LIMIT;

    /// The panic message of `work`.
    fn objection(work: impl FnOnce()) -> String {
        let refused = catch_unwind(AssertUnwindSafe(work)).expect_err("the kit panics");
        let said = refused.downcast::<String>().expect("a message");
        assert!(hits(said.as_bytes()).is_empty(), "{said}");
        *said
    }

    #[test]
    fn a_program_that_prints_the_canary_is_caught() {
        for (redirection, pipe) in [("", "stdout"), (">&2", "stderr")] {
            let mut shell = Command::new("sh");
            shell.args(["-c", &format!("echo; echo the key is {CANARY} {redirection}")]);
            let said = objection(|| drop(run(shell, None, LIMIT)));
            assert!(
                said.contains(&format!("the {pipe} of \"sh\" holds a key:\nline ")),
                "{said}"
            );
        }
    }

    #[test]
    fn a_canary_on_the_command_line_of_the_host_is_caught() {
        let home = Home::new();
        let said = objection(|| drop(home.host(&["chat", CANARY])));
        assert!(
            said.starts_with("the command line of agent-host holds a key:"),
            "{said}"
        );
    }

    #[test]
    fn a_canary_is_caught_only_in_files_that_the_host_wrote() {
        for (folder, file, is_caught) in [
            (".", "key.env", false),
            ("work", ".env", false),
            ("plugins", "plugins.json", true),
            (".local/state/agent-host", "history", true),
        ] {
            let home = Home::new();
            let folder = home.path().join(folder);
            fs::create_dir_all(&folder).expect("the home is writable");
            fs::write(folder.join(file), format!("first\n{CANARY}\n")).expect("the home is writable");
            if is_caught {
                let said = objection(|| drop(home));
                assert!(
                    said.contains(&format!("{file} holds a key:\nline 2, as it is: ")),
                    "{said}"
                );
            }
        }
    }

    #[test]
    fn the_canary_is_found_in_every_writing_and_is_not_shown() {
        let basic = "c29tZWJvZHk6c2stb3ItdjEtY2FuYXJ5LTVmM2I5YzA3ZTJkODRhNjFiN2Mw";
        let texts = [
            (format!("key={CANARY}"), "as it is", "key="),
            (format!("…{}", &CANARY[20..]), "as it is", "…f3b"),
            (
                "authorization: Bearer sk-proj-1".to_owned(),
                "as in a request",
                "authorization: ",
            ),
            (format!("Basic {basic}"), "in base64", "Basic c29tZWJvZHk6"),
            (format!("{:?}", CANARY.as_bytes()), "as numbers", "["),
            (
                "0x736b2d6f722d76312d63616e617279".to_owned(),
                "in hexadecimal digits",
                "0x",
            ),
        ];
        for (text, form, before) in texts {
            let found = hits(format!("first\n{text} and more\nlast").as_bytes());
            let [hit] = found.as_slice() else {
                panic!("{text}: {found:?}")
            };
            assert_eq!((hit.line, hit.form), (2, form), "{text}");
            assert!(hit.before.starts_with(before) || form == "as it is", "{hit}");
            assert!(hits(hit.to_string().as_bytes()).is_empty(), "{hit}");
        }
        assert_eq!(hits(b"sk-or-v1-can...7c0, Bearer \xff sk-or-\xe2\x80\xa6"), []);
    }
}
