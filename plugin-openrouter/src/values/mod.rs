//! Small values that every part uses: ids, addresses, amounts, times, JSON as it was written.
//!
//! Pure, and at the bottom: nothing in here knows another folder.

pub mod base_url;
pub mod members;
pub mod model_id;
pub mod secret;
pub mod slug;
pub mod spelling;
pub mod time;
pub mod usd;
