//! What lists look like, in a command, in a conversation and at the endpoint.

pub mod activity;
pub mod credits;
pub mod models;
pub mod usage;
