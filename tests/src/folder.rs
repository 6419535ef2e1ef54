//! A plugin folder for one test, and the files of any folder.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A folder of plugins, deleted when it is dropped. Libraries that were loaded from it stay in memory.
pub struct PluginFolder {
    folder: TempDir,
}

impl PluginFolder {
    /// An empty folder.
    #[expect(clippy::new_without_default, reason = "it touches the disk")]
    pub fn new() -> Self {
        Self {
            folder: TempDir::with_prefix("plugins-").expect("the temporary folder is writable"),
        }
    }

    /// A folder with copies of these plugins.
    ///
    /// To the dynamic linker a copy is a library of its own. It shares no statics, so its log goes to the test that
    /// loads it.
    pub fn with(plugins: &[PathBuf]) -> Self {
        let folder = Self::new();
        for plugin in plugins {
            folder.copy(plugin);
        }
        folder
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Adds a copy of a file, and returns its path.
    pub fn copy(&self, file: &Path) -> PathBuf {
        let copy = self
            .path()
            .join(file.file_name().expect("a plugin's path ends in its name"));
        fs::copy(file, &copy).expect("the plugin was built, and the temporary folder is writable");
        copy
    }

    /// Adds a file with these bytes, and returns its path.
    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let file = self.path().join(name);
        fs::write(&file, bytes).expect("the temporary folder is writable");
        file
    }
}

/// Every file below a folder, without following links. Skips what cannot be read, such as a folder that a test has
/// locked.
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let (mut folders, mut files) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(kind) if kind.is_file() => files.push(entry.path()),
                _ => {}
            }
        }
    }
    files
}
