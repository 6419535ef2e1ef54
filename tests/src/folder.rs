//! A plugin folder for one test.

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
