//! What calls cost, how much may be spent, and how much credit is left.
//!
//! In: estimates before a call, costs after it, the service's report on the account.
//! Out: permission to spend, the day's ledger on disk, the balance.
//! Amounts are exact decimals. Nothing here knows HTTP beyond a path to fetch.

pub mod account;
pub mod asked;
pub mod budget;
mod clerk;
pub mod credits;
pub mod estimate;
pub mod ledger;
mod message;
