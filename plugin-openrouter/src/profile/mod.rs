//! Reads the profile and resolves what applies to a call.
//!
//! In: the options and the environment from the host.
//! Out: the model of each tier, parameters, provider preferences, limits and budgets, and every problem in them.
//! Pure: no I/O, no clock, no secrets.

pub mod check;
pub mod choice;
mod effective;
pub mod manifest;
pub mod options;
pub mod parameters;
pub mod policy;
pub mod preferences;
pub mod price;
pub mod split;
pub mod tiers;

use std::collections::BTreeMap;

use self::choice::Choice;
use self::options::Options;
use self::split::Arms;
use self::tiers::Tier;

/// The user's configuration: the profile's options, and the environment as their fallback.
#[derive(Default)]
pub struct Profile {
    pub options: Options,
    pub environment: BTreeMap<String, String>,
}

impl Profile {
    /// The model that a tier resolves to; of a split, its heaviest arm.
    pub fn choice(&self, tier: Tier) -> Choice {
        choice::resolve(tier, &self.options, &self.environment, None)
    }

    /// The model that a tier resolves to for one call.
    ///
    /// - In: `place`, which gives the call a number from 0 to 1 that decides between the arms of a split.
    pub fn choice_at(&self, tier: Tier, place: &dyn Fn(Tier) -> f64) -> Choice {
        choice::resolve(tier, &self.options, &self.environment, Some(place))
    }

    /// The models that a tier's calls are divided between, if they are.
    pub fn split(&self, choice: &Choice) -> Option<&Arms> {
        let owner = choice.origin.via().unwrap_or(choice.tier);
        let (_, arms) = self.options.split_of(owner).filter(|_| choice.is_arm)?;
        Some(arms)
    }

    /// An environment variable that is set and not blank.
    pub fn variable(&self, name: &str) -> Option<&str> {
        let value = self.environment.get(name)?;
        (!value.trim().is_empty()).then_some(value)
    }
}
