//! What all calls of a plugin share.

use crate::models;
use crate::money::account;
use crate::money::budget;

/// What all calls of a plugin share, whatever its settings are.
#[derive(Default)]
pub struct Common {
    pub account: account::Store,
    pub catalogue: models::Store,
    pub guard: budget::Guard,
}
