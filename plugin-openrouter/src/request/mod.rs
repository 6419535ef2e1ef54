//! What is asked of the service.
//!
//! In: a chat request of a host, or a request in the service's own form, and the profile. Out: an [`Ask`] (what is wanted,
//! old forms translated), and a [`Plan`] (which models may answer, what is sent to them). Pure. Messages are spliced into
//! the body as they came, never parsed and printed again.

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
