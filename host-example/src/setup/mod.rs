//! What every command needs: options, places, variables and keys, and a plugin that answers.

// In the order in which data travels.
pub mod protect;
pub mod log;
pub mod places;
mod dotenv;
pub mod environment;
pub mod plugins;
mod activation;
pub mod reload;

pub use self::activation::{Active, Chosen, Setup, exists, key_hint, no_key};
