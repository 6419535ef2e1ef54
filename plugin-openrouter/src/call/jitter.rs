//! Randomness for waits, so that calls that failed together do not come back together. It need not be unguessable.

use std::hash::{BuildHasher, RandomState};

/// A number from 0 to 1.
pub fn throw() -> f64 {
    // Each one has keys of its own, which begin at random for each thread.
    let bits = RandomState::new().hash_one(()) >> 11;
    bits as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throws_lie_between_none_and_all_and_differ() {
        let throws: Vec<f64> = (0..1000).map(|_| throw()).collect();
        assert!(throws.iter().all(|throw| (0.0..1.0).contains(throw)));
        let mean = throws.iter().sum::<f64>() / 1000.0;
        assert!((0.4..0.6).contains(&mean), "{mean}");
    }
}
