//! The ten functions that cross the boundary. None of them knows about language models.
//!
//! A minor version may append methods after the last one, with default bodies. The marker `last_prefix_field` never
//! moves.

#![expect(
    non_camel_case_types,
    non_local_definitions,
    unused_qualifications,
    reason = "abi_stable's macros generate these names and paths"
)]

use abi_stable::StableAbi;
use abi_stable::library::RootModule;
use abi_stable::package_version_strings;
use abi_stable::sabi_trait;
use abi_stable::sabi_types::VersionStrings;
use abi_stable::std_types::{RBox, RResult, RStr, RVec};
use async_ffi::{FfiContext, FfiFuture, FfiPoll};

use super::types::{Payload, RawError, RawEvent};

pub type RawStreamBox = RawStream_TO<'static, RBox<()>>;
pub type RawPluginBox = RawPlugin_TO<'static, RBox<()>>;
pub type RawHostBox = RawHost_TO<'static, RBox<()>>;

#[sabi_trait]
pub trait RawStream: Send {
    /// Appends up to `max` events to `out` and returns how many. 0 is the end; dropping the stream cancels the call.
    #[sabi(last_prefix_field)]
    fn poll_next(
        &mut self,
        context: &mut FfiContext<'_>,
        max: u32,
        out: &mut RVec<RawEvent>,
    ) -> FfiPoll<RResult<u32, RawError>>;
}

#[sabi_trait]
pub trait RawPlugin: Send + Sync {
    fn call(&self, method: RStr<'_>, payload: Payload) -> FfiFuture<RResult<Payload, RawError>>;

    fn open(&self, method: RStr<'_>, payload: Payload) -> FfiFuture<RResult<RawStreamBox, RawError>>;

    #[sabi(last_prefix_field)]
    fn shutdown(&self, deadline_ms: u64) -> FfiFuture<RResult<(), RawError>>;
}

#[sabi_trait]
pub trait RawHost: Send + Sync {
    fn log_enabled(&self, level: u32, target: RStr<'_>) -> bool;

    fn log(&self, level: u32, target: RStr<'_>, message: RStr<'_>, fields_json: RStr<'_>);

    #[sabi(last_prefix_field)]
    fn call(&self, method: RStr<'_>, payload: Payload) -> FfiFuture<RResult<Payload, RawError>>;
}

/// The root of a plugin library.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = RawModule_Ref, prefix_fields = RawModule_Prefix)))]
pub struct RawModule {
    /// The sealed manifest: the same text as the constant that hosts read from the file without loading it.
    pub manifest: extern "C" fn() -> RStr<'static>,

    #[sabi(last_prefix_field)]
    pub create: extern "C" fn(host: RawHostBox, config: RStr<'_>) -> RResult<RawPluginBox, RawError>,

    /// The method `check`, without an instance. Since: 1.3.
    pub check: extern "C" fn(options: Payload) -> RResult<Payload, RawError>,
}

impl RootModule for RawModule_Ref {
    abi_stable::declare_root_module_statics! {RawModule_Ref}

    const BASE_NAME: &'static str = "plugin";
    const NAME: &'static str = "plugin";
    const VERSION_STRINGS: VersionStrings = package_version_strings!();
}
