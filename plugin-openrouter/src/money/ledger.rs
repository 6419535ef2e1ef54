//! What was spent, on disk: it survives the end of the program, a crash included.
//!
//! A file for each UTC day holds a line of JSON for each thing that happened: a call that begins holds what it may cost at most,
//! a call that ends books what it cost. What a call held that never ended, because its program was killed, stays held: it may
//! have been billed. Programs share the files under a lock. No prompt and no key is written.

use std::borrow::Cow;
use std::collections::HashMap;
use std::env;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use plugin_api::{Error, ErrorKind};
use serde::{Deserialize, Serialize};

use crate::values::time::{date, rfc_3339};
use crate::values::usd::Usd;

/// How long the lock of another program is waited for; it is held for microseconds.
const LOCK_WAIT: Duration = Duration::from_secs(1);

/// The pause between two looks at the lock.
const LOCK_PAUSE: Duration = Duration::from_millis(1);

/// A folder of ledger files, as one program sees it. It reads, writes and waits for locks where it is called, so it belongs on
/// a thread that may wait.
pub struct Ledger {
    folder: PathBuf,
    /// Tells the calls of this ledger from those of all others that write to the same files.
    name: String,
    n_calls: u64,
    read: Read,
}

/// What was read of one day's file so far.
#[derive(Default)]
struct Read {
    day: String,
    /// Tells whether the file is still the one that was read.
    file_id: FileId,
    /// Bytes of whole lines.
    bytes: u64,
    booked: Usd,
    /// What calls under way may cost, by their ids.
    held: HashMap<String, Usd>,
    has_warned: bool,
}

/// What a call may cost at most, in the ledger until [`Ledger::book`] replaces it.
#[derive(Debug)]
pub struct Hold {
    day: String,
    id: String,
}

/// One day's file, under its lock.
pub struct Today<'a> {
    ledger: &'a mut Ledger,
    file: File,
    day: String,
    now: SystemTime,
}

/// A line of a ledger file.
#[derive(Serialize, Deserialize, Default)]
struct Line<'a> {
    /// When, in RFC 3339, UTC.
    #[serde(borrow, default)]
    at: Cow<'a, str>,
    /// What was billed, in US dollars.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    usd: Option<Cow<'a, str>>,
    /// Whether the bill is unknown and its greatest amount stands for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    estimated: Option<bool>,
    /// What a call that begins may cost at most, in US dollars.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    held: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    model: Cow<'a, str>,
    /// The call.
    #[serde(borrow, default)]
    id: Cow<'a, str>,
}

impl Ledger {
    /// The ledger in `folder`, which need not exist yet.
    pub fn new(folder: PathBuf) -> Self {
        let begun = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let begun_ns = begun.map_or(0, |time| time.as_nanos());
        // A process may have two, and a process in another container the same id.
        static N_LEDGERS: AtomicU64 = AtomicU64::new(0);
        let n = N_LEDGERS.fetch_add(1, Ordering::Relaxed);
        Self {
            folder,
            name: format!("{:x}-{begun_ns:x}-{n}", process::id()),
            n_calls: 0,
            read: Read::default(),
        }
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Opens the file of the day of `now`, under its lock, and reads what was written since the last time.
    ///
    /// - Errors: `config` with the path and the reason.
    pub fn today(&mut self, now: SystemTime) -> Result<Today<'_>, Error> {
        self.open(&date(now), now)
    }

    /// Books what a call cost, in place of what it held; on the day on which it began.
    ///
    /// - Errors: `config` with the path and the reason. What the call held is then still held.
    pub fn book(&mut self, hold: &Hold, usd: Usd, estimated: bool, model: &str, now: SystemTime) -> Result<(), Error> {
        self.open(&hold.day, now)?.append(&Line {
            at: Cow::Owned(rfc_3339(now)),
            usd: Some(Cow::Owned(usd.to_string())),
            estimated: Some(estimated),
            held: None,
            model: Cow::Borrowed(model),
            id: Cow::Borrowed(&hold.id),
        })
    }

