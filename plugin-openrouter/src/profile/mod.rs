//! What the profile says, and what it means.
//!
//! In: the options and the environment that the host hands over. Out: the model of each tier, parameters, provider
//! preferences, limits and budgets, and every problem in them. Pure: no I/O, no clock, no secrets.

pub mod check;
pub mod choice;
mod effective;
pub mod manifest;
pub mod options;
pub mod parameters;
pub mod policy;
pub mod preferences;
pub mod price;
pub mod tiers;

use std::collections::BTreeMap;

use self::choice::Choice;
use self::options::Options;
use self::tiers::Tier;

/// What the user configured: the profile's options, and the environment behind them.
#[derive(Default)]
pub struct Profile {
    pub options: Options,
    pub environment: BTreeMap<String, String>,
}

impl Profile {
    /// The model that a tier means.
    pub fn choice(&self, tier: Tier) -> Choice {
        choice::resolve(tier, &self.options, &self.environment)
    }

    /// An environment variable that is set and not blank.
    pub fn variable(&self, name: &str) -> Option<&str> {
        let value = self.environment.get(name)?;
        (!value.trim().is_empty()).then_some(value)
    }
}
