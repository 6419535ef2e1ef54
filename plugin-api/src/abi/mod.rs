//! The frozen boundary: the only place that knows how host and plugin are laid out in memory.
//!
//! Everything here is plumbing. It is built on `abi_stable` and `async-ffi`, which are named nowhere else, so that
//! replacing them is a change of this folder. The rest of the crate, authors and hosts see ordinary Rust types.
//!
//! Two rules hold in every file: no panic passes from one side to the other (`guard`), and nothing by value
//! changes its shape within a major version (`layout.txt` beside the crate's manifest; its test says what may grow).

#![expect(
    unsafe_code,
    reason = "loading code and handing memory across a binary boundary cannot be expressed safely"
)]

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

pub use self::host::Host;
pub use self::serve::module_of;
pub use self::types::{Blob, ErrorKind, Payload, RawEvent, RawEventKind, Text};
pub use self::visit::{Incoming, Instance, Module};

#[cfg(feature = "loader")]
pub use self::library::{Library, LibraryRefusal};

#[cfg(feature = "runtime")]
pub(crate) use self::future::Caught;
#[cfg(feature = "runtime")]
pub(crate) use self::guard::Side;
#[cfg(all(test, feature = "runtime"))]
pub(crate) use self::guard::note_panics_in_tests;

#[cfg(test)]
mod layout;

#[doc(hidden)]
pub use abi_stable;
#[doc(hidden)]
pub use async_ffi;
