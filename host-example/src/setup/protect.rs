//! Keeps keys inside this process and no longer than they are needed.
//!
//! Call [`forbid_dumps`] before anything reads a key: it prevents core files, and debuggers of the same user.
//! [`Secret`] holds a value that may be a key: it cannot be printed by mistake, and its memory is wiped on drop.

use std::ops::Deref;

use plugin_api::Config;
use zeroize::{Zeroize, Zeroizing};

/// Keeps this process's memory out of core files and away from other processes of the same user.
///
/// Best effort: the program works without it.
pub fn forbid_dumps() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
        let none = Rlimit {
            current: Some(0),
            maximum: Some(0),
        };
        let _ = setrlimit(Resource::Core, none);
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}

/// The value of a variable, which may be a key. It has no `Debug`, and wipes its memory.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    pub fn new(value: String) -> Self {
        Self(Zeroizing::new(value))
    }

    /// The value itself. The caller must not store or print it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    pub fn is_blank(&self) -> bool {
        self.inside().is_empty()
    }

    /// The last four letters, to tell keys apart; `None` if that would reveal much of a short one.
    pub fn ending(&self) -> Option<&str> {
        let letters = self.0.len().checked_sub(4).filter(|rest| *rest >= 12)?;
        self.0.get(letters..)
    }

    /// The same without the blanks around it, and without the byte order mark that some editors write.
    pub fn trimmed(&self) -> Self {
        Self::new(self.inside().to_owned())
    }

    fn inside(&self) -> &str {
        self.0.strip_prefix('\u{feff}').unwrap_or(&self.0).trim()
    }
}

/// A plugin's configuration; its variables are wiped on drop.
pub struct WipedConfig(pub Config);

impl Deref for WipedConfig {
    type Target = Config;

    fn deref(&self) -> &Config {
        &self.0
    }
}

impl Drop for WipedConfig {
    fn drop(&mut self) {
        for value in self.0.environment.values_mut() {
            value.zeroize();
        }
    }
}
