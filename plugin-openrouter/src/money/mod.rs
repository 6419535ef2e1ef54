//! What calls cost, what may be spent, what is left.
//!
//! In: estimates before a call, bills after it, what the service says of the account. Out: permission to spend, the
//! day's ledger on disk, the balance. Amounts are exact decimals. Nothing here knows HTTP beyond a path to fetch.

pub mod account;
pub mod asked;
pub mod budget;
mod clerk;
pub mod credits;
pub mod estimate;
pub mod ledger;
mod message;
