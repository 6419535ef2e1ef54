//! The models that the service lists: their ids, prices and abilities.
//!
//! In: pages of the model list, from the service or cached on disk.
//! Out: a [`Catalogue`], cached by its [`Store`]; what an id means; what a model lacks.
//! Advice only: a model that is not listed may still be served.

pub mod capabilities;
mod disk;
mod list;
pub mod model;
mod page;
pub mod resolve;
mod selection;
mod store;

pub use self::model::{Catalogue, Model};
pub use self::store::{Listed, Store};
