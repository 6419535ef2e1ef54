//! What [`export_plugin!`](crate::export_plugin) expands to: the entry symbol, and the manifest as data in the file.

pub use abi_stable::library::{__call_root_module_loader as call_root_module_loader, LibHeader, RootModuleResult};

use super::guard::record_panics_instead_of_printing;
use super::serve::raw_module_of;
use super::traits::RawModule_Ref;
use crate::log_bridge;
use crate::provider::Provider;

/// The names of the section with the sealed manifest. Mach-O limits names to 16 characters, so it has its own.
pub const MANIFEST_SECTIONS: [&str; 2] = [".plugin_manifest", "__plugin_mf"];

/// Runs when the host asks the library for its root. The library has its own copies of `std` and `tracing`, so it may
/// set their global state: the panic hook and the subscriber.
pub fn root_of<P: Provider>() -> RawModule_Ref {
    log_bridge::allow();
    record_panics_instead_of_printing();
    raw_module_of::<P>()
}

/// Exports a [`Provider`](crate::Provider) from a library: `export_plugin!(TheProvider);`, once, in a crate of type
/// `cdylib`.
///
/// It exports one symbol, and one section with the manifest, which hosts read before they load the library. A program
/// can contain the symbol only once: if your crate is also linked statically, put this line behind a cargo feature. A
/// plugin built with `panic = "abort"` does not compile, because its panics would end the host.
#[macro_export]
macro_rules! export_plugin {
    ($Provider:ty) => {
        #[cfg(panic = "abort")]
        ::core::compile_error!(
            "a plugin cannot be built with `panic = \"abort\"`: a panic in it would end the host. \
             Remove `panic = \"abort\"` from the profile in Cargo.toml."
        );

        #[allow(unsafe_code)]
        const _: () = {
            extern "C" fn entry() -> $crate::abi::export::RootModuleResult {
                $crate::abi::export::call_root_module_loader($crate::abi::export::root_of::<$Provider>)
            }

            // SAFETY: `entry` returns the module type that the header is made for.
            #[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
            pub static ENTRY: $crate::abi::export::LibHeader = unsafe { $crate::abi::export::header(entry) };

            #[used]
            #[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".plugin_manifest"))]
            #[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__plugin_mf"))]
            static MANIFEST: [u8; $crate::manifest::sealed_len::<$Provider>()] =
                $crate::manifest::sealed_bytes::<$Provider, { $crate::manifest::sealed_len::<$Provider>() }>();
        };
    };
}

/// The header of a plugin library.
///
/// # Safety
///
/// `entry` must return the root module of this crate.
pub const unsafe fn header(entry: extern "C" fn() -> RootModuleResult) -> LibHeader {
    use abi_stable::library::CheckTypeLayout;
    // SAFETY: the caller keeps the promise above.
    unsafe { LibHeader::from_constructor::<RawModule_Ref>(entry, CheckTypeLayout::Yes) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_entry_symbol_has_the_name_that_abi_stable_looks_up() {
        assert_eq!(
            abi_stable::library::ROOT_MODULE_LOADER_NAME,
            "_1as_0lib_1header_0root_bmodule_bloader"
        );
    }
}
