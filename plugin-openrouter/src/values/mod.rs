//! Small values that every part uses: ids, addresses, amounts, times, JSON members kept byte for byte.
//!
//! Pure, and at the bottom of the crate: nothing here uses another folder.

pub mod base_url;
pub mod folders;
pub mod members;
pub mod model_id;
pub mod secret;
pub mod slug;
pub mod spelling;
pub mod time;
pub mod usd;
