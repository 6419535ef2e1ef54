//! Model tiers: the names an agent uses, such as `TEXT_SMALL`, with the variables and the default model of each.
//!
//! [`choice`](crate::profile::choice) resolves a tier to a model. Pure: reads no environment itself.

use std::fmt;

use serde::{Serialize, Serializer};

/// A kind of work, for which a model is configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tier {
    /// Trivial text: routing, yes or no. Uses the small model unless it has its own.
    TextNano,
    /// Quick and cheap text.
    TextSmall,
    /// Between small and large. Uses the small model unless it has its own.
    TextMedium,
    /// The main model.
    TextLarge,
    /// The best text, at any price. Uses the large model unless it has its own.
    TextMega,
    /// Long reasoning.
    TextReasoningLarge,
    /// Deciding whether and how to answer. Uses the nano model unless it has its own.
    ResponseHandler,
    /// Planning actions. Uses the medium model unless it has its own.
    ActionPlanner,
    /// Embeddings of text.
    TextEmbedding,
    /// Text about an image. Uses the large model unless it has its own.
    ImageDescription,
    /// Images from text.
    Image,
}

const ALL: [Tier; 11] = [
    Tier::TextNano,
    Tier::TextSmall,
    Tier::TextMedium,
    Tier::TextLarge,
    Tier::TextMega,
    Tier::TextReasoningLarge,
    Tier::ResponseHandler,
    Tier::ActionPlanner,
    Tier::TextEmbedding,
    Tier::ImageDescription,
    Tier::Image,
];

const ALIASES: [(&str, Tier); 7] = [
    ("REASONING_LARGE", Tier::TextReasoningLarge),
    ("nano", Tier::TextNano),
    ("small", Tier::TextSmall),
    ("medium", Tier::TextMedium),
    ("large", Tier::TextLarge),
    ("mega", Tier::TextMega),
    ("reasoning", Tier::TextReasoningLarge),
];

/// Every tier: text by size, then the specialised ones.
pub fn all() -> &'static [Tier] {
    &ALL
}

/// Every tier name that a profile may use: the canonical names, then the aliases.
pub fn accepted_names() -> Vec<&'static str> {
    let aliases = ALIASES.iter().map(|(alias, _)| *alias);
    ALL.iter().map(|tier| tier.name()).chain(aliases).collect()
}

/// The remedy for a tier that does not exist: the name that is most like it, if one is, else all of them.
pub fn hint_for(unknown: &str) -> String {
    let unknown = unknown.to_ascii_lowercase();
    let names = accepted_names().into_iter();
    let distances = names.map(|name| (strsim::osa_distance(&unknown, &name.to_ascii_lowercase()), name));
    match distances.min_by_key(|(distance, _)| *distance) {
        // More slips than that, and the suggestion would be a guess.
        Some((distance, name)) if distance <= (name.len() / 3).min(2) => format!("did you mean `{name}`?"),
        _ => {
            let names: Vec<&str> = ALL.iter().map(|tier| tier.name()).collect();
            format!("the tiers are {}", names.join(", "))
        }
    }
}

impl Tier {
    /// Reads a tier's name or alias in any case: `TEXT_SMALL`, `text_small`, `small`.
    pub fn parse(text: &str) -> Option<Self> {
        let by_name = ALL.into_iter().find(|tier| tier.name().eq_ignore_ascii_case(text));
        by_name.or_else(|| {
            let alias = ALIASES.iter().find(|(alias, _)| alias.eq_ignore_ascii_case(text));
            alias.map(|(_, tier)| *tier)
        })
    }

