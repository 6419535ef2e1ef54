//! The plugin in the service's own form: what a gateway sends and gets, what of it goes to the service and comes from it byte
//! for byte, and what the plugin knows of models, credit and vectors.
//!
//! The real library talks to the real stand-in over sockets. Where the stand-in is too well-behaved, [`tests::faultd`] sends
//! exactly the bytes that it is told to.

// From the kit over what is sent to what comes back, then what the plugin asks for by itself.
mod bench;
mod requests;
mod tiers;
mod chains;
mod defaults;
mod old_forms;
mod ids;
mod security;
mod raw;
mod streams;
mod view;
mod unknown;
mod turns;
mod errors;
mod repeats;
mod models;
mod credits;
mod embeddings;
