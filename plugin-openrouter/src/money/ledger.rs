//! Records on disk what was spent, so that it survives the end of the program, even a crash.
//!
//! There is one file per UTC day, with one line of JSON per event. A call that starts holds its greatest cost;
//! a call that ends books its actual cost. If its program is killed in between, the hold stays, because the call may
//! have been billed. Programs share the files under a lock. No prompt and no key is written.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, BufRead, BufReader, Read as _, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};
use std::{env, process, thread};

use plugin_api::{Error, ErrorKind};
use serde::{Deserialize, Serialize};

use crate::files;
use crate::values::folders::{NoFolder, folder_from};
use crate::values::time::{date, rfc_3339};
use crate::values::usd::Usd;

/// The longest wait for another program's lock, which is normally held for microseconds.
const LOCK_WAIT: Duration = Duration::from_secs(1);

/// The largest file: about a million calls in a day.
const MAX_BYTES: u64 = 256 << 20;

/// The longest line. The ledger's own have about 200 bytes.
const MAX_LINE_BYTES: u64 = 64 << 10;

/// The pause between two attempts to take the lock.
const LOCK_PAUSE: Duration = Duration::from_millis(1);

/// A folder of ledger files, as one program sees it. Its methods block on files and locks.
pub struct Ledger {
    folder: PathBuf,
    /// Distinguishes the calls of this ledger from those of others that write to the same files.
    name: String,
    n_calls: u64,
    read: Read,
}

/// The part of one day's file that was read so far.
#[derive(Default)]
struct Read {
    day: String,
    /// Shows whether the file was replaced since.
    file_id: FileId,
    /// The length of the complete lines.
    bytes: u64,
    booked: Usd,
    /// What calls in progress may cost, by call id.
    held: HashMap<String, Usd>,
    has_warned: bool,
}

/// The greatest cost of a call, in the ledger until [`Ledger::book`] replaces it.
#[derive(Debug)]
pub struct Hold {
    day: String,
    id: String,
}

/// One day's file, locked.
pub struct Today<'a> {
    ledger: &'a mut Ledger,
    file: File,
    day: String,
    now: SystemTime,
}

/// A line of a ledger file.
#[derive(Serialize, Deserialize, Default)]
struct Line<'a> {
    /// The time, RFC 3339, UTC.
    #[serde(borrow, default)]
    at: Cow<'a, str>,
    /// The cost of a call that ended, in US dollars.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    usd: Option<Cow<'a, str>>,
    /// Whether `usd` contains an estimate because the actual cost is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    estimated: Option<bool>,
    /// The greatest cost of a call that starts, in US dollars.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    held: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    model: Cow<'a, str>,
    /// The id of the call.
    #[serde(borrow, default)]
    id: Cow<'a, str>,
}

impl Ledger {
    /// The ledger in `folder`, which need not exist yet.
    pub fn new(folder: PathBuf) -> Self {
        let begun = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let begun_ns = begun.map_or(0, |time| time.as_nanos());
        // A process may have two ledgers, and processes in different containers may have the same id.
        static N_LEDGERS: AtomicU64 = AtomicU64::new(0);
        let n = N_LEDGERS.fetch_add(1, Ordering::Relaxed);
        Self {
            folder,
            name: format!("{:x}-{begun_ns:x}-{n}", process::id()),
            n_calls: 0,
            read: Read::default(),
        }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Opens and locks the file for the day of `now`, and reads what is new in it.
    ///
    /// - Errors: `config` with the path and the reason.
    pub fn today(&mut self, now: SystemTime) -> Result<Today<'_>, Error> {
        self.open(&date(now), now)
    }

    /// Replaces a call's hold by its actual cost, on the day on which the call started.
    ///
    /// - Errors: `config` with the path and the reason. The hold stays then.
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
        files::make_folder(&self.folder).map_err(|cause| unusable(&self.folder, &cause))?;
        let file = files::open(&path, true, MAX_BYTES).map_err(failed)?;
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
        self.folder.join(format!("spend-{day}.jsonl"))
    }
}

