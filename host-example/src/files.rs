//! Reads files with a size limit and without blocking, and guards the files that this program keeps for itself.
//!
//! A file that the user names may be a link. A kept file may not, and its folder must belong to the user alone:
//! otherwise whoever can write there could make this program read or overwrite another file.

use std::fs;
use std::io;
use std::io::Read;
use std::path::Path;

/// Why a file cannot be read.
#[derive(Debug, PartialEq)]
pub enum ReadError {
    Missing,
    Refused(String),
}

/// Reads a file that the user names.
///
/// - In: a regular file, or a link that ends at one.
/// - Errors: the file is missing, unreadable or too large, or is a folder, a pipe or a device. Never waits for a
///   writer, as reading a pipe would.
pub fn read_named(path: &Path, max_bytes: u64) -> Result<Vec<u8>, ReadError> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => ReadError::Missing,
        _ => ReadError::Refused(format!("cannot read the file: {error}")),
    };
    // Checked before opening, because opening a device can have effects, and again afterwards, because the file may
    // have been replaced in between.
    refuse_unless_small_file(&fs::metadata(path).map_err(failed)?, max_bytes)?;
    let file = open_without_waiting(path).map_err(failed)?;
    refuse_unless_small_file(&file.metadata().map_err(failed)?, max_bytes)?;
    let mut bytes = Vec::new();
    file.take(max_bytes + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > max_bytes {
        return Err(too_large(bytes.len() as u64, max_bytes));
    }
    Ok(bytes)
}

/// Checks a file that this program keeps for itself, and creates its folder. The file need not exist yet.
///
/// - Errors: its folder belongs to another user, or every user may write there; it is a link, not a regular file, or
///   too large.
pub fn check_kept(path: &Path, max_bytes: u64) -> Result<(), String> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let failed = |cause: io::Error| cause.to_string();
    make_folder(folder).map_err(failed)?;
    check_folder(folder)?;
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() => Err("it is a symbolic link, which is not followed".to_owned()),
        Ok(found) => refuse_unless_small_file(&found, max_bytes).map_err(|error| match error {
            ReadError::Missing => "it is gone".to_owned(),
            ReadError::Refused(why) => why,
        }),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(cause) => Err(failed(cause)),
    }
}

/// Creates a folder that only its owner may enter, unless it exists.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

#[cfg(target_os = "linux")]
fn check_folder(folder: &Path) -> Result<(), String> {
    use std::os::unix::fs::MetadataExt;
    let found = fs::metadata(folder).map_err(|cause| cause.to_string())?;
    let user = rustix::process::geteuid();
    // Root works in folders of others, such as one that is mounted into a container.
    if found.uid() != user.as_raw() && !user.is_root() {
        return Err(format!("its folder `{}` belongs to another user", folder.display()));
    }
    if found.mode() & 0o002 != 0 {
        return Err(format!("every user may write to its folder `{}`", folder.display()));
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn check_folder(_folder: &Path) -> Result<(), String> {
    Ok(())
}

fn refuse_unless_small_file(metadata: &fs::Metadata, max_bytes: u64) -> Result<(), ReadError> {
    if !metadata.is_file() {
        let found = file_kind(metadata.file_type());
        return Err(ReadError::Refused(format!("expected a regular file, found {found}")));
    }
    if metadata.len() > max_bytes {
        Err(too_large(metadata.len(), max_bytes))
    } else {
        Ok(())
    }
}

fn too_large(found_bytes: u64, max_bytes: u64) -> ReadError {
    ReadError::Refused(format!("expected at most {max_bytes} bytes, found {found_bytes}"))
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
