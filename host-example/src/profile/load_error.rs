//! Why there is no profile.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;

use super::lists::listed;
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
    /// The file is valid, but has no profile of this name.
    NoSuchProfile {
        /// The requested name.
        name: String,
        /// The file.
        file: String,
        /// The names that it has.
        known: Vec<String>,
        /// The known name closest to it.
        suggestion: Option<String>,
    },
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::NotFound { path } => write!(f, "profile file `{}` does not exist", path.display()),
            LoadError::Report(report) => report.fmt(f),
            LoadError::NoSuchProfile {
                name,
                file,
                known,
                suggestion,
            } => {
                write!(f, "profile file `{file}` has no profile `{name}`")?;
                match suggestion {
                    Some(near) => write!(f, "\nhint: did you mean `{near}`?"),
                    None if known.is_empty() => write!(f, "\nhint: the file has no profiles"),
                    None => {
                        let names = listed(known.iter().map(String::as_str), "and");
                        write!(f, "\nhint: available profiles: {names}")
                    }
                }
            }
        }
    }
}

impl Error for LoadError {}
