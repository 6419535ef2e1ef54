//! The way to the service: connections, keys, waits that all calls share, requests and the heads of their answers.
//!
//! In: a request that is ready to send. Out: an answer whose body has not been read, or a typed failure. What a body says
//! is not understood here.

pub mod clock;
mod client;
pub mod fetch;
pub mod gate;
pub mod http;
pub mod kept;
pub mod settings;
pub mod transport;

pub use self::settings::{Service, Settings};
