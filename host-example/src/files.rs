//! Reads files with a size limit and without blocking, and guards the files that this program keeps for itself.
//!
//! [`Guard`] says whose file it must be: whoever can write a file that decides something could otherwise make this
//! program do what they want, and whoever can replace it could make it read or overwrite another file.

use std::fs::{self, Metadata};
use std::io;
use std::io::Read;
use std::path::Path;

/// Why a file cannot be read.
#[derive(Debug, PartialEq)]
pub enum ReadError {
    Missing,
    Refused(String),
}

/// Whose file it must be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// Anybody's, because the user named it. Links are followed.
    Named,
    /// The user's or the system's, and no other user may change it. Links are followed.
    Trusted,
    /// The user's alone: no link, nobody else may read it, and nobody else may replace it in its folder.
    Private,
}

/// Reads a file that the user names.
///
/// - In: a regular file, or a link that ends at one.
/// - Errors: the file is missing, unreadable or too large, or is a folder, a pipe or a device. Never waits for a
///   writer, as reading a pipe would.
pub fn read_named(path: &Path, max_bytes: u64) -> Result<Vec<u8>, ReadError> {
    Ok(read(path, max_bytes, Guard::Named)?.0)
}

/// Reads a file that is guarded in this way.
///
/// - Out: its bytes, in a memory that was never moved, and what the system says about it.
/// - Errors: those of [`read_named`]; the guard does not let it pass.
pub fn read(path: &Path, max_bytes: u64, guard: Guard) -> Result<(Vec<u8>, Metadata), ReadError> {
    if guard == Guard::Private {
        check_place(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => ReadError::Missing,
            _ => ReadError::Refused(error.to_string()),
        })?;
    }
    // Checked before opening, because opening a device can have effects, and again afterwards, because the file may
    // have been replaced in between.
    refuse_unless_small_file(&fs::metadata(path).map_err(failed)?, max_bytes)?;
    let file = open(path, guard).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    refuse_unless_small_file(&metadata, max_bytes)?;
    check_owner(&metadata, guard).map_err(ReadError::Refused)?;
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0) + 1);
    file.take(max_bytes + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > max_bytes {
        return Err(too_large(bytes.len() as u64, max_bytes));
    }
    Ok((bytes, metadata))
}

fn failed(error: io::Error) -> ReadError {
    match error.kind() {
        io::ErrorKind::NotFound => ReadError::Missing,
        _ => ReadError::Refused(format!("cannot read the file: {error}")),
    }
}

/// Checks a file that this program keeps for itself, and creates its folder. The file need not exist yet.
///
/// - Errors: its folder belongs to another user, or every user may write there; it is a link, not a regular file, or
///   too large.
pub fn check_kept(path: &Path, max_bytes: u64) -> Result<(), String> {
    make_folder(folder_of(path)).map_err(|cause| cause.to_string())?;
    match check_place(path) {
        Ok(found) => refuse_unless_small_file(&found, max_bytes).map_err(|error| match error {
            ReadError::Missing => "it is gone".to_owned(),
            ReadError::Refused(why) => why,
        }),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(cause) => Err(cause.to_string()),
    }
}

/// - Errors: nobody is there; others may replace it; it is a link.
fn check_place(path: &Path) -> io::Result<Metadata> {
    check_folder(folder_of(path))?;
    let found = fs::symlink_metadata(path)?;
    if found.is_symlink() {
        return Err(io::Error::other("it is a symbolic link, which is not followed"));
    }
    Ok(found)
}

/// Creates a folder that only its owner may enter, unless it exists.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// The folder of a file; for a bare name the current one.
pub fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// The file's mode, if others can read it.
#[cfg(unix)]
pub fn mode_for_others(metadata: &Metadata) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;
    let mode = metadata.permissions().mode() & 0o777;
    (mode & 0o077 != 0).then_some(mode)
}

#[cfg(not(unix))]
pub fn mode_for_others(_metadata: &Metadata) -> Option<u32> {
    None
}

#[cfg(target_os = "linux")]
fn check_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    let found = fs::metadata(folder)?;
    let shown = folder.display();
    if !is_mine(&found) {
        return Err(io::Error::other(format!(
            "its folder `{shown}` belongs to another user"
        )));
    }
    if found.mode() & 0o002 != 0 {
        return Err(io::Error::other(format!(
            "every user may write to its folder `{shown}`"
        )));
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn check_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

/// Root works with files of others, such as those that are mounted into a container.
#[cfg(unix)]
fn is_mine(found: &Metadata) -> bool {
    let user = rustix::process::geteuid();
    std::os::unix::fs::MetadataExt::uid(found) == user.as_raw() || user.is_root()
}

#[cfg(unix)]
fn check_owner(found: &Metadata, guard: Guard) -> Result<(), String> {
    use std::os::unix::fs::MetadataExt;
    let mode = found.mode() & 0o777;
    let is_fine = is_mine(found) || found.uid() == 0 && guard == Guard::Trusted;
    match guard {
        Guard::Named => Ok(()),
        _ if !is_fine => Err("it belongs to another user".to_owned()),
        Guard::Trusted if mode & 0o002 != 0 => Err(format!("every user may change it (mode {mode:03o}): chmod o-w")),
        Guard::Private if mode & 0o077 != 0 => {
            Err(format!("other users may open it: its mode is {mode:03o}, expected 600"))
        }
        Guard::Trusted | Guard::Private => Ok(()),
    }
}

#[cfg(not(unix))]
fn check_owner(_found: &Metadata, _guard: Guard) -> Result<(), String> {
    Ok(())
}

fn refuse_unless_small_file(metadata: &Metadata, max_bytes: u64) -> Result<(), ReadError> {
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
fn open(path: &Path, guard: Guard) -> io::Result<fs::File> {
    use rustix::fs::{Mode, OFlags, open};
    // Opening a pipe would wait for a writer.
    let mut flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    flags.set(OFlags::NOFOLLOW, guard == Guard::Private);
    Ok(open(path, flags, Mode::empty())?.into())
}

#[cfg(not(unix))]
fn open(path: &Path, _guard: Guard) -> io::Result<fs::File> {
    fs::File::open(path)
}
