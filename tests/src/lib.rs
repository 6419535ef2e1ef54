//! The kit of the end-to-end tests: the real libraries, the real binaries, and what runs them.
//!
//! Nothing has to be built before `cargo test`. The kit builds what a test needs when it first asks for it, with the
//! profile and in the target folder of the running test, so nothing is built twice. Every wait has a limit.

// In the order of a test: build, lay out on disk, run, wait, look at what happened.
mod announce;
mod artefacts;
pub mod canary;
mod folder;
mod home;
mod output;
mod run;
mod typist;
mod child;
mod wait;
mod recorder;
mod requests;
mod service;
mod description;
mod sandbox_process;
mod measure;
pub mod versions;
pub mod faultd;
pub mod endpoint;

pub use announce::announce;
pub use artefacts::{
    agent_host, cargo, compiled, echo_plugin, hasty_source, minimal_host, openrouter_plugin, rustc, sandbox_binary,
    second_plugin, target_folder, workspace,
};
pub use child::{Child, test_of};
pub use description::description_is_at_hand;
pub use folder::{PluginFolder, files_below};
pub use home::{Home, HostRun, LOCK_FILE};
pub use measure::{load_average, status};
pub use recorder::{Callback, Record, Recorder, recorder};
pub use requests::{ask, config_at, openrouter, openrouter_config, request};
pub use run::{Ran, run};
pub use sandbox_process::SandboxProcess;
pub use service::{Service, service, service_from};
pub use typist::Typist;
pub use wait::{LIMIT, LONG_LIMIT, block_on, block_on_for, eventually, poll_once, wait_for};
