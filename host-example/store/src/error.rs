//! Why a store cannot do what it was asked. No error repeats what is stored.

use std::io;
use std::path::PathBuf;

use rusqlite::ErrorCode;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot {doing} `{}`: {cause}", path.display())]
    File {
        doing: &'static str,
        path: PathBuf,
        cause: io::Error,
    },
    #[error("`{}` has version {found}, and this program knows versions up to {known}", path.display())]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error("`{}` is no store of this program", .0.display())]
    Foreign(PathBuf),
    #[error("the file is damaged")]
    Damaged,
    #[error("the disk is full")]
    Full,
    #[error("another program has locked the file")]
    Busy,
    #[error("the file cannot be written")]
    ReadOnly,
    #[error("no conversation has the id `{0}`")]
    NoConversation(String),
    #[error("several conversations have an id that begins with `{0}`")]
    Ambiguous(String),
    #[error("another program has changed the conversation: expected {expected} changes, found {found}")]
    Conflict { expected: u64, found: u64 },
    #[error("{0}")]
    Other(String),
}

impl From<rusqlite::Error> for Error {
    fn from(cause: rusqlite::Error) -> Self {
        match cause.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged,
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => Self::ReadOnly,
            // The text of a statement is in some of the messages, its values never are.
            _ => Self::Other(cause.to_string()),
        }
    }
}
