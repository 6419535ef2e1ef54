//! Reads the file, and refuses what cannot be a profile without waiting for it.

use std::fmt;
use std::path::{Path, PathBuf};

use super::problem::{Problem, Report};
use crate::files::{ReadError, read_named};

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
    match read_named(path, MAX_BYTES) {
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
