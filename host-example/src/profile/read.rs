//! Reads the file, and refuses what cannot be a profile without waiting for it.

use std::fmt;
use std::fs;
use std::io;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::problem::{Problem, Report};

/// Largest profile file, in bytes: 1 MiB.
pub(super) const MAX_BYTES: u64 = 1024 * 1024;

/// Why there is no profile.
#[derive(Debug)]
pub enum LoadError {
    /// There is no such file.
    NotFound {
        /// The path that was tried.
        path: PathBuf,
    },
    /// The file has problems.
    Report(Report),
    /// The file is valid, but has no profile of the requested name.
    NoSuchProfile { message: String, hint: String },
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::NotFound { path } => write!(f, "profile file `{}` does not exist", path.display()),
            LoadError::Report(report) => report.fmt(f),
            LoadError::NoSuchProfile { message, hint } => write!(f, "{message}\nhint: {hint}"),
        }
    }
}

/// Reads a profile file.
///
/// - In: a regular file, or a link that ends at one, of at most 1 MiB of UTF-8.
/// - Errors: `NotFound`; a report for a folder, a pipe, a device, a file that is too large, may not
///   be read, or is not UTF-8. Never waits for a writer, as reading a pipe would.
pub fn read(path: &Path) -> Result<String, LoadError> {
    let whole_file = |message: String, hint: Option<&str>| {
        let problem = Problem {
            message,
            hint: hint.map(str::to_owned),
            ..Problem::default()
        };
        LoadError::Report(Report::new(&path.display().to_string(), String::new(), vec![problem]))
    };
    match read_bytes(path) {
        Ok(bytes) => String::from_utf8(bytes).map_err(|error| {
            let offset = error.utf8_error().valid_up_to();
            whole_file(
                format!("expected UTF-8, found an invalid byte at offset {offset}"),
                Some("save the file as UTF-8"),
            )
        }),
        Err(ReadError::Missing) => Err(LoadError::NotFound { path: path.to_owned() }),
        Err(ReadError::Refused(message)) => Err(whole_file(message, None)),
    }
}

#[derive(Debug, PartialEq)]
pub(super) enum ReadError {
    Missing,
    Refused(String),
}

/// The bytes of the file; see [`read`].
pub(super) fn read_bytes(path: &Path) -> Result<Vec<u8>, ReadError> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => ReadError::Missing,
        _ => ReadError::Refused(format!("cannot read the file: {error}")),
    };
    // Asked before opening, since opening a device can have effects, and once more after, since
    // the file may have been replaced in between.
    refuse_unless_small_file(&fs::metadata(path).map_err(failed)?)?;
    let file = open_without_waiting(path).map_err(failed)?;
    refuse_unless_small_file(&file.metadata().map_err(failed)?)?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(too_large(bytes.len() as u64));
    }
    Ok(bytes)
}

fn refuse_unless_small_file(metadata: &fs::Metadata) -> Result<(), ReadError> {
    if !metadata.is_file() {
        let found = file_kind(metadata.file_type());
        return Err(ReadError::Refused(format!("expected a regular file, found {found}")));
    }
    if metadata.len() > MAX_BYTES {
        Err(too_large(metadata.len()))
    } else {
        Ok(())
    }
}

fn too_large(found_bytes: u64) -> ReadError {
    ReadError::Refused(format!("expected at most {MAX_BYTES} bytes, found {found_bytes}"))
}

#[cfg(unix)]
fn file_kind(kind: fs::FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    match kind {
        kind if kind.is_dir() => "a folder",
        kind if kind.is_fifo() => "a named pipe",
        kind if kind.is_socket() => "a socket",
        _ => "a device",
    }
}

#[cfg(not(unix))]
fn file_kind(kind: fs::FileType) -> &'static str {
    if kind.is_dir() { "a folder" } else { "something else" }
}

#[cfg(unix)]
fn open_without_waiting(path: &Path) -> io::Result<fs::File> {
    use std::os::unix::fs::OpenOptionsExt;
    // O_NONBLOCK, which std does not name: opening a pipe would wait for a writer.
    // Source: asm-generic/fcntl.h of Linux, sys/fcntl.h of macOS and the BSDs.
    const O_NONBLOCK: i32 = if cfg!(any(target_os = "linux", target_os = "android")) {
        0o4000
    } else {
        0x4
    };
    fs::OpenOptions::new().read(true).custom_flags(O_NONBLOCK).open(path)
}

#[cfg(not(unix))]
fn open_without_waiting(path: &Path) -> io::Result<fs::File> {
    fs::File::open(path)
}
