//! The frozen boundary: the only code that depends on how values are laid out in memory.
//!
//! Everything here is plumbing on top of `abi_stable` and `async-ffi`. Both are named in this folder alone, so
//! replacing them changes this folder alone. The rest of the crate, plugin authors and hosts see ordinary Rust types.
//!
//! Two rules hold in every file. No panic crosses from one side to the other: see `guard` and `future`. No type that
//! crosses by value changes within a major version: see `layout` and the committed `layout.txt`.

#![expect(
    unsafe_code,
    reason = "loading code and handing memory across a binary boundary cannot be expressed safely"
)]

// What crosses, then what guards and converts it, then the two ends: `host` has both ends of a host's services,
// `visit` the end of a plugin that the host holds, `serve` the other one.
mod types;
mod traits;
mod guard;
mod payload;
mod convert;
mod future;
mod host;
mod visit;
mod serve;
pub mod export;
#[cfg(feature = "loader")]
mod library;
#[cfg(feature = "loader")]
mod memory;
#[cfg(feature = "loader")]
mod process;

pub use self::host::Host;
pub use self::serve::module_of;
pub use self::types::{Blob, ErrorKind, Payload, RawEvent, RawEventKind, Text};
pub use self::visit::{Incoming, Instance, Module};

#[cfg(feature = "loader")]
pub use self::guard::{Side, caught};
#[cfg(feature = "loader")]
pub use self::library::{Library, LibraryRefusal};
#[cfg(feature = "loader")]
pub use self::memory::return_large_blocks;
#[cfg(feature = "loader")]
pub use self::process::{end_process, on_exit, say_on_crash};

#[cfg(feature = "runtime")]
pub(crate) use self::future::Caught;
#[cfg(all(feature = "runtime", not(feature = "loader")))]
pub(crate) use self::guard::Side;
#[cfg(all(test, feature = "runtime"))]
pub(crate) use self::guard::record_panics_in_tests;

#[cfg(test)]
pub(crate) mod layout;

#[doc(hidden)]
pub use abi_stable;
#[doc(hidden)]
pub use async_ffi;
