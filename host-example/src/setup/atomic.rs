//! Files that appear whole or not at all.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use tempfile::NamedTempFile;

use crate::files::{folder_of, make_folder};
use crate::terminal::Failure;

/// Writes a file that appears whole or not at all, for everybody to read.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let write = || {
        fs::create_dir_all(folder_of(path))?;
        put(path, bytes, rights_for_all())
    };
    write().map_err(|cause| unwritable(path, &cause))
}

/// Replaces a file of the user's, whole or not at all: the one that a link leads to, with the rights that it has.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let replace = || {
        let file = fs::canonicalize(path)?;
        put(&file, bytes, Some(fs::metadata(&file)?.permissions()))
    };
    replace().map_err(|cause| unwritable(path, &cause))
}

#[cfg(unix)]
fn rights_for_all() -> Option<fs::Permissions> {
    Some(std::os::unix::fs::PermissionsExt::from_mode(0o644))
}

#[cfg(not(unix))]
fn rights_for_all() -> Option<fs::Permissions> {
    None
}

fn put(path: &Path, bytes: &[u8], rights: Option<fs::Permissions>) -> io::Result<()> {
    let file = written(path, bytes)?;
    if let Some(rights) = rights {
        file.as_file().set_permissions(rights)?;
    }
    file.persist(path).map(drop).map_err(|error| error.error)
}

/// The same for a file that only its owner may read, in a folder of its owner.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let write = || {
        make_folder(folder_of(path))?;
        written(path, bytes)?.persist(path).map_err(|error| error.error)
    };
    write().map(drop).map_err(|cause| unwritable(path, &cause))
}

/// The same, unless there is a file already. Whether it was written.
pub fn write_new(path: &Path, bytes: &[u8]) -> io::Result<bool> {
    make_folder(folder_of(path))?;
    let file = written(path, bytes)?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(true),
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error.error),
    }
}

/// A file beside the path, which only its owner may read.
fn written(path: &Path, bytes: &[u8]) -> io::Result<NamedTempFile> {
    let mut file = NamedTempFile::new_in(folder_of(path))?;
    file.write_all(bytes)?;
    Ok(file)
}

fn unwritable(path: &Path, cause: &io::Error) -> Failure {
    Failure::internal(format!("`{}` cannot be written: {cause}", path.display()))
}
