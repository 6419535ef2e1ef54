//! Whether an option exists, by what its plugin says about its options. Pure.

use super::edit::pointer_of;
use super::normalise::{member_name, parts_at};
use super::pointer::{join, segments};
use super::schema::{ProviderSchema, entry_schema};
use super::words::names_in;
use crate::near::closest;
use crate::profile::dotted;

/// An option that does not exist.
#[derive(Debug, PartialEq)]
pub struct UnknownOption {
    /// The option with the closest name, as people write it.
    pub closest: Option<String>,
}

/// What is known of an option that does not exist; `None` if it exists, or may exist.
///
/// - In: `option`, its names with dots between, or its pointer below the profile, in any spelling.
pub fn unknown_option(provider: &ProviderSchema, option: &str) -> Option<UnknownOption> {
    let schema = entry_schema(provider);
    let mut here = String::new();
    for name in segments(&pointer_of(option)) {
        let parts = parts_at(&schema, &here);
        let below = join(&here, &member_name(&parts, &name));
        if parts_at(&schema, &below).is_empty() {
            if !parts.iter().any(|part| part["additionalProperties"] == false) {
                return None;
            }
            let names = parts.iter().flat_map(|part| names_in(part, &schema));
            let closest = closest(&name, names).map(|name| dotted(&join(&here, name)));
            return Some(UnknownOption { closest });
        }
        here = below;
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_unknown_option_comes_with_the_closest_one() {
        let provider = ProviderSchema {
            provider: "acme".to_owned(),
            options_schema: json!({
                "properties": {
                    "model": {"type": "string"},
                    "retry": {"$ref": "#/$defs/Retry"},
                    "tiers": {"additionalProperties": {"type": "string"}},
                    "extra": {"type": "object"},
                },
                "$defs": {"Retry": {
                    "properties": {"attempts": {"type": "integer"}, "maxWaitMs": {"type": "integer"}},
                    "additionalProperties": false,
                }},
            }),
            key_prefixes: Vec::new(),
        };
        let closest = |option: &str| unknown_option(&provider, option).map(|unknown| unknown.closest);
        for known in [
            "model",
            "retry",
            "/retry/attempts",
            "retry.max_wait_ms",
            "tiers.any",
            "extra.any.thing",
            "apiKey.env",
        ] {
            assert_eq!(closest(known), None, "{known}");
        }
        for (unknown, near) in [
            ("modle", Some("model")),
            ("retry.atempts", Some("retry.attempts")),
            ("/retry/max_wait", Some("retry.maxWaitMs")),
            ("xyzzy", None),
        ] {
            assert_eq!(closest(unknown), Some(near.map(str::to_owned)), "{unknown}");
        }
    }
}