    fn open(&mut self, day: &str, now: SystemTime) -> Result<Today<'_>, Error> {
        let path = self.path(day);
        let failed = |cause: io::Error| unusable(&path, &cause);
        create_folder(&self.folder).map_err(|cause| unusable(&self.folder, &cause))?;
        let file = open_file(&path).map_err(failed)?;
        lock(&file).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        let file_id = file_id(&metadata);
        if self.read.day != day || self.read.file_id != file_id || metadata.len() < self.read.bytes {
            self.read = Read {
                day: day.to_owned(),
                file_id,
                ..Read::default()
            };
        }
        let mut today = Today {
            ledger: self,
            file,
            day: day.to_owned(),
            now,
        };
        today.catch_up(&path).map_err(failed)?;
        Ok(today)
    }

    fn path(&self, day: &str) -> PathBuf {
        self.folder.join(format!("spend-{}.jsonl", day))
    }
}

impl Today<'_> {
    /// What was billed today and what calls under way may cost, of all programs.
    pub fn committed(&self) -> Usd {
        let read = &self.ledger.read;
        let held = read.held.values().fold(Usd::ZERO, |sum, usd| sum.plus(*usd));
        read.booked.plus(held)
    }

    /// Writes down that a call begins which may cost so much.
    ///
    /// - Errors: `config` with the path and the reason; nothing is held then.
    pub fn hold(&mut self, usd: Usd, model: &str) -> Result<Hold, Error> {
        let n = self.ledger.n_calls;
        self.ledger.n_calls += 1;
        let hold = Hold {
            day: self.day.clone(),
            id: format!("{}-{n}", self.ledger.name),
        };
        self.append(&Line {
            at: Cow::Owned(rfc_3339(self.now)),
            held: Some(Cow::Owned(usd.to_string())),
            model: Cow::Borrowed(model),
            id: Cow::Borrowed(&hold.id),
            ..Line::default()
        })?;
        Ok(hold)
    }

    /// Reads the whole lines that are new. What comes behind the last of them was left by a program that was killed while it
    /// wrote; it counts once somebody ends the line.
    fn catch_up(&mut self, path: &Path) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.ledger.read.bytes))?;
        let mut reader = BufReader::new(&self.file);
        let mut line = Vec::new();
        loop {
            line.clear();
            let n_bytes = reader.read_until(b'\n', &mut line)?;
            if line.pop() != Some(b'\n') {
                return Ok(());
            }
            let is_understood = self.ledger.read.take(&line);
            self.ledger.read.bytes += n_bytes as u64;
            if !is_understood && !self.ledger.read.has_warned {
                self.ledger.read.has_warned = true;
                tracing::warn!(path = %path.display(), "a line of the ledger is broken and is not counted");
            }
        }
    }

    /// Adds a line in one piece, and counts it.
    fn append(&mut self, line: &Line<'_>) -> Result<(), Error> {
        let path = self.ledger.path(&self.day);
        self.write(line)
            .and_then(|()| self.catch_up(&path))
            .map_err(|cause| unusable(&path, &cause))
    }

    fn write(&mut self, line: &Line<'_>) -> io::Result<()> {
        let former_bytes = self.file.metadata()?.len();
        let mut text = Vec::with_capacity(160);
        if former_bytes > self.ledger.read.bytes {
            // Nobody else can be writing now, so what stands there will never be ended by its own writer.
            text.push(b'\n');
        }
        serde_json::to_writer(&mut text, line)?;
        text.push(b'\n');
        let written = self.file.write(&text);
        if let Ok(n_bytes) = written
            && n_bytes == text.len()
        {
            return Ok(());
        }
        // A part of a line is no line. If it cannot be taken back either, the next writer ends it.
        let _ = self.file.set_len(former_bytes);
        Err(match written {
            Err(cause) => cause,
            Ok(_) => io::Error::from(io::ErrorKind::StorageFull),
        })
    }
}

impl Read {
    /// Counts a line, if it is one.
    fn take(&mut self, line: &[u8]) -> bool {
        let Ok(line) = serde_json::from_slice::<Line<'_>>(line) else {
            return false;
        };
        let amount = |text: &Option<Cow<'_, str>>| text.as_deref().and_then(Usd::parse);
        match (amount(&line.usd), amount(&line.held)) {
            (Some(usd), _) => {
                self.booked = self.booked.plus(usd);
                self.held.remove(&*line.id);
            }
            (None, Some(held)) => {
                self.held.insert(line.id.into_owned(), held);
            }
            (None, None) => return false,
        }
        true
    }
}

