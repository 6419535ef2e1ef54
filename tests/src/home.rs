//! A home for the real `agent-host`: everything that it reads or writes is in one temporary folder.
//!
//! Files directly in the home and in its folder `work` come from the test and may hold keys: a profile, a file of
//! variables, a key file. The host wrote everything in other folders: history, ledger, manifests, switches. When a home
//! is dropped, no such file may hold a key, apart from those that the host stores keys in.

use std::env;
use std::env::consts::DLL_EXTENSION;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::thread;

use serde_json::Value;
use tempfile::TempDir;

use crate::artefacts::{agent_host, openrouter_plugin, second_plugin};
use crate::canary;
use crate::folder::files_below;
use crate::run::{Ran, run};
use crate::wait::LIMIT;

/// The lock file of the plugin folder, in the home.
pub const LOCK_FILE: &str = "plugins/plugins.lock.json";
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

    /// A home with this plugin alone.
    pub fn with(plugin: &Path) -> Self {
        let home = Self::new();
        home.install(plugin);
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

    /// The path of the profile, written or not.
    pub fn profile(&self) -> PathBuf {
        self.path().join("profile.json")
    }

    /// Writes the profile as editors do: as a new file that replaces the old one.
    pub fn write_profile(&self, text: &str) {
        let new = self.path().join("profile.json.new");
        fs::write(&new, text).expect("the home is writable");
        fs::rename(new, self.profile()).expect("the home is writable");
    }

    /// Puts a plugin into the plugin folder, and returns its path there.
    pub fn install(&self, plugin: &Path) -> PathBuf {
        let installed = self.link(plugin);
        if [openrouter_plugin(), second_plugin()].contains(&plugin.to_owned()) {
            self.remember_plugins();
        }
        installed
    }

    /// Puts a plugin that was never used here into the plugin folder.
    pub fn link(&self, plugin: &Path) -> PathBuf {
        let installed = self
            .plugins()
            .join(plugin.file_name().expect("a plugin's path ends in its name"));
        // A hard link is faster than a copy, but does not work across file systems.
        fs::hard_link(plugin, &installed)
            .or_else(|_| fs::copy(plugin, &installed).map(drop))
            .expect("the plugin was built, and the home is writable");
        installed
    }

    /// Makes this a home where the tests' plugins were used before: they are recorded and need no trial.
    fn remember_plugins(&self) {
        static MEMORY: OnceLock<[(PathBuf, String); 2]> = OnceLock::new();
        let files = [LOCK_FILE, ".local/state/agent-host/known-plugins.json"];
        let memory = MEMORY.get_or_init(|| {
            let first = Self::new();
            for plugin in [openrouter_plugin(), second_plugin()] {
                first.link(&plugin);
            }
            first.host(&["plugins", "lock"]).run().expect_success();
            files.map(|file| {
                let text = fs::read_to_string(first.path().join(file)).expect("the command wrote it");
                (file.into(), text)
            })
        });
        for (file, text) in memory {
            let file = self.path().join(file);
            let mut folder = fs::DirBuilder::new();
            folder.recursive(true).mode(0o700);
            folder
                .create(file.parent().expect("it is below the home"))
                .expect("the home is writable");
            fs::write(&file, text).expect("the home is writable");
            fs::set_permissions(file, fs::Permissions::from_mode(0o600)).expect("it is ours");
        }
        let lock = self.path().join(LOCK_FILE);
        let text = fs::read(&lock).expect("it was written just now");
        let mut recorded: Value = serde_json::from_slice(&text).expect("the command wrote it");
        let is_here = |record: &Value| self.plugins().join(record["file"].as_str().expect("a name")).exists();
        recorded["plugins"]
            .as_object_mut()
            .expect("an object")
            .retain(|_, record| is_here(record));
        fs::write(lock, recorded.to_string()).expect("the home is writable");
    }

    /// The binary with these arguments, to run in this home with an otherwise empty environment.
    pub fn host(&self, arguments: &[&str]) -> HostRun {
        let home = self.path();
        // Every user of the machine can read a command line.
        canary::assert_none(&"the command line of agent-host", arguments.join(" ").as_bytes());
        let mut command = Command::new(agent_host());
        command.env_clear().current_dir(home.join("work")).args(arguments);
        command.env("PATH", env::var_os("PATH").unwrap_or_default());
        command.env("HOME", home).env("AGENT_HOST_PLUGINS", self.plugins());
        // A request of its own would disturb tests that count them.
        command.env("AGENT_HOST_NO_TITLES", "1");
        // A file that the variable names must exist.
        if self.profile().exists() {
            command.env("AGENT_HOST_CONFIG", self.profile());
        }
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
        let [work, keys] = ["work", ".config/agent-host/keys"].map(|folder| self.path().join(folder));
        let may_hold_keys =
            |file: &Path| file.parent() == Some(self.path()) || file.starts_with(&work) || file.starts_with(&keys);
        // Libraries are copies.
        let is_library = |file: &Path| file.extension().is_some_and(|extension| extension == DLL_EXTENSION);
        let files = files_below(self.path()).into_iter();
        for file in files.filter(|file| !may_hold_keys(file) && !is_library(file)) {
            // A file may be gone by now, such as the socket of a process that ends.
            let bytes = fs::read(&file).unwrap_or_default();
            canary::assert_none(&file.display(), &bytes);
        }
    }
}

/// A run of the binary that is not started yet.
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

    /// Removes an environment variable.
    pub fn without(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Leaves the log to the test, even while the kit logs everything to a file.
    pub fn with_a_log_of_its_own(self) -> Self {
        self.without(RUST_LOG).without(LOG_FILE)
    }

    /// The binary's standard input; empty by default.
    pub fn stdin(mut self, text: &str) -> Self {
        self.stdin = Some(text.to_owned());
        self
    }

    /// The command, for tests that start it in their own way.
    pub fn into_command(self) -> Command {
        self.command
    }

    /// Runs it to its end, with its output going where this program's goes, and returns its exit code.
    pub fn inherit_output(mut self) -> Option<i32> {
        self.command.stdin(Stdio::null());
        self.command.status().expect("the binary starts").code()
    }

    /// Runs it to its end.
    ///
    /// - Panics: after [`LIMIT`], with what it wrote by then.
    pub fn run(self) -> Ran {
        run(self.command, self.stdin.as_deref(), LIMIT)
    }
}
