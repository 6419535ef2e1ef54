//! Files that appear whole or not at all.

use std::fs;
use std::io::Write;
use std::path::Path;

use crate::files::make_folder;
use crate::terminal::Failure;

/// Writes a file that appears whole or not at all, for everybody to read.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    fs::create_dir_all(folder_of(path)).map_err(|cause| unwritable(path, &cause))?;
    write(path, bytes, 0o644)
}

/// The same for a file that only its owner may read, in a folder of its owner.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    make_folder(folder_of(path)).map_err(|cause| unwritable(path, &cause))?;
    write(path, bytes, 0o600)
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Failure> {
    let failed = |cause: std::io::Error| unwritable(path, &cause);
    let mut file = tempfile::NamedTempFile::new_in(folder_of(path)).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.as_file()
            .set_permissions(fs::Permissions::from_mode(mode))
            .map_err(failed)?;
    }
    #[cfg(not(unix))]
    let _ = mode;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}

fn unwritable(path: &Path, cause: &std::io::Error) -> Failure {
    Failure::internal(format!("`{}` cannot be written: {cause}", path.display()))
}
