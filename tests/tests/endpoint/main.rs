//! `agent-host serve`: the real binary with the real plugin, before a service of this machine, asked over real sockets.
//!
//! The client is [`tests::endpoint`], which sends exactly the bytes that it is told to. Nothing here waits for a time: scripts of the
//! service hold an answer back, and every wait has a limit. `tests/features.md` says which promise is tested where, and [`table`] that
//! this is so.

#![cfg(target_os = "linux")]

// From who may ask over what comes back to what holds for many at once, and how it begins and ends.
mod guard;
mod token;
mod limits;
mod faithful;
mod failures;
mod forms;
mod rows;
mod crowd;
mod swap;
mod told;
mod drain;
mod health;
mod table;
