//! Divides the calls of a tier between several models, by weight. Pure.
//!
//! In: the arms of a split with their weights, and a number from 0 to 1 that stands for the call.
//! Out: the arm that answers. The same session gets the same arm in every process and on every machine.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::profile::tiers::Tier;

/// The models of a split, each with its weight. Weights compare with each other; they need not add up to anything.
pub type Arms = BTreeMap<String, u32>;

/// A number from 0 to 1, excluding 1, that is always the same for a session and spreads evenly over many.
///
/// - In: `session`, the id of the session or of the user.
pub fn place_of(tier: Tier, session: &str) -> f64 {
    // With the tier's name, so that the splits of two tiers do not divide the sessions along the same line.
    let digest = Sha256::new().chain_update(tier.name()).chain_update(session).finalize();
    let bits = digest
        .iter()
        .take(8)
        .fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

/// The arm at a place from 0 to 1. `None` if no arm has a weight.
pub fn arm_at(arms: &Arms, place: f64) -> Option<&str> {
    let total: u64 = arms.values().copied().map(u64::from).sum();
    let mut left = place * total as f64;
    let mut weighed = arms.iter().filter(|(_, weight)| **weight > 0);
    let arm = weighed.find(|(_, weight)| {
        left -= f64::from(**weight);
        left < 0.0
    });
    arm.map(|(model, _)| model.as_str())
}

/// The arm with the largest weight, the first of several.
pub fn heaviest(arms: &Arms) -> Option<&str> {
    let weighed = arms.iter().rev().filter(|(_, weight)| **weight > 0);
    weighed
        .max_by_key(|(_, weight)| **weight)
        .map(|(model, _)| model.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arms(weights: &[(&str, u32)]) -> Arms {
        weights
            .iter()
            .map(|(model, weight)| ((*model).to_owned(), *weight))
            .collect()
    }

    #[test]
    fn an_arm_gets_the_places_that_its_weight_covers() {
        let arms = arms(&[("a", 80), ("b", 0), ("c", 20)]);
        for (place, expected) in [(0.0, "a"), (0.79, "a"), (0.81, "c"), (0.999_999, "c")] {
            assert_eq!(arm_at(&arms, place), Some(expected), "{place}");
        }
        assert_eq!(arm_at(&Arms::from([("a".to_owned(), 0)]), 0.5), None);
    }

    #[test]
    fn ten_thousand_sessions_are_divided_within_one_percent_and_stay_where_they_are() {
        let arms = arms(&[("a", 80), ("b", 20)]);
        let arm_of = |session: u32| arm_at(&arms, place_of(Tier::TextLarge, &format!("session-{session}")));
        let n_first = (0..10_000).filter(|session| arm_of(*session) == Some("a")).count();
        assert!((7_900..=8_100).contains(&n_first), "{n_first}");
        // A literal, because a session must keep its arm over releases too.
        assert_eq!((place_of(Tier::TextLarge, "session-1") * 1e6) as u32, 279_267);
    }

    #[test]
    fn splits_of_two_tiers_divide_sessions_along_different_lines() {
        let half = arms(&[("a", 1), ("b", 1)]);
        let agrees = |session: &u32| {
            let session = session.to_string();
            let arm = |tier| arm_at(&half, place_of(tier, &session));
            arm(Tier::TextLarge) == arm(Tier::TextSmall)
        };
        let n_agreed = (0..1_000).filter(agrees).count();
        assert!((400..600).contains(&n_agreed), "{n_agreed}");
    }

    #[test]
    fn the_heaviest_arm_is_the_first_of_equals() {
        assert_eq!(heaviest(&arms(&[("a", 1), ("b", 2), ("c", 2)])), Some("b"));
        assert_eq!(heaviest(&arms(&[("a", 0)])), None);
    }
}
