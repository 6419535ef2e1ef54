//! Why there is no profile.

use std::fmt;
use std::path::PathBuf;

use super::problem::Report;

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
