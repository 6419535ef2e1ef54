//! The state that all calls of a plugin share, whatever its settings.

use crate::models;
use crate::money::account;
use crate::money::budget;

/// The state that all calls of a plugin share.
#[derive(Default)]
pub struct Common {
    pub account: account::Store,
    pub catalogue: models::Store,
    pub guard: budget::Guard,
}
