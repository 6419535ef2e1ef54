//! How long calls took, in few bytes: a count for each step of times, where each step is a sixth longer than the one
//! before.
//!
//! As a blob: pairs of a step and its count, one byte and four bytes, in the order of the steps. SQLite merges them
//! with the functions `histogram_of`, `histogram_sum` and `histogram_merged`.

use rusqlite::Connection;
use rusqlite::functions::{Aggregate, Context, FunctionFlags};
use rusqlite::types::ValueRef;

use crate::error::Error;

/// How many steps make a time twice as long; 4 of them are 19 % each.
const STEPS: f64 = 4.0;
const PAIR_BYTES: usize = 5;

/// The counts of steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram([u32; 128]);

impl Default for Histogram {
    fn default() -> Self {
        Self([0; 128])
    }
}

impl Histogram {
    pub fn of(time_ms: u64) -> Self {
        let mut histogram = Self::default();
        histogram.0[step_of(time_ms)] = 1;
        histogram
    }

    pub fn add(&mut self, blob: &[u8]) {
        for pair in blob.chunks_exact(PAIR_BYTES) {
            let count = u32::from_le_bytes([pair[1], pair[2], pair[3], pair[4]]);
            if let Some(sum) = self.0.get_mut(usize::from(pair[0])) {
                *sum = sum.saturating_add(count);
            }
        }
    }

    pub fn blob(&self) -> Vec<u8> {
        let counted = (0_u8..).zip(self.0).filter(|(_, count)| *count > 0);
        counted
            .flat_map(|(step, count)| std::iter::once(step).chain(count.to_le_bytes()))
            .collect()
    }

    /// The time that this part of the calls did not exceed: the middle of its step.
    pub fn quantile(&self, part: f64) -> Option<u64> {
        let all: u64 = self.0.iter().map(|count| u64::from(*count)).sum();
        let wanted = ((all as f64) * part).ceil().max(1.0) as u64;
        let mut sum = 0;
        let step = self.0.iter().position(|count| {
            sum += u64::from(*count);
            sum >= wanted
        })?;
        Some(middle_of(step))
    }
}

fn step_of(time_ms: u64) -> usize {
    let steps = (time_ms.max(1) as f64).log2() * STEPS;
    (steps as usize).min(127)
}

fn middle_of(step: usize) -> u64 {
    ((step as f64 + 0.5) / STEPS).exp2().round() as u64
}

/// Teaches a connection the functions.
pub fn register(connection: &Connection) -> Result<(), Error> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function("histogram_of", 1, flags, |context| {
        let time_ms: Option<u64> = context.get(0)?;
        Ok(time_ms.map_or_else(Vec::new, |time_ms| Histogram::of(time_ms).blob()))
    })?;
    connection.create_scalar_function("histogram_sum", 2, flags, |context| {
        let mut sum = Histogram::default();
        for index in 0..2 {
            if let ValueRef::Blob(blob) = context.get_raw(index) {
                sum.add(blob);
            }
        }
        Ok(sum.blob())
    })?;
    Ok(connection.create_aggregate_function("histogram_merged", 1, flags, Merged)?)
}

struct Merged;

impl Aggregate<Box<Histogram>, Vec<u8>> for Merged {
    fn init(&self, _context: &mut Context<'_>) -> rusqlite::Result<Box<Histogram>> {
        Ok(Box::default())
    }

    fn step(&self, context: &mut Context<'_>, sum: &mut Box<Histogram>) -> rusqlite::Result<()> {
        if let ValueRef::Blob(blob) = context.get_raw(0) {
            sum.add(blob);
        }
        Ok(())
    }

    fn finalize(&self, _context: &mut Context<'_>, sum: Option<Box<Histogram>>) -> rusqlite::Result<Vec<u8>> {
        Ok(sum.unwrap_or_default().blob())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_to_a_tenth() {
        let mut sum = Histogram::default();
        for time_ms in 1..=1000 {
            sum.add(&Histogram::of(time_ms).blob());
        }
        for (part, exact) in [(0.5, 500.0), (0.95, 950.0)] {
            let found = sum.quantile(part).expect("there are calls") as f64;
            assert!((found / exact - 1.0).abs() < 0.1, "{part}: {found}");
        }
        assert_eq!(Histogram::default().quantile(0.5), None);
        assert_eq!(Histogram::of(0).quantile(0.5), Some(1));
        assert!(Histogram::of(u64::MAX).quantile(0.5).is_some());
    }
}
