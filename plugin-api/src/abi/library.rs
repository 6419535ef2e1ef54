//! Loads a library and checks that both sides mean the same by every byte.

use std::path::Path;

use abi_stable::StableAbi;
use abi_stable::abi_stability::abi_checking::check_layout_compatibility;
use abi_stable::library::{LibHeader, LibraryError, lib_header_from_path};

use super::traits::RawModule_Ref;
use super::visit::Module;

/// Why a file that looked like a plugin could not be used, in one line each.
#[derive(Debug, PartialEq, Eq)]
pub enum LibraryRefusal {
    /// The dynamic linker refused it; its words, without the path.
    Open(String),
    /// It has no entry symbol of a plugin.
    NoEntry,
    /// It was built with another version of the layout library.
    Foundation(String),
    /// The types at the boundary differ although the versions agree.
    Layout,
    /// The entry function failed.
    Entry(String),
}

/// Loads code from a file.
pub struct Library;

impl Library {
    /// Loads the library at `path` for the rest of the process.
    ///
    /// The constructors of the library run before anything here can look at it, so the caller has checked the file as
    /// data first. Nothing is ever unloaded: threads and thread-local destructors of the plugin may outlive any handle.
    pub fn load(path: &Path) -> Result<Module, LibraryRefusal> {
        // Not `RootModule::load_from_file`: it keeps one module per type, so the second plugin of a folder would
        // silently be the first.
        let header = lib_header_from_path(path).map_err(refusal_from)?;
        if !layouts_agree(header) {
            return Err(LibraryRefusal::Layout);
        }
        // SAFETY: the layouts were just found to agree. They are not checked once more inside, because that check is
        // one-way and refuses an older plugin in a newer host.
        let raw = unsafe { header.init_root_module_with_unchecked_layout::<RawModule_Ref>() }.map_err(refusal_from)?;
        Ok(Module::from_raw(raw))
    }
}

/// Whether one side's layout is the beginning of the other's: a newer host must take an older plugin, and the reverse.
fn layouts_agree(header: &LibHeader) -> bool {
    let ours = <RawModule_Ref as StableAbi>::LAYOUT;
    header.layout().is_some_and(|theirs| {
        check_layout_compatibility(ours, theirs).is_ok() || check_layout_compatibility(theirs, ours).is_ok()
    })
}

/// The library's own messages run to thousands of lines; one is enough.
fn refusal_from(error: LibraryError) -> LibraryRefusal {
    match error {
        LibraryError::OpenError { err, path } => {
            let words = err.to_string();
            let shown = path.display().to_string();
            LibraryRefusal::Open(words.replace(&format!("{shown}: "), "").replace(&shown, "the file"))
        }
        LibraryError::GetSymbolError { .. } => LibraryRefusal::NoEntry,
        LibraryError::InvalidAbiHeader(header) => LibraryRefusal::Foundation(format!(
            "its layout library speaks ABI {}.{}",
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
