//! What all calls of a plugin share.

use crate::{models, money};

/// What all calls of a plugin share, whatever its settings are.
#[derive(Default)]
pub struct Common {
    pub account: money::account::Store,
    pub catalogue: models::Store,
    pub guard: money::budget::Guard,
}
