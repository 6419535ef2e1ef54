//! Loads a library and checks that both sides agree on the layout of everything that crosses.
//!
//! In: a file that the [`loader`](crate::loader) has checked as data. Out: its module, or a refusal in one line.

use std::path::Path;

use abi_stable::StableAbi;
use abi_stable::abi_stability::abi_checking::check_layout_compatibility;
use abi_stable::library::{LibHeader, LibraryError, lib_header_from_path};

use super::traits::RawModule_Ref;
use super::visit::Module;

/// Why a file that looked like a plugin cannot be used. Each text is one line.
#[derive(Debug, PartialEq, Eq)]
pub enum LibraryRefusal {
    /// The dynamic linker refused it: its message without the path.
    Open(String),
    /// It has no entry symbol.
    NoEntry,
    /// It was built with an incompatible `abi_stable`.
    Foundation(String),
    /// The types at the boundary differ, although the versions match.
    Layout,
    /// The entry function failed.
    Entry(String),
}

/// Loads code from a file.
pub struct Library;

impl Library {
    /// Loads the library at `path` for the rest of the process.
    ///
    /// The library's constructors run before anything here can check it, so the caller must have checked the file as
    /// data. Nothing is ever unloaded: the plugin's threads and thread-local destructors may outlive any handle.
    pub fn load(path: &Path) -> Result<Module, LibraryRefusal> {
        // Not `RootModule::load_from_file`, which keeps one module per type: the second plugin of a folder would
        // silently be the first.
        let header = lib_header_from_path(path).map_err(refusal_from)?;
        if !layouts_agree(header) {
            return Err(LibraryRefusal::Layout);
        }
        // SAFETY: `layouts_agree` has checked the layouts. The function that checks them itself does so one way only,
        // and refuses an older plugin in a newer host.
        let raw = unsafe { header.init_root_module_with_unchecked_layout::<RawModule_Ref>() }.map_err(refusal_from)?;
        Ok(Module::from_raw(raw))
    }
}

/// Whether one side's layout extends the other's. A newer host must accept an older plugin, and the reverse.
fn layouts_agree(header: &LibHeader) -> bool {
    let ours = <RawModule_Ref as StableAbi>::LAYOUT;
    header.layout().is_some_and(|theirs| {
        check_layout_compatibility(ours, theirs).is_ok() || check_layout_compatibility(theirs, ours).is_ok()
    })
}

/// One line for each failure: `abi_stable`'s own messages run to thousands of lines.
fn refusal_from(error: LibraryError) -> LibraryRefusal {
    match error {
        LibraryError::OpenError { err, path } => {
            let words = err.to_string();
            let shown = path.display().to_string();
            LibraryRefusal::Open(words.replace(&format!("{shown}: "), "").replace(&shown, "the file"))
        }
        LibraryError::GetSymbolError { .. } => LibraryRefusal::NoEntry,
        LibraryError::InvalidAbiHeader(header) => LibraryRefusal::Foundation(format!(
            "it was built with another `abi_stable`, whose ABI is {}.{}",
            header.abi_major, header.abi_minor
        )),
        LibraryError::InvalidCAbi { .. } => LibraryRefusal::Foundation("its C calling convention differs".to_owned()),
        LibraryError::AbiInstability(_) => LibraryRefusal::Layout,
        LibraryError::IncompatibleVersionNumber { actual_version, .. } => LibraryRefusal::Foundation(format!(
            "it was built with plugin-api {}.{}.{}",
            actual_version.major, actual_version.minor, actual_version.patch
        )),
        LibraryError::RootModule { err, .. } => {
            LibraryRefusal::Entry(err.to_string().split_whitespace().collect::<Vec<_>>().join(" "))
        }
        other => LibraryRefusal::Entry(
            other
                .to_string()
                .split_whitespace()
                .take(40)
                .collect::<Vec<_>>()
                .join(" "),
        ),
    }
}
