//! The commands, one file each.

pub mod chat;
pub mod agent;
pub mod mcp;
pub mod tiers;
pub mod fallback;
pub mod compare;
pub mod run;
pub mod models;
pub mod credits;
pub mod log;
pub mod usage;
pub mod store;
pub mod key;
pub mod keys;
pub mod api;
pub mod plugins;
pub mod profile;
pub mod config;
pub mod doctor;
pub mod selftest;
pub mod explain;
pub mod links;
pub mod paths;
pub mod completions;

use clap::Args;

/// The option of every command whose answer a program may read.
#[derive(Args)]
pub struct Output {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