    /// The canonical name, such as `TEXT_SMALL`.
    pub fn name(self) -> &'static str {
        match self {
            Self::TextNano => "TEXT_NANO",
            Self::TextSmall => "TEXT_SMALL",
            Self::TextMedium => "TEXT_MEDIUM",
            Self::TextLarge => "TEXT_LARGE",
            Self::TextMega => "TEXT_MEGA",
            Self::TextReasoningLarge => "TEXT_REASONING_LARGE",
            Self::ResponseHandler => "RESPONSE_HANDLER",
            Self::ActionPlanner => "ACTION_PLANNER",
            Self::TextEmbedding => "TEXT_EMBEDDING",
            Self::ImageDescription => "IMAGE_DESCRIPTION",
            Self::Image => "IMAGE",
        }
    }

    /// The tier whose model this one inherits if it has none of its own.
    pub fn parent(self) -> Option<Self> {
        match self {
            Self::TextNano | Self::TextMedium => Some(Self::TextSmall),
            Self::TextMega | Self::ImageDescription => Some(Self::TextLarge),
            Self::ResponseHandler => Some(Self::TextNano),
            Self::ActionPlanner => Some(Self::TextMedium),
            Self::TextSmall | Self::TextLarge | Self::TextReasoningLarge | Self::TextEmbedding | Self::Image => None,
        }
    }

    /// The environment variables that may set this tier's model; the first that is set wins.
    pub fn variables(self) -> &'static [&'static str] {
        match self {
            Self::TextNano => &["OPENROUTER_NANO_MODEL", "NANO_MODEL"],
            Self::TextSmall => &["OPENROUTER_SMALL_MODEL", "SMALL_MODEL"],
            Self::TextMedium => &["OPENROUTER_MEDIUM_MODEL", "MEDIUM_MODEL"],
            Self::TextLarge => &["OPENROUTER_LARGE_MODEL", "LARGE_MODEL"],
            Self::TextMega => &["OPENROUTER_MEGA_MODEL", "MEGA_MODEL"],
            Self::TextReasoningLarge => &["OPENROUTER_REASONING_LARGE_MODEL", "REASONING_LARGE_MODEL"],
            Self::ResponseHandler => &["OPENROUTER_RESPONSE_HANDLER_MODEL", "RESPONSE_HANDLER_MODEL"],
            Self::ActionPlanner => &["OPENROUTER_ACTION_PLANNER_MODEL", "ACTION_PLANNER_MODEL"],
            Self::TextEmbedding => &["OPENROUTER_EMBEDDING_MODEL", "EMBEDDING_MODEL"],
            Self::ImageDescription => &["OPENROUTER_IMAGE_MODEL", "IMAGE_MODEL"],
            Self::Image => &["OPENROUTER_IMAGE_GENERATION_MODEL", "IMAGE_GENERATION_MODEL"],
        }
    }

    /// The built-in default; `None` for a tier that inherits its parent's model.
    pub fn default_model(self) -> Option<&'static str> {
        match self {
            Self::TextSmall => Some("anthropic/claude-haiku-4"),
            Self::TextLarge => Some("anthropic/claude-sonnet-4-5"),
            Self::TextReasoningLarge => Some("anthropic/claude-opus-4"),
            Self::TextEmbedding => Some("openai/text-embedding-3-small"),
            Self::Image => Some("google/gemini-2.5-flash-image"),
            Self::TextNano
            | Self::TextMedium
            | Self::TextMega
            | Self::ResponseHandler
            | Self::ActionPlanner
            | Self::ImageDescription => None,
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Tier {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::rows;

    #[test]
    fn every_tier_is_found_by_its_name_in_any_case() {
        assert_eq!(all().len(), 11);
        for tier in all() {
            assert_eq!(Tier::parse(tier.name()), Some(*tier));
            assert_eq!(Tier::parse(&tier.name().to_lowercase()), Some(*tier));
        }
        for name in accepted_names() {
            assert!(Tier::parse(name).is_some(), "{name}");
        }
    }

    #[test]
    fn short_names_and_aliases_mean_text_tiers() {
        let table = "
            nano | TEXT_NANO
            small | TEXT_SMALL
            medium | TEXT_MEDIUM
            large | TEXT_LARGE
            mega | TEXT_MEGA
            reasoning | TEXT_REASONING_LARGE
            Reasoning_Large | TEXT_REASONING_LARGE
        ";
        for [short, name] in rows(table) {
            assert_eq!(Tier::parse(short).map(Tier::name), Some(name), "{short}");
        }
        for unknown in ["", "smart", "TEXT_HUGE", "TEXT_SMALL ", "embedding"] {
            assert_eq!(Tier::parse(unknown), None, "{unknown:?}");
        }
    }

    #[test]
    fn an_unknown_tier_gets_the_name_it_is_most_like_or_all_of_them() {
        for (unknown, near) in [
            ("smal", "small"),
            ("TEXT_SMLL", "TEXT_SMALL"),
            ("Reasonning", "reasoning"),
        ] {
            assert_eq!(hint_for(unknown), format!("did you mean `{near}`?"));
        }
        for unknown in ["TEXT_HUGE", "x", ""] {
            let hint = hint_for(unknown);
            assert!(
                hint.starts_with("the tiers are TEXT_NANO, TEXT_SMALL,") && hint.ends_with(", IMAGE"),
                "{hint}"
            );
        }
    }
}
