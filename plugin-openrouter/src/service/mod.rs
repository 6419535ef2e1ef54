//! Talks to the service: connections, keys, limits that all calls share, requests and the heads of their answers.
//!
//! In: a request that is ready to send. Out: an answer whose body is still unread, or a typed failure.
//! Bodies of answers are not parsed here.

pub mod clock;
mod client;
pub mod fetch;
pub mod gate;
pub mod http;
pub mod kept;
pub mod settings;
pub mod sign_in;
pub mod transport;

pub use self::client::proxy_for;
pub use self::settings::{Service, Settings};