/// The folder that the ledger is in: the option's, else `openrouter` in the user's folder for state.
///
/// - Errors: `config` for an option that is not an absolute path, and where nobody says which folder the user's is.
pub fn folder(option: Option<&str>) -> Result<PathBuf, Error> {
    let variable = |name| env::var_os(name).map(PathBuf::from);
    folder_from(option, variable("XDG_STATE_HOME"), variable("HOME"))
}

fn folder_from(option: Option<&str>, state: Option<PathBuf>, home: Option<PathBuf>) -> Result<PathBuf, Error> {
    let no_home = || {
        Error::new(
            ErrorKind::CONFIG,
            "`budget.perDayUsd` needs a ledger, and there is no home folder to keep it in",
        )
        .with_hint("set `budget.ledger` to the path of a folder")
    };
    let home = home.filter(|path| path.is_absolute());
    if let Some(option) = option {
        let path = match option.strip_prefix("~/") {
            Some(rest) => home.ok_or_else(no_home)?.join(rest),
            None => PathBuf::from(option),
        };
        if path.is_absolute() {
            return Ok(path);
        }
        // Each folder that a program is started in would have a budget of its own.
        return Err(Error::new(
            ErrorKind::CONFIG,
            format!("`budget.ledger`: expected a path that begins with `/` or `~/`, found `{option}`"),
        ));
    }
    match state.filter(|path| path.is_absolute()) {
        Some(state) => Ok(state.join("openrouter")),
        None => Ok(home.ok_or_else(no_home)?.join(".local/state/openrouter")),
    }
}

fn unusable(path: &Path, cause: &io::Error) -> Error {
    let message = format!(
        "the ledger at `{}` cannot be used, and without it `budget.perDayUsd` cannot be kept: {cause}",
        path.display()
    );
    Error::new(ErrorKind::CONFIG, message).with_hint("make the folder writable, or name another one in `budget.ledger`")
}

fn create_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

fn open_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Waits for the lock, which goes when the file is closed, be it because its program was killed.
fn lock(file: &File) -> io::Result<()> {
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(cause)) => return Err(cause),
            Err(TryLockError::WouldBlock) if begun.elapsed() < LOCK_WAIT => thread::sleep(LOCK_PAUSE),
            Err(TryLockError::WouldBlock) => {
                return Err(io::Error::other("another program does not let go of its lock"));
            }
        }
    }
}

#[cfg(unix)]
type FileId = (u64, u64);

#[cfg(unix)]
fn file_id(metadata: &fs::Metadata) -> FileId {
    use std::os::unix::fs::MetadataExt;

    (metadata.dev(), metadata.ino())
}

#[cfg(not(unix))]
type FileId = Option<SystemTime>;

