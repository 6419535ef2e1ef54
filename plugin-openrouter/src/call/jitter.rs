//! Randomness for waits, so that calls that failed together are not retried together. Not for cryptography.

use std::hash::{BuildHasher, RandomState};

/// A random number from 0 to 1, excluding 1.
pub fn fraction() -> f64 {
    // Each `RandomState` has its own keys, seeded at random for each thread.
    let bits = RandomState::new().hash_one(()) >> 11;
    bits as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_spread_from_zero_to_one() {
        let fractions: Vec<f64> = (0..1000).map(|_| fraction()).collect();
        assert!(fractions.iter().all(|fraction| (0.0..1.0).contains(fraction)));
        let mean = fractions.iter().sum::<f64>() / 1000.0;
        assert!((0.4..0.6).contains(&mean), "{mean}");
    }
}
