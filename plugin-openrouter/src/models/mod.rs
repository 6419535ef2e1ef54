//! The models that the service lists: their ids, prices and abilities.
//!
//! In: pages of the list, or what an earlier process kept of them on disk. Out: a [`Catalogue`], kept for a while by its
//! [`Store`]; what an id means; what a model cannot do. It advises only: a model that is not listed may still be served.

pub mod capabilities;
mod disk;
mod list;
pub mod model;
mod page;
pub mod resolve;
mod store;

pub use self::model::{Catalogue, Model};
pub use self::store::{Listed, Store};