#[cfg(not(unix))]
fn file_id(metadata: &fs::Metadata) -> FileId {
    metadata.created().ok()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::process::{Command, Stdio};

    use serde_json::Value;

    use super::folder_for_tests::Folder;
    use super::*;

    /// 2026-11-20T17:30:05Z
    const AFTERNOON_S: u64 = 1_795_195_805;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn usd(text: &str) -> Usd {
        Usd::parse(text).expect("an amount")
    }

    fn committed(ledger: &mut Ledger, now: SystemTime) -> String {
        ledger.today(now).expect("a ledger").committed().to_string()
    }

    fn hold(ledger: &mut Ledger, text: &str, now: SystemTime) -> Hold {
        let mut today = ledger.today(now).expect("a ledger");
        today.hold(usd(text), "a/b").expect("it is writable")
    }

    fn spend(ledger: &mut Ledger, text: &str, now: SystemTime) {
        let held = hold(ledger, "0.5", now);
        ledger
            .book(&held, usd(text), false, "a/b", now)
            .expect("it is writable");
    }

    #[test]
    fn a_call_is_two_lines_without_prompt_or_key() {
        let folder = Folder::new();
        let mut ledger = Ledger::new(folder.path.clone());
        let held = hold(&mut ledger, "0.96", at(AFTERNOON_S));
        assert_eq!(committed(&mut ledger, at(AFTERNOON_S)), "0.96");
        ledger
            .book(&held, usd("0.00123"), false, "a/b", at(AFTERNOON_S + 1))
            .expect("it is writable");
        assert_eq!(committed(&mut ledger, at(AFTERNOON_S + 1)), "0.00123");
        let id = &held.id;
        let expected = format!(
            "{{\"at\":\"2026-11-20T17:30:05Z\",\"held\":\"0.96\",\"model\":\"a/b\",\"id\":\"{id}\"}}\n\
             {{\"at\":\"2026-11-20T17:30:06Z\",\"usd\":\"0.00123\",\"estimated\":false,\"model\":\"a/b\",\"id\":\"{id}\"}}\n"
        );
        assert_eq!(folder.text("spend-2026-11-20.jsonl"), expected);
    }

    #[cfg(unix)]
    #[test]
    fn folder_and_file_are_the_users_alone() {
        use std::os::unix::fs::PermissionsExt;

        let folder = Folder::new();
        let path = folder.path.join("state/openrouter");
        spend(&mut Ledger::new(path.clone()), "0.1", at(AFTERNOON_S));
        let mode = |path: &Path| fs::metadata(path).expect("it exists").permissions().mode() & 0o777;
        assert_eq!(
            (mode(&path), mode(&path.join("spend-2026-11-20.jsonl"))),
            (0o700, 0o600)
        );
    }

    #[test]
    fn a_restart_keeps_the_days_total_and_what_was_held() {
        let folder = Folder::new();
        let mut first = Ledger::new(folder.path.clone());
        spend(&mut first, "0.1", at(AFTERNOON_S));
        hold(&mut first, "0.03", at(AFTERNOON_S));
        drop(first);
        assert_eq!(
            committed(&mut Ledger::new(folder.path.clone()), at(AFTERNOON_S)),
            "0.13"
        );
    }

    #[test]
    fn two_programs_see_what_the_other_spends() {
        let folder = Folder::new();
        let (mut one, mut other) = (Ledger::new(folder.path.clone()), Ledger::new(folder.path.clone()));
        spend(&mut one, "0.1", at(AFTERNOON_S));
        assert_eq!(committed(&mut other, at(AFTERNOON_S)), "0.1");
        let held = hold(&mut other, "0.02", at(AFTERNOON_S));
        assert_eq!(committed(&mut one, at(AFTERNOON_S)), "0.12");
        other
            .book(&held, usd("0.01"), true, "a/b", at(AFTERNOON_S))
            .expect("it is writable");
        assert_eq!(committed(&mut one, at(AFTERNOON_S)), "0.11");
    }

    #[test]
    fn a_new_day_begins_with_nothing_and_a_call_counts_for_the_day_it_began() {
        let folder = Folder::new();
        let mut ledger = Ledger::new(folder.path.clone());
        let midnight = at(AFTERNOON_S / 86_400 * 86_400 + 86_400);
        let evening = midnight - Duration::from_secs(1);
        let held = hold(&mut ledger, "0.5", evening);
        assert_eq!(committed(&mut ledger, midnight), "0");
        ledger
            .book(&held, usd("0.2"), false, "a/b", midnight)
            .expect("it is writable");
        assert_eq!(
            (committed(&mut ledger, midnight), committed(&mut ledger, evening)),
            ("0".to_owned(), "0.2".to_owned())
        );
    }

    #[test]
    fn a_torn_line_is_not_counted_and_does_not_spoil_the_next_one() {
        let folder = Folder::new();
        let mut ledger = Ledger::new(folder.path.clone());
        spend(&mut ledger, "0.1", at(AFTERNOON_S));
        folder.append("spend-2026-11-20.jsonl", br#"{"at":"2026-11-20T17:30:05Z","usd":"7"#);
        assert_eq!(committed(&mut ledger, at(AFTERNOON_S)), "0.1");
        spend(&mut ledger, "0.2", at(AFTERNOON_S));
        for reader in [&mut ledger, &mut Ledger::new(folder.path.clone())] {
            assert_eq!(committed(reader, at(AFTERNOON_S)), "0.3");
        }
    }

    #[test]
    fn a_line_that_lacks_only_its_end_counts_once_it_is_ended() {
        let folder = Folder::new();
        let mut ledger = Ledger::new(folder.path.clone());
        folder.append("spend-2026-11-20.jsonl", br#"{"at":"","usd":"7"}"#);
        assert_eq!(committed(&mut ledger, at(AFTERNOON_S)), "0");
        spend(&mut ledger, "0.2", at(AFTERNOON_S));
        assert_eq!(committed(&mut ledger, at(AFTERNOON_S)), "7.2");
    }

    #[test]
    fn every_length_of_a_torn_line_is_survived() {
        let whole = br#"{"at":"2026-11-20T17:30:05Z","held":"0.5","model":"a/b","id":"1-2-3"}"#;
        for length in 1..whole.len() {
            let folder = Folder::new();
            let mut ledger = Ledger::new(folder.path.clone());
            spend(&mut ledger, "0.1", at(AFTERNOON_S));
            folder.append("spend-2026-11-20.jsonl", &whole[..length]);
            spend(&mut ledger, "0.2", at(AFTERNOON_S));
            assert_eq!(committed(&mut ledger, at(AFTERNOON_S)), "0.3", "{length}");
        }
    }

    #[test]
    fn broken_lines_are_passed_over() {
        let folder = Folder::new();
        let lines: [&[u8]; 6] = [b"", b"{}", b"\xff\xfe", b"[1]", br#"{"usd":"-1"}"#, br#"{"usd":1}"#];
        folder.append("spend-2026-11-20.jsonl", &lines.join(&b'\n'));
        folder.append("spend-2026-11-20.jsonl", b"\n{\"usd\":\"0.4\",\"new\":{}}\n");
        let mut ledger = Ledger::new(folder.path.clone());
        assert_eq!(committed(&mut ledger, at(AFTERNOON_S)), "0.4");
    }

    #[test]
    fn a_ledger_that_was_replaced_is_read_anew() {
        let folder = Folder::new();
        let mut ledger = Ledger::new(folder.path.clone());
        spend(&mut ledger, "0.1", at(AFTERNOON_S));
        let path = folder.path.join("spend-2026-11-20.jsonl");
        fs::write(folder.path.join("new"), "{\"usd\":\"0.4\"}\n".repeat(20)).expect("it is writable");
        fs::rename(folder.path.join("new"), &path).expect("it is writable");
        assert_eq!(committed(&mut ledger, at(AFTERNOON_S)), "8");
        fs::write(&path, "").expect("it is writable");
        assert_eq!(committed(&mut ledger, at(AFTERNOON_S)), "0");
    }

    #[test]
    fn a_ledger_that_cannot_be_used_says_where_and_why() {
        let folder = Folder::new();
        fs::create_dir_all(&folder.path).expect("it is writable");
        let file = folder.path.join("file");
        fs::write(&file, "").expect("it is writable");
        let error = Ledger::new(file.clone())
            .today(at(AFTERNOON_S))
            .err()
            .expect("no folder");
        let path = file.display();
        assert_eq!(
            (error.kind, error.message),
            (
                ErrorKind::CONFIG,
                format!(
                    "the ledger at `{path}` cannot be used, and without it `budget.perDayUsd` cannot be kept: \
                     File exists (os error 17)"
                )
            )
        );
        assert_eq!(
            error.details.hint.as_deref(),
            Some("make the folder writable, or name another one in `budget.ledger`")
        );
    }

    #[test]
    fn a_lock_that_is_never_let_go_is_an_error() {
        let folder = Folder::new();
        folder.append("spend-2026-11-20.jsonl", b"");
        let path = folder.path.join("spend-2026-11-20.jsonl");
        let other = open_file(&path).expect("it is writable");
        other.lock().expect("it is free");
        let mut ledger = Ledger::new(folder.path.clone());
        let error = ledger.today(at(AFTERNOON_S)).err().expect("it is locked");
        assert!(
            error.message.ends_with(": another program does not let go of its lock"),
            "{error}"
        );
        drop(other);
        assert_eq!(committed(&mut ledger, at(AFTERNOON_S)), "0");
    }

    #[test]
    fn the_folder_is_the_options_or_the_users() {
        let folder = |option, state: Option<&str>, home: Option<&str>| {
            folder_from(option, state.map(PathBuf::from), home.map(PathBuf::from))
                .map(|path| path.display().to_string())
                .map_err(|error| (error.message, error.details.hint))
        };
        let is = |path: &str| Ok(path.to_owned());
        assert_eq!(folder(Some("/l"), Some("/s"), Some("/h")), is("/l"));
        assert_eq!(folder(Some("~/l"), Some("/s"), Some("/h")), is("/h/l"));
        assert_eq!(folder(None, Some("/s"), Some("/h")), is("/s/openrouter"));
        assert_eq!(
            folder(None, Some("relative"), Some("/h")),
            is("/h/.local/state/openrouter")
        );
        assert_eq!(folder(None, None, Some("/h")), is("/h/.local/state/openrouter"));
        for (option, home) in [(None, None), (None, Some("")), (Some("~/l"), None)] {
            assert_eq!(
                folder(option, None, home),
                Err((
                    "`budget.perDayUsd` needs a ledger, and there is no home folder to keep it in".to_owned(),
                    Some("set `budget.ledger` to the path of a folder".to_owned())
                ))
            );
        }
        assert_eq!(
            folder(Some("l"), None, Some("/h")).map_err(|(message, _)| message),
            Err("`budget.ledger`: expected a path that begins with `/` or `~/`, found `l`".to_owned())
        );
    }

    /// Does nothing by itself: the next test runs it in a process of its own, which it kills.
    #[test]
    fn spends_until_it_is_killed() {
        let Some(folder) = env::var_os("LEDGER_OF_A_CHILD") else {
            return;
        };
        let mut ledger = Ledger::new(PathBuf::from(folder));
        loop {
            spend(&mut ledger, "0.001", at(AFTERNOON_S));
            let mut out = io::stdout();
            out.write_all(b"#")
                .and_then(|()| out.flush())
                .expect("somebody listens");
        }
    }

    #[test]
    fn what_was_booked_survives_a_kill() {
        let folder = Folder::new();
        let program = env::current_exe().expect("this is a program");
        let mut child = Command::new(program)
            .args([
                "--exact",
                "money::ledger::tests::spends_until_it_is_killed",
                "--nocapture",
            ])
            .env("LEDGER_OF_A_CHILD", &folder.path)
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut said = child.stdout.take().expect("it is piped");
        let mut n_spent = 0_u64;
        let mut byte = [0];
        while n_spent < 200 && said.read_exact(&mut byte).is_ok() {
            n_spent += u64::from(byte == *b"#");
        }
        child.kill().expect("it runs");
        child.wait().expect("it is a child");
        assert_eq!(n_spent, 200);
        let mut ledger = Ledger::new(folder.path.clone());
        let total = ledger.today(at(AFTERNOON_S)).expect("a ledger").committed();
        assert!(total >= usd("0.2"), "{total}");
        // It goes on as if nothing had been.
        spend(&mut ledger, "0.001", at(AFTERNOON_S));
        assert_eq!(
            committed(&mut ledger, at(AFTERNOON_S)),
            total.plus(usd("0.001")).to_string()
        );
        let text = folder.text("spend-2026-11-20.jsonl");
        assert!(
            text.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()),
            "{text}"
        );
    }
}

/// A folder of a test's own that does not exist yet, and is gone when the test is over.
#[cfg(test)]
pub mod folder_for_tests {
    use std::fs;
    use std::io::Write;
    use std::path::PathBuf;
    use std::process;
    use std::sync::atomic::{AtomicU64, Ordering};

    pub struct Folder {
        pub path: PathBuf,
    }

    impl Folder {
        pub fn new() -> Self {
            static COUNT: AtomicU64 = AtomicU64::new(0);
            let n = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = std::env::temp_dir().join(format!("openrouter-ledger-{}-{n}", process::id()));
            let _ = fs::remove_dir_all(&path);
            Self { path }
        }

        /// What stands in one of its files.
        pub fn text(&self, name: &str) -> String {
            fs::read_to_string(self.path.join(name)).unwrap_or_default()
        }

        /// Adds to one of its files.
        pub fn append(&self, name: &str, bytes: &[u8]) {
            fs::create_dir_all(&self.path).expect("it is writable");
            let file = fs::OpenOptions::new()
                .append(true)
                .create(true)
                .open(self.path.join(name));
            file.and_then(|mut file| file.write_all(bytes)).expect("it is writable");
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}
