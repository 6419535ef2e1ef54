//! Opens the files that the plugin keeps on disk: never through a link, never an endless one such as a pipe, and only
//! in folders where no other user can replace them.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::path::Path;

/// Creates a folder that only its owner may enter, unless it exists, and checks it.
///
/// - Errors: those of [`check_folder`]; it cannot be created.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)?;
    check_folder(folder)
}

/// - Errors: the folder is missing, belongs to another user, or every user may write there.
pub fn check_folder(folder: &Path) -> io::Result<()> {
    let found = fs::metadata(folder)?;
    let refused = |why: &str| Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::fs::MetadataExt;
        let user = rustix::process::geteuid();
        // Root works in folders of others, such as one that is mounted into a container.
        if found.uid() != user.as_raw() && !user.is_root() {
            return refused("the folder belongs to another user");
        }
        if found.mode() & 0o002 != 0 {
            return refused("every user may write to the folder");
        }
    }
    if found.is_dir() {
        Ok(())
    } else {
        refused("it is no folder")
    }
}

/// Opens a file for reading, or for reading and appending. In the second case a missing file is created for its owner
/// alone.
///
/// - Errors: it is a link, is not a regular file, or has more than `max_bytes`.
pub fn open(path: &Path, appends: bool, max_bytes: u64) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(appends);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let found = match fs::symlink_metadata(path) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound && appends => {
            // Does not follow a link that was put there in the meantime.
            match options.clone().create_new(true).open(path) {
                Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => fs::symlink_metadata(path)?,
                made => return made,
            }
        }
        found => found?,
    };
    if found.is_symlink() {
        return Err(io::Error::other("it is a symbolic link, which is not followed"));
    }
    // Checked before opening: opening a pipe might block forever.
    if !found.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    if found.len() > max_bytes {
        return Err(too_large(max_bytes));
    }
    let file = options.open(path)?;
    if !is_same(&found, &file.metadata()?) {
        return Err(io::Error::other("it was replaced while it was opened"));
    }
    Ok(file)
}

/// The error of a file with more bytes than this.
pub fn too_large(max_bytes: u64) -> io::Error {
    io::Error::other(format!("the file has more than {} MiB", max_bytes >> 20))
}

#[cfg(unix)]
fn is_same(one: &fs::Metadata, other: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(not(unix))]
fn is_same(_one: &fs::Metadata, other: &fs::Metadata) -> bool {
    other.is_file()
}