impl Today<'_> {
    /// What all programs spent today, including what their calls in progress may cost.
    pub fn committed(&self) -> Usd {
        let read = &self.ledger.read;
        let held = read.held.values().fold(Usd::ZERO, |sum, usd| sum.plus(*usd));
        read.booked.plus(held)
    }

    /// Records that a call starts which may cost up to `usd`.
    ///
    /// - Errors: `config` with the path and the reason. Nothing is held then.
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

    /// Reads the new complete lines. An incomplete last line is from a program that was killed while it wrote;
    /// it is read once the next writer ends it.
    fn catch_up(&mut self, path: &Path) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.ledger.read.bytes))?;
        let mut reader = BufReader::new(&self.file);
        let mut line = Vec::new();
        loop {
            line.clear();
            let n_bytes = reader.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line)?;
            if n_bytes as u64 == MAX_LINE_BYTES && !line.ends_with(b"\n") {
                return Err(io::Error::other("it is damaged: a line has no end"));
            }
            if line.pop() != Some(b'\n') {
                return Ok(());
            }
            let is_readable = self.ledger.read.take(&line);
            self.ledger.read.bytes += n_bytes as u64;
            if !is_readable && !self.ledger.read.has_warned {
                self.ledger.read.has_warned = true;
                tracing::warn!(path = %path.display(), "ignoring an unreadable line of the ledger");
            }
        }
    }

    /// Appends a line with a single write, and counts it.
    fn append(&mut self, line: &Line<'_>) -> Result<(), Error> {
        let path = self.ledger.path(&self.day);
        self.write(line)
            .and_then(|()| self.catch_up(&path))
            .map_err(|cause| unusable(&path, &cause))
    }

    fn write(&mut self, line: &Line<'_>) -> io::Result<()> {
        let previous_bytes = self.file.metadata()?.len();
        let mut text = Vec::with_capacity(160);
        if previous_bytes > self.ledger.read.bytes {
            // Nobody else can be writing under the lock, so the writer of this incomplete line is gone.
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
        // Remove the partial line. If that fails too, the next writer ends it.
        let _ = self.file.set_len(previous_bytes);
        Err(match written {
            Err(cause) => cause,
            Ok(_) => io::Error::from(io::ErrorKind::StorageFull),
        })
    }
}

impl Read {
    /// Counts a line. Returns whether it was readable.
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

/// The folder of the ledger: the option's, or `openrouter` in the user's state folder.
///
/// - Errors: `config` if the option is not an absolute path, or if there is no home folder.
pub fn folder(option: Option<&str>) -> Result<PathBuf, Error> {
    let variable = |name| env::var_os(name).map(PathBuf::from);
    let state = variable("XDG_STATE_HOME");
    folder_from(option, state, ".local/state", variable("HOME")).map_err(no_folder)
}

fn no_folder(problem: NoFolder) -> Error {
    match problem {
        // With a relative path, each working directory would have a budget of its own.
        NoFolder::NotAbsolute(path) => Error::new(
            ErrorKind::CONFIG,
            format!("`budget.ledger`: expected a path that begins with `/` or `~/`, found `{path}`"),
        ),
        NoFolder::NoHome => Error::new(
            ErrorKind::CONFIG,
            "`budget.perDayUsd` needs a ledger, and there is no home folder to keep it in",
        )
        .with_hint("set `budget.ledger` to the path of a folder"),
    }
}

fn unusable(path: &Path, cause: &io::Error) -> Error {
    let message = format!(
        "cannot use the ledger at `{}`, which `budget.perDayUsd` needs: {cause}",
        path.display()
    );
    Error::new(ErrorKind::CONFIG, message).with_hint(
        "make the folder yours alone and writable, move a damaged file away, or set `budget.ledger` to another folder",
    )
}

/// Waits for the lock. The system releases it when the file is closed, even if its program is killed.
fn lock(file: &File) -> io::Result<()> {
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(cause)) => return Err(cause),
            Err(TryLockError::WouldBlock) if begun.elapsed() < LOCK_WAIT => thread::sleep(LOCK_PAUSE),
            Err(TryLockError::WouldBlock) => {
                return Err(io::Error::other("another program keeps it locked"));
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
mod tests;
