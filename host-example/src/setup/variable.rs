//! A variable of the process, for this host's own settings.

use std::ffi::OsString;

/// The variable's value. A blank variable counts as absent, here as everywhere.
pub fn set_variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.to_string_lossy().trim().is_empty())
}
