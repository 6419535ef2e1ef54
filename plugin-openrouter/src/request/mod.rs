//! Builds the requests to the service.
//!
//! In: a host's chat request, or a request in the service's own format, and the profile.
//! Out: an [`Ask`] (the request, with old forms translated), and a [`Plan`] (which models may answer, with what headers
//! and bodies). Pure. Messages are copied into the body as bytes, never parsed and serialised again.

pub mod ask;
pub mod body;
pub mod dialect;
pub mod headers;
mod old_forms;
pub mod plan;

#[cfg(test)]
mod tests;

pub use self::ask::Ask;
pub use self::dialect::Dialect;
pub use self::plan::Plan;
