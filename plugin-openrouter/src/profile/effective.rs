//! The settings in effect for a tier: its own over the profile's. Pure.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::profile::options::{COMPRESSION, Options, PluginOption, Privacy, TierOption, TierOptions};
use crate::profile::preferences::{DataCollection, ProviderPreferences};
use crate::profile::split::Arms;
use crate::profile::tiers::Tier;

impl Options {
    /// The profile's entry for `tier`, with the key under which it is written.
    pub fn tier_entry(&self, tier: Tier) -> Option<(&str, &TierOption)> {
        let canonical = self.tiers.get_key_value(tier.name());
        let entry = canonical.or_else(|| self.tiers.iter().find(|(key, _)| Tier::parse(key) == Some(tier)))?;
        Some((entry.0, entry.1))
    }

    /// The split that is written in the tier's own entry, with the key of that entry.
    pub fn split_of(&self, tier: Tier) -> Option<(&str, &Arms)> {
        let (key, entry) = self.tier_entry(tier)?;
        Some((key, entry.settings()?.split.as_ref()?))
    }

    /// The fallback models for a call: the tier's, else the profile's.
    pub fn fallbacks_for(&self, tier: Option<Tier>) -> &[String] {
        let own = self
            .settings_of(tier)
            .and_then(|settings| settings.fallback_models.as_deref());
        own.unwrap_or(&self.fallback_models)
    }

    /// The request plugins for a call: the tier's, else the profile's and the one that `compress` asks for.
    pub fn plugins_for(&self, tier: Option<Tier>) -> Cow<'_, [PluginOption]> {
        let own = self.settings_of(tier).and_then(|settings| settings.plugins.as_deref());
        if let Some(own) = own {
            return Cow::Borrowed(own);
        }
        let plugins = self.plugins.as_slice();
        let is_listed = || plugins.iter().any(|plugin| plugin.id == COMPRESSION);
        let Some(compress) = self.compress.filter(|_| !is_listed()) else {
            return Cow::Borrowed(plugins);
        };
        let compression = PluginOption {
            id: COMPRESSION.to_owned(),
            settings: Map::from_iter((!compress).then(|| ("enabled".to_owned(), Value::Bool(false)))),
        };
        Cow::Owned(plugins.iter().cloned().chain([compression]).collect())
    }

    /// The body's parameters for a call: the profile's, overridden by the tier's.
    pub fn parameters_for(&self, tier: Option<Tier>) -> Map<String, Value> {
        let own = self.settings_of(tier).and_then(|settings| settings.parameters.as_ref());
        match (own, &self.parameters) {
            (Some(own), Some(base)) => own.to_wire_over(base),
            (Some(only), None) | (None, Some(only)) => only.to_wire(),
            (None, None) => Map::new(),
        }
    }

    /// The provider preferences for a call: the profile's, overridden by the tier's, and both by `privacy`.
    pub fn preferences_for(&self, tier: Option<Tier>) -> ProviderPreferences {
        let base = self.provider_preferences.clone().unwrap_or_default();
        let own = self
            .settings_of(tier)
            .and_then(|settings| settings.provider_preferences.as_ref());
        let mut preferences = own.map(|own| own.over(&base)).unwrap_or(base);
        if self.privacy == Some(Privacy::Strict) {
            preferences.data_collection = Some(DataCollection::Deny);
            preferences.zdr = Some(true);
        }
        preferences
    }

    /// The tier's own provider preferences without the profile's, overridden by `privacy`.
    pub fn own_preferences_for(&self, tier: Option<Tier>) -> ProviderPreferences {
        let own = Self {
            privacy: self.privacy,
            tiers: self.tiers.clone(),
            ..Self::default()
        };
        own.preferences_for(tier)
    }

    /// A tier's own settings, or those of the tier it inherits its model from: a model that is inherited
    /// must be subject to the same demands.
    fn settings_of(&self, tier: Option<Tier>) -> Option<&TierOptions> {
        let mut tier = tier?;
        loop {
            match self.tier_entry(tier) {
                Some((_, entry)) => return entry.settings(),
                None => tier = tier.parent()?,
            }
        }
    }
}
