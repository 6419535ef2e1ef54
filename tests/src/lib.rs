//! The kit of the end-to-end tests: real libraries, the real binary, and what it takes to run them.
//!
//! Nothing has to be built before `cargo test`: what a test needs is built when it is first asked for, with the profile
//! and in the target folder of the running test, so that nothing is built twice. Every wait here has a limit.

// In the order of a test: build, lay out on disk, run, look at what happened.
mod artefacts;
pub mod canary;
mod folder;
mod home;
mod run;
mod typist;
mod child;
mod wait;
mod recorder;
mod requests;
mod service;
mod table;
pub mod faultd;
#[cfg(target_os = "linux")]
pub mod endpoint;

pub use artefacts::{
    agent_host, cargo, echo_plugin, minimal_host, openrouter_plugin, rustc, sandbox_binary, second_plugin,
    target_folder, workspace,
};
pub use child::in_a_process_of_its_own;
pub use folder::PluginFolder;
pub use home::{Home, HostRun};
pub use recorder::{Callback, Record, Recorder, recorder};
pub use requests::{ask, openrouter_config, request};
pub use run::{Ran, run};
pub use service::{Service, description_is_at_hand, service, service_from};
pub use table::{numbered_rows, quoted, tests_of_the_workspace};
pub use typist::Typist;
pub use wait::{LIMIT, block_on, poll_once, wait_for};
