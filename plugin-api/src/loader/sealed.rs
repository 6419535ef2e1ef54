//! Gives the dynamic linker exactly the bytes that were checked.
//!
//! In: the bytes of a library. Out: a path to them that nobody else can change: a sealed file in memory or, if the
//! system has none, a copy in a folder that only this user may enter.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Calls `load` with the path of a private copy of `bytes`.
///
/// - In: `name`, which memory maps and traces show.
pub fn with_copy<T>(bytes: &[u8], name: &str, load: impl FnOnce(&Path) -> T) -> io::Result<T> {
    #[cfg(target_os = "linux")]
    if let Ok(file) = in_memory(bytes, name) {
        use std::os::fd::IntoRawFd;
        // Kept open: if the number were reused, the dynamic linker would take the next file for this one.
        let path = PathBuf::from(format!("/proc/self/fd/{}", file.into_raw_fd()));
        if path.exists() {
            return Ok(load(&path));
        }
    }
    let _ = name;
    on_disk(bytes, load)
}

#[cfg(target_os = "linux")]
fn in_memory(bytes: &[u8], name: &str) -> io::Result<fs::File> {
    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
    use std::io::Write;
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Kernels before 6.3 do not know this flag and do not need it.
    let file = memfd_create(name, flags | MemfdFlags::EXEC).or_else(|_| memfd_create(name, flags))?;
    let mut file = fs::File::from(file);
    file.write_all(bytes)?;
    fcntl_add_seals(
        &file,
        SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE,
    )?;
    Ok(file)
}

/// Deletes the copy again, if the system allows that for a loaded file.
fn on_disk<T>(bytes: &[u8], load: impl FnOnce(&Path) -> T) -> io::Result<T> {
    let folder = new_folder()?;
    let file = folder.join(format!("plugin.{}", std::env::consts::DLL_EXTENSION));
    let loaded = fs::write(&file, bytes).map(|()| load(&file));
    let _ = fs::remove_dir_all(&folder);
    loaded
}

/// A new folder that only this user may enter.
fn new_folder() -> io::Result<PathBuf> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    let mut n: u32 = 0;
    loop {
        let folder = std::env::temp_dir().join(format!("plugin-{}-{n}", std::process::id()));
        match builder.create(&folder) {
            // It may be left over from an earlier process, or be a trap.
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists && n < 10_000 => n += 1,
            created => return created.map(|()| folder),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_hold_the_bytes_and_those_on_disk_are_deleted() {
        let on_disk = on_disk(b"bytes", |path| (path.to_owned(), fs::read(path).expect("a file"))).expect("room");
        assert_eq!((on_disk.1.as_slice(), on_disk.0.exists()), (&b"bytes"[..], false));
        let read = with_copy(b"bytes", "name", |path| fs::read(path).expect("a file")).expect("room");
        assert_eq!(read, b"bytes");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_copy_in_memory_cannot_be_changed() {
        let changed = with_copy(b"bytes", "name", |path| {
            fs::OpenOptions::new()
                .append(true)
                .open(path)
                .and_then(|mut file| io::Write::write_all(&mut file, b"x"))
        });
        assert!(changed.expect("memory").is_err());
    }
}
