//! A home for the real `agent-host`: everything that it reads or writes stands in one temporary folder.
//!
//! Files directly in the home and in its folder `work` are what a test gives the host, and may hold keys: a profile, a file of
//! variables, a key file. Everything in any other folder is what the host wrote: history, ledger, manifests, switches. When a
//! home goes, no such file may hold a key.

use std::env;
use std::env::consts::DLL_EXTENSION;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use tempfile::TempDir;

use crate::artefacts::agent_host;
use crate::canary;
use crate::run::{Ran, run};
use crate::wait::LIMIT;

const RUST_LOG: &str = "RUST_LOG";
const LOG_FILE: &str = "AGENT_HOST_LOG_FILE";

/// A temporary home with a plugin folder and a place for a profile.
pub struct Home {
    folder: TempDir,
}

impl Home {
    /// An empty home: no profile, no plugin.
    #[expect(clippy::new_without_default, reason = "it touches the disk")]
    pub fn new() -> Self {
        let home = Self {
            folder: TempDir::with_prefix("home-").expect("the temporary folder is writable"),
        };
        for folder in [home.plugins(), home.path().join("work")] {
            fs::create_dir(folder).expect("the new home is empty and writable");
        }
        home
    }

    /// The home itself.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The plugin folder.
    pub fn plugins(&self) -> PathBuf {
        self.path().join("plugins")
    }

    /// Where the profile stands, written or not.
    pub fn profile(&self) -> PathBuf {
        self.path().join("profile.json")
    }

    /// Writes the profile as editors do: a new file that takes the place of the old one.
    pub fn write_profile(&self, text: &str) {
        let new = self.path().join("profile.json.new");
        fs::write(&new, text).expect("the home is writable");
        fs::rename(new, self.profile()).expect("the home is writable");
    }

    /// Puts a plugin into the plugin folder, and says where it is now.
    pub fn install(&self, plugin: &Path) -> PathBuf {
        let installed = self
            .plugins()
            .join(plugin.file_name().expect("a plugin's path ends in its name"));
        // A second name for the same bytes is quicker than a copy; across file systems there is none.
        fs::hard_link(plugin, &installed)
            .or_else(|_| fs::copy(plugin, &installed).map(drop))
            .expect("the plugin was built, and the home is writable");
        installed
    }

    /// The binary with these arguments, to be run in this home with an empty environment.
    pub fn host(&self, arguments: &[&str]) -> HostRun {
        let home = self.path();
        // What stands on a command line, every user of the machine can read.
        canary::assert_none(&"the command line of agent-host", arguments.join(" ").as_bytes());
        let mut command = Command::new(agent_host());
        command.env_clear().current_dir(home.join("work")).args(arguments);
        command.env("PATH", env::var_os("PATH").unwrap_or_default());
        command
            .env("HOME", home)
            .env("AGENT_HOST_PLUGINS", self.plugins())
            .env("AGENT_HOST_CONFIG", self.profile());
        for (name, folder) in [
            ("CONFIG", ".config"),
            ("DATA", ".local/share"),
            ("STATE", ".local/state"),
        ] {
            command.env(format!("XDG_{name}_HOME"), home.join(folder));
        }
        if let Some(file) = canary::log_of_a_host() {
            command.env(RUST_LOG, "trace").env(LOG_FILE, file);
        }
        HostRun { command, stdin: None }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if thread::panicking() {
            return;
        }
        for file in written_by_the_host(self.path()) {
            // A file that is gone by now, such as the socket of a process that ends, was not left behind.
            let bytes = fs::read(&file).unwrap_or_default();
            canary::assert_none(&file.display(), &bytes);
        }
    }
}

/// Every file that is in a folder of the home other than `work`, but for the libraries, which are copies.
fn written_by_the_host(home: &Path) -> Vec<PathBuf> {
    let mut folders = folders_in(home);
    folders.retain(|folder| !folder.ends_with("work"));
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        folders.extend(folders_in(&folder));
        let is_meant = |path: &PathBuf| {
            let is_library = path.extension().is_some_and(|extension| extension == DLL_EXTENSION);
            !is_library && fs::symlink_metadata(path).is_ok_and(|file| file.is_file())
        };
        files.extend(paths_in(&folder).filter(is_meant));
    }
    files
}

fn folders_in(folder: &Path) -> Vec<PathBuf> {
    let is_folder = |path: &PathBuf| fs::symlink_metadata(path).is_ok_and(|file| file.is_dir());
    paths_in(folder).filter(is_folder).collect()
}

fn paths_in(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    // A folder that a test has locked holds nothing that the host could have written.
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.filter_map(|entry| Some(entry.ok()?.path()))
}

/// A run of the binary that has not begun.
#[must_use]
pub struct HostRun {
    command: Command,
    stdin: Option<String>,
}

impl HostRun {
    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Takes an environment variable away.
    pub fn without(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Lets the log be what the test makes of it, also where the kit would have everything logged to a file.
    pub fn with_a_log_of_its_own(self) -> Self {
        self.without(RUST_LOG).without(LOG_FILE)
    }

    /// What the binary reads; without it, nothing.
    pub fn stdin(mut self, text: &str) -> Self {
        self.stdin = Some(text.to_owned());
        self
    }

    /// The command, for tests that start it in a way of their own.
    pub fn into_command(self) -> Command {
        self.command
    }

    /// Runs it to its end, with its output where this program's output goes, and says its exit code.
    pub fn inherit_output(mut self) -> Option<i32> {
        self.command.stdin(Stdio::null());
        self.command.status().expect("the binary starts").code()
    }

    /// Runs it to its end.
    ///
    /// - Panics: after a minute, with what it had written by then.
    pub fn run(self) -> Ran {
        run(self.command, self.stdin.as_deref(), LIMIT)
    }
}
