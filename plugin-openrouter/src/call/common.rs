//! The state that all calls of a plugin share, whatever its settings.

use crate::models;
use crate::money::account;
use crate::money::budget;

/// The state that all calls of a plugin share.
pub struct Common {
    pub account: account::Store,
    /// The models that write text.
    pub catalogue: models::Store,
    /// All models, also those of embeddings, ranking, sound and pictures.
    pub every_model: models::Store,
    pub guard: budget::Guard,
}

impl Default for Common {
    fn default() -> Self {
        Self {
            account: account::Store::default(),
            catalogue: models::Store::default(),
            every_model: models::Store::of_every_model(),
            guard: budget::Guard::default(),
        }
    }
}
