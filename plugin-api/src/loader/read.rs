//! Opens a plugin's file safely and reads it once.
//!
//! In: a path. Out: its bytes, or a refusal. Whoever may write the file or its folder decides what code the host runs,
//! so owner and mode are checked. They are checked on the open file, so that nobody can swap it in between.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::Path;

use super::{REMOVE_OR_REPLACE, Refusal};

/// The largest file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 256 << 20;

/// Checks who may change the folder of a file, which need not be there yet.
///
/// - Errors: the refusal that reading the file would end with.
/// - Since: 1.3.
pub fn check_folder(file: &Path) -> Result<(), Refusal> {
    let unreadable = |cause: io::Error| {
        Refusal::new(file, "unreadable", format!("its folder cannot be read: {cause}"))
            .with_hint("make the folder readable for the host")
    };
    let folder = fs::metadata(folder_of(file)).map_err(unreadable)?;
    permissions::of_folder(file, &folder).map(drop)
}

fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// Reads the file.
///
/// - Out: its bytes, and warnings about what is allowed but should be changed.
pub fn read(file: &Path) -> Result<(Vec<u8>, Vec<String>), Refusal> {
    let unreadable = |cause: io::Error| {
        Refusal::new(file, "unreadable", format!("it cannot be read: {cause}"))
            .with_hint("make the file readable for the host")
    };
    let real = fs::canonicalize(file).map_err(unreadable)?;
    let real_folder = fs::canonicalize(folder_of(file)).map_err(unreadable)?;
    let Ok(name) = real.strip_prefix(&real_folder) else {
        let reason = format!("it is a link that leaves its folder, to `{}`", real.display());
        return Err(Refusal::new(file, "link", reason)
            .with_hint("install the file that it points to: the copy then changes only when you want it to"));
    };
    let folder = File::open(&real_folder).map_err(unreadable)?;
    let mut warnings = permissions::of_folder(file, &folder.metadata().map_err(unreadable)?)?;
    for inner in real.ancestors().skip(1).take_while(|inner| *inner != real_folder) {
        warnings.extend(permissions::of_folder(file, &fs::metadata(inner).map_err(unreadable)?)?);
    }
    let mut opened = open_within(&folder, &real_folder, name).map_err(unreadable)?;
    let metadata = opened.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(Refusal::new(file, "not_a_file", "expected a regular file").with_hint(REMOVE_OR_REPLACE));
    }
    warnings.extend(permissions::of_file(file, &metadata)?);
    if fs::symlink_metadata(file).is_ok_and(|link| link.is_symlink()) {
        warnings.push(format!("it is a link to `{}`", name.display()));
    }
    if metadata.len() > MAX_FILE_BYTES {
        let (most, found) = (MAX_FILE_BYTES >> 20, metadata.len() >> 20);
        let reason = format!("expected at most {most} MiB, found {found} MiB");
        return Err(Refusal::new(file, "too_large", reason).with_hint(REMOVE_OR_REPLACE));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
    let read = opened.by_ref().take(MAX_FILE_BYTES).read_to_end(&mut bytes);
    read.map_err(unreadable)?;
    let now = opened.metadata().map_err(unreadable)?;
    if (now.len(), now.modified().ok()) != (bytes.len() as u64, metadata.modified().ok()) {
        return Err(Refusal::new(file, "changing", "it is being written at this moment")
            .with_hint("try again once it was copied; `mv` replaces a file in one step"));
    }
    Ok((bytes, warnings))
}

/// Opens a file that is below `folder`, without following links and without waiting for the writer of a pipe.
#[cfg(unix)]
fn open_within(folder: &File, _: &Path, name: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags, openat};
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{ResolveFlags, openat2};
        use rustix::io::Errno;
        let within = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        match openat2(folder, name, flags, Mode::empty(), within) {
            // Old kernels and some sandboxes lack `openat2`.
            Err(Errno::NOSYS | Errno::PERM) => {}
            opened => return Ok(opened?.into()),
        }
    }
    Ok(openat(folder, name, flags, Mode::empty())?.into())
}

#[cfg(not(unix))]
fn open_within(_: &File, folder: &Path, name: &Path) -> io::Result<File> {
    File::open(folder.join(name))
}

/// Who may change a file or a folder.
#[cfg(unix)]
mod permissions {
    use std::os::unix::fs::MetadataExt;

    use super::{Metadata, Path, Refusal};

    const STICKY: u32 = 0o1000;

    pub fn of_folder(file: &Path, folder: &Metadata) -> Result<Vec<String>, Refusal> {
        // In a sticky folder nobody can replace the files of others.
        judge(
            file,
            "its folder",
            folder.uid(),
            folder.mode(),
            folder.mode() & STICKY == 0,
        )
    }

    pub fn of_file(file: &Path, metadata: &Metadata) -> Result<Vec<String>, Refusal> {
        judge(file, "the file", metadata.uid(), metadata.mode(), true)
    }

    fn judge(file: &Path, what: &str, owner: u32, mode: u32, counts: bool) -> Result<Vec<String>, Refusal> {
        let me = rustix::process::geteuid().as_raw();
        if owner != me && owner != 0 {
            let reason =
                format!("{what} belongs to another user, who could change it: expected user {me}, found {owner}");
            return Err(Refusal::new(file, "owner", reason)
                .with_hint("install the plugin into a folder of your own, or change the owner"));
        }
        if counts && mode & 0o002 != 0 {
            let reason = format!("every user may change {what}: its mode is {:03o}", mode & 0o777);
            return Err(Refusal::new(file, "writable", reason).with_hint("take the right away: chmod o-w"));
        }
        let by_group = counts && mode & 0o020 != 0;
        Ok(Vec::from_iter(
            by_group.then(|| format!("its group may change {what}: chmod g-w")),
        ))
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn files_that_others_may_change_are_refused() {
            let me = rustix::process::geteuid().as_raw();
            let code = |owner, mode, counts| {
                judge(Path::new("a.so"), "the file", owner, mode, counts).map_err(|refusal| refusal.code)
            };
            assert_eq!(code(me, 0o100_755, true), Ok(vec![]));
            assert_eq!(code(0, 0o100_644, true), Ok(vec![]));
            assert_eq!(
                code(me, 0o100_775, true),
                Ok(vec!["its group may change the file: chmod g-w".to_owned()])
            );
            assert_eq!(code(me, 0o100_777, true), Err("writable"));
            assert_eq!(code(me, 0o041_777, false), Ok(vec![]));
            assert_eq!(code(me + 1, 0o100_644, true), Err("owner"));
        }
    }
}

#[cfg(not(unix))]
mod permissions {
    use super::{Metadata, Path, Refusal};

    pub fn of_folder(_: &Path, _: &Metadata) -> Result<Vec<String>, Refusal> {
        Ok(Vec::new())
    }

    pub fn of_file(_: &Path, _: &Metadata) -> Result<Vec<String>, Refusal> {
        Ok(Vec::new())
    }
}
